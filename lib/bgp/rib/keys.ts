// Map keys of prefixes. A number for IPv4: full tables are of it, and text for every route would be most of their memory. Text for
// IPv6, because V8 hashes only the low 64 bits of a bigint, which are zero for most networks.
import { prefixKey, type Family, type Prefix } from '../../ip/index.ts'

export type RouteKey = number | string

export function routeKey(prefix: Prefix): RouteKey {
  const { address, length } = prefix
  return typeof address === 'number' ? address * 64 + length : prefixKey(prefix)
}

export const keyFamily = (key: RouteKey): Family => (typeof key === 'number' ? 4 : 6)
