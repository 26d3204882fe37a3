// A kubelet's word that its node exists and is well: the Node object, its status, and the lease renewed with each heartbeat.
// The status is written when it differs from what the API shows (another may have written it, above all the node controller
// after a silence), and every five minutes in any case.
//
// As with the real one, a Node that somebody deletes comes back only with a new kubelet.
import { NODES } from '../../api/index.ts'
import {
  ApiError,
  Backoff,
  deepEqual,
  type EventRecorder,
  involvedObject,
  type KubeClient,
  leaseResource,
  type ObjectMeta,
  type ResourceType,
  sleep,
} from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { type Condition, nodeStatus } from './pod-status.ts'

const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
}
const leaseNamespace = 'kube-node-lease'

/** Kubelet's own numbers. */
const beatsPerLease = 4
const reportIntervalMs = 300_000

interface Node {
  readonly metadata: ObjectMeta & { readonly name: string }
  readonly spec?: unknown
  readonly status?: {
    readonly conditions?: readonly Condition[]
    readonly nodeInfo?: { readonly bootID?: string }
    readonly [field: string]: unknown
  }
}

export interface NodeRegistrationOptions {
  readonly client: KubeClient
  readonly name: string
  /** InternalIP addresses in order of preference. */
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly bootId: string
  readonly machineId: string
  /** Milliseconds between heartbeats. */
  readonly heartbeatMs: number
  /** Why pods cannot get a network now; null when they can. */
  readonly networkProblem: () => Promise<string | null>
  readonly events: EventRecorder
  readonly log: Logger
}

export class NodeRegistration {
  readonly #options: NodeRegistrationOptions
  readonly #stopping = new AbortController()
  #uid: string | undefined
  #reportedAt = -Infinity
  #beating: Promise<void> = Promise.resolve()
  /** The report that runs; the next waits for it, whatever becomes of it. */
  #reporting: Promise<void> = Promise.resolve()

  constructor(options: NodeRegistrationOptions) {
    this.#options = options
  }

  /**
   * Register the node (again) and keep its status and lease up to date. Tries until it succeeds.
   *
   * @throws the reason of {@link stop}, when it comes first
   */
  async start(): Promise<void> {
    const { signal } = this.#stopping
    const backoff = new Backoff({ baseMs: 200, maxMs: 7000 })
    for (;;) {
      try {
        await this.#register()
        await this.#beat()
        break
      } catch (error) {
        signal.throwIfAborted()
        this.#options.log.warn({ err: error }, 'node cannot be registered yet')
        await sleep(backoff.next(), signal)
      }
    }
    this.#beating = this.#beatOn()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`kubelet of ${this.#options.name} stops`))
    await this.#beating
    await this.#reporting.catch(() => undefined)
  }

  /** Look at the node now instead of at the next heartbeat, and report what changed. */
  refresh(): Promise<void> {
    const report = this.#reporting.catch(() => undefined).then(() => this.#reportStatus())
    this.#reporting = report
    return report
  }

  /** A new node is not ready: it says so before the node controller can, so that no pod comes too early. */
  async #register(): Promise<void> {
    const { client, name, labels } = this.#options
    const { signal } = this.#stopping
    const wanted = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
      ...labels,
    }
    const taints = [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]
    let node: Node
    try {
      node = await client.create<Node>(NODES, { metadata: { name, labels: wanted }, spec: { taints } }, { signal })
    } catch (error) {
      if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
      node = await client.patch<Node>('merge', NODES, { name }, { metadata: { labels: wanted } }, { signal })
    }
    this.#uid = node.metadata.uid
  }

  async #beatOn(): Promise<void> {
    const { heartbeatMs, log } = this.#options
    const { signal } = this.#stopping
    for (;;) {
      try {
        await sleep(heartbeatMs, signal)
        await this.#beat()
      } catch (error) {
        if (signal.aborted) return
        log.warn({ err: error, nextMs: heartbeatMs }, 'node heartbeat failed')
      }
    }
  }

  async #beat(): Promise<void> {
    // The lease counts; what keeps a status from being written must not make the node look dead.
    const [lease, report] = await Promise.allSettled([this.#renewLease(), this.refresh()])
    for (const result of [lease, report]) if (result.status === 'rejected') throw result.reason as Error
  }

  async #reportStatus(): Promise<void> {
    const { client, name, addresses, bootId, machineId, networkProblem, events } = this.#options
    const { signal } = this.#stopping
    const problem = await networkProblem()
    const node = await client.get<Node>(NODES, { name }, { signal })
    const present = node.status?.conditions ?? []
    const status = nodeStatus({ name, addresses, bootId, machineId, present }, problem)
    const due = performance.now() - this.#reportedAt >= reportIntervalMs
    if (!due && deepEqual(withoutBeats({ ...node.status, ...status }), withoutBeats(node.status ?? {}))) return
    const before = node.status?.nodeInfo?.bootID
    if (before !== undefined && before !== bootId) {
      const message = `Node ${name} has been rebooted, boot id: ${bootId}`
      events.event(involvedObject(NODES, node.metadata), 'Warning', 'Rebooted', message)
    }
    await client.patchStatus('merge', NODES, { name }, { status }, { signal })
    this.#reportedAt = performance.now()
  }

  /** The lease belongs to the node, and goes with it. */
  async #renewLease(): Promise<void> {
    const { client, name, heartbeatMs } = this.#options
    const { signal } = this.#stopping
    const renewTime = new Date().toISOString().replace('Z', '000Z')
    const ref = { namespace: leaseNamespace, name }
    const leaseDurationSeconds = Math.max(1, Math.round((beatsPerLease * heartbeatMs) / 1000))
    const spec = { holderIdentity: name, leaseDurationSeconds, renewTime }
    const metadata = { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name, uid: this.#uid }] }
    try {
      await client.patch('merge', leaseResource, ref, { metadata, spec }, { signal })
    } catch (error) {
      if (!(error instanceof ApiError && error.isNotFound)) throw error
      await ensureNamespace(client, leaseNamespace, signal)
      await client.create(leaseResource, { metadata: { ...ref, ...metadata }, spec }, { signal })
    }
  }
}

/** A status without the times that change by themselves. */
function withoutBeats(status: { readonly conditions?: unknown; readonly [field: string]: unknown }): unknown {
  const conditions = (status.conditions ?? []) as readonly Condition[]
  const byType = conditions.map((condition): [string, unknown] => [
    condition.type,
    { ...condition, lastHeartbeatTime: 0 },
  ])
  return { ...status, conditions: Object.fromEntries(byType) }
}

async function ensureNamespace(client: KubeClient, name: string, signal: AbortSignal): Promise<void> {
  try {
    await client.create(namespaces, { metadata: { name } }, { signal })
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
  }
}
