// What the embedded API server is given and gives back, and the shape of the objects it keeps.
// Pure types: nothing here runs.
import type { Logger } from '../../telemetry/log.ts'
import type { ServiceResolver } from './admission/index.ts'
import type { Faults } from './faults/index.ts'

/** JSON as it comes off the wire. `undefined` stands for an absent member and is never serialized. */
export type Json = null | boolean | number | string | Json[] | JsonObject

export interface JsonObject {
  [key: string]: Json | undefined
}

/** metadata.ownerReferences[]. */
export interface OwnerReference extends JsonObject {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

/** metadata of every object; only what the server itself reads is named. */
export interface ObjectMeta extends JsonObject {
  name?: string
  generateName?: string
  namespace?: string
  uid?: string
  /** The store's counter at the last write of this object, as a decimal string. */
  resourceVersion?: string
  /** Counts changes of the wanted state (everything but metadata and status); only on kinds that keep it. */
  generation?: number
  /** RFC 3339, whole seconds, UTC. */
  creationTimestamp?: string
  deletionTimestamp?: string
  /** Seconds. */
  deletionGracePeriodSeconds?: number
  labels?: { [key: string]: string }
  annotations?: { [key: string]: string }
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
  managedFields?: JsonObject[]
}

/** Any object of the API. Objects in the store are shared and never changed in place. */
export interface KubeObject extends JsonObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

/** Where to accept connections: a TCP address (port 0 picks one), an inherited listening descriptor, or a Unix socket. */
export type Listen =
  | { readonly host: string; readonly port: number }
  | {
      readonly fd: number
      /** What to call it in `urls`; nothing can be derived from a descriptor. */ readonly url?: string
    }
  | { readonly path: string }

export interface TlsOptions {
  /** Names and addresses the serving certificate is valid for, besides localhost, 127.0.0.1, ::1 and `kubernetes.default.svc`. */
  readonly subjectAltNames?: readonly string[]
}

export interface ApiServerOptions {
  /** At least one; all serve the same API. */
  readonly listen: readonly Listen[]
  /**
   * Serve HTTPS with a certificate authority made for this server. Without it plain HTTP is spoken, which kubectl accepts for
   * `http://` URLs (but sends no bearer token over it).
   */
  readonly tls?: TlsOptions
  /**
   * The one bearer token that is let in, with all rights. Default: over TLS a random one, over plain HTTP none (everyone is
   * let in). A client certificate issued by this server's own authority is let in too.
   */
  readonly token?: string
  /** CustomResourceDefinitions (YAML or JSON files, each with one or more documents) to install at start, e.g. the chart's `crds`. */
  readonly crdDirectory?: string
  /**
   * Keeps certificate authority and token, so that kubeconfig files stay valid over a restart, and (in `journal/`) all
   * objects: a write is answered when it is on disk. For one server at a time. Without it everything is in memory only.
   */
  readonly dataDirectory?: string
  /** Cluster IP range of Services, IPv4. Default `10.96.0.0/16`. */
  readonly serviceCidr?: string
  /** How many changes are kept for watches that start in the past and for consistent paging. Default 20,000. */
  readonly historySize?: number
  /** Seed of the chances of faults; the same seed and requests meet the same faults. Default 1. */
  readonly faultSeed?: number
  /** Milliseconds between bookmarks on watches that asked for them. Default 60,000. */
  readonly bookmarkIntervalMs?: number
  /** Where the Services of webhooks are reached. Default: the first ready endpoint of their EndpointSlices. */
  readonly resolveService?: ServiceResolver
  readonly log?: Logger
}

export interface ApiServer {
  /** One per `listen`, in order: `https://127.0.0.1:6443`, `http+unix:/path`, or the `url` given with a descriptor. */
  readonly urls: readonly string[]
  /** The first of `urls`. */
  readonly url: string
  /** PEM of the certificate authority; null without TLS. */
  readonly caCert: string | null
  /** The admin bearer token; null when everyone is let in. */
  readonly token: string | null
  /** A kubeconfig (JSON, which is YAML) with full rights, for `serverUrl` or `url`. */
  kubeconfig(serverUrl?: string): string
  /** Accept connections at one more place; returns its URL. */
  listen(where: Listen): Promise<string>
  /** Faults on demand: errors, latency, cuts, stalls, expiry, stale reads, conflicts. */
  readonly faults: Faults
  /**
   * As if the process were killed and started again: all connections are cut, nothing listens for `downMs` milliseconds
   * (default 0), then the same places are served with the same objects. `compact` forgets the history, as the watch cache
   * of a new process does: watches from before begin with 410. `state` other than 'kept' is a control plane that comes back
   * without what it knew: 'lost', with nothing but what every new cluster has; or a version, as restored from a backup of then.
   * The version counter goes back with it. Not for a server with a journal.
   *
   * @throws Error for a version that was never, or longer ago than `historySize` changes
   */
  restart(options?: {
    readonly downMs?: number
    readonly compact?: boolean
    readonly state?: 'kept' | 'lost' | number
  }): Promise<void>
  /** The version of the last write, to come back to with `restart({ state })`. */
  readonly version: number
  /** Ends all watches and connections, stops the controllers, frees the ports. */
  close(): Promise<void>
}
