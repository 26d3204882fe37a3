// One question of ICMP: does the address answer?
import { formatAddress, toBytes, type IPAddress } from '../ip/index.ts'
import { addon } from './addon.ts'
import { asNetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

/**
 * Sends echoes from inside the namespace, at once and after 50, 100, 200, ... ms, until one is answered.
 *
 * Equivalent to: `ip netns exec NS ping ADDRESS`
 *
 * @param timeoutMs how long to wait in all
 * @param index the device of a link-local address
 * @returns round-trip time in milliseconds; null when nothing came in time (no route to it counts as that)
 * @throws NetlinkError when no ICMP socket can be had (EPERM)
 */
export async function ping(
  namespace: NetworkNamespace,
  address: IPAddress,
  timeoutMs: number,
  index = 0,
): Promise<number | null> {
  if (!(timeoutMs > 0 && timeoutMs <= 3_600_000))
    throw new RangeError(`timeoutMs is ${timeoutMs}, expected up to an hour`)
  try {
    return await addon().ping(namespace.fd, toBytes(address), index, Math.ceil(timeoutMs))
  } catch (error) {
    throw asNetlinkError(error, `ping ${formatAddress(address)} in ${namespace.path}`)
  }
}
