// The allocator: the state of every address of the cluster and the decisions over it. Pure and synchronous: no clock, no
// randomness, no input or output; the same calls give the same addresses. A decision costs the same at any fill.
//
// The caller (lib/manager) turns claims into IPInstance objects and tells what became of them:
//
//   allocate / assign ──► claimed ── confirm (created or seen) ──► live ── observe(terminating), book, gone ──► free
//                            └────── abandon (certainly not created) ──► free
//
// What pods themselves say they run with (`reportUse`) is nobody else's either, though no IPInstance may hold it.
//
// Memory is authoritative. `observe` and `gone` feed it what the API shows, in any order and any number of times.
// Not here: choosing a network, pods, Kubernetes objects, MAC generation (only which MACs are taken).
import { familyOf, formatAddress, type Family, type IPAddress } from '../ip/index.ts'
import { IpamError } from './errors.ts'
import type { InstanceKey } from './ledger.ts'
import { commonVlan, type Vlan } from './pairing.ts'
import { reportOf, type AllocatorReport } from './report.ts'
import type { Subnet } from './subnet.ts'
import { Topology, type Network } from './topology.ts'
import {
  familiesOf,
  type AddressRecord,
  type Claim,
  type FamilyRequest,
  type InstanceView,
  type NetworkConfig,
  type NetworkUsage,
  type Observation,
  type PodRef,
  type SubnetConfig,
  type SubnetUsage,
} from './types.ts'
import { saturate, usageOf } from './usage.ts'

export interface AllocateRequest {
  readonly network: string
  readonly pod: PodRef
  readonly family: FamilyRequest
  /** Subnet names: none, or one per family with IPv4 first. */
  readonly subnets?: readonly string[]
  /** The pod's MAC, 48 bits, the same for both families. */
  readonly mac: number
}

export interface AssignRequest {
  readonly network: string
  readonly pod: PodRef
  readonly family: FamilyRequest
  /** One per family, IPv4 first; without a subnet the one that can hold the address is found. */
  readonly addresses: readonly { readonly address: IPAddress; readonly subnet?: string }[]
  /** Also take what is retained for another pod of the namespace, and what `reservedIPs` holds back. */
  readonly force: boolean
  readonly mac: number
}

/** Whether a subnet serves, and why not. */
export interface SubnetState {
  readonly config: SubnetConfig
  readonly refusal: string | null
}

export class Allocator {
  readonly #topology = new Topology()
  readonly #refuse = (address: IPAddress): boolean => this.#topology.loose.has(address)
  readonly #available = (subnet: Subnet): boolean => subnet.peek(this.#refuse) !== null

  /** Adds a network or applies its new description. */
  setNetwork(config: NetworkConfig): void {
    this.#topology.setNetwork(config)
  }

  deleteNetwork(name: string): void {
    this.#topology.deleteNetwork(name)
  }

  hasNetwork(name: string): boolean {
    return this.#topology.networks.has(name)
  }

  /** Adds a subnet or applies its new description as a difference. Never throws for a bad one: see `refusal`. */
  setSubnet(config: SubnetConfig): SubnetState {
    return this.#topology.setSubnet(config)
  }

  /** The subnet's object can no longer be read as one. A no-op for a name never set. */
  refuseSubnet(name: string, network: string, reason: string): void {
    this.#topology.refuseSubnet(name, network, reason)
  }

  deleteSubnet(name: string): void {
    this.#topology.deleteSubnet(name)
  }

  /** What is known of a subnet name, null when it was never set. */
  subnet(name: string): SubnetState | null {
    return this.#topology.subnets.get(name) ?? null
  }

