// The two subnets of a dual-stack pod that names none: with one netID between them where that is possible, so that both
// families of the pod are on one VLAN (manager.md D66). It is a preference: where no two available subnets agree, each
// family takes its own next one, as the original always does.
import type { FamilyPool } from './family-pool.ts'
import type { Subnet } from './subnet.ts'

/** The netID to prefer; undefined is one as well: untagged, or a network without VLANs. */
export interface Vlan {
  readonly netID: number | undefined
}

/**
 * The netID both families have an available subnet with: that of the subnets at the pointers when they agree, else the first
 * in IPv4's order. Null when there is none. At worst proportional to the available subnets of both pools.
 */
export function commonVlan(
  four: FamilyPool,
  six: FamilyPool,
  netIDOf: (subnet: Subnet) => number | undefined,
  available: (subnet: Subnet) => boolean,
): Vlan | null {
  const [next4, next6] = [four.look(available), six.look(available)]
  if (next4 === null || next6 === null) return null
  if (netIDOf(next4) === netIDOf(next6)) return { netID: netIDOf(next4) }
  const offered = new Set<number | undefined>()
  six.look((subnet) => {
    if (available(subnet)) offered.add(netIDOf(subnet))
    return false
  })
  const match = four.look((subnet) => offered.has(netIDOf(subnet)) && available(subnet))
  return match === null ? null : { netID: netIDOf(match) }
}
