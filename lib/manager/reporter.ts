// Says what cannot be served: one Warning on the object when it begins or its reason changes, one Normal when it is over,
// and a gauge as long as it lasts. Looks at everything at once, shortly after something changed.
import { NETWORKS, SUBNETS, effectiveType, formatProblems, isGloballyUnique, parseNetwork } from '../api/index.ts'
import type { Allocator } from '../ipam/index.ts'
import { involvedObject, type EventRecorder, type ObjectMeta } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Cluster } from './cluster.ts'
import type { ManagerMetrics } from './metrics.ts'

const SOON_MS = 50

interface Report {
  readonly kind: 'Network' | 'Subnet'
  readonly name: string
  readonly reason: string
}

export class Reporter {
  readonly #cluster: Cluster
  readonly #allocator: Allocator
  readonly #unreadable: () => ReadonlyMap<string, string>
  readonly #events: EventRecorder
  readonly #metrics: ManagerMetrics
  readonly #log: Logger
  readonly #onChange: (report: Pick<Report, 'kind' | 'name'>) => void
  #known = new Map<string, Report>()
  #timer: NodeJS.Timeout | null = null

  /** @param onChange an object began or ceased to be served */
  constructor(
    cluster: Cluster,
    allocator: Allocator,
    unreadable: () => ReadonlyMap<string, string>,
    events: EventRecorder,
    metrics: ManagerMetrics,
    log: Logger,
    onChange: (report: Pick<Report, 'kind' | 'name'>) => void,
  ) {
    this.#cluster = cluster
    this.#allocator = allocator
    this.#unreadable = unreadable
    this.#events = events
    this.#metrics = metrics
    this.#log = log.child({ component: 'ipam' })
    this.#onChange = onChange
  }

  /** Something changed: look soon. */
  doubt(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.look()
    }, SOON_MS)
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  look(): void {
    const now = new Map(this.#reports().map((report) => [`${report.kind}/${report.name}`, report]))
    for (const [key, report] of now) {
      if (this.#known.get(key)?.reason === report.reason) continue
      this.#metrics.refused.set({ kind: report.kind, name: report.name }, 1)
      this.#log.warn({ object: key, reason: report.reason }, 'object is not served as it is')
      this.#say(report, 'Warning', `${report.kind}NotServed`, report.reason)
      this.#onChange(report)
    }
    for (const [key, report] of this.#known) {
      if (now.has(key)) continue
      this.#metrics.refused.remove({ kind: report.kind, name: report.name })
      this.#say(report, 'Normal', `${report.kind}Served`, 'what was wrong is right now')
      this.#onChange(report)
    }
    this.#known = now
  }

  #say(report: Report, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const [resource, store] =
      report.kind === 'Network'
        ? ([NETWORKS, this.#cluster.networks.store] as const)
        : ([SUBNETS, this.#cluster.subnets.store] as const)
    const object = store.get(report.name)
    if (object === undefined) return
    this.#events.event(involvedObject(resource, object.metadata as Partial<ObjectMeta>), type, reason, message)
  }

  #reports(): Report[] {
    const reports: Report[] = []
    for (const [name, reason] of this.#unreadable()) reports.push({ kind: 'Subnet', name, reason })
    for (const { config, refusal } of this.#allocator.subnets()) {
      if (refusal !== null && !this.#unreadable().has(config.name)) {
        reports.push({ kind: 'Subnet', name: config.name, reason: refusal })
      }
    }
    for (const network of this.#cluster.networks.store.values()) {
      const { name } = network.metadata
      const problems = parseNetwork(network).problems
      const reasons = problems.length > 0 ? [formatProblems(problems)] : []
      const type = effectiveType(network)
      const [first] = this.#cluster.networksOfType(type)
      if (isGloballyUnique(type) && first !== undefined && first.metadata.name !== name) {
        reasons.push(`there may be one network of type ${type}, and "${first.metadata.name}" is it`)
      }
      const shared = (type === 'Underlay' ? (network.status?.nodeList ?? []) : []).find(
        (node) => this.#cluster.networksOfNode(node)[0]?.metadata.name !== name,
      )
      if (shared !== undefined) {
        const other = this.#cluster.networksOfNode(shared)[0]?.metadata.name ?? ''
        reasons.push(`node "${shared}" belongs to network "${other}" as well, which is used for its pods`)
      }
      if (reasons.length > 0) reports.push({ kind: 'Network', name, reason: reasons.join('; ') })
    }
    return reports
  }
}
