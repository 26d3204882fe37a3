// Addresses as network-order bytes: 4 for IPv4, 16 for IPv6.
import type { Family, IPAddress } from './address.ts'

/** The address in network byte order; 4 or 16 new bytes. */
export function toBytes(address: IPAddress): Uint8Array {
  const bytes = new Uint8Array(typeof address === 'number' ? 4 : 16)
  writeAddress(bytes, 0, address)
  return bytes
}

/** Writes 4 or 16 bytes at `offset` and returns how many. */
export function writeAddress(bytes: Uint8Array, offset: number, address: IPAddress): 4 | 16 {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (typeof address === 'number') {
    view.setUint32(offset, address)
    return 4
  }
  view.setBigUint64(offset, address >> 64n)
  view.setBigUint64(offset + 8, address)
  return 16
}

/** The address of the family at `offset`. */
export function readAddress(bytes: Uint8Array, offset: number, family: Family): IPAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (family === 4) return view.getUint32(offset)
  return (view.getBigUint64(offset) << 64n) | view.getBigUint64(offset + 8)
}

/**
 * The address of 4 or 16 network-order bytes.
 *
 * @throws RangeError for any other number of bytes
 */
export function fromBytes(bytes: Uint8Array): IPAddress {
  if (bytes.length === 4) return readAddress(bytes, 0, 4)
  if (bytes.length === 16) return readAddress(bytes, 0, 6)
  throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`)
}
