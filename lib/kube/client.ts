// The client: reads and writes of objects of any kind. It keeps nothing of them; see informer.ts for a local copy.
import type { Logger } from '../telemetry/log.ts'
import { directConnection, type ConnectionSource, type DirectConnection } from './connection.ts'
import { isNotFound } from './errors.ts'
import { ServerHistory } from './history.ts'
import { inCluster, inClusterConnection } from './incluster.ts'
import { listPages, type ListOptions, type Page } from './list.ts'
import { collectionPath, objectPath, queryText } from './paths.ts'
import { RateLimiter } from './ratelimit.ts'
import { Requester, parseBody, type CallOptions, type Fence } from './requester.ts'
import { Transport, type Carrier } from './transport.ts'
import { apiVersionOf, type KubeObject, type ObjectRef, type ResourceType, type Writable } from './types.ts'
import { acceptMetadata, watchStream, type WatchOptions, type WatchSink } from './watch.ts'

export interface ClientOptions {
  /** Requests a second and at once; no client-side limit unless both are given. */
  readonly qps?: number | undefined
  readonly burst?: number | undefined
  readonly userAgent?: string | undefined
  /** Deadline of a call unless it gives its own; 30 s. */
  readonly timeoutMs?: number | undefined
  readonly logger?: Logger | undefined
}

export interface LoadOptions extends ClientOptions {
  /** Path of a kubeconfig file; $KUBECONFIG, the service account and ~/.kube/config follow, in this order. */
  readonly kubeconfig?: string | undefined
  /** Context of the kubeconfig; its current one unless given. */
  readonly context?: string | undefined
}

/** Kinds of patches and their media types. */
const patchTypes = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
} as const
export type PatchType = keyof typeof patchTypes

export interface WriteOptions extends CallOptions {
  /** Validate and answer, but store nothing. */
  readonly dryRun?: boolean | undefined
  readonly fieldManager?: string | undefined
  /** `status`, `binding`, `eviction`, ... */
  readonly subresource?: string | undefined
}

export interface DeleteOptions extends CallOptions {
  readonly dryRun?: boolean | undefined
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground' | undefined
  readonly gracePeriodSeconds?: number | undefined
  /** Delete only this incarnation; otherwise 409. */
  readonly preconditions?:
    { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined } | undefined
}

export interface ApplyOptions extends WriteOptions {
  readonly fieldManager: string
  /** Take over fields other managers own, instead of 409. */
  readonly force?: boolean | undefined
}

export interface GetOptions extends CallOptions {
  readonly subresource?: string | undefined
  /** Ask for `metadata` only (PartialObjectMetadata): the server leaves spec, status and data out. */
  readonly metadataOnly?: boolean | undefined
  /** '0' allows a cached answer. */
  readonly resourceVersion?: string | undefined
}

export interface RawOptions extends CallOptions {
  readonly body?: unknown
  readonly contentType?: string | undefined
  readonly accept?: string | undefined
  /** Whether it may be sent again after a cut connection; GET, PUT and DELETE are unless said otherwise. */
  readonly idempotent?: boolean | undefined
}

export interface ObjectList<T> {
  readonly items: T[]
  readonly resourceVersion: string
}

export class KubeClient {
  /** The kubeconfig context's or the pod's own namespace; null when there is none. */
  readonly namespace: string | null
  readonly #requester: Requester

  /** What the informers of this client and of its fenced ones have seen of the server. */
  readonly history: ServerHistory

  private constructor(namespace: string | null, requester: Requester, history = new ServerHistory()) {
    this.namespace = namespace
    this.#requester = requester
    this.history = history
  }

  /**
   * A client by the usual sources, first found: the `kubeconfig` option, $KUBECONFIG, the pod's service account,
   * ~/.kube/config. The Kubernetes client package is loaded only for the kubeconfig ones.
   *
   * @throws Error naming the source and what is wrong with it
   */
  static async load(options: LoadOptions = {}): Promise<KubeClient> {
    const home = process.env['HOME'] ?? ''
    let files = options.kubeconfig || process.env['KUBECONFIG']
    if (!files && inCluster()) return KubeClient.over(inClusterConnection(), options)
    if (!files && home !== '') files = `${home}/.kube/config`
    if (!files)
      throw new Error('no kubeconfig: give --kubeconfig, set KUBECONFIG or run in a pod with a service account')
    const { kubeconfigConnection } = await import('./config.ts')
    return KubeClient.over(kubeconfigConnection(files, options.context ?? null), options)
  }

