// The IPAM controller: Networks, Subnets and IPInstances as the watches show them, into the allocator as differences
// (manager.md §3.1, §6.3). Handlers are synchronous and cheap, so memory is never behind the local copy; nothing is ever
// rebuilt from it while running (D1), save when the API server itself has gone back in time.
//
// Of pods it takes what they say they run with: such an address is nobody else's, also when no IPInstance holds it. What the
// server has forgotten since it went back counts as said by the pod it was bound to, as long as the local copy keeps it.
//
// What cannot be served stops only itself. The reporter says so once, on the object and in a metric, and again when it is
// right.
import { isTerminating, type Network, type Subnet } from '../api/index.ts'
import type { IPAddress } from '../ip/index.ts'
import type { AddressRecord, Allocator, PodRef } from '../ipam/index.ts'
import type { InformerEvent } from '../kube/index.ts'
import type { Cluster } from './cluster.ts'
import { networkConfig, readSubnet } from './decide/subnet-config.ts'
import { viewsOf, type Instance } from './views/instance.ts'
import { usedBy, type PodView } from './views/pod.ts'

/** Told what a change touched; each must be quick. */
export interface FeedListener {
  networkTouched(network: string): void
  subnetTouched(subnet: string): void
  /** Addresses may have come free. */
  freed(network: string): void
  /** Two objects claim the address. */
  duplicate(address: IPAddress): void
  /** An object is not, or no longer, what it was: look at what is wrong with all of them, soon. */
  doubt(): void
  /** An IPInstance cannot be read as one. */
  malformed(instance: Instance): void
  /** The API server has gone back in time: what it has forgotten is to be written again. */
  rewound(): void
}

export class Feed {
  readonly #cluster: Cluster
  readonly #allocator: Allocator
  readonly #listener: FeedListener
  readonly #unreadable = new Map<string, string>()
  /** IPInstances the server has forgotten, by key, with whom they were bound to. */
  readonly #forgotten = new Map<string, { readonly pod: PodRef; readonly addresses: readonly IPAddress[] }>()
  #release: (() => void)[] = []

  constructor(cluster: Cluster, allocator: Allocator, listener: FeedListener) {
    this.#cluster = cluster
    this.#allocator = allocator
    this.#listener = listener
  }

  /** Subnets that cannot be read as one, with what is wrong. */
  get unreadable(): ReadonlyMap<string, string> {
    return this.#unreadable
  }

  /** Takes over all that the synced local copy holds, then follows it. */
  start(): void {
    const { networks, subnets, instances, pods } = this.#cluster
    for (const network of networks.store.values()) this.#allocator.setNetwork(networkConfig(network))
    for (const subnet of subnets.store.list().sort(bySeniority)) this.#setSubnet(subnet)
    this.#release = [
      networks.onChange((event) => this.#onNetwork(event)),
      subnets.onChange((event) => this.#onSubnet(event)),
      instances.onChange((event) => this.#onInstance(event)),
      pods.onChange((event) => this.#onPod(event)),
      this.#cluster.onRewound(() => this.#onRewound()),
    ]
  }

  stop(): void {
    for (const release of this.#release) release()
    this.#release = []
  }

  #onNetwork({ type, key, object, old }: InformerEvent<Network>): void {
    if (type === 'deleted') this.#allocator.deleteNetwork(key)
    else this.#allocator.setNetwork(networkConfig(object))
    this.#listener.networkTouched(key)
    const specChanged = old === null || type === 'deleted' || old.metadata.generation !== object.metadata.generation
    if (!specChanged && isTerminating(old) === isTerminating(object)) return
    // Its subnets start or stop serving with it.
    for (const subnet of this.#cluster.subnetsOf(key)) this.#listener.subnetTouched(subnet.metadata.name)
    this.#listener.freed(key)
    this.#listener.doubt()
  }

  #onSubnet({ type, key, object, old }: InformerEvent<Subnet>): void {
    if (type === 'deleted') {
      this.#allocator.deleteSubnet(key)
      this.#unreadable.delete(key)
    } else {
      this.#setSubnet(object)
    }
    this.#listener.subnetTouched(key)
    const specChanged = old === null || type === 'deleted' || old.metadata.generation !== object.metadata.generation
    if (!specChanged && isTerminating(old) === isTerminating(object)) return
    for (const network of new Set([object.spec?.network ?? '', old?.spec?.network ?? ''])) {
      if (network === '') continue
      this.#listener.networkTouched(network)
      this.#listener.freed(network)
    }
    this.#listener.doubt()
  }

  #setSubnet(subnet: Subnet): void {
    const { name } = subnet.metadata
    const { config, problem } = readSubnet(subnet)
    if (problem === null) {
      this.#unreadable.delete(name)
      this.#allocator.setSubnet(config)
    } else {
      this.#unreadable.set(name, problem)
      this.#allocator.refuseSubnet(name, subnet.spec?.network ?? '', problem)
    }
  }

  #onInstance({ type, key, object, old }: InformerEvent<Instance>): void {
    this.#recall(key)
    if (object.problem !== null && type !== 'deleted') this.#listener.malformed(object)
    if (type === 'deleted') {
      this.#forget(object)
    } else {
      // A re-bind can move an object to another subnet, and a hand can change anything.
      if (old !== null && (old.uid !== object.uid || old.subnet !== object.subnet || !sameAddresses(old, object))) {
        this.#forget(old)
      }
      for (const view of viewsOf(object)) {
        if (this.#allocator.observe(view).kind === 'duplicate') this.#listener.duplicate(view.address)
      }
      if (old !== null && old.terminating === object.terminating && old.subnet === object.subnet) return
    }
    if (object.network !== '') this.#listener.networkTouched(object.network)
    if (object.subnet !== '') this.#listener.subnetTouched(object.subnet)
  }

  #forget(instance: Instance): void {
    this.#gone(instance)
    if (instance.network !== '') this.#listener.freed(instance.network)
  }

  #gone(instance: Instance): void {
    for (const { subnet, address, namespace, uid } of viewsOf(instance)) {
      this.#allocator.gone(subnet, address, { namespace, uid })
    }
  }