  /** Every subnet with its state, in order of arrival. */
  subnets(): readonly SubnetState[] {
    return [...this.#topology.subnets.values()]
  }

  /**
   * Picks an address per family: both or none.
   *
   * @throws IpamError; nothing has changed then, except a cursor that made its round in vain
   */
  allocate(request: AllocateRequest): readonly Claim[] {
    const network = this.#network(request.network)
    checkPod(request.pod)
    const families = familiesOf(request.family)
    const names = request.subnets ?? []
    if (names.length !== 0 && names.length !== families.length) {
      throw new IpamError(
        'invalid-request',
        `${request.family} needs ${families.length === 1 ? 'no or one subnet' : 'no or two subnets, IPv4 first'}, not ${names.length}`,
      )
    }
    const vlan = names.length === 0 ? this.#preferredVlan(network, request.pod, families) : null
    const picks = families.map((family, index) => {
      const name = names[index]
      const subnet =
        name === undefined ? this.#pickSubnet(network, family, vlan) : this.#namedSubnet(network, name, family)
      const address = subnet.peek(this.#refuse)
      if (address === null) {
        subnet.exhausted()
        throw new IpamError('subnet-full', `subnet "${subnet.name}" has no free address`)
      }
      return { subnet, address }
    })
    return picks.map(({ subnet, address }) => {
      subnet.advance(address)
      const record = subnet.ledger.claim(address, network.config.name, request.pod, request.mac)
      this.#topology.touched(subnet.name)
      return this.#claim(subnet, record, null)
    })
  }

  /**
   * Gives the pod the addresses asked for: all or none. Its own retained ones come back to it with the object they have.
   *
   * @throws IpamError; nothing has changed then
   */
  assign(request: AssignRequest): readonly Claim[] {
    const network = this.#network(request.network)
    checkPod(request.pod)
    const families = familiesOf(request.family)
    if (request.addresses.length !== families.length) {
      throw new IpamError(
        'invalid-request',
        `${request.family} needs ${families.length} address${families.length === 1 ? '' : 'es'}, not ${request.addresses.length}`,
      )
    }
    const plans = request.addresses.map(({ address, subnet: name }, index) => {
      if (familyOf(address) !== families[index]) {
        throw new IpamError('invalid-request', `${formatAddress(address)} is not an IPv${families[index] ?? 4} address`)
      }
      const subnet = this.#subnetFor(network, address, name)
      const held = subnet.ledger.get(address)
      this.#checkAssign(subnet, address, held, request)
      return { subnet, address, held }
    })
    return plans.map(({ subnet, address, held }) => {
      const previous = held === undefined ? null : { ...held }
      const record = held ?? subnet.ledger.claim(address, network.config.name, request.pod, request.mac)
      if (held !== undefined) subnet.ledger.bind(address, request.pod, request.mac)
      this.#topology.touched(subnet.name)
      return this.#claim(subnet, record, previous)
    })
  }

  /** The claim again, with the subnet's present gateway and netID; null when the subnet does not serve. */
  claimOf(record: AddressRecord): Claim | null {
    const subnet = this.#topology.subnets.get(record.subnet)?.serving
    return subnet ? this.#claim(subnet, record, { ...record }) : null
  }

  /** Frees a claim whose object is certain not to exist. A no-op once an object is known. */
  abandon(record: AddressRecord): boolean {
    const freed = this.#topology.existingLedger(record.subnet)?.abandon(record.address, record.podUID) ?? false
    if (freed) this.#topology.touched(record.subnet)
    return freed
  }

  /** Undoes a claim whose object is certain to be as before: a free address becomes free, a held one its holder's. */
  restore(claim: Claim): void {
    const ledger = this.#topology.existingLedger(claim.subnet)
    if (ledger === undefined) return
    const { previous } = claim
    // What was only reported is so again as soon as it is free.
    if (previous === null || previous.phase === 'reported') ledger.abandon(claim.address, claim.record.podUID)
    else ledger.restore(claim.address, previous)
    this.#topology.touched(claim.subnet)
  }

  /** Applies an IPInstance as read from, or acknowledged by, the API. Idempotent. */
  observe(view: InstanceView): Observation {
    const observation = this.#topology.ledger(view.subnet).observe(view)
    this.#topology.touched(view.subnet)
    return observation
  }

  /** Books the release of that very object: the address counts as free but is not handed out yet. */
  book(subnet: string, address: IPAddress, key: InstanceKey): boolean {
    const booked = this.#topology.existingLedger(subnet)?.book(address, key) ?? false
    if (booked) this.#topology.touched(subnet)
    return booked
  }

  /** That very object is gone from the API. */
  gone(subnet: string, address: IPAddress, key: InstanceKey): boolean {
    const freed = this.#topology.existingLedger(subnet)?.gone(address, key) ?? false
    if (freed) this.#topology.touched(subnet)
    return freed
  }

  /**
   * A pod runs with the address, whatever IPInstances there are: where none holds it, nobody else gets it until the same is
   * taken back. Said more than once it is to be taken back as often.
   *
   * @returns the record, when nobody held the address
   */
  reportUse(address: IPAddress, pod: PodRef): AddressRecord | null {
    return this.#topology.reportUse(address, pod)
  }

  /** Takes `reportUse` back. @returns the record that ended, if one did; another pod may have taken its place */
  withdrawUse(address: IPAddress, pod: PodRef): AddressRecord | null {
    return this.#topology.withdrawUse(address, pod)
  }

  /** Who holds an address of a subnet. */
  record(subnet: string, address: IPAddress): AddressRecord | null {
    return this.#topology.existingLedger(subnet)?.get(address) ?? null
  }

  /** Every record under the pod's name, of any of its lives. */
  ofPod(namespace: string, pod: string): readonly AddressRecord[] {
    return this.#topology.indexes.ofPod(namespace, pod)
  }

  macInUse(mac: number): boolean {
    return this.#topology.indexes.macInUse(mac)
  }

  /** Every record and every rival, for reports and checks. */
  *records(): IterableIterator<AddressRecord> {
    for (const ledger of this.#topology.ledgers()) {
      yield* ledger.records()
      yield* ledger.rivals()
    }
  }

  /** The numbers of a subnet that serves, null otherwise. */
  subnetUsage(name: string): SubnetUsage | null {
    return this.#topology.subnets.get(name)?.serving?.usage ?? null
  }

  /** The numbers of a network, null when it is unknown. */
  networkUsage(name: string): NetworkUsage | null {
    const network = this.#topology.networks.get(name)
    if (network === undefined) return null
    const [pool4, pool6] = [network.pools[4], network.pools[6]]
    const ipv4 = usageOf(pool4.total, pool4.used)
    const ipv6 = usageOf(pool6.total, pool6.used)
    const open4 = saturate(pool4.openAvailable)
    const open6 = saturate(pool6.openAvailable)
    return {
      ipv4,
      ipv6,
      dualStack: { total: 0, used: 0, available: Math.min(ipv4.available, ipv6.available) },
      open: { ipv4: open4, ipv6: open6, dualStack: Math.min(open4, open6) },
      lastSubnet4: pool4.current,
      lastSubnet6: pool6.current,
    }
  }

  /** Every network and subnet with its numbers, for people and tests. Changes nothing, the pointers included. */
  report(): AllocatorReport {
    return reportOf(this.#topology, (name) => this.networkUsage(name))
  }

  #network(name: string): Network {
    const network = this.#topology.networks.get(name)
    if (network === undefined) throw new IpamError('network-not-found', `network "${name}" does not exist`)
    return network
  }

  /** What the other family of the pod is on, or can be. */
  #preferredVlan(network: Network, pod: PodRef, families: readonly Family[]): Vlan | null {
    const netIDOf = (subnet: Subnet): number | undefined => this.#netIDOf(subnet.config)
    if (families.length === 2) return commonVlan(network.pools[4], network.pools[6], netIDOf, this.#available)
    const other = this.ofPod(pod.namespace, pod.name).find(
      (record) =>
        record.podUID === pod.uid && record.network === network.config.name && familyOf(record.address) !== families[0],
    )
    const entry = other === undefined ? undefined : this.#topology.subnets.get(other.subnet)
    return entry === undefined ? null : { netID: this.#netIDOf(entry.config) }
  }

  /** The next available subnet, of the VLAN if it can be. */
  #pickSubnet(network: Network, family: Family, vlan: Vlan | null): Subnet {
    if (network.config.draining === true) {
      throw new IpamError('not-serving', `network "${network.config.name}" is being deleted`)
    }
    const pool = network.pools[family]
    const onVlan = (subnet: Subnet): boolean => this.#netIDOf(subnet.config) === vlan?.netID && this.#available(subnet)
    const subnet = (vlan === null ? null : pool.pick(onVlan)) ?? pool.pick(this.#available)
    if (subnet === null) {
      throw new IpamError(
        'no-available-subnet',
        `network "${network.config.name}" has no IPv${family} subnet with a free address that is not private`,
      )
    }
    return subnet
  }

  #namedSubnet(network: Network, name: string, family: 4 | 6): Subnet {
    const subnet = this.#servingSubnet(network, name)
    if (subnet.family !== family) {
      throw new IpamError(
        'subnet-not-found',
        `network "${network.config.name}" has no IPv${family} subnet "${name}": it is an IPv${subnet.family} subnet`,
      )
    }
    if (this.#topology.isDraining(subnet)) {
      throw new IpamError('not-serving', `subnet "${name}" or its network is being deleted`)
    }
    return subnet
  }

  #servingSubnet(network: Network, name: string): Subnet {
    const entry = this.#topology.subnets.get(name)
    if (entry === undefined || entry.config.network !== network.config.name) {
      throw new IpamError('subnet-not-found', `network "${network.config.name}" has no subnet "${name}"`)
    }
    if (entry.serving === null) {
      throw new IpamError('not-serving', `subnet "${name}" does not serve: ${entry.refusal ?? 'unknown reason'}`)
    }
    return entry.serving
  }

  #subnetFor(network: Network, address: IPAddress, name: string | undefined): Subnet {
    const names = name === undefined ? this.#topology.placement.at(address) : [name]
    for (const candidate of names) {
      const entry = this.#topology.subnets.get(candidate)
      if (name === undefined && entry?.config.network !== network.config.name) continue
      const subnet = this.#servingSubnet(network, candidate)
      if (subnet.geometry.isAssignable(address)) return subnet
      // A holder keeps its address even when the range was cut under it.
      if (subnet.ledger.get(address) !== undefined) return subnet
    }
    const where = name === undefined ? `network "${network.config.name}"` : `subnet "${name}"`
    throw new IpamError('address-not-found', `${formatAddress(address)} cannot be assigned in ${where}`)
  }

