// Networks and subnets as the allocator knows them, and which subnets serve. A subnet serves when its description is valid,
// its network exists and nothing already serving overlaps it. One that does not is kept, with the reason, and tried again
// whenever something that stood in its way may have gone; the others never notice (manager.md D20).
import type { Family, IPAddress, Prefix } from '../ip/index.ts'
import { IpamError } from './errors.ts'
import { FamilyPool } from './family-pool.ts'
import { Geometry } from './geometry.ts'
import { RecordIndexes } from './indexes.ts'
import { Ledger } from './ledger.ts'
import { LooseAddresses } from './loose.ts'
import { Placement } from './placement.ts'
import { Subnet } from './subnet.ts'
import type { AddressRecord, NetworkConfig, PodRef, SubnetConfig } from './types.ts'
import { samePod, Uses, type Use } from './uses.ts'

export interface Network {
  config: NetworkConfig
  readonly pools: Readonly<Record<Family, FamilyPool>>
}

export interface SubnetEntry {
  config: SubnetConfig
  /** Set while it serves. */
  serving: Subnet | null
  /** Why it does not serve; null while it does. */
  refusal: string | null
  /** Where its round stood when it last served. */
  cursor: IPAddress | null
  readonly arrival: number
}

export class Topology {
  readonly indexes = new RecordIndexes()
  readonly loose = new LooseAddresses()
  readonly placement = new Placement()
  readonly networks = new Map<string, Network>()
  /** In order of arrival: of two that overlap the first to come serves. */
  readonly subnets = new Map<string, SubnetEntry>()
  readonly #uses = new Uses()
  readonly #ledgers = new Map<string, Ledger>()
  /** What does not serve but may later. */
  readonly #refused = new Set<SubnetEntry>()
  #arrivals = 0

  setNetwork(config: NetworkConfig): void {
    if (config.name === '') throw new IpamError('invalid-request', 'a network needs a name')
    const known = this.networks.get(config.name)
    if (known !== undefined) {
      known.config = config
      return
    }
    this.networks.set(config.name, {
      config,
      pools: {
        4: new FamilyPool(emptyToNull(config.lastSubnet4)),
        6: new FamilyPool(emptyToNull(config.lastSubnet6)),
      },
    })
    this.#retry()
  }

  /** Its subnets stop serving; what they hold stays held. */
  deleteNetwork(name: string): void {
    if (!this.networks.has(name)) return
    for (const entry of this.subnets.values()) if (entry.config.network === name) this.#withdraw(entry)
    this.networks.delete(name)
    for (const entry of this.subnets.values()) {
      if (entry.config.network === name) this.#refuse(entry, `spec.network "${name}" does not exist`)
    }
    this.#retry()
  }

  setSubnet(config: SubnetConfig): SubnetEntry {
    const known = this.subnets.get(config.name)
    const entry: SubnetEntry = known ?? {
      config,
      serving: null,
      refusal: null,
      cursor: config.lastAllocated ?? null,
      arrival: this.#arrivals++,
    }
    const before = entry.config
    entry.config = config
    if (known === undefined) this.subnets.set(config.name, entry)
    const { serving } = entry
    if (serving !== null && before.network === config.network && this.#reconfigure(serving, config)) return entry
    this.#withdraw(entry)
    this.#place(entry)
    if (serving !== null) this.#retry()
    return entry
  }

  /** A subnet whose object cannot be read as one: it stops serving, what it holds stays held. */
  refuseSubnet(name: string, network: string, reason: string): void {
    const entry = this.subnets.get(name)
    if (entry === undefined) return
    entry.config = { ...entry.config, network }
    this.#withdraw(entry)
    this.#refuse(entry, reason)
    this.#refused.delete(entry)
    this.#retry()
  }

  deleteSubnet(name: string): void {
    const entry = this.subnets.get(name)
    if (entry === undefined) return
    this.#withdraw(entry)
    this.subnets.delete(name)
    this.#refused.delete(entry)
    this.#dropEmpty(name)
    this.#retry()
  }

  /** The ledger of a subnet name, made when there is none. */
  ledger(name: string): Ledger {
    let ledger = this.#ledgers.get(name)
    if (ledger === undefined) {
      ledger = new Ledger(name, this.indexes, this.loose, (record) => this.#freed(record))
      this.#ledgers.set(name, ledger)
    }
    return ledger
  }

  existingLedger(name: string): Ledger | undefined {
    return this.#ledgers.get(name)
  }

  ledgers(): IterableIterator<Ledger> {
    return this.#ledgers.values()
  }

  /** A pod says that it runs with the address. Returns the record when there is one of it now that nobody else held it. */
  reportUse(address: IPAddress, pod: PodRef): AddressRecord | null {
    const use = this.#uses.add(address, pod)
    return use.ledger?.get(address)?.phase === 'reported' ? null : this.#settle(use, 0)
  }

  /** It does so no longer. Returns the record that ended with it. */
  withdrawUse(address: IPAddress, pod: PodRef): AddressRecord | null {
    const use = this.#uses.remove(address, pod)
    const record = use?.ledger?.get(address)
    if (use === undefined || record?.phase !== 'reported') return null
    if (use.pods.some((other) => samePod(other, asPod(record)))) return null
    this.#settle(use, 0)
    return record
  }

  /** After a record of that subnet name changed: brings sums up to date, forgets what is empty and unknown. */
  touched(name: string): void {
    const serving = this.subnets.get(name)?.serving
    if (serving) this.#pool(serving)?.refresh(serving)
    else this.#dropEmpty(name)
  }

  /** Whether nothing new may come from the subnet: it or its network is being deleted. */
  isDraining(subnet: Subnet): boolean {
    return subnet.config.draining === true || this.networks.get(subnet.config.network)?.config.draining === true
  }

  #freed(record: AddressRecord): void {
    const use = this.#uses.get(record.address)
    if (use === undefined) return
    const [pod] = use.pods
    this.#settle(use, pod !== undefined && samePod(pod, asPod(record)) ? record.mac : 0)
  }

  /** The uses inside a CIDR in which something began or ceased to serve. */
  #settleAll(cidr: Prefix): void {
    for (const use of this.#uses.within(cidr)) this.#settle(use, 0)
  }

  /**
   * Brings the record of a use to the subnet that serves its address now, if nobody holds it and one does. What no subnet
   * serves nobody can be given.
   *
   * @param mac of the pod, if it is known; 0: that of the record there was
   */
  #settle(use: Use, mac: number): AddressRecord | null {
    const { address } = use
    const before = use.ledger?.withdraw(address) ?? null
    if (use.ledger !== null && before !== null) this.touched(use.ledger.subnet)
    use.ledger = null
    const [pod] = use.pods
    if (pod === undefined || this.loose.has(address)) return null
    const serving = this.placement.at(address).flatMap((name) => this.subnets.get(name)?.serving ?? [])
    if (serving.some(({ ledger }) => ledger.get(address) !== undefined)) return null
    const subnet = serving.find(({ geometry }) => geometry.inRange(address)) ?? serving[0]
    if (subnet === undefined) return null
    const known = before !== null && samePod(asPod(before), pod) ? before.mac : 0
    subnet.ledger.report(address, subnet.config.network, pod, mac === 0 ? known : mac)
    use.ledger = subnet.ledger
    this.touched(subnet.name)
    return subnet.ledger.get(address) ?? null
  }

