// Which rule a review is for, over which reads. Reviews of our kinds are judged one after the other over live reads, and
// what was just admitted counts until the API server shows it: so of two Overlay Networks made at once through one
// replica the second is refused. Through two replicas both may pass; the manager then serves the older and reports the other.
//
// Pods are judged over the local copy, once it is complete. A refusal by it is checked over live reads first, since the Subnet or
// Namespace that was missing may be younger than the copy.
import {
  NETWORKS,
  SUBNETS,
  REMOTE_CLUSTERS,
  REMOTE_SUBNETS,
  PODS,
  apiVersionOf,
  type LabelMatcher,
  type Network,
  type Pod,
  type RemoteCluster,
  type RemoteSubnet,
  type ResourceType,
  type Subnet,
} from '../api/index.ts'
import { errorText, type KubeClient } from '../kube/index.ts'
import { ALLOWED, type Decision } from './decision.ts'
import { LiveReads, topologyOf } from './live.ts'
import type { CachedPodReads, PodReads, Topology } from './reads.ts'
import type { Answer, Review } from './review.ts'
import { mutatePod } from './rules/mutate.ts'
import { createNetwork, deleteNetwork, updateNetwork } from './rules/network.ts'
import { validatePod, type PodRuleOptions } from './rules/pod.ts'
import { checkRemoteCluster, createRemoteSubnet } from './rules/remote.ts'
import { createSubnet, deleteSubnet, updateSubnet } from './rules/subnet.ts'

export interface RuleOptions extends PodRuleOptions {
  readonly multiCluster: boolean
  /** Addresses a Subnet may hold at most; 0 for any number. */
  readonly capacityLimit: number
  /** The pods to look at (--pod-label-selector, as the manager has it); all others pass as they are. */
  readonly handles: LabelMatcher
}

export interface JudgeOptions {
  readonly client: KubeClient
  readonly cache: CachedPodReads & { readonly synced: boolean }
  readonly rules: RuleOptions
}

/** How long an admitted object counts before the API server shows it: longer than a request lasts after its admission. */
const ADMITTED_MS = 15_000

const kindOf = (resource: ResourceType): string => `${apiVersionOf(resource)}/${resource.kind}`

interface AdmittedObject {
  readonly object: Network | Subnet
  readonly until: number
  /** The API server has shown it: when it is missing again, it is gone. */
  shown: boolean
}

/** Networks and Subnets whose creation or change was admitted a moment ago. */
class Admitted {
  readonly #objects = new Map<string, AdmittedObject>()

  add(kind: string, object: Network | Subnet, shown: boolean): void {
    this.#objects.set(`${kind} ${object.metadata.name}`, { object, until: Date.now() + ADMITTED_MS, shown })
  }

  delete(kind: string, name: string): void {
    this.#objects.delete(`${kind} ${name}`)
  }

  /** The topology with what is not in it yet. */
  over(topology: Topology): Topology {
    const now = Date.now()
    for (const [key, { until }] of this.#objects) if (until <= now) this.#objects.delete(key)
    const merged = <T extends Network | Subnet>(kind: string, there: readonly T[]): readonly T[] => {
      const names = new Set(there.map((object) => object.metadata.name))
      const added = [...this.#objects].flatMap(([key, { object, shown }]) =>
        key.startsWith(`${kind} `) && !shown && !names.has(object.metadata.name) ? [object as T] : [],
      )
      const present = there.map((object) => {
        const admitted = this.#objects.get(`${kind} ${object.metadata.name}`)
        if (admitted === undefined) return object
        admitted.shown = true
        const { uid, generation = 0 } = admitted.object.metadata
        const newer = uid === object.metadata.uid && generation > (object.metadata.generation ?? 0)
        return newer ? (admitted.object as T) : object
      })
      return [...present, ...added]
    }
    return topologyOf(merged(kindOf(NETWORKS), topology.networks()), merged(kindOf(SUBNETS), topology.subnets()))
  }
}

/** Live reads of one review; Networks and Subnets are read once. */
class ReviewReads extends LiveReads {
  readonly #admitted: Admitted
  #topology: Promise<Topology> | null = null

  constructor(client: KubeClient, signal: AbortSignal, admitted: Admitted) {
    super(client, signal)
    this.#admitted = admitted
  }

  override topology(): Promise<Topology> {
    this.#topology ??= super.topology().then((topology) => this.#admitted.over(topology))
    return this.#topology
  }
}

export class Judge {
  readonly #options: JudgeOptions
  readonly #admitted = new Admitted()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: JudgeOptions) {
    this.#options = options
  }

