// A subnet that serves: geometry, what cannot be picked, counters and cursor, over the ledger of its name.
import { contains, equalPrefixes, offsetAddress, type Family, type IPAddress } from '../ip/index.ts'
import { createFreeIndex, type FreeIndex } from './free-index.ts'
import type { Geometry } from './geometry.ts'
import type { Ledger, LedgerListener } from './ledger.ts'
import { countsAsUsed, type Phase } from './phase.ts'
import type { SubnetConfig, SubnetUsage } from './types.ts'
import { usageOf } from './usage.ts'

export class Subnet implements LedgerListener {
  readonly ledger: Ledger
  /** Told of what is held under this name outside the range: another subnet may serve there by now. */
  readonly #outside: LedgerListener
  #config: SubnetConfig
  #geometry: Geometry
  #index: FreeIndex
  /** The candidate handed out last; null before the first. */
  #cursor: IPAddress | null
  /** Candidates somebody holds, quarantined ones not counted. */
  #used = 0
  /** Candidates somebody holds in any phase: what cannot be picked. */
  #held = 0

  constructor(
    config: SubnetConfig,
    geometry: Geometry,
    ledger: Ledger,
    outside: LedgerListener,
    cursor: IPAddress | null,
  ) {
    this.ledger = ledger
    this.#outside = outside
    this.#config = config
    this.#geometry = geometry
    this.#index = indexOf(geometry)
    this.#cursor = cursor !== null && geometry.isCandidate(cursor) ? cursor : null
    ledger.listen(this)
  }

  get name(): string {
    return this.#config.name
  }

  get config(): SubnetConfig {
    return this.#config
  }

  get geometry(): Geometry {
    return this.#geometry
  }

  get family(): Family {
    return this.#geometry.family
  }

  get cursor(): IPAddress | null {
    return this.#cursor
  }

  get total(): bigint {
    return this.#geometry.total
  }

  get used(): number {
    return this.#used
  }

  /** Whether some candidate could be picked now. */
  get hasFree(): boolean {
    return this.#geometry.total > BigInt(this.#held)
  }

  get usage(): SubnetUsage {
    const usage = usageOf(this.#geometry.total, this.#used)
    return this.#cursor === null ? usage : { ...usage, lastAllocated: this.#cursor }
  }

  /** Applies a new description to the living state: records, cursor and everything held stay. */
  reconfigure(config: SubnetConfig, geometry: Geometry): void {
    const before = this.#geometry
    this.#config = config
    const sameCidr = equalPrefixes(before.cidr, geometry.cidr)
    if (!sameCidr || before.start !== geometry.start || before.end !== geometry.end) {
      this.ledger.listen(this.#outside)
      this.#geometry = geometry
      this.#index = indexOf(geometry)
      this.ledger.listen(this)
    } else {
      this.#geometry = geometry
      for (const address of new Set([...before.holes, ...geometry.holes])) {
        if (geometry.holes.has(address) || this.ledger.get(address) !== undefined) this.#index.block(address)
        else this.#index.unblock(address)
        this.#recountOne(address, before)
      }
    }
    if (this.#cursor !== null) {
      // Stay at the same place of the round, or at the nearest candidate before it.
      this.#cursor = contains(geometry.cidr, this.#cursor) ? geometry.candidateAtOrBelow(this.#cursor) : null
    }
  }

  /**
   * The candidate the next allocation takes: the lowest free one after the cursor, wrapping once.
   *
   * @param refuse addresses that must not be picked although this subnet sees them free
   */
  peek(refuse: (address: IPAddress) => boolean): IPAddress | null {
    const { start, end } = this.#geometry
    if (start > end) return null
    const after = this.#cursor === null ? start : (offsetAddress(this.#cursor, 1) ?? null)
    const found = after === null ? null : this.#scan(after, end, refuse)
    return found ?? (this.#cursor === null ? null : this.#scan(start, this.#cursor, refuse))
  }

  /** Moves the cursor onto an address that was picked. */
  advance(address: IPAddress): void {
    this.#cursor = address
  }

  /** A pick found nothing: a cursor before the first candidate has made its round and stands on the last one. */
  exhausted(): void {
    this.#cursor ??= this.#geometry.candidateAtOrBelow(this.#geometry.end)
  }

  phaseChanged(address: IPAddress, before: Phase | null, after: Phase | null): void {
    if (!this.#geometry.inRange(address)) this.#outside.phaseChanged(address, before, after)
    if (contains(this.#geometry.cidr, address)) {
      if (after !== null) this.#index.block(address)
      else if (!this.#geometry.holes.has(address)) this.#index.unblock(address)
    }
    if (!this.#geometry.isCandidate(address)) return
    this.#held += Number(after !== null) - Number(before !== null)
    this.#used += Number(after !== null && countsAsUsed(after)) - Number(before !== null && countsAsUsed(before))
  }

  #scan(from: IPAddress, to: IPAddress, refuse: (address: IPAddress) => boolean): IPAddress | null {
    let at: IPAddress | null = from
    while (at !== null && at <= to) {
      const found = this.#index.nextFree(at, to)
      if (found === null || !refuse(found)) return found
      at = offsetAddress(found, 1)
    }
    return null
  }

  /** An address that became, or ceased to be, a candidate. */
  #recountOne(address: IPAddress, before: Geometry): void {
    const record = this.ledger.get(address)
    if (record === undefined) return
    const change = Number(this.#geometry.isCandidate(address)) - Number(before.isCandidate(address))
    this.#held += change
    if (countsAsUsed(record.phase)) this.#used += change
  }
}

/** An index of the subnet's CIDR in which only the holes cannot be picked. */
function indexOf(geometry: Geometry): FreeIndex {
  const index = createFreeIndex(geometry.cidr)
  for (const hole of geometry.holes) index.block(hole)
  return index
}