  /** A client for a known address, without any configuration file. */
  static connect(settings: DirectConnection & ClientOptions): KubeClient {
    return KubeClient.over(directConnection(settings), settings)
  }

  /** A client over any source of connections. */
  static over(source: ConnectionSource, options: ClientOptions = {}): KubeClient {
    const userAgent = options.userAgent ?? `hybridnet/1 (${process.platform}; node ${process.version})`
    return KubeClient.through(new Transport(source, userAgent), source.namespace, options)
  }

  /** A client over anything that carries exchanges, HTTP or not; `namespace` as `KubeClient.namespace`. */
  static through(carrier: Carrier, namespace: string | null, options: ClientOptions = {}): KubeClient {
    const { qps, burst } = options
    const limiter = qps !== undefined && qps > 0 ? new RateLimiter(qps, burst ?? Math.max(1, 2 * qps)) : null
    const requester = new Requester({
      transport: carrier,
      limiter,
      fence: null,
      timeoutMs: options.timeoutMs ?? 30_000,
      logger: options.logger ?? null,
    })
    return new KubeClient(namespace, requester)
  }

  /**
   * The same client (connections and rate limit shared) whose writes end with the fence's permission: refused by
   * FencedError afterwards, aborted when it is lost on the way, and bounded by its write deadline.
   */
  fenced(fence: Fence): KubeClient {
    return new KubeClient(this.namespace, new Requester({ ...this.#requester.settings, fence }), this.history)
  }

  /** Read one object. @throws ApiError (isNotFound) */
  async get<T = KubeObject>(resource: ResourceType, ref: ObjectRef, options: GetOptions = {}): Promise<T> {
    const path = objectPath(resource, ref, options.subresource)
    const query = queryText({ resourceVersion: options.resourceVersion })
    const accept = options.metadataOnly ? { accept: acceptMetadata } : {}
    return await this.raw<T>('GET', path + query, { ...options, ...accept })
  }

  /** Read one object, null when it does not exist. */
  async find<T = KubeObject>(resource: ResourceType, ref: ObjectRef, options: GetOptions = {}): Promise<T | null> {
    try {
      return await this.get<T>(resource, ref, options)
    } catch (error) {
      if (isNotFound(error)) return null
      throw error
    }
  }

  /** All pages of a list, of one snapshot. */
  async list<T = KubeObject>(resource: ResourceType, options: ListOptions<T> = {}): Promise<ObjectList<T>> {
    let items: T[] = []
    let resourceVersion = ''
    for await (const page of this.listPages<T>(resource, options)) {
      if (page.restarted) items = []
      for (const item of page.items) items.push(item)
      resourceVersion = page.resourceVersion
    }
    return { items, resourceVersion }
  }

  /** A list page by page; look at `Page.restarted`. */
  listPages<T = KubeObject>(
    resource: ResourceType,
    options: ListOptions<T> = {},
  ): AsyncGenerator<Page<T>, void, undefined> {
    return listPages(this.#requester, resource, options)
  }

  /** One watch connection, from `options.resourceVersion` until it ends; see watch.ts. Most callers want an Informer. */
  watch(resource: ResourceType, options: WatchOptions, sink: WatchSink): Promise<void> {
    return watchStream(this.#requester, resource, options, sink)
  }

  /**
   * Create an object in `metadata.namespace`; `generateName` lets the server choose the name. Never sent twice unless it
   * certainly was not received: after a RequestError with outcomeUnknown, look.
   */
  async create<T extends Writable>(resource: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    const { subresource } = options
    if (resource.namespaced && !object.metadata.namespace) {
      throw new TypeError(`${resource.kind} '${object.metadata.name ?? ''}': metadata.namespace is empty`)
    }
    const path = subresource
      ? objectPath(resource, object.metadata, subresource)
      : collectionPath(resource, resource.namespaced ? object.metadata.namespace : null)
    return await this.#write<T>('POST', path, typed(resource, object), 'application/json', false, options)
  }

  /** Replace an object; with `metadata.resourceVersion` only if it is unchanged (isConflict otherwise). */
  async update<T extends Writable>(resource: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    const path = objectPath(resource, object.metadata, options.subresource)
    return await this.#write<T>('PUT', path, typed(resource, object), 'application/json', true, options)
  }

  /** Replace the status of an object. */
  updateStatus<T extends Writable>(resource: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    return this.update(resource, object, { ...options, subresource: 'status' })
  }

  /**
   * Patch an object: `merge` (RFC 7396), `strategic` (built-in kinds only; CRDs answer 415) or `json` (RFC 6902, `body` an
   * array of operations).
   */
  async patch<T = KubeObject>(
    type: PatchType,
    resource: ResourceType,
    ref: ObjectRef,
    body: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    const path = objectPath(resource, ref, options.subresource)
    return await this.#write<T>('PATCH', path, body, patchTypes[type], type !== 'json', options)
  }

  /** Patch the status subresource of an object; `body` is of the whole object: `{ status: ... }`. */
  patchStatus<T = KubeObject>(
    type: PatchType,
    resource: ResourceType,
    ref: ObjectRef,
    body: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.patch<T>(type, resource, ref, body, { ...options, subresource: 'status' })
  }

  /** Server-side apply: make the given fields so, creating the object if needed, and own them. */
  async apply<T extends Writable>(resource: ResourceType, object: T, options: ApplyOptions): Promise<T> {
    const path = objectPath(resource, object.metadata, options.subresource)
    const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object }
    return await this.#write<T>('PATCH', path, body, 'application/apply-patch+yaml', true, options, options.force)
  }

  /**
   * Delete an object. Resolves when the server has accepted it; finalizers may keep the object for longer.
   *
   * @throws ApiError: isNotFound when there is none, isConflict when a precondition fails
   */
  async delete(resource: ResourceType, ref: ObjectRef, options: DeleteOptions = {}): Promise<void> {
    const { propagationPolicy, gracePeriodSeconds, preconditions, dryRun } = options
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(propagationPolicy ? { propagationPolicy } : {}),
      ...(gracePeriodSeconds !== undefined ? { gracePeriodSeconds } : {}),
      ...(preconditions ? { preconditions } : {}),
      ...(dryRun ? { dryRun: ['All'] } : {}),
    }
    await this.raw('DELETE', objectPath(resource, ref), { ...options, body })
  }

  /** Any request below the server's base URL, with a JSON body and answer. */
  async raw<T = unknown>(method: string, path: string, options: RawOptions = {}): Promise<T> {
    const headers: Record<string, string> = {}
    if (options.body !== undefined) headers['content-type'] = options.contentType ?? 'application/json'
    if (options.accept) headers['accept'] = options.accept
    const answer = await this.#requester.call({
      method,
      path,
      headers,
      idempotent: options.idempotent ?? (method === 'GET' || method === 'PUT' || method === 'DELETE'),
      signal: options.signal,
      timeoutMs: options.timeoutMs,
      retries: options.retries,
      unlimited: options.unlimited,
      ...(options.body !== undefined ? { body: JSON.stringify(options.body) } : {}),
    })
    return parseBody(method, path, answer.body) as T
  }

  /** Close all connections, those of running calls and watches included. */
  close(): void {
    this.#requester.settings.transport.close()
  }

  async #write<T>(
    method: string,
    path: string,
    body: unknown,
    contentType: string,
    idempotent: boolean,
    options: WriteOptions,
    force?: boolean,
  ): Promise<T> {
    const query = queryText({ fieldManager: options.fieldManager, force, dryRun: options.dryRun ? 'All' : null })
    return await this.raw<T>(method, path + query, { ...options, body, contentType, idempotent })
  }
}

/** The server insists on apiVersion and kind; callers' types may leave them out. */
function typed(resource: ResourceType, object: Writable): unknown {
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object }
}
