// Binds pending pods to nodes: placement.ts decides, this watches and writes. One decision at a time, so that each sees the
// ones before it; what the API has not shown yet is remembered as assumed.
import { NODES, PODS } from '../../api/index.ts'
import { ApiError, EventRecorder, Informer, involvedObject, type KubeClient, WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Taint } from '../taints.ts'
import { place, type PlaceablePod, type PlacementNode } from './placement.ts'
import { type Condition, isFinished, mergeConditions, type Pod, timestamp } from './pod-status.ts'

/** The scheduler pods ask for when they ask for none. */
const schedulerName = 'default-scheduler'

interface Node {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly spec?: { readonly unschedulable?: boolean; readonly taints?: readonly Taint[] }
}

type SchedulablePod = Pod & PlaceablePod & { readonly spec: { readonly schedulingGates?: readonly unknown[] } }

export class Scheduler {
  readonly #client: KubeClient
  readonly #log: Logger
  readonly #pods: Informer<SchedulablePod>
  readonly #nodes: Informer<Node>
  readonly #queue: WorkQueue
  readonly #events: EventRecorder
  /** uid → node of pods bound by us and not yet seen bound. */
  readonly #assumed = new Map<string, string>()

  constructor(client: KubeClient, log: Logger) {
    this.#client = client
    this.#log = log
    this.#pods = new Informer<SchedulablePod>(client, {
      resource: PODS,
      indexes: { node: (pod) => (pod.spec.nodeName && !isFinished(pod) ? [pod.spec.nodeName] : []) },
      logger: log,
    })
    this.#nodes = new Informer<Node>(client, { resource: NODES, logger: log })
    this.#events = new EventRecorder(client, { component: schedulerName, logger: log })
    this.#queue = new WorkQueue({
      process: (key) => this.#schedule(key),
      baseDelayMs: 50,
      maxDelayMs: 5000,
      onError: (error, pod, failures) => log.warn({ pod, failures, err: error }, 'pod cannot be bound'),
    })
  }

  /** Returns when both caches are filled; pending pods are bound from then on. */
  async start(): Promise<void> {
    this.#pods.onChange(({ type, key, object }) => {
      if (type === 'deleted' || object.spec.nodeName) this.#assumed.delete(object.metadata.uid)
      else this.#queue.add(key)
    })
    // Nodes alone refuse pods here, so a change of a node is all that a waiting pod waits for.
    this.#nodes.onChange(() => {
      for (const pod of this.#pods.store.values()) {
        if (!pod.spec.nodeName) this.#queue.add(`${pod.metadata.namespace}/${pod.metadata.name}`)
      }
    })
    this.#nodes.start()
    this.#pods.start()
    await Promise.all([this.#nodes.synced, this.#pods.synced])
    this.#queue.start()
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pods.stop(), this.#nodes.stop(), this.#queue.stop()])
    await this.#events.stop(200)
  }

  async #schedule(key: string): Promise<void> {
    const pod = this.#pods.store.get(key)
    if (pod === undefined || pod.spec.nodeName || pod.metadata.deletionTimestamp || isFinished(pod)) return
    if (this.#assumed.has(pod.metadata.uid)) return
    if ((pod.spec.schedulerName ?? schedulerName) !== schedulerName) return
    if ((pod.spec.schedulingGates ?? []).length > 0) return
    const placement = place(pod, this.#candidates())
    if (placement.node === null) await this.#reportUnschedulable(pod, placement.reason)
    else await this.#bind(pod, placement.node)
  }

  #candidates(): PlacementNode[] {
    const assumed = new Map<string, number>()
    for (const node of this.#assumed.values()) assumed.set(node, (assumed.get(node) ?? 0) + 1)
    return this.#nodes.store.list().map(({ metadata, spec }) => ({
      name: metadata.name,
      labels: metadata.labels ?? {},
      taints: spec?.taints ?? [],
      unschedulable: spec?.unschedulable ?? false,
      pods: this.#pods.store.keysByIndex('node', metadata.name).length + (assumed.get(metadata.name) ?? 0),
    }))
  }

  /** Equivalent to: `kubectl create --raw /api/v1/namespaces/NS/pods/NAME/binding -f -` */
  async #bind({ metadata }: SchedulablePod, node: string): Promise<void> {
    const { name, namespace, uid } = metadata
    const target = { apiVersion: 'v1', kind: 'Node', name: node }
    try {
      await this.#client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
        body: { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target },
      })
    } catch (error) {
      // Gone, replaced by a namesake, or bound by somebody else: the watch tells.
      if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return
      throw error
    }
    if (this.#pods.store.get(`${namespace}/${name}`)?.spec.nodeName === undefined) this.#assumed.set(uid, node)
    const message = `Successfully assigned ${namespace}/${name} to ${node}`
    this.#events.event(involvedObject(PODS, metadata), 'Normal', 'Scheduled', message)
    this.#log.debug({ pod: `${namespace}/${name}`, node }, 'bound')
  }

  async #reportUnschedulable(pod: SchedulablePod, message: string): Promise<void> {
    const present = pod.status?.conditions ?? []
    const wanted: Condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }
    const before = present.find(({ type }) => type === wanted.type)
    if (before?.reason === wanted.reason && before?.message === message) return
    const { name, namespace } = pod.metadata
    const conditions = mergeConditions(present, [wanted], timestamp())
    await this.#client.patchStatus('merge', PODS, { name, namespace }, { status: { conditions } })
    this.#events.event(involvedObject(PODS, pod.metadata), 'Warning', 'FailedScheduling', message)
    this.#log.info({ pod: `${namespace}/${name}`, reason: message }, 'pod cannot be scheduled')
  }
}
