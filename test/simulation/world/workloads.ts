// The users, the StatefulSet controller and the scheduler of the simulated cluster. They talk to the API server without
// trouble of their own; it is the manager that is examined.
import type { Pod } from '../../../lib/api/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'
import type { Dice } from '../engine/dice.ts'
import type { Scheduler } from '../engine/scheduler.ts'
import type { Api } from '../server/api.ts'
import type { Change } from '../server/store.ts'
import { isFinished, isLeaving, podKeyOf, podObject, type PodShape, type SetShape } from './shapes.ts'

const SETS = 'statefulsets'

export interface WorkloadsOptions {
  readonly api: Api
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly nodes: readonly string[]
  /** Nodes of the underlay network: pods of it are scheduled there. */
  readonly underlayNodes: readonly string[]
}

export class Workloads {
  readonly #options: WorkloadsOptions
  readonly #shapes = new Map<string, SetShape>()
  readonly #due = new Set<string>()

  constructor(options: WorkloadsOptions) {
    this.#options = options
    options.api.store.onChange((change) => this.#changed(change))
  }

  define(shape: SetShape): void {
    this.#shapes.set(`${shape.namespace}/${shape.name}`, shape)
  }

  shape(key: string): SetShape | undefined {
    return this.#shapes.get(key)
  }

  /** Makes the set when there is none. */
  scale(namespace: string, name: string, replicas: number): void {
    const { api } = this.#options
    const key = `${namespace}/${name}`
    if (api.store.get(SETS, key) === undefined) {
      const { retain = null } = this.#shapes.get(key) ?? {}
      const spec = { replicas, retain }
      api.create(SETS, { kind: 'StatefulSet', metadata: { namespace, name }, spec }, 'user')
    } else {
      api.patch('merge', SETS, key, { metadata: {}, spec: { replicas } }, false, 'user')
    }
  }

  /** Changes the annotation of pods made from now on. */
  retain(namespace: string, name: string, retain: boolean): void {
    const { api } = this.#options
    if (api.store.get(SETS, `${namespace}/${name}`) === undefined) return
    api.patch('merge', SETS, `${namespace}/${name}`, { metadata: {}, spec: { retain } }, false, 'user')
  }

  dropSet(namespace: string, name: string): void {
    const { api } = this.#options
    if (api.store.get(SETS, `${namespace}/${name}`) !== undefined) api.delete(SETS, `${namespace}/${name}`, {}, 'user')
  }

  createPod(shape: PodShape): void {
    const { api } = this.#options
    if (api.store.get('pods', `${shape.namespace}/${shape.name}`) !== undefined) return
    api.create('pods', podObject(shape, null, null), 'user')
  }

  deletePod(key: string, forced: boolean): void {
    const { api } = this.#options
    if (api.store.get('pods', key) !== undefined) api.delete('pods', key, forced ? { graceSeconds: 0 } : {}, 'user')
  }

  #changed({ kind, key, shown }: Change): void {
    const { scheduler, dice } = this.#options
    if (kind === SETS) this.#later(key)
    if (kind !== 'pods') return
    const pod = shown.object as unknown as Pod
    const owner = pod.metadata.ownerReferences?.[0]
    if (owner !== undefined) this.#later(`${pod.metadata.namespace ?? ''}/${owner.name}`)
    if (!pod.spec?.nodeName) scheduler.after(dice.between(1, 400), null, () => this.#schedule(key))
  }

  #later(key: string): void {
    if (this.#due.has(key)) return
    this.#due.add(key)
    const { scheduler, dice } = this.#options
    scheduler.after(dice.between(5, 1000), null, () => {
      this.#due.delete(key)
      this.#reconcile(key)
    })
  }

  #schedule(key: string): void {
    const { api, dice, nodes, underlayNodes } = this.#options
    const pod = api.store.get<Pod>('pods', key)
    if (pod === undefined || pod.spec?.nodeName || isLeaving(pod)) return
    const underlay = Object.values(pod.metadata.annotations ?? {}).includes('Underlay')
    const nodeName = dice.pick(underlay ? underlayNodes : nodes)
    api.patch('merge', 'pods', key, { metadata: {}, spec: { nodeName } }, false, 'scheduler')
  }

  #reconcile(key: string): void {
    const { api } = this.#options
    const set = api.store.get(SETS, key)
    if (set === undefined) return
    const { replicas, retain } = set['spec'] as { replicas: number; retain: boolean | null }
    const { namespace = '', name = '' } = set.metadata
    const family = this.#shapes.get(key)?.family ?? 'IPv4Only'
    for (let index = 0; index < replicas; index++) {
      const pod = api.store.get<Pod>('pods', `${namespace}/${name}-${index}`)
      if (pod === undefined) {
        const shape = { namespace, name: `${name}-${index}`, family, network: 'Overlay' } as const
        api.create('pods', podObject(shape, set, retain), 'statefulset-controller')
      } else if (isFinished(pod) && !isLeaving(pod)) {
        api.delete('pods', podKeyOf(pod), {}, 'statefulset-controller')
      }
    }
    for (const pod of api.store.list<Pod>('pods')) {
      const owned = pod.metadata.ownerReferences?.some(({ uid }) => uid === set.metadata.uid) ?? false
      if (!owned || isLeaving(pod) || ordinal(pod) < replicas) continue
      api.delete('pods', podKeyOf(pod), {}, 'statefulset-controller')
    }
  }
}

function ordinal(pod: KubeObject | Pod): number {
  return Number((pod.metadata.name ?? '').split('-').at(-1))
}
