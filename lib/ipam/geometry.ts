// The fixed shape of a subnet, computed by arithmetic on the interval and its few holes, never by walking addresses.
//
//   assignable   in [start, end], not the gateway, not excluded; what may be asked for by address
//   candidate    assignable and not in reservedIPs; what may be picked, and what counts as `total`
// (manager.md §1.2)
import {
  contains,
  familyBits,
  familyOf,
  firstAddress,
  formatAddress,
  formatPrefix,
  lastAddress,
  offsetAddress,
  prefixOf,
  type Family,
  type IPAddress,
  type Prefix,
} from '../ip/index.ts'
import { IpamError } from './errors.ts'
import type { SubnetConfig } from './types.ts'

export class Geometry {
  readonly cidr: Prefix
  readonly family: Family
  readonly start: IPAddress
  readonly end: IPAddress
  /** Number of candidates. */
  readonly total: bigint
  /** Assignable addresses of `reservedIPs`. */
  readonly reserved: ReadonlySet<IPAddress>
  /** Every address in [start, end] that is no candidate: gateway, excluded, reserved. */
  readonly holes: ReadonlySet<IPAddress>

  /** @throws IpamError `invalid-subnet` naming the field, its value and what was expected */
  constructor(config: SubnetConfig) {
    const fail = (what: string): never => {
      throw new IpamError('invalid-subnet', `subnet "${config.name}": ${what}`)
    }
    if (config.name === '') fail('the name is empty')
    if (config.network === '') fail('spec.network is empty')
    const { cidr } = config
    this.cidr = prefixOf(cidr.address, cidr.length)
    this.family = familyOf(cidr.address)
    const longest = familyBits(this.family) - 2
    if (cidr.length > longest) {
      fail(`spec.range.cidr ${formatPrefix(cidr)} is too small: expected a prefix of /${longest} or shorter`)
    }
    for (const field of ['gateway', 'start', 'end'] as const) {
      const value = config[field]
      if (value !== undefined && !contains(this.cidr, value)) {
        fail(`spec.range.${field} ${formatAddress(value)} is not inside ${formatPrefix(this.cidr)}`)
      }
    }
    // The broadcast address is skipped unless asked for; an IPv6 network has none.
    const beforeEnd = this.family === 4 ? -1 : 0
    this.start = config.start ?? (offsetAddress(firstAddress(this.cidr), 1) as IPAddress)
    this.end = config.end ?? (offsetAddress(lastAddress(this.cidr), beforeEnd) as IPAddress)
    const holes = new Set<IPAddress>()
    const inRange = (address: IPAddress): boolean =>
      familyOf(address) === this.family && address >= this.start && address <= this.end
    if (config.gateway !== undefined && inRange(config.gateway)) holes.add(config.gateway)
    for (const address of config.excluded) if (inRange(address)) holes.add(address)
    const reserved = new Set<IPAddress>()
    for (const address of config.reserved) if (inRange(address) && !holes.has(address)) reserved.add(address)
    for (const address of reserved) holes.add(address)
    this.holes = holes
    this.reserved = reserved
    const size = this.start <= this.end ? BigInt(this.end) - BigInt(this.start) + 1n : 0n
    this.total = size - BigInt(holes.size)
  }

  inRange(address: IPAddress): boolean {
    return familyOf(address) === this.family && address >= this.start && address <= this.end
  }

  isCandidate(address: IPAddress): boolean {
    return this.inRange(address) && !this.holes.has(address)
  }

  isAssignable(address: IPAddress): boolean {
    return this.inRange(address) && (!this.holes.has(address) || this.reserved.has(address))
  }

  /** The greatest candidate at or below the address, or null. Steps over holes only. */
  candidateAtOrBelow(address: IPAddress): IPAddress | null {
    let at: IPAddress | null = address > this.end ? this.end : address
    while (at !== null && at >= this.start) {
      if (!this.holes.has(at)) return at
      at = offsetAddress(at, -1)
    }
    return null
  }
}
