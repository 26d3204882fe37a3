// Which host interface is the parent of which fabric (spec/node-agent §3.3). Pure: decides from a picture of the host.
import { isContainerInterface } from '../api/index.ts'
import { contains, parsePrefix, type IPAddress } from '../ip/index.ts'
import type { Addr, Link, Route } from '../netlink/types.ts'

/** What the choice looks at: devices, addresses and the main table of both families. */
export interface HostPicture {
  readonly links: readonly Link[]
  readonly addresses: readonly Addr[]
  readonly routes: readonly Route[]
}

export interface ParentInterfaces {
  readonly vlan: Link
  readonly vxlan: Link
  readonly bgp: Link
}

export interface InterfacePreferences {
  readonly vlan: readonly string[]
  readonly vxlan: readonly string[]
  readonly bgp: readonly string[]
}

const MAIN_TABLE = 254
const RTN_UNICAST = 1

/**
 * Choose the parents.
 *
 * @throws Error naming the preference that matches nothing, or that there is no default route to fall back to
 */
export function chooseParents(host: HostPicture, preferences: InterfacePreferences): ParentInterfaces {
  return {
    vlan: chooseInterface(host, preferences.vlan, 'VLAN'),
    vxlan: chooseInterface(host, preferences.vxlan, 'VXLAN'),
    bgp: chooseInterface(host, preferences.bgp, 'BGP'),
  }
}

function chooseInterface(host: HostPicture, candidates: readonly string[], role: string): Link {
  if (candidates.length === 0) return defaultRouteInterface(host, role)
  for (const candidate of candidates) {
    const link = host.links.find((link) => matches(host, link, candidate.trim()))
    if (link !== undefined) return link
  }
  const names = host.links.map((link) => link.name).join(', ')
  throw new Error(`no ${role} interface: none of '${candidates.join(',')}' exists; this host has ${names}`)
}

function matches(host: HostPicture, link: Link, candidate: string): boolean {
  if (candidate.startsWith('cidr:')) {
    const prefix = parsePrefix(candidate.slice('cidr:'.length))
    return host.addresses.some((address) => address.index === link.index && contains(prefix, address.address))
  }
  if (!/[*?[]/.test(candidate)) return link.name === candidate
  return !isContainerInterface(link.name) && globPattern(candidate).test(link.name)
}

function globPattern(glob: string): RegExp {
  const body = glob
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${body}$`)
}

function defaultRouteInterface(host: HostPicture, role: string): Link {
  for (const zero of [0, 0n] as const) {
    const index = defaultRouteOutput(host.routes, zero)
    const link = host.links.find((link) => link.index === index)
    if (link !== undefined) return link
  }
  throw new Error(
    `no ${role} interface: the main table has no default route; name one with --prefer-${role.toLowerCase()}-interfaces`,
  )
}

/** Output device of the default route of a family with the lowest metric, the first live next hop of a multipath one. */
function defaultRouteOutput(routes: readonly Route[], zero: IPAddress): number | undefined {
  const defaults = routes
    .filter((route) => route.table === MAIN_TABLE && route.type === RTN_UNICAST)
    .filter((route) => route.dst.length === 0 && route.dst.address === zero)
    .sort((a, b) => a.metric - b.metric)
  for (const route of defaults) {
    const index = route.oif !== 0 ? route.oif : route.nexthops.find((hop) => hop.oif !== 0)?.oif
    if (index !== undefined) return index
  }
  return undefined
}