  /** @param signal the review's deadline. Never throws: what cannot be judged is answered with 500 */
  async validate(review: Review, signal: AbortSignal): Promise<Answer> {
    return await this.#guarded(async () => {
      if (review.kind === kindOf(PODS)) {
        return await this.#judgePod(review, signal, async (pod, reads) => ({
          decision: await validatePod(pod, review.namespace, reads, this.#options.rules),
          patch: [],
        }))
      }
      const turn = this.#last.then(() => this.#judgeObject(review, signal))
      this.#last = turn.catch(() => undefined)
      return await turn
    })
  }

  async mutate(review: Review, signal: AbortSignal): Promise<Answer> {
    return await this.#guarded(async () => {
      if (review.kind !== kindOf(PODS)) return { decision: ALLOWED, patch: [] }
      return await this.#judgePod(review, signal, (pod, reads) =>
        mutatePod(pod, review.namespace, reads, this.#options.rules),
      )
    })
  }

  /** A rule over the local copy, and over live reads before it refuses. */
  async #judgePod(
    review: Review,
    signal: AbortSignal,
    rule: (pod: Pod, reads: PodReads) => Promise<Answer>,
  ): Promise<Answer> {
    if (review.operation !== 'CREATE') return { decision: ALLOWED, patch: [] }
    const pod = podOf(review)
    if (pod === null) return unreadable('object')
    const { cache, client, rules } = this.#options
    if (!rules.handles(pod.metadata.labels)) return { decision: ALLOWED, patch: [] }
    const live = new LiveReads(client, signal)
    if (!cache.synced) return await rule(pod, live)
    const first = await rule(pod, {
      topology: () => cache.topology(),
      holdersOfPod: (namespace, name) => cache.holdersOfPod(namespace, name),
      holdersOfMachine: (namespace, name) => cache.holdersOfMachine(namespace, name),
      // A namespace may be younger than the copy; its absence there says nothing.
      namespaceWishes: async (name) => (await cache.namespaceWishes(name)) ?? (await live.namespaceWishes(name)),
      machineOf: (namespace, instance) => live.machineOf(namespace, instance),
    })
    return first.decision.allowed ? first : await rule(pod, live)
  }

  async #guarded(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work()
    } catch (error) {
      const message = `the object could not be judged: ${errorText(error)}`
      return { decision: { allowed: false, code: 500, message }, patch: [] }
    }
  }

  async #judgeObject(review: Review, signal: AbortSignal): Promise<Answer> {
    const { kind, operation, object, oldObject, dryRun } = review
    if (operation !== 'DELETE' && object === null) return unreadable('object')
    if (operation !== 'CREATE' && oldObject === null) return unreadable('oldObject')
    signal.throwIfAborted()
    const reads = new ReviewReads(this.#options.client, signal, this.#admitted)
    const decision = await this.#rule(review, reads)
    if (decision.allowed && !dryRun && [kindOf(NETWORKS), kindOf(SUBNETS)].includes(kind)) {
      const { metadata } = (object ?? oldObject) as unknown as Network | Subnet
      const ends = operation === 'DELETE' || (metadata.deletionTimestamp ?? null) !== null
      if (ends) this.#admitted.delete(kind, metadata.name)
      else this.#admitted.add(kind, object as unknown as Network | Subnet, operation === 'UPDATE')
    }
    return { decision, patch: [] }
  }

  async #rule({ kind, operation, object, oldObject }: Review, reads: ReviewReads): Promise<Decision> {
    const { rules } = this.#options
    switch (`${operation} ${kind}`) {
      case `CREATE ${kindOf(NETWORKS)}`:
        return await createNetwork(object as unknown as Network, reads)
      case `UPDATE ${kindOf(NETWORKS)}`:
        return await updateNetwork(oldObject as unknown as Network, object as unknown as Network, reads)
      case `DELETE ${kindOf(NETWORKS)}`:
        return await deleteNetwork(oldObject as unknown as Network, reads, rules.multiCluster)
      case `CREATE ${kindOf(SUBNETS)}`:
        return await createSubnet(object as unknown as Subnet, reads, rules)
      case `UPDATE ${kindOf(SUBNETS)}`:
        return await updateSubnet(oldObject as unknown as Subnet, object as unknown as Subnet, reads, rules)
      case `DELETE ${kindOf(SUBNETS)}`:
        return await deleteSubnet(oldObject as unknown as Subnet, reads)
      case `CREATE ${kindOf(REMOTE_CLUSTERS)}`:
      case `UPDATE ${kindOf(REMOTE_CLUSTERS)}`:
        return checkRemoteCluster(oldObject as unknown as RemoteCluster | null, object as unknown as RemoteCluster)
      case `CREATE ${kindOf(REMOTE_SUBNETS)}`:
        return await createRemoteSubnet(object as unknown as RemoteSubnet, reads)
      default:
        // Nothing is known against it (api.md §4.1).
        return ALLOWED
    }
  }
}

/** The pod with the name and namespace of the request, which the object may lack yet. */
function podOf({ object, name, namespace }: Review): Pod | null {
  const metadata = object?.['metadata'] as Pod['metadata'] | undefined
  if (object === null || typeof metadata !== 'object' || metadata === null) return null
  return { ...(object as unknown as Pod), metadata: { ...metadata, name: metadata.name || name, namespace } }
}

function unreadable(field: string): Answer {
  return { decision: { allowed: false, code: 400, message: `request.${field} is missing or no object` }, patch: [] }
}
