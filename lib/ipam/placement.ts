// Where the CIDRs of serving subnets lie. Two subnets may share one identical CIDR inside one network when their ranges are
// disjoint; any other overlap is refused (api.md §4.2.2 rules 14 to 16), here again because admission may be absent.
// Distinct CIDRs are therefore disjoint, and a sorted array answers "which subnet holds this address" in O(log n).
import {
  compareAddresses,
  contains,
  equalPrefixes,
  formatPrefix,
  overlaps,
  type IPAddress,
  type Prefix,
} from '../ip/index.ts'
import type { Geometry } from './geometry.ts'
import type { SubnetConfig } from './types.ts'

interface Member {
  readonly config: SubnetConfig
  readonly geometry: Geometry
}

interface Block {
  readonly cidr: Prefix
  readonly members: Map<string, Member>
}

export class Placement {
  #blocks: Block[] = []

  /** Why the subnet may not serve beside those present; null when it may. */
  conflict(config: SubnetConfig, geometry: Geometry): string | null {
    const at = this.#position(geometry.cidr.address)
    for (const block of [this.#blocks[at - 1], this.#blocks[at]]) {
      if (block === undefined || !overlaps(block.cidr, geometry.cidr)) continue
      const [other] = block.members.values()
      const where = `subnet "${other?.config.name ?? ''}" of network "${other?.config.network ?? ''}"`
      if (!equalPrefixes(block.cidr, geometry.cidr)) {
        return `spec.range.cidr ${formatPrefix(geometry.cidr)} overlaps ${formatPrefix(block.cidr)} of ${where}`
      }
      if (other?.config.network !== config.network) {
        return `spec.range.cidr ${formatPrefix(geometry.cidr)} is used by ${where}, another network`
      }
      for (const member of block.members.values()) {
        if (geometry.start <= member.geometry.end && member.geometry.start <= geometry.end) {
          return `spec.range from start to end overlaps that of subnet "${member.config.name}"`
        }
      }
    }
    return null
  }

  add(config: SubnetConfig, geometry: Geometry): void {
    const at = this.#position(geometry.cidr.address)
    const before = this.#blocks[at - 1]
    if (before !== undefined && equalPrefixes(before.cidr, geometry.cidr)) {
      before.members.set(config.name, { config, geometry })
    } else {
      this.#blocks.splice(at, 0, { cidr: geometry.cidr, members: new Map([[config.name, { config, geometry }]]) })
    }
  }

  remove(name: string, geometry: Geometry): void {
    const at = this.#position(geometry.cidr.address) - 1
    const block = this.#blocks[at]
    if (block === undefined || !block.members.delete(name)) return
    if (block.members.size === 0) this.#blocks.splice(at, 1)
  }

  /** Names of the subnets whose CIDR holds the address, sorted. */
  at(address: IPAddress): readonly string[] {
    const block = this.#blocks[this.#position(address) - 1]
    return block !== undefined && contains(block.cidr, address) ? [...block.members.keys()].sort() : []
  }

  /** Number of blocks that start at or below the address. */
  #position(address: IPAddress): number {
    let low = 0
    let high = this.#blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareAddresses((this.#blocks[middle] as Block).cidr.address, address) <= 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
