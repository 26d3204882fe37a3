// What must hold at every moment, not only when all is quiet: it follows the API's stream of changes and judges each.
//
// - An address is in at most one IPInstance, terminating ones included, over all namespaces.
// - No two pods that are reported as running have an address in common.
// - A pod of a StatefulSet has the same addresses in every life, as long as its StatefulSet lives.
//
// Objects that come and go between two looks of a watch that was cut by a compaction are not seen.
import { IPINSTANCES, PODS, type IPInstance, type Pod } from '../../../lib/api/index.ts'
import { Informer, type KubeClient } from '../../../lib/kube/index.ts'
import { addressOf, keyOf, podAddresses } from './objects.ts'

export class Observer {
  readonly violations: string[] = []
  readonly #instances: Informer<IPInstance>
  readonly #pods: Informer<Pod>
  /** address → uid → name. */
  readonly #held = new Map<string, Map<string, string>>()
  readonly #used = new Map<string, Map<string, string>>()
  /** StatefulSet uid and pod name → addresses. */
  readonly #kept = new Map<string, string>()
  #changes = 0

  /** Told of each pod that has left the API, as it last was. */
  onPodGone: (pod: Pod) => void = () => undefined

  constructor(client: KubeClient) {
    this.#instances = new Informer<IPInstance>(client, { resource: IPINSTANCES })
    this.#pods = new Informer<Pod>(client, { resource: PODS })
    this.#instances.onChange(({ type, object, old }) => {
      this.#changes++
      if (old !== null) this.#release(this.#held, [addressOf(old)], old.metadata.uid ?? '')
      if (type === 'deleted') return
      this.#take(this.#held, [addressOf(object)], object.metadata.uid ?? '', keyOf(object), 'IPInstances')
    })
    this.#pods.onChange(({ type, object, old }) => {
      this.#changes++
      if (old !== null) this.#release(this.#used, podAddresses(old), old.metadata.uid ?? '')
      if (type === 'deleted') this.onPodGone(object)
      if (type === 'deleted' || object.status?.phase !== 'Running') return
      const addresses = podAddresses(object)
      this.#take(this.#used, addresses, object.metadata.uid ?? '', keyOf(object), 'running pods')
      this.#remember(object, addresses)
    })
  }

  /** Changes seen. */
  get changes(): number {
    return this.#changes
  }

  async start(): Promise<void> {
    this.#instances.start()
    this.#pods.start()
    await Promise.all([this.#instances.synced, this.#pods.synced])
  }

  async stop(): Promise<void> {
    await Promise.all([this.#instances.stop(), this.#pods.stop()])
  }

  #release(map: Map<string, Map<string, string>>, addresses: readonly string[], uid: string): void {
    for (const address of addresses) {
      const holders = map.get(address)
      holders?.delete(uid)
      if (holders?.size === 0) map.delete(address)
    }
  }

  #take(
    map: Map<string, Map<string, string>>,
    addresses: readonly string[],
    uid: string,
    key: string,
    what: string,
  ): void {
    for (const address of addresses) {
      const holders = map.get(address) ?? new Map<string, string>()
      holders.set(uid, key)
      map.set(address, holders)
      if (holders.size > 1)
        this.violations.push(
          `address ${address} is of ${holders.size} ${what} at once: ${[...holders.values()].join(', ')}`,
        )
    }
  }

  #remember(pod: Pod, addresses: readonly string[]): void {
    const owner = pod.metadata.ownerReferences?.find(({ kind }) => kind === 'StatefulSet')
    if (owner === undefined || addresses.length === 0) return
    const key = `${owner.uid} ${keyOf(pod)}`
    const now = [...addresses].sort().join(' ')
    const before = this.#kept.get(key)
    if (before !== undefined && before !== now)
      this.violations.push(`${keyOf(pod)} of a StatefulSet had ${before} and now has ${now}`)
    this.#kept.set(key, now)
  }
}
