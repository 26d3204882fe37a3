// TCP sockets inside a network namespace, as descriptors for net.Server and net.Socket, with what Node has no call for: MD5
// signatures (RFC 2385) and the minimum TTL (RFC 5082) of BGP sessions.
import { formatAddress, parseAddress, toBytes, type IPAddress, type Prefix } from '../ip/index.ts'
import { addon, type NativeTcpOptions } from './addon.ts'
import { asNetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

export interface Md5Key {
  /** The peers it is for. */
  readonly peer: Prefix
  /** At most 80 bytes; empty removes the peer's key. */
  readonly key: string
}

export interface TcpOptions {
  /** TTL or hop limit of packets sent; default the system's. */
  readonly ttl?: number
  /** Packets with a lower TTL are dropped by the kernel: 255 for directly connected peers (GTSM, RFC 5082). */
  readonly minTtl?: number
  readonly md5?: readonly Md5Key[]
}

export interface ListenOptions extends TcpOptions {
  /** On `::`, take IPv6 connections only; default both families. */
  readonly onlyV6?: boolean
}

export interface ConnectOptions extends TcpOptions {
  /** Source address. */
  readonly local?: IPAddress
  /** Device of a link-local address. */
  readonly index?: number
  /** Milliseconds until it fails with ETIMEDOUT; default 10,000. */
  readonly timeout?: number
}

function nativeOptions(options: ListenOptions): NativeTcpOptions {
  return {
    ttl: checkTtl('ttl', options.ttl),
    minTtl: checkTtl('minTtl', options.minTtl),
    onlyV6: options.onlyV6 ?? false,
    md5: (options.md5 ?? []).map(({ peer, key }) => {
      if (Buffer.byteLength(key) > 80) throw new RangeError('md5.key is longer than 80 bytes')
      return [toBytes(peer.address), peer.length, key] as const
    }),
  }
}

function checkTtl(field: string, value: number | undefined): number {
  if (value === undefined) return 0
  if (!Number.isInteger(value) || value < 1 || value > 255)
    throw new RangeError(`${field} is ${value}, expected 1 to 255`)
  return value
}

function checkPort(port: number, least: number): number {
  if (!Number.isInteger(port) || port < least || port > 65535) {
    throw new RangeError(`port is ${port}, expected ${least} to 65535`)
  }
  return port
}

const ofText = (address: IPAddress | string): IPAddress =>
  typeof address === 'string' ? parseAddress(address) : address

/**
 * A listening socket inside the namespace, for `new net.Server().listen({ fd })`, which owns it from then on.
 *
 * @param address `::` for all addresses of both families
 * @param port 0 for any free one
 * @throws NetlinkError EADDRINUSE, EADDRNOTAVAIL
 */
export async function listenTcp(
  namespace: NetworkNamespace,
  address: IPAddress | string,
  port: number,
  options: ListenOptions = {},
): Promise<number> {
  const local = ofText(address)
  const native = nativeOptions(options)
  checkPort(port, 0)
  try {
    return await addon().listenTcp(namespace.fd, toBytes(local), port, native)
  } catch (error) {
    throw asNetlinkError(error, `listen on ${formatAddress(local)} port ${port} in ${namespace.path}`)
  }
}

/**
 * A connected socket inside the namespace, for `new net.Socket({ fd })`, which owns it from then on.
 *
 * @throws NetlinkError ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ...
 */
export async function connectTcp(
  namespace: NetworkNamespace,
  address: IPAddress | string,
  port: number,
  options: ConnectOptions = {},
): Promise<number> {
  const remote = ofText(address)
  const native = nativeOptions(options)
  const local = options.local === undefined ? null : toBytes(options.local)
  const { index = 0, timeout = 10_000 } = options
  checkPort(port, 1)
  try {
    return await addon().connectTcp(namespace.fd, toBytes(remote), port, index, local, timeout, native)
  } catch (error) {
    throw asNetlinkError(error, `connect to ${formatAddress(remote)} port ${port} in ${namespace.path}`)
  }
}

/**
 * Changes a socket that is open already: keys of peers that come and go on a listening one, TTLs of an accepted one.
 *
 * @param family the socket's own: 6 for one bound to `::`
 * @throws NetlinkError with the kernel's reason
 */
export function setTcpOptions(fd: number, family: 4 | 6, options: TcpOptions): void {
  const native = nativeOptions(options)
  try {
    addon().setTcpOptions(fd, family === 6, native)
  } catch (error) {
    throw asNetlinkError(error, `set TCP options of descriptor ${fd}`)
  }
}