  #pool(subnet: Subnet): FamilyPool | undefined {
    return this.networks.get(subnet.config.network)?.pools[subnet.family]
  }

  #dropEmpty(name: string): void {
    if (!this.subnets.has(name) && this.#ledgers.get(name)?.size === 0) this.#ledgers.delete(name)
  }

  /** The new description on the serving subnet, when it may serve with it in the same place. */
  #reconfigure(serving: Subnet, config: SubnetConfig): boolean {
    const before = serving.geometry
    let geometry: Geometry
    try {
      geometry = new Geometry(config)
    } catch (error) {
      if (error instanceof IpamError) return false
      throw error
    }
    if (geometry.family !== before.family) return false
    this.placement.remove(config.name, before)
    const conflict = this.placement.conflict(config, geometry)
    if (conflict !== null) {
      this.placement.add(serving.config, before)
      return false
    }
    this.placement.add(config, geometry)
    serving.reconfigure(config, geometry)
    this.#pool(serving)?.refresh(serving)
    if (geometry.start !== before.start || geometry.end !== before.end || geometry.cidr.length !== before.cidr.length) {
      this.#settleAll(before.cidr)
      this.#settleAll(geometry.cidr)
      this.#retry()
    }
    return true
  }

  #place(entry: SubnetEntry): void {
    const { config } = entry
    const network = this.networks.get(config.network)
    try {
      const geometry = new Geometry(config)
      const reason =
        network === undefined
          ? `spec.network "${config.network}" does not exist`
          : this.placement.conflict(config, geometry)
      if (network === undefined || reason !== null) {
        this.#refuse(entry, reason ?? '')
        return
      }
      this.placement.add(config, geometry)
      entry.serving = new Subnet(config, geometry, this.ledger(config.name), this.loose, entry.cursor)
      entry.refusal = null
      this.#refused.delete(entry)
      network.pools[geometry.family].add(entry.serving)
      this.#settleAll(geometry.cidr)
    } catch (error) {
      if (!(error instanceof IpamError)) throw error
      this.#refuse(entry, error.message)
    }
  }

  #withdraw(entry: SubnetEntry): void {
    const { serving } = entry
    if (serving === null) return
    this.#pool(serving)?.remove(serving)
    this.placement.remove(serving.name, serving.geometry)
    serving.ledger.listen(this.loose)
    entry.cursor = serving.cursor
    entry.serving = null
    this.#settleAll(serving.geometry.cidr)
  }

  #refuse(entry: SubnetEntry, reason: string): void {
    entry.refusal = reason
    this.#refused.add(entry)
  }

  /** Tries the refused again, in order of arrival. */
  #retry(): void {
    for (const entry of [...this.#refused].sort((a, b) => a.arrival - b.arrival)) this.#place(entry)
  }
}

function emptyToNull(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text
}

function asPod({ namespace, pod, podUID }: AddressRecord): PodRef {
  return { namespace, name: pod, uid: podUID }
}
