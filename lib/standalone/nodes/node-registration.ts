// A kubelet's word that its node exists and is well: the Node object, its status, and the lease renewed every 10 seconds.
import { NODES } from '../../api/index.ts'
import { ApiError, type KubeClient, type ResourceType } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { type Condition, nodeStatus } from './pod-status.ts'

const leases: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
}
const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
}
const leaseNamespace = 'kube-node-lease'

/** Kubelet's own numbers. */
const renewIntervalMs = 10_000
const leaseDurationSeconds = 40

interface Node {
  metadata: { name: string; uid?: string; labels?: Record<string, string> }
  status?: { conditions?: readonly Condition[] }
}

export interface NodeRegistrationOptions {
  readonly client: KubeClient
  readonly name: string
  /** InternalIP addresses in order of preference. */
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly bootId: string
  readonly machineId: string
  /** Why pods cannot get a network now; null when they can. */
  readonly networkProblem: () => Promise<string | null>
  readonly log: Logger
}

export class NodeRegistration {
  readonly #options: NodeRegistrationOptions
  #timer: NodeJS.Timeout | null = null
  #stopped = false
  #reported: string | null = null
  #inFlight: Promise<void> = Promise.resolve()

  constructor(options: NodeRegistrationOptions) {
    this.#options = options
  }

  /** Register the node (again) and keep its status and lease up to date. */
  async start(): Promise<void> {
    const { client, name, labels } = this.#options
    const wanted = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
      ...labels,
    }
    try {
      await client.create(NODES, { metadata: { name, labels: wanted }, spec: {} })
    } catch (error) {
      if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
      await client.patch('merge', NODES, { name }, { metadata: { labels: wanted } })
    }
    await this.#beat()
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#inFlight
  }

  /** Look at the network now, and report it if it changed; otherwise that waits for the next beat. */
  refresh(): Promise<void> {
    this.#inFlight = this.#inFlight.then(() => this.#reportStatus(false))
    return this.#inFlight
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#inFlight = this.#beat()
        .catch((error: unknown) => this.#options.log.warn({ err: error }, 'node heartbeat failed; next in 10 s'))
        .then(() => this.#schedule())
    }, renewIntervalMs)
  }

  async #beat(): Promise<void> {
    await this.#reportStatus(this.#reported === null)
    await this.#renewLease()
  }

  async #reportStatus(force: boolean): Promise<void> {
    const { client, name, addresses, bootId, machineId, networkProblem } = this.#options
    const problem = await networkProblem()
    const report = JSON.stringify(problem)
    if (!force && report === this.#reported) return
    const node = await client.get<Node>(NODES, { name })
    const present = node.status?.conditions ?? []
    const status = nodeStatus({ name, addresses, bootId, machineId, present }, problem)
    await client.patchStatus('merge', NODES, { name }, { status })
    this.#reported = report
  }

  async #renewLease(): Promise<void> {
    const { client, name } = this.#options
    const renewTime = new Date().toISOString().replace('Z', '000Z')
    const ref = { namespace: leaseNamespace, name }
    const spec = { holderIdentity: name, leaseDurationSeconds, renewTime }
    try {
      await client.patch('merge', leases, ref, { spec })
    } catch (error) {
      if (!(error instanceof ApiError && error.isNotFound)) throw error
      await ensureNamespace(client, leaseNamespace)
      await client.create(leases, { metadata: ref, spec })
    }
  }
}

async function ensureNamespace(client: KubeClient, name: string): Promise<void> {
  try {
    await client.create(namespaces, { metadata: { name } })
  } catch (error) {
    if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
  }
}
