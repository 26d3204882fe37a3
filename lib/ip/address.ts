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

// Scratch for IPv6 conversion: the 16 bytes of an address, in network order. Never live across a call, so sharing it is
// safe in one thread. Two 64-bit halves are three times faster than eight shifts of a bigint.
const scratch = new DataView(new ArrayBuffer(16))
const groupAt = (i: number): number => scratch.getUint16(i * 2)
const setGroup = (i: number, value: number): void => scratch.setUint16(i * 2, value)

function fromScratch(): bigint {
  return (scratch.getBigUint64(0) << 64n) | scratch.getBigUint64(8)
}

function toScratch(address: bigint): void {
  scratch.setBigUint64(0, address >> 64n)
  scratch.setBigUint64(8, address)
}

/** Reads `text` into the scratch. RFC 4291 §2.2: full, compressed and mixed forms, upper or lower case. */
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
      setGroup(count++, tail >>> 16)
      setGroup(count++, tail & 0xffff)
      break
    }
    if (i === start || i - start > 4) return false
    setGroup(count++, group)
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
  const zeros = 8 - count
  for (let i = count - 1; i >= gap; i--) setGroup(i + zeros, groupAt(i))
  for (let i = gap; i < gap + zeros; i++) setGroup(i, 0)
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
  return scanIPv6(text) ? fromScratch() : null
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

// Strings are made once: joining ready ones is three times faster than formatting numbers.
const OCTETS = Array.from({ length: 256 }, (_, i) => String(i))
const OCTETS_DOT = OCTETS.map((text) => `${text}.`)
/** Filled as groups are met; at most 65,536 short strings. */
const HEX_GROUPS: (string | undefined)[] = new Array<string | undefined>(0x10000).fill(undefined)

function hexGroup(i: number): string {
  const group = groupAt(i)
  return (HEX_GROUPS[group] ??= group.toString(16))
}

export function formatIPv4(address: number): string {
  // The indexes are bytes, so no element is undefined.
  return `${OCTETS_DOT[address >>> 24] as string}${OCTETS_DOT[(address >>> 16) & 255] as string}${OCTETS_DOT[(address >>> 8) & 255] as string}${OCTETS[address & 255] as string}`
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as "::"; mapped dotted (§5). */
function formatIPv6(address: bigint): string {
  if (address >> 32n === 0xffffn) return `::ffff:${formatIPv4(Number(address & 0xffffffffn))}`
  toScratch(address)
  let best = -1
  let length = 1
  for (let i = 0, start = -1; i < 8; i++) {
    if (groupAt(i) !== 0) {
      start = -1
      continue
    }
    if (start < 0) start = i
    if (i - start + 1 > length) {
      best = start
      length = i - start + 1
    }
  }
  if (best < 0) {
    let text = hexGroup(0)
    for (let i = 1; i < 8; i++) text += `:${hexGroup(i)}`
    return text
  }
  let text = best > 0 ? hexGroup(0) : ''
  for (let i = 1; i < best; i++) text += `:${hexGroup(i)}`
  text += '::'
  const rest = best + length
  if (rest < 8) text += hexGroup(rest)
  for (let i = rest + 1; i < 8; i++) text += `:${hexGroup(i)}`
  return text
}

/** Canonical text: a dotted quad, or RFC 5952 with IPv4-mapped addresses dotted ("::ffff:10.0.0.1"). */
export function formatAddress(address: IPAddress): string {
  return typeof address === 'number' ? formatIPv4(address) : formatIPv6(address)
}

/** The eight 16-bit groups of an IPv6 address, first group first. */
export function ipv6Groups(address: bigint): readonly number[] {
  toScratch(address)
  return Array.from({ length: 8 }, (_, i) => groupAt(i))
}

/** The IPv6 address of eight 16-bit groups. */
export function ipv6FromGroups(values: readonly number[]): bigint {
  if (values.length !== 8) throw new RangeError(`an IPv6 address has 8 groups, not ${values.length}`)
  values.forEach((value, i) => setGroup(i, value))
  return fromScratch()
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