  #onPod({ type, object, old }: InformerEvent<PodView>): void {
    const before = old === null ? [] : usedBy(old)
    const after = type === 'deleted' ? [] : usedBy(object)
    this.#report(
      object,
      after.filter((address) => !before.includes(address)),
    )
    this.#withdraw(
      object,
      before.filter((address) => !after.includes(address)),
    )
  }

  #report({ namespace, name, uid }: PodRef, addresses: readonly IPAddress[]): void {
    for (const address of addresses) this.#touched(this.#allocator.reportUse(address, { namespace, name, uid }))
  }

  #withdraw(pod: PodRef, addresses: readonly IPAddress[]): void {
    for (const address of addresses) {
      const record = this.#allocator.withdrawUse(address, pod)
      this.#touched(record)
      if (record !== null) this.#listener.freed(record.network)
    }
  }

  #touched(record: AddressRecord | null): void {
    if (record === null) return
    this.#listener.networkTouched(record.network)
    this.#listener.subnetTouched(record.subnet)
  }

  /**
   * The server's past is another: versions, and what was on its way out, say nothing any more. Every object it has is taken as it
   * is now; every other one is lost, and its address goes on being that of the pod it was bound to.
   */
  #onRewound(): void {
    const { instances } = this.#cluster
    for (const instance of instances.store.values()) {
      if (instances.isHeld(instance.key)) {
        this.#lost(instance)
        continue
      }
      this.#gone(instance)
      for (const view of viewsOf(instance)) {
        if (this.#allocator.observe(view).kind === 'duplicate') this.#listener.duplicate(view.address)
      }
    }
    // Known from the answer to a write only, which the server has forgotten before the watch told of it.
    for (const { uid, namespace, subnet, address } of [...this.#allocator.records()]) {
      const known = this.#cluster.instancesAt(address).some((instance) => instance.uid === uid)
      if (uid !== '' && !known) this.#allocator.gone(subnet, address, { namespace, uid })
    }
    for (const network of this.#cluster.networks.store.keys()) {
      this.#listener.networkTouched(network)
      this.#listener.freed(network)
    }
    for (const subnet of this.#cluster.subnets.store.keys()) this.#listener.subnetTouched(subnet)
    this.#listener.rewound()
  }

  #lost(instance: Instance): void {
    const { key, namespace, podName, podUID, addresses, terminating, reserved } = instance
    // What is on its way out its controller finds gone.
    if (terminating || this.#forgotten.has(key)) return
    const pod = { namespace, name: podName, uid: reserved ? '' : podUID }
    this.#forgotten.set(key, { pod, addresses })
    this.#report(pod, addresses)
    this.#gone(instance)
  }

  /** The object is there again, or has been missed for long enough. */
  #recall(key: string): void {
    const lost = this.#forgotten.get(key)
    if (lost === undefined) return
    this.#forgotten.delete(key)
    this.#withdraw(lost.pod, lost.addresses)
  }
}

/**
 * Of two that overlap the senior serves, whoever leads and whatever order a list has: the older, to the second; of the same
 * second the one that has served before; then by name.
 */
function bySeniority(a: Subnet, b: Subnet): number {
  const [ageA, ageB] = [text(a.metadata.creationTimestamp), text(b.metadata.creationTimestamp)]
  if (ageA !== ageB) return ageA < ageB ? -1 : 1
  const [served, other] = [a.status?.total ?? null, b.status?.total ?? null]
  if ((served === null) !== (other === null)) return served === null ? 1 : -1
  return a.metadata.name < b.metadata.name ? -1 : 1
}

function text(value: string | null | undefined): string {
  return value ?? ''
}

function sameAddresses(a: Instance, b: Instance): boolean {
  return a.addresses.length === b.addresses.length && a.addresses.every((address, i) => address === b.addresses[i])
}
