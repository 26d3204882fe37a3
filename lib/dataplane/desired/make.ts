// Short constructors of records, with the values the specification fixes (§2.1, Appendix C).
import { DEFAULT_PREFIX, familyOf, hostPrefix, type Family, type IPAddress, type Prefix } from '../../ip/index.ts'
import { IPV6_DEFAULT_METRIC, RTN_THROW, RTN_UNICAST, SCOPE_LINK, SCOPE_UNIVERSE } from '../constants.ts'
import type { RouteRecord, SysctlRecord } from '../state.ts'

interface RouteOptions {
  readonly gateway?: IPAddress
  readonly prefSrc?: IPAddress | null
  /** Scope link instead of universe; IPv6 has no scopes. */
  readonly onLink?: boolean
}

/** A unicast route through one device. */
export function deviceRoute(table: number, dst: Prefix, link: string, options: RouteOptions = {}): RouteRecord {
  const family = familyOf(dst.address)
  return {
    kind: 'route',
    family,
    table,
    dst,
    metric: family === 4 ? 0 : IPV6_DEFAULT_METRIC,
    type: RTN_UNICAST,
    link,
    gateway: options.gateway ?? null,
    prefSrc: options.prefSrc ?? null,
    scope: family === 4 && options.onLink === true ? SCOPE_LINK : SCOPE_UNIVERSE,
    flags: 0,
    nexthops: [],
  }
}

/** A throw route: the look-up leaves this table and goes on with the next rule. */
export function throwRoute(table: number, dst: Prefix): RouteRecord {
  const family = familyOf(dst.address)
  return {
    kind: 'route',
    family,
    table,
    dst,
    metric: family === 4 ? 0 : IPV6_DEFAULT_METRIC,
    type: RTN_THROW,
    link: null,
    gateway: null,
    prefSrc: null,
    scope: SCOPE_UNIVERSE,
    flags: 0,
    nexthops: [],
  }
}

export function defaultRoute(table: number, family: Family, link: string, gateway?: IPAddress): RouteRecord {
  return deviceRoute(table, DEFAULT_PREFIX[family], link, gateway === undefined ? {} : { gateway })
}

export function hostRoute(table: number, address: IPAddress, link: string): RouteRecord {
  return deviceRoute(table, hostPrefix(address), link)
}

interface SysctlOptions {
  readonly link?: string
  readonly optional?: boolean
  readonly rank?: number
}

export function sysctl(path: string, value: number | string, options: SysctlOptions = {}): SysctlRecord {
  return {
    kind: 'sysctl',
    path,
    value: String(value),
    link: options.link ?? null,
    optional: options.optional ?? false,
    rank: options.rank ?? 0,
  }
}

/** The families to program on this node. */
export function families(ipv6: boolean): readonly Family[] {
  return ipv6 ? [4, 6] : [4]
}
