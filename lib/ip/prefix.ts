// Prefixes: a network address and a length. A Prefix is always masked, so two equal networks are equal data.
import {
  addressKey,
  compareAddresses,
  familyBits,
  familyOf,
  formatAddress,
  MAX_IPV4,
  tryParseAddress,
  type Family,
  type IPAddress,
} from './address.ts'
import { AddressError } from './errors.ts'

/** A network. `address` has no bits beyond `length`. */
export interface Prefix {
  readonly address: IPAddress
  readonly length: number
}

/** An address as configured on an interface: "10.0.0.7/24". */
export interface InterfaceAddress {
  readonly address: IPAddress
  readonly length: number
  /** The network the address is in. */
  readonly prefix: Prefix
}

/** 0.0.0.0/0 and ::/0. */
export const DEFAULT_PREFIX: Readonly<Record<Family, Prefix>> = {
  4: { address: 0, length: 0 },
  6: { address: 0n, length: 0 },
}

function checkLength(family: Family, length: number): void {
  if (!Number.isInteger(length) || length < 0 || length > familyBits(family)) {
    throw new RangeError(`prefix length ${length} is not an integer from 0 to ${familyBits(family)} (IPv${family})`)
  }
}

/** The mask of a length, as an address: maskBits(4, 24) is 255.255.255.0. */
export function maskBits(family: 4, length: number): number
export function maskBits(family: 6, length: number): bigint
export function maskBits(family: Family, length: number): IPAddress
export function maskBits(family: Family, length: number): IPAddress {
  checkLength(family, length)
  if (family === 4) return length === 0 ? 0 : (MAX_IPV4 << (32 - length)) >>> 0
  return ((1n << BigInt(length)) - 1n) << BigInt(128 - length)
}

/** The length of a contiguous mask (255.255.255.0 → 24), null when its ones are not all at the front. */
export function maskLength(mask: IPAddress): number | null {
  const bits = familyBits(familyOf(mask))
  const text = mask.toString(2).padStart(bits, '0')
  const zero = text.indexOf('0')
  if (zero < 0) return bits
  return text.includes('1', zero) ? null : zero
}

/** The network of that length the address is in. */
export function prefixOf(address: IPAddress, length: number): Prefix {
  if (typeof address === 'number') return { address: (address & maskBits(4, length)) >>> 0, length }
  return { address: address & maskBits(6, length), length }
}

/** The /32 or /128 of an address. */
export function hostPrefix(address: IPAddress): Prefix {
  return { address, length: typeof address === 'number' ? 32 : 128 }
}

/** The network address. */
export function firstAddress(prefix: Prefix): IPAddress {
  return prefix.address
}

/** The last address: IPv4's broadcast address. */
export function lastAddress(prefix: Prefix): IPAddress {
  const { address, length } = prefix
  // A shift by 32 would shift by nothing.
  if (typeof address === 'number') return length === 32 ? address : (address | (MAX_IPV4 >>> length)) >>> 0
  return address | ((1n << BigInt(128 - length)) - 1n)
}

/** Whether the address is of the prefix's family and inside it. */
export function contains(prefix: Prefix, address: IPAddress): boolean {
  const network = prefix.address
  const { length } = prefix
  if (typeof network === 'number') {
    if (typeof address !== 'number') return false
    return length === 0 || (network ^ address) >>> (32 - length) === 0
  }
  if (typeof address !== 'bigint') return false
  return (network ^ address) >> BigInt(128 - length) === 0n
}

/** Whether every address of `inner` is in `outer` (equal prefixes are). */
export function containsPrefix(outer: Prefix, inner: Prefix): boolean {
  return inner.length >= outer.length && contains(outer, inner.address)
}

/** Whether some address is in both. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? contains(a, b.address) : contains(b, a.address)
}

export function equalPrefixes(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && a.address === b.address
}

/** Order for sorting: by address (IPv4 first), then the shorter length (the larger network) first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  return compareAddresses(a.address, b.address) || a.length - b.length
}

/** A short text unique over both families, for map keys. */
export function prefixKey(prefix: Prefix): string {
  return `${addressKey(prefix.address)}/${prefix.length}`
}

/** "10.0.0.0/24". */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`
}

/** "10.0.0.7/24" of an address and the length of its network. */
export function formatInterfaceAddress(value: { readonly address: IPAddress; readonly length: number }): string {
  return `${formatAddress(value.address)}/${value.length}`
}

/** ADDRESS/LENGTH with the length in decimal without sign, leading zeros or white space. */
export function tryParseInterfaceAddress(text: string): InterfaceAddress | null {
  const slash = text.indexOf('/')
  if (slash < 0) return null
  const address = tryParseAddress(text.slice(0, slash))
  const digits = text.slice(slash + 1)
  if (address === null || !/^(?:0|[1-9][0-9]{0,2})$/.test(digits)) return null
  const length = Number(digits)
  if (length > familyBits(familyOf(address))) return null
  return { address, length, prefix: prefixOf(address, length) }
}

/**
 * An address with the length of its network: "10.0.0.7/24".
 *
 * @throws AddressError when the text is not that; a bare address is not
 */
export function parseInterfaceAddress(text: string): InterfaceAddress {
  const parsed = tryParseInterfaceAddress(text)
  if (parsed === null) throw new AddressError(text, 'an address with a prefix length, such as 10.0.0.7/24')
  return parsed
}

/** The prefix of the text, null when it is none or has host bits. */
export function tryParsePrefix(text: string): Prefix | null {
  const parsed = tryParseInterfaceAddress(text)
  return parsed !== null && parsed.prefix.address === parsed.address ? parsed.prefix : null
}

/**
 * A network: "10.0.0.0/24".
 *
 * @throws AddressError when the text is not that; host bits are an error too ("10.0.0.7/24")
 */
export function parsePrefix(text: string): Prefix {
  const parsed = tryParseInterfaceAddress(text)
  if (parsed === null) throw new AddressError(text, 'a network such as 10.0.0.0/24')
  if (parsed.prefix.address !== parsed.address) {
    throw new AddressError(
      text,
      `a network: bits beyond /${parsed.length} are set (${formatPrefix(parsed.prefix)} is one)`,
    )
  }
  return parsed.prefix
}
