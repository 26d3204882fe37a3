// Watches over the nodes: one whose kubelet has fallen silent becomes Ready=Unknown, unwell ones are tainted and so are
// cordoned ones, pods that do not tolerate that are evicted, and pods of nodes that are no more are swept away. What to do
// is decided in node-health.ts.
//
// Silence is measured by our own clock, from when a change of the node's lease was seen here: the clocks of nodes do not count.
import { NODES, PODS } from '../../api/index.ts'
import type { ObjectRef } from '../../kube/index.ts'
import { Controller, type ControllerOptions, unlessGone } from './controller.ts'
import type { Taint, Toleration } from '../taints.ts'
import { evictionTime, readiness, silentConditions, wantedTaints } from './node-health.ts'
import type { Condition, Pod } from './types.ts'

export interface NodeTiming {
  /** Milliseconds of silence after which a node is not known to be well. kube-controller-manager's is 50 s (40 s before 1.32). */
  readonly graceMs: number
  /** Milliseconds a pod's node must have been missing before the pod is removed. kube-controller-manager's is 40 s. */
  readonly orphanMs: number
}

export const defaultNodeTiming: NodeTiming = { graceMs: 50_000, orphanMs: 40_000 }

const rfc3339 = (): string => new Date().toISOString().replace(/\.\d+Z$/, 'Z')

export class NodeLifecycleController extends Controller {
  readonly #timing: NodeTiming
  /** node → when its kubelet was last heard of, by performance.now(). */
  readonly #heard = new Map<string, number>()
  /** node → since when pods are bound to it that it does not exist for. */
  readonly #missing = new Map<string, number>()
  /** Nodes that are well: while there is none, the fault is likelier ours than theirs, and nothing is evicted. */
  readonly #ready = new Set<string>()

  constructor(options: ControllerOptions, timing: NodeTiming) {
    super(options, 'node-controller')
    this.#timing = timing
  }

  protected override watch(): void {
    const { nodes, leases, pods } = this.caches
    nodes.onChange(({ type, object }) => {
      const { name } = object.metadata
      if (type === 'added') this.#heard.set(name, performance.now())
      this.queue.add(name)
      const evicted = this.#ready.size > 0
      if (type !== 'deleted' && readiness(object) === 'True') this.#ready.add(name)
      else this.#ready.delete(name)
      if (evicted !== this.#ready.size > 0) for (const other of nodes.store.keys()) this.queue.add(other)
    })
    leases.onChange(({ object: { metadata } }) => {
      this.#heard.set(metadata.name, performance.now())
    })
    pods.onChange(({ type, object: { spec } }) => {
      if (type !== 'deleted' && spec.nodeName) this.queue.add(spec.nodeName)
    })
  }

  protected override async sync(name: string): Promise<number | void> {
    const node = this.caches.nodes.store.get(name)
    if (node === undefined) return this.#sweep(name)
    this.#missing.delete(name)
    const silentMs = performance.now() - (this.#heard.get(name) ?? 0)
    if (silentMs >= this.#timing.graceMs) {
      const conditions = silentConditions(node, rfc3339())
      if (conditions !== null) {
        this.event(NODES, node.metadata, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`)
        await this.#patch({ name }, node.metadata.resourceVersion, { status: { conditions } }, 'status')
        return
      }
    }
    const taints = wantedTaints(node, this.#ready.size > 0, rfc3339())
    if (taints !== null) {
      await this.#patch({ name }, node.metadata.resourceVersion, { spec: { taints } })
      return
    }
    const next = await this.#attend(name, node.spec?.taints ?? [], readiness(node) === 'Unknown')
    return Math.min(next, Math.max(this.#timing.graceMs - silentMs, this.#timing.graceMs / 8))
  }

  /** Pods of a node that is there. @returns milliseconds until the next has to go */
  async #attend(name: string, taints: readonly Taint[], silent: boolean): Promise<number> {
    let next = Infinity
    for (const pod of this.caches.pods.store.byIndex('node', name)) {
      if (pod.metadata.deletionTimestamp !== undefined) continue
      if (silent) await this.#markNotReady(pod)
      const at = evictionTime((pod.spec['tolerations'] ?? []) as readonly Toleration[], taints)
      if (at === null) continue
      const waitMs = at - Date.now()
      if (waitMs > 0) next = Math.min(next, waitMs)
      else await this.#evict(pod)
    }
    return next
  }

  async #evict({ metadata }: Pod): Promise<void> {
    const { namespace, name, uid } = metadata
    this.event(PODS, metadata, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`)
    await unlessGone(this.client.delete(PODS, { namespace, name }, { preconditions: { uid } }))
  }

  /** Nobody can tell whether it still answers; Services stop counting on it. */
  async #markNotReady({ metadata, status }: Pod): Promise<void> {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')
    if (ready?.status !== 'True') return
    const { namespace, name, uid } = metadata
    const conditions = (status?.conditions ?? []).map((condition): Condition =>
      condition === ready ? { ...condition, status: 'False', lastTransitionTime: rfc3339() } : condition,
    )
    await unlessGone(
      this.client.patchStatus('merge', PODS, { namespace, name }, { metadata: { uid }, status: { conditions } }),
    )
  }

  /** Pods of a node that does not exist: nobody else will ever end them. */
  async #sweep(name: string): Promise<number | void> {
    this.#heard.delete(name)
    const pods = this.caches.pods.store.byIndex('node', name)
    if (pods.length === 0) {
      this.#missing.delete(name)
      return
    }
    const since = this.#missing.get(name) ?? performance.now()
    this.#missing.set(name, since)
    const waitMs = since + this.#timing.orphanMs - performance.now()
    if (waitMs > 0) return waitMs
    // Not on the word of a cache alone.
    if ((await this.client.find(NODES, { name })) !== null) return this.#timing.orphanMs
    for (const { metadata, status } of pods) {
      const { namespace, name: pod, uid } = metadata
      const ref = { namespace, name: pod }
      if (status?.phase !== 'Succeeded' && status?.phase !== 'Failed') {
        const failed = { phase: 'Failed', reason: 'NodeLost', message: 'PodGC: node no longer exists' }
        await unlessGone(this.client.patchStatus('merge', PODS, ref, { metadata: { uid }, status: failed }))
      }
      await unlessGone(this.client.delete(PODS, ref, { gracePeriodSeconds: 0, preconditions: { uid } }))
    }
  }

  async #patch(ref: ObjectRef, resourceVersion: string | undefined, change: object, sub?: 'status'): Promise<void> {
    // The version keeps what somebody else wrote meanwhile: lists are replaced whole.
    const body = { metadata: { resourceVersion }, ...change }
    if (sub === 'status') await unlessGone(this.client.patchStatus('merge', NODES, ref, body))
    else await unlessGone(this.client.patch('merge', NODES, ref, body))
  }
}
