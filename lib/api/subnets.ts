// Arithmetic over the addresses of Subnets: what may be handed out, how many there are, and which Subnets collide. All
// by intervals, so a /64 costs what a /24 does (the original enumerates every address and never ends on nested /64s).
import {
  contains,
  formatPrefix,
  formatRange,
  overlaps,
  prefixKey,
  rangesIntersect,
  subtractRanges,
  type AddressRange,
  type IPAddress,
} from '../ip/index.ts'
import { comparePrefixes } from '../ip/index.ts'
import { defaultEnd, defaultStart, tryParsePlainAddress, tryParsePlainCidr, type ParsedRange } from './parse/range.ts'
import type { ParsedSubnet } from './parse/subnet.ts'
import type { AddressRangeSpec } from './networking.ts'

const single = (address: IPAddress): AddressRange => ({ start: address, end: address })

/** From start to end without the excluded ones; the gateway is in it. */
export function usableRanges(subnet: ParsedRange): AddressRange[] {
  return subnet.range === null ? [] : subtractRanges([subnet.range], subnet.excluded.map(single))
}

/** What an ip-pool may name: usable and not the gateway; reserved ones too. */
export function assignableRanges(subnet: ParsedRange): AddressRange[] {
  const usable = usableRanges(subnet)
  return subnet.gateway === null ? usable : subtractRanges(usable, [single(subnet.gateway)])
}

/** What is handed out unasked: assignable and not reserved. Its size is `status.total`. */
export function candidateRanges(subnet: ParsedRange): AddressRange[] {
  return subtractRanges(assignableRanges(subnet), subnet.reserved.map(single))
}

/** Whether the address is in `assignableRanges`. */
export function isAssignable(subnet: ParsedRange, address: IPAddress): boolean {
  return (
    subnet.range !== null &&
    contains(subnet.prefix, address) &&
    subnet.range.start <= address &&
    address <= subnet.range.end &&
    address !== subnet.gateway &&
    !subnet.excluded.includes(address)
  )
}

/** What the original answers for a CIDR it cannot read: more than any limit. */
export const UNREADABLE_CAPACITY = 2n ** 63n - 1n

/**
 * Capacity as admission counts it (api.md §1.9): |end - start| + 1 less the number of excludeIPs entries, doubled and
 * foreign ones included, the gateway not. Use `candidateRanges` for the true number.
 */
export function admissionCapacity(spec: AddressRangeSpec): bigint {
  const cidr = tryParsePlainCidr(spec.cidr)
  if (cidr === null) return UNREADABLE_CAPACITY
  const start = tryParsePlainAddress(spec.start ?? '') ?? defaultStart(cidr.prefix)
  const end = tryParsePlainAddress(spec.end ?? '') ?? defaultEnd(cidr.prefix)
  if (typeof start !== typeof end) return 0n
  const distance = BigInt(end) - BigInt(start)
  return (distance < 0n ? -distance : distance) + 1n - BigInt(spec.excludeIPs?.length ?? 0)
}

/** The first run of addresses in both lists (each sorted and disjoint), null when there is none. */
function firstShared(a: readonly AddressRange[], b: readonly AddressRange[]): AddressRange | null {
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const x = a[i] as AddressRange
    const y = b[j] as AddressRange
    if (rangesIntersect(x, y))
      return { start: x.start > y.start ? x.start : y.start, end: x.end < y.end ? x.end : y.end }
    if (x.end < y.end) i++
    else j++
  }
  return null
}

/** "Range intersection" of api.md §1.9: some address is usable in both; gateways and reserved addresses count. */
export function rangesShareAddress(a: ParsedRange, b: ParsedRange): boolean {
  return overlaps(a.prefix, b.prefix) && firstShared(usableRanges(a), usableRanges(b)) !== null
}

/** Why two Subnets cannot both be there. */
export interface SubnetConflict {
  readonly kind: 'different-cidr' | 'different-network' | 'same-addresses'
  readonly a: string
  readonly b: string
  /** A sentence for events and denials. */
  readonly message: string
}

/**
 * What is wrong between two Subnets, null when nothing is (api.md §4.2.2 rules 14 to 16). CIDRs are compared as
 * networks and ranges as intervals, where the original compares text and end points only.
 */
export function subnetConflict(a: ParsedSubnet, b: ParsedSubnet): SubnetConflict | null {
  if (!overlaps(a.prefix, b.prefix)) return null
  const names = { a: a.name, b: b.name }
  const cidrs = [formatPrefix(a.prefix), formatPrefix(b.prefix)] as const
  if (prefixKey(a.prefix) !== prefixKey(b.prefix)) {
    const message = `subnets ${a.name} (${cidrs[0]}) and ${b.name} (${cidrs[1]}) overlap but have different CIDRs`
    return { kind: 'different-cidr', ...names, message }
  }
  if (a.network !== b.network) {
    const message = `subnets ${a.name} and ${b.name} have the same CIDR ${cidrs[0]} in different networks ${a.network} and ${b.network}`
    return { kind: 'different-network', ...names, message }
  }
  const shared = firstShared(assignableRanges(a), assignableRanges(b))
  if (shared === null) return null
  return {
    kind: 'same-addresses',
    ...names,
    message: `subnets ${a.name} and ${b.name} both hold ${formatRange(shared)}`,
  }
}

/** All conflicts among Subnets: one sort, then only Subnets whose CIDRs nest are compared. */
export function findSubnetConflicts(subnets: readonly ParsedSubnet[]): SubnetConflict[] {
  const sorted = [...subnets].sort((a, b) => comparePrefixes(a.prefix, b.prefix) || (a.name < b.name ? -1 : 1))
  const conflicts: SubnetConflict[] = []
  // Prefixes nest or are apart, so those that contain the current one form a stack.
  const stack: ParsedSubnet[] = []
  for (const subnet of sorted) {
    while (stack.length > 0 && !overlaps((stack.at(-1) as ParsedSubnet).prefix, subnet.prefix)) stack.pop()
    for (const outer of stack) {
      const conflict = subnetConflict(outer, subnet)
      if (conflict !== null) conflicts.push(conflict)
    }
    stack.push(subnet)
  }
  return conflicts
}
