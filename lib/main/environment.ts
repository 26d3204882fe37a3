// The environment variables manager and webhook share (api.md §5.1): what pods get that ask for nothing.
import { parseIPFamily, parseNetworkType, type IPFamily, type NetworkType } from '../api/index.ts'
import { UsageError } from './flags.ts'

/** @throws UsageError naming the variable */
export function defaultsOfEnvironment(): { networkType: NetworkType; ipFamily: IPFamily } {
  const type = process.env['DEFAULT_NETWORK_TYPE'] ?? ''
  const family = process.env['DEFAULT_IP_FAMILY'] ?? ''
  const networkType = parseNetworkType(type)
  if (networkType === null) {
    throw new UsageError(`DEFAULT_NETWORK_TYPE is '${type}', expected Underlay, Overlay or GlobalBGP`)
  }
  const ipFamily = parseIPFamily(family)
  if (ipFamily === null) throw new UsageError(`DEFAULT_IP_FAMILY is '${family}', expected IPv4, IPv6 or DualStack`)
  return { networkType, ipFamily }
}