  #checkAssign(subnet: Subnet, address: IPAddress, held: AddressRecord | undefined, request: AssignRequest): void {
    const text = formatAddress(address)
    const refuse = (why: string): never => {
      throw new IpamError('address-not-available', `${text} of subnet "${subnet.name}" ${why}`)
    }
    if (held === undefined) {
      if (this.#topology.isDraining(subnet)) {
        throw new IpamError('not-serving', `subnet "${subnet.name}" or its network is being deleted`)
      }
      if (this.#topology.loose.has(address)) refuse('is held under another subnet that does not serve')
      if (subnet.geometry.reserved.has(address) && !request.force) refuse('is held back by reservedIPs')
      return
    }
    const holder = `${held.namespace}/${held.pod === '' ? '(no pod)' : held.pod}`
    if (held.phase === 'releasing' || held.phase === 'quarantined') refuse(`is still being released by ${holder}`)
    if (held.namespace === request.pod.namespace && held.pod === request.pod.name) return
    if (!request.force || held.phase !== 'reserved') refuse(`is held by ${holder} (${held.phase})`)
    // The object's name is unique in its namespace only: a takeover from elsewhere would make a second one (D9).
    if (held.namespace !== request.pod.namespace) refuse(`is retained for ${holder}, in another namespace`)
  }

  /** The subnet's own, else its network's. */
  #netIDOf(config: SubnetConfig): number | undefined {
    return config.netID ?? this.#topology.networks.get(config.network)?.config.netID
  }

  #claim(subnet: Subnet, record: AddressRecord, previous: AddressRecord | null): Claim {
    const netID = this.#netIDOf(subnet.config)
    const { gateway } = subnet.config
    return {
      network: subnet.config.network,
      subnet: subnet.name,
      address: record.address,
      prefixLength: subnet.geometry.cidr.length,
      ...(gateway === undefined ? {} : { gateway }),
      ...(netID === undefined ? {} : { netID }),
      record,
      previous,
    }
  }
}

function checkPod(pod: PodRef): void {
  for (const field of ['namespace', 'name', 'uid'] as const) {
    if (pod[field] === '') throw new IpamError('invalid-request', `the pod's ${field} is empty`)
  }
}
