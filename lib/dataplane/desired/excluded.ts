// Excluded blocks: the parts of a subnet's CIDR that no pod can have, as prefixes for `throw` routes
// (spec/dataplane.md Appendix D). Pure.
//
// The block list must equal the original's to the letter, so that a take-over rewrites nothing: ranges are extended in
// the order in which addresses come and are not merged again. What differs is several subnets sharing one CIDR
// (defect 44): an address is excluded only when no subnet of the CIDR may hand it out.
import {
  compareAddresses,
  contains,
  firstAddress,
  formatAddress,
  formatPrefix,
  lastAddress,
  mergeRanges,
  offsetAddress,
  prefixKey,
  rangeContains,
  rangeToPrefixes,
  subtractRanges,
  type AddressRange,
  type IPAddress,
  type Prefix,
} from '../../ip/index.ts'
import type { AddressPlan } from '../inputs.ts'

/** The allocatable range of a plan, null when it declares none (all of the CIDR). */
export function declaredRange(plan: AddressPlan): AddressRange | null {
  if (plan.start === null && plan.end === null) return null
  return { start: plan.start ?? firstAddress(plan.prefix), end: plan.end ?? lastAddress(plan.prefix) }
}

/** Why the plan's range is unusable, null when it is fine. */
export function rangeProblem(plan: AddressPlan): string | null {
  const range = declaredRange(plan)
  if (range === null) return null
  if (!contains(plan.prefix, range.start) || !contains(plan.prefix, range.end)) {
    return `range ${formatAddress(range.start)}-${formatAddress(range.end)} is not inside ${formatPrefix(plan.prefix)}`
  }
  return compareAddresses(range.start, range.end) > 0
    ? `range start ${formatAddress(range.start)} is after its end ${formatAddress(range.end)}`
    : null
}

/**
 * The excluded blocks of one CIDR.
 *
 * @param prefix the CIDR
 * @param ranges allocatable ranges inside it; none means all of it
 * @param exclude single addresses, in the order in which they extend ranges
 * @param gateways excluded after `exclude`; one outside the CIDR gives a host block of its own
 */
export function excludedBlocks(
  prefix: Prefix,
  ranges: readonly AddressRange[],
  exclude: readonly IPAddress[],
  gateways: readonly IPAddress[],
): Prefix[] {
  const whole = { start: firstAddress(prefix), end: lastAddress(prefix) }
  const excluded: AddressRange[] = ranges.length === 0 ? [] : subtractRanges([whole], mergeRanges(ranges))
  for (const address of [...exclude, ...gateways]) extend(excluded, address)
  const blocks = new Map<string, Prefix>()
  for (const range of excluded) for (const block of rangeToPrefixes(range)) blocks.set(prefixKey(block), block)
  return [...blocks.values()]
}

/** Step 3 of Appendix D: the first range that holds or touches the address takes it, else it becomes its own. */
function extend(ranges: AddressRange[], address: IPAddress): void {
  for (const [i, range] of ranges.entries()) {
    if (rangeContains(range, address)) return
    if (offsetAddress(range.start, -1) === address) {
      ranges[i] = { start: address, end: range.end }
      return
    }
    if (offsetAddress(range.end, 1) === address) {
      ranges[i] = { start: range.start, end: address }
      return
    }
  }
  ranges.push({ start: address, end: address })
}

/** The excluded blocks of all plans that share one CIDR. Plans with a bad range count as having none of their own. */
export function sharedExcludedBlocks(prefix: Prefix, plans: readonly AddressPlan[]): Prefix[] {
  const sound = plans.filter((plan) => rangeProblem(plan) === null)
  const ranges = sound.map(declaredRange)
  const open = ranges.includes(null)
  const handsOut = (plan: AddressPlan, address: IPAddress): boolean => {
    if (rangeProblem(plan) !== null || plan.exclude.includes(address)) return false
    const range = declaredRange(plan)
    return range === null ? contains(prefix, address) : rangeContains(range, address)
  }
  const exclude = plans.flatMap((plan) =>
    plan.exclude.filter((address) => !plans.some((other) => other !== plan && handsOut(other, address))),
  )
  const gateways = plans.flatMap((plan) => (plan.gateway === null ? [] : [plan.gateway]))
  return excludedBlocks(prefix, open ? [] : ranges.filter((range) => range !== null), exclude, gateways)
}
