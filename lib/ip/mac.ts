// Link-layer addresses as 48-bit numbers, which fit a double exactly. Text is six hex pairs with colons; the dash and
// dotted forms, and the 8 and 20 byte addresses Go's parser takes, are refused.
import { AddressError } from './errors.ts'

const MAC_TEXT = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/

/** ff:ff:ff:ff:ff:ff. */
export const BROADCAST_MAC = 0xffffffffffff

/** The MAC address of the text, null when it is none. */
export function tryParseMac(text: string): number | null {
  return MAC_TEXT.test(text) ? Number.parseInt(text.replaceAll(':', ''), 16) : null
}

/**
 * The MAC address of the text, upper or lower case.
 *
 * @throws AddressError when the text is not six hex pairs with colons
 */
export function parseMac(text: string): number {
  const mac = tryParseMac(text)
  if (mac === null) throw new AddressError(text, 'a MAC address such as 0e:1f:00:00:00:01')
  return mac
}

/** Lower case, with colons. */
export function formatMac(mac: number): string {
  const hex = mac.toString(16).padStart(12, '0')
  return `${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}:${hex.slice(6, 8)}:${hex.slice(8, 10)}:${hex.slice(10)}`
}

/** Six network-order bytes. */
export function macToBytes(mac: number): Uint8Array {
  const bytes = new Uint8Array(6)
  const high = Math.floor(mac / 0x100000000)
  bytes[0] = high >>> 8
  bytes[1] = high & 255
  bytes[2] = (mac >>> 24) & 255
  bytes[3] = (mac >>> 16) & 255
  bytes[4] = (mac >>> 8) & 255
  bytes[5] = mac & 255
  return bytes
}

/**
 * The MAC address of six network-order bytes.
 *
 * @throws RangeError for any other number of bytes
 */
export function macFromBytes(bytes: Uint8Array): number {
  if (bytes.length !== 6) throw new RangeError(`a MAC address has 6 bytes, not ${bytes.length}`)
  return bytes.reduce((value, byte) => value * 256 + byte, 0)
}

/** The I/G bit: a group (multicast or broadcast) address. */
export function isMulticastMac(mac: number): boolean {
  return (Math.floor(mac / 0x10000000000) & 1) === 1
}

/** The U/L bit: locally administered. */
export function isLocalMac(mac: number): boolean {
  return (Math.floor(mac / 0x10000000000) & 2) === 2
}

/** The EUI-64 link-local IPv6 address the kernel derives from a MAC (RFC 4291 appendix A). */
export function macToLinkLocal(mac: number): bigint {
  const value = BigInt(mac) ^ 0x020000000000n
  return (0xfe80n << 112n) | ((value >> 24n) << 40n) | (0xfffen << 24n) | (value & 0xffffffn)
}
