// Inclusive address ranges and the set arithmetic over them: intervals sorted once, then linear sweeps. A /64 costs as
// much as a /24, because nothing here ever counts through addresses.
import { compareAddresses, familyBits, familyOf, formatAddress, offsetAddress, type IPAddress } from './address.ts'
import { firstAddress, lastAddress, prefixOf, type Prefix } from './prefix.ts'

/** From `start` to `end`, both included, of one family, start <= end. */
export interface AddressRange {
  readonly start: IPAddress
  readonly end: IPAddress
}

/** The range of a prefix. */
export function prefixRange(prefix: Prefix): AddressRange {
  return { start: firstAddress(prefix), end: lastAddress(prefix) }
}

export function formatRange(range: AddressRange): string {
  return range.start === range.end
    ? formatAddress(range.start)
    : `${formatAddress(range.start)}-${formatAddress(range.end)}`
}

/** Whether the address is of the range's family and inside it. */
export function rangeContains(range: AddressRange, address: IPAddress): boolean {
  return familyOf(range.start) === familyOf(address) && range.start <= address && address <= range.end
}

/** Whether some address is in both. */
export function rangesIntersect(a: AddressRange, b: AddressRange): boolean {
  return familyOf(a.start) === familyOf(b.start) && a.start <= b.end && b.start <= a.end
}

/** What two ranges share, null when that is nothing. */
export function intersectRanges(a: AddressRange, b: AddressRange): AddressRange | null {
  if (!rangesIntersect(a, b)) return null
  return { start: a.start > b.start ? a.start : b.start, end: a.end < b.end ? a.end : b.end }
}

/** How many addresses; a bigint because an IPv6 range may hold 2^128. */
export function rangeSize(range: AddressRange): bigint {
  return BigInt(range.end) - BigInt(range.start) + 1n
}

/** The fewest ranges that hold exactly the same addresses, sorted; overlapping and adjacent ones become one. */
export function mergeRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const sorted = [...ranges].sort((a, b) => compareAddresses(a.start, b.start))
  const merged: AddressRange[] = []
  let last: AddressRange | undefined
  for (const range of sorted) {
    if (last !== undefined && familyOf(last.start) === familyOf(range.start)) {
      const next = offsetAddress(last.end, 1)
      if (next === null || range.start <= next) {
        if (range.end > last.end) {
          last = { start: last.start, end: range.end }
          merged[merged.length - 1] = last
        }
        continue
      }
    }
    last = range
    merged.push(range)
  }
  return merged
}

/** The addresses of `from` that are in none of `without`, as the fewest ranges, sorted. */
export function subtractRanges(from: readonly AddressRange[], without: readonly AddressRange[]): AddressRange[] {
  const holes = mergeRanges(without)
  const result: AddressRange[] = []
  let first = 0
  for (const range of mergeRanges(from)) {
    // Holes wholly before this range are before all later ones too.
    while (first < holes.length && compareAddresses((holes[first] as AddressRange).end, range.start) < 0) first++
    let start: IPAddress | null = range.start
    for (let i = first; i < holes.length && start !== null; i++) {
      const hole = holes[i] as AddressRange
      if (!rangesIntersect(hole, range)) break
      if (hole.start > start) result.push({ start, end: offsetAddress(hole.start, -1) as IPAddress })
      start = hole.end >= range.end ? null : offsetAddress(hole.end, 1)
    }
    if (start !== null) result.push({ start, end: range.end })
  }
  return result
}

/** Trailing zero bits, at most the family's width. */
function trailingZeros(address: IPAddress): number {
  if (typeof address === 'number') return address === 0 ? 32 : 31 - Math.clz32(address & -address)
  if (address === 0n) return 128
  let zeros = 0
  let rest = address
  while ((rest & 0xffffffffn) === 0n) {
    rest >>= 32n
    zeros += 32
  }
  const low = Number(rest & 0xffffffffn)
  return zeros + 31 - Math.clz32(low & -low)
}

/** The fewest prefixes that cover exactly the range, in ascending order (at most 2 × bits − 2). */
export function rangeToPrefixes(range: AddressRange): Prefix[] {
  const bits = familyBits(familyOf(range.start))
  const prefixes: Prefix[] = []
  let start: IPAddress | null = range.start
  while (start !== null && start <= range.end) {
    let hostBits = trailingZeros(start)
    let prefix: Prefix = prefixOf(start, bits - hostBits)
    // The largest aligned block that does not reach past the end.
    while (lastAddress(prefix) > range.end) prefix = prefixOf(start, bits - --hostBits)
    prefixes.push(prefix)
    start = offsetAddress(lastAddress(prefix), 1)
  }
  return prefixes
}

/** The fewest prefixes that hold exactly the same addresses, sorted. */
export function mergePrefixes(prefixes: readonly Prefix[]): Prefix[] {
  return mergeRanges(prefixes.map(prefixRange)).flatMap(rangeToPrefixes)
}
