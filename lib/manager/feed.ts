// The IPAM controller: Networks, Subnets and IPInstances as the watches show them, into the allocator as differences
// (manager.md §3.1, §6.3). Handlers are synchronous and cheap, so memory is never behind the local copy; nothing is ever
// rebuilt from it while running (D1).
//
// What cannot be served stops only itself. The reporter says so once, on the object and in a metric, and again when it is
// right.
import { isTerminating, type Network, type Subnet } from '../api/index.ts'
import type { IPAddress } from '../ip/index.ts'
import type { Allocator } from '../ipam/index.ts'
import type { InformerEvent } from '../kube/index.ts'
import type { Cluster } from './cluster.ts'
import { networkConfig, readSubnet } from './decide/subnet-config.ts'
import { viewsOf, type Instance } from './views/instance.ts'

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
}

export class Feed {
  readonly #cluster: Cluster
  readonly #allocator: Allocator
  readonly #listener: FeedListener
  readonly #unreadable = new Map<string, string>()
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
    const { networks, subnets, instances } = this.#cluster
    for (const network of networks.store.values()) this.#allocator.setNetwork(networkConfig(network))
    for (const subnet of subnets.store.list().sort(bySeniority)) this.#setSubnet(subnet)
    this.#release = [
      networks.onChange((event) => this.#onNetwork(event)),
      subnets.onChange((event) => this.#onSubnet(event)),
      instances.onChange((event) => this.#onInstance(event)),
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

  #onInstance({ type, object, old }: InformerEvent<Instance>): void {
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
    for (const { subnet, address, namespace, uid } of viewsOf(instance)) {
      this.#allocator.gone(subnet, address, { namespace, uid })
    }
    if (instance.network !== '') this.#listener.freed(instance.network)
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
