// Addresses as numbers: an IPv4 address is a uint32 `number`, an IPv6 address is a 128-bit `bigint`, and `typeof` is the
// family. Such values compare with ===, <, serve as Map keys, and carry no allocation for IPv4.
//
// Text is strict: no leading zeros in IPv4 octets (they read as octal elsewhere), no zone, no prefix length, no white
// space. "::ffff:10.0.0.1" is an IPv6 address here, never the IPv4 address within it; who wants that unmaps it.
// Not here: names, sockets, zones, the private and documentation ranges.
import { AddressError } from './errors.ts'

export type Family = 4 | 6

/** IPv4: uint32 `number`. IPv6: unsigned 128-bit `bigint`. */
export type IPAddress = number | bigint

export function familyOf(address: IPAddress): Family {
  return typeof address === 'number' ? 4 : 6
}

/** Bits of an address of the family: 32 or 128. */
export function familyBits(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128
}

/** The highest IPv6 address; the mask of all 128 bits. */
export const MAX_IPV6 = (1n << 128n) - 1n
/** The highest IPv4 address, 255.255.255.255. */
export const MAX_IPV4 = 0xffffffff

const CHAR_0 = 48
const CHAR_9 = 57
const CHAR_COLON = 58
const CHAR_DOT = 46

/** The IPv4 address in text[start, end), or -1. Octets are decimal without leading zeros (RFC 6943 §3.1.1 "strict"). */
function scanIPv4(text: string, start: number, end: number): number {
  let value = 0
  let octet = -1
  let dots = 0
  for (let i = start; i < end; i++) {
    const char = text.charCodeAt(i)
    if (char >= CHAR_0 && char <= CHAR_9) {
      if (octet === 0) return -1
      octet = (octet < 0 ? 0 : octet * 10) + char - CHAR_0
      if (octet > 255) return -1
    } else if (char === CHAR_DOT) {
      if (octet < 0 || ++dots > 3) return -1
      value = value * 256 + octet
      octet = -1
    } else {
      return -1
    }
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1
}

function hexDigit(char: number): number {
  if (char >= CHAR_0 && char <= CHAR_9) return char - CHAR_0
  const lower = char | 0x20
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

// Scratch for IPv6 conversion: eight 16-bit groups. Never live across a call, so sharing it is safe in one thread.
const groups = new Uint16Array(8)

/** Combines the eight groups; two 64-bit halves through a DataView are three times faster than eight shifts. */
const halves = new DataView(new ArrayBuffer(16))
function groupsToBigInt(): bigint {
  for (let i = 0; i < 8; i++) halves.setUint16(i * 2, groups[i] ?? 0)
  return (halves.getBigUint64(0) << 64n) | halves.getBigUint64(8)
}

/** Reads `text` into `groups`. RFC 4291 §2.2: full, compressed and mixed forms, upper or lower case. */
function scanIPv6(text: string): boolean {
  const length = text.length
  if (length < 2 || length > 45) return false
  let count = 0
  let gap = -1
  let i = 0
  if (text.charCodeAt(0) === CHAR_COLON) {
    if (text.charCodeAt(1) !== CHAR_COLON) return false
    gap = 0
    i = 2
  }
  while (i < length) {
    if (count === 8) return false
    const start = i
    let group = 0
    for (; i < length; i++) {
      const digit = hexDigit(text.charCodeAt(i))
      if (digit < 0) break
      group = (group << 4) | digit
    }
    if (i < length && text.charCodeAt(i) === CHAR_DOT) {
      const tail = scanIPv4(text, start, length)
      if (tail < 0 || count > 6) return false
      groups[count++] = tail >>> 16
      groups[count++] = tail & 0xffff
      break
    }
    if (i === start || i - start > 4) return false
    groups[count++] = group
    if (i === length) break
    if (text.charCodeAt(i) !== CHAR_COLON) return false
    i++
    if (i === length) return false
    if (text.charCodeAt(i) === CHAR_COLON) {
      if (gap >= 0) return false
      gap = count
      i++
    }
  }
  if (gap < 0) return count === 8
  // "::" stands for at least one group (RFC 4291 §2.2 item 2).
  if (count > 7) return false
  groups.copyWithin(8 - (count - gap), gap, count)
  groups.fill(0, gap, 8 - (count - gap))
  return true
}

/** The IPv4 address of a strict dotted quad, null when it is not one. */
export function tryParseIPv4(text: string): number | null {
  if (text.length < 7 || text.length > 15) return null
  const value = scanIPv4(text, 0, text.length)
  return value < 0 ? null : value
}

/** The IPv6 address of the text, null when it is not one. */
export function tryParseIPv6(text: string): bigint | null {
  return scanIPv6(text) ? groupsToBigInt() : null
}

/** The address of the text, null when it is none. */
export function tryParseAddress(text: string): IPAddress | null {
  return text.includes(':') ? tryParseIPv6(text) : tryParseIPv4(text)
}

/**
 * The address of the text.
 *
 * @throws AddressError when the text is not exactly one IPv4 or IPv6 address
 */
export function parseAddress(text: string): IPAddress {
  const address = tryParseAddress(text)
  if (address === null) throw new AddressError(text, 'an IPv4 or IPv6 address')
  return address
}

export function formatIPv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

/** Fills `groups` from the address. */
function splitGroups(address: bigint): void {
  halves.setBigUint64(0, address >> 64n)
  halves.setBigUint64(8, address)
  for (let i = 0; i < 8; i++) groups[i] = halves.getUint16(i * 2)
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as "::"; mapped dotted (§5). */
function formatIPv6(address: bigint): string {
  if (address >> 32n === 0xffffn) return `::ffff:${formatIPv4(Number(address & 0xffffffffn))}`
  splitGroups(address)
  let bestStart = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    if (groups[i] !== 0) continue
    const start = i
    while (i < 8 && groups[i] === 0) i++
    if (i - start > bestLength) {
      bestStart = start
      bestLength = i - start
    }
  }
  let text = ''
  for (let i = 0; i < 8; i++) {
    if (i === bestStart) {
      text += '::'
      i += bestLength - 1
      continue
    }
    if (text !== '' && !text.endsWith(':')) text += ':'
    text += (groups[i] ?? 0).toString(16)
  }
  return text
}

/** Canonical text: a dotted quad, or RFC 5952 with IPv4-mapped addresses dotted ("::ffff:10.0.0.1"). */
export function formatAddress(address: IPAddress): string {
  return typeof address === 'number' ? formatIPv4(address) : formatIPv6(address)
}

/** The eight 16-bit groups of an IPv6 address, first group first. */
export function ipv6Groups(address: bigint): readonly number[] {
  splitGroups(address)
  return Array.from(groups)
}

/** The IPv6 address of eight 16-bit groups. */
export function ipv6FromGroups(values: readonly number[]): bigint {
  if (values.length !== 8) throw new RangeError(`an IPv6 address has 8 groups, not ${values.length}`)
  groups.set(values)
  return groupsToBigInt()
}

/** Order for sorting: every IPv4 address before every IPv6 address, then numerically. */
export function compareAddresses(a: IPAddress, b: IPAddress): number {
  const type = typeof a
  if (type !== typeof b) return type === 'number' ? -1 : 1
  return a < b ? -1 : a > b ? 1 : 0
}

/** A short text unique over both families, for composed map keys (an address alone may be a Map key itself). */
export function addressKey(address: IPAddress): string {
  return typeof address === 'number' ? address.toString(36) : `:${address.toString(36)}`
}

/** The address `by` after (or, negative, before) this one; null when that would leave the family. */
export function offsetAddress(address: IPAddress, by: bigint | number): IPAddress | null {
  if (typeof address === 'number') {
    const moved = address + Number(by)
    return moved >= 0 && moved <= MAX_IPV4 ? moved : null
  }
  const moved = address + BigInt(by)
  return moved >= 0n && moved <= MAX_IPV6 ? moved : null
}
