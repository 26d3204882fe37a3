// Hollow nodes: nodes that exist in the API only, thousands in one process. Each has a Node with its status, a Lease renewed
// every ten seconds, a NodeInfo as its daemon would publish it, and runs the pods bound to it (kubelet.ts). What the rest of
// a cluster sees of them is what it sees of real nodes: the same objects, written as often.
import { type IPFamily, LEASES, NAMESPACES, NODEINFOS, NODES } from '../../api/index.ts'
import { ApiError, type KubeClient, type KubeObject, type ObjectRef, type ResourceType } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { timestamp } from '../nodes/pod-status.ts'
import { Heartbeats } from './heartbeats.ts'
import { HollowKubelet } from './kubelet.ts'
import {
  type HollowNode,
  hollowNode,
  hollowStatus,
  leaseSpec,
  MAX_HOLLOW_NODES,
  nodeInfoObject,
  nodeObject,
} from './nodes.ts'

export interface HollowFleetOptions {
  readonly client: KubeClient
  /** How many nodes: PREFIX1, PREFIX2, ... At most MAX_HOLLOW_NODES. */
  readonly count: number
  /** Default `hollow-`. */
  readonly prefix?: string
  readonly labels?: Readonly<Record<string, string>>
  /** What pods without an ip-family annotation get: the manager's DEFAULT_IP_FAMILY. Default IPv4Only. */
  readonly defaultFamily?: IPFamily
  /** Milliseconds between heartbeats of one node; kubelet's 10,000. */
  readonly heartbeatMs?: number
  /** Default true; see HollowKubeletOptions. */
  readonly calicoAnnotation?: boolean
  /** Requests under way at once, of nodes that register and of pods. Default 64. */
  readonly concurrency?: number
  readonly log: Logger
}

const leaseNamespace = 'kube-node-lease'
/** A kubelet reports a status that has not changed every five minutes: with so many leases in between. */
const beatsPerStatus = 30

export class HollowFleet {
  readonly nodes: readonly HollowNode[]
  readonly #options: HollowFleetOptions
  readonly #client: KubeClient
  readonly #kubelet: HollowKubelet
  readonly #heartbeats: Heartbeats
  readonly #beats: Uint32Array
  readonly #readySince = timestamp()
  #failures = 0
  #stopped = false

  /** @throws RangeError for a count out of range */
  constructor(options: HollowFleetOptions) {
    const { client, count, prefix = 'hollow-', log } = options
    if (!Number.isInteger(count) || count < 0 || count > MAX_HOLLOW_NODES) {
      throw new RangeError(`hollow nodes: count is ${count}, expected a whole number from 0 to ${MAX_HOLLOW_NODES}`)
    }
    this.#options = options
    this.#client = client
    this.nodes = Array.from({ length: count }, (_, index) => hollowNode(index + 1, prefix))
    this.#beats = new Uint32Array(count)
    this.#heartbeats = new Heartbeats(count, options.heartbeatMs ?? 10_000, (index) => this.#beat(index))
    const addresses = new Map(this.nodes.map(({ name, address }) => [name, address]))
    this.#kubelet = new HollowKubelet({
      client,
      addressOf: (node) => addresses.get(node),
      defaultFamily: options.defaultFamily ?? 'IPv4Only',
      calicoAnnotation: options.calicoAnnotation ?? true,
      concurrency: options.concurrency ?? 64,
      log,
    })
  }

  /** For status pages and tests. */
  status(): ReturnType<HollowKubelet['status']> & { readonly failedBeats: number; readonly skippedBeats: number } {
    return { ...this.#kubelet.status(), failedBeats: this.#failures, skippedBeats: this.#heartbeats.skipped }
  }

  /**
   * Register every node (again), then run the pods bound to them; resolves when all are registered.
   *
   * @throws ApiError, RequestError of the first node that cannot be registered
   */
  async start(): Promise<void> {
    await ensure(this.#client, NAMESPACES, { metadata: { name: leaseNamespace } })
    const waiting = this.nodes.values()
    const register = async (): Promise<void> => {
      for (const node of waiting) {
        if (this.#stopped) return
        await this.#register(node)
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#options.concurrency ?? 64, this.nodes.length) }, register))
    if (this.#stopped) return
    this.#heartbeats.start()
    await this.#kubelet.start()
  }

  /** Fall silent, as nodes that lost their power; what is in the API stays. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([this.#heartbeats.stop(), this.#kubelet.stop()])
  }

  async #register(node: HollowNode): Promise<void> {
    const wanted = nodeObject(node, this.#options.labels ?? {})
    const found = await ensure(this.#client, NODES, wanted)
    await this.#reportStatus(node)
    await ensure(this.#client, LEASES, this.#lease(node))
    const info = nodeInfoObject(node, found.metadata.uid ?? '')
    await ensure(this.#client, NODEINFOS, info)
    const status = { updateTimestamp: timestamp() }
    await this.#client.patchStatus('merge', NODEINFOS, { name: node.name }, { status })
  }

  #lease(node: HollowNode): KubeObject {
    return { metadata: { namespace: leaseNamespace, name: node.name }, spec: leaseSpec(node) }
  }

  /** Merge patches replace lists whole: the conditions of a hollow node are its own only. */
  async #reportStatus(node: HollowNode): Promise<void> {
    const status = hollowStatus(node, this.#readySince, timestamp())
    await this.#client.patchStatus('merge', NODES, { name: node.name }, { status })
  }

  async #beat(index: number): Promise<void> {
    const node = this.nodes[index]
    if (node === undefined) return
    const lease = this.#lease(node)
    try {
      const beats = ((this.#beats[index] ?? 0) + 1) % beatsPerStatus
      this.#beats[index] = beats
      await this.#renew(lease)
      if (beats === 0) await this.#reportStatus(node)
    } catch (error) {
      if (this.#stopped) return
      this.#failures++
      this.#options.log.debug({ err: error, node: node.name }, 'hollow heartbeat failed; next in its turn')
    }
  }

  async #renew(lease: KubeObject): Promise<void> {
    try {
      await this.#client.patch('merge', LEASES, lease.metadata, { spec: lease['spec'] })
    } catch (error) {
      if (!(error instanceof ApiError && error.isNotFound)) throw error
      await ensure(this.#client, LEASES, lease)
    }
  }
}

/** Create an object unless one of the name is there; gives what is there then. */
async function ensure(
  client: KubeClient,
  resource: ResourceType,
  object: { readonly metadata: ObjectRef },
): Promise<KubeObject> {
  try {
    return (await client.create(resource, object)) as KubeObject
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
    return await client.patch<KubeObject>('merge', resource, object.metadata, object)
  }
}
