// What kind of address it is, by Go's net.IP predicates: the original picks VTEP and router addresses with them, so the
// same address must count as "global unicast" here. IPv4-mapped IPv6 addresses are judged by the IPv4 address within.
import { MAX_IPV4, type IPAddress } from './address.ts'

/** "::ffff:a.b.c.d" → a.b.c.d; anything else unchanged. */
export function unmap(address: IPAddress): IPAddress {
  return isIPv4Mapped(address) ? Number((address as bigint) & 0xffffffffn) : address
}

/** In ::ffff:0:0/96. */
export function isIPv4Mapped(address: IPAddress): boolean {
  return typeof address === 'bigint' && address >> 32n === 0xffffn
}

/** 0.0.0.0 or ::. */
export function isUnspecified(address: IPAddress): boolean {
  const plain = unmap(address)
  return plain === 0 || plain === 0n
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(address: IPAddress): boolean {
  const plain = unmap(address)
  return typeof plain === 'number' ? plain >>> 24 === 127 : plain === 1n
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: IPAddress): boolean {
  const plain = unmap(address)
  return typeof plain === 'number' ? plain >>> 28 === 14 : plain >> 120n === 0xffn
}

/** 169.254.0.0/16 or fe80::/10 (unicast only). */
export function isLinkLocal(address: IPAddress): boolean {
  const plain = unmap(address)
  return typeof plain === 'number' ? plain >>> 16 === 0xa9fe : plain >> 118n === 0x3fan
}

/** Not unspecified, loopback, multicast, link-local or 255.255.255.255; private and ULA addresses count. */
export function isGlobalUnicast(address: IPAddress): boolean {
  const plain = unmap(address)
  return plain !== MAX_IPV4 && !isUnspecified(plain) && !isLoopback(plain) && !isMulticast(plain) && !isLinkLocal(plain)
}
