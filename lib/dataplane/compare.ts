// One wanted record against the kernel: how does what is there differ? And the way back: the record of what is there.
// Pure; the only place that knows which attributes of an object matter.
import { familyOf, formatAddress, type IPAddress } from '../ip/index.ts'
import type { Addr, Link, Neigh, Route } from '../netlink/types.ts'
import { FAN_OUT_MAC, IFA_F_NOPREFIXROUTE, IFF_UP, NUD_PERMANENT, RTN_THROW } from './constants.ts'
import type { KernelState } from './mirror/state.ts'
import {
  keyOf,
  type AddressRecord,
  type DataplaneRecord,
  type FdbRecord,
  type LinkRecord,
  type RouteRecord,
  type VxlanLinkRecord,
} from './state.ts'

/** Rules and set elements are compared as a whole, elsewhere (rules.ts, netfilter.ts). */
export type SingleRecord = Exclude<DataplaneRecord, { kind: 'rule' | 'element' }>

/** null: as wanted. Otherwise what is wrong, for the operation's reason. */
export interface Difference {
  readonly missing: boolean
  readonly why: string
}

const MISSING: Difference = { missing: true, why: 'missing' }
const differs = (why: string): Difference => ({ missing: false, why })

/** How the kernel's object differs from the record. Devices the record needs must exist, except for link records. */
export function compare(record: SingleRecord, state: KernelState): Difference | null {
  switch (record.kind) {
    case 'sysctl': {
      const value = state.sysctls.get(record.path)
      if (value === record.value || (value === null && record.optional)) return null
      return value === undefined ? MISSING : differs(`is ${value ?? 'not there'}`)
    }
    case 'link':
      return compareLink(record, state)
    case 'address':
      return compareAddress(record, state)
    case 'route':
      return compareRoute(record, state)
    case 'proxy': {
      const link = state.link(record.link)
      return link !== undefined && state.hasProxy(link.index, record.address) ? null : MISSING
    }
    case 'fdb':
      return compareFdb(record, state)
  }
}

function compareLink(record: LinkRecord, state: KernelState): Difference | null {
  const link = state.link(record.name)
  if (link === undefined) return MISSING
  if (record.type === 'vxlan') {
    const why = vxlanMismatch(record, link, state)
    if (why !== null) return differs(why)
  }
  return isUp(link) ? null : differs(DOWN)
}

/** The reason of a link that only has to be set up. */
export const DOWN = 'is down'

export function isUp(link: Link): boolean {
  return (link.flags & IFF_UP) !== 0
}

/** Attributes that cannot be changed in place (§3.1; learning is not compared). */
function vxlanMismatch(record: VxlanLinkRecord, link: Link, state: KernelState): string | null {
  const { vxlan } = link
  if (link.kind !== 'vxlan' || vxlan === null) return `is of kind ${link.kind ?? 'physical'}`
  if (vxlan.vni !== record.vni) return `has VNI ${vxlan.vni}`
  if (vxlan.port !== record.port) return `has port ${vxlan.port}`
  const parent = state.link(record.parent)
  if (parent !== undefined && vxlan.parent !== parent.index) return 'is on another parent'
  if (vxlan.group !== null) return `has remote ${formatAddress(vxlan.group)}`
  if (record.identity === null) return null
  if (vxlan.local !== record.identity.local)
    return `has local ${vxlan.local === null ? 'none' : formatAddress(vxlan.local)}`
  return link.mac === record.identity.mac ? null : 'has another MAC'
}

function compareAddress(record: AddressRecord, state: KernelState): Difference | null {
  const link = state.link(record.link)
  const addr = link === undefined ? undefined : state.address(link.index, record.address)
  if (addr === undefined) return MISSING
  if (addr.prefixLength !== record.prefixLength) return differs(`has length ${addr.prefixLength}`)
  return (addr.flags & IFA_F_NOPREFIXROUTE) === 0 ? differs('has a prefix route') : null
}

function compareRoute(record: RouteRecord, state: KernelState): Difference | null {
  const route = state.route(keyOf(record))
  if (route === undefined) return MISSING
  if (route.type !== record.type) return differs(`has type ${route.type}`)
  if (record.type === RTN_THROW) return null
  const hops = record.nexthops.map((hop) => ({ ...hop, oif: state.link(hop.link)?.index ?? 0 }))
  if (hops.length !== route.nexthops.length) return differs(`has ${route.nexthops.length} next hops`)
  const wrong = hops.find((hop, i) => {
    const other = route.nexthops[i]
    return other?.oif !== hop.oif || other.gateway !== hop.gateway || other.weight !== hop.weight
  })
  if (wrong !== undefined) return differs('has other next hops')
  if (hops.length === 0 && route.oif !== (record.link === null ? 0 : state.link(record.link)?.index)) {
    return differs(`leaves through ${state.linkName(route.oif) ?? 'no device'}`)
  }
  if (route.gateway !== record.gateway) return differs(`has gateway ${text(route.gateway)}`)
  if (route.prefSrc !== record.prefSrc) return differs(`has source ${text(route.prefSrc)}`)
  return record.family === 4 && route.scope !== record.scope ? differs(`has scope ${route.scope}`) : null
}

function compareFdb(record: FdbRecord, state: KernelState): Difference | null {
  const link = state.link(record.link)
  const entry = link === undefined ? undefined : state.fdbEntry(link.index, record.mac, record.dst)
  if (entry === undefined) return MISSING
  if (entry.dst !== record.dst) return differs(`leads to ${text(entry.dst)}`)
  return (entry.state & NUD_PERMANENT) === 0 ? differs('is not permanent') : null
}

function text(address: IPAddress | null): string {
  return address === null ? 'none' : formatAddress(address)
}

/** The record of a kernel route; null when a device of it is unknown. */
export function recordOfRoute(route: Route, state: KernelState): RouteRecord {
  const family = familyOf(route.dst.address)
  const name = (index: number): string => state.linkName(index) ?? `#${index}`
  const single = route.type !== RTN_THROW && route.nexthops.length === 0 && route.oif !== 0
  return {
    kind: 'route',
    family,
    table: route.table,
    dst: route.dst,
    metric: route.metric,
    type: route.type,
    link: single ? name(route.oif) : null,
    gateway: route.gateway,
    prefSrc: route.prefSrc,
    scope: family === 4 ? route.scope : 0,
    flags: route.flags & 4,
    nexthops: route.nexthops.map((hop) => ({ link: name(hop.oif), gateway: hop.gateway, weight: hop.weight })),
  }
}

export function recordOfAddress(addr: Addr, link: string): AddressRecord {
  return { kind: 'address', link, address: addr.address, prefixLength: addr.prefixLength }
}

/** null for entries without MAC or destination, which are none of ours. */
export function recordOfFdb(entry: Neigh, link: string): FdbRecord | null {
  if (entry.mac === null || entry.dst === null) return null
  return { kind: 'fdb', link, mac: entry.mac, dst: entry.dst, fanOut: entry.mac === FAN_OUT_MAC }
}

/** The record of a VXLAN device. */
export function recordOfVxlan(link: Link, state: KernelState): VxlanLinkRecord | null {
  if (link.vxlan === null) return null
  const { vni, port, local, parent } = link.vxlan
  return {
    kind: 'link',
    type: 'vxlan',
    name: link.name,
    parent: state.linkName(parent) ?? '',
    vni,
    port,
    identity: local === null || link.mac === null ? null : { local, mac: link.mac },
  }
}

/** What the kernel holds under the record's key, as a record; null when nothing. */
export function actualRecord(record: SingleRecord, state: KernelState): SingleRecord | null {
  switch (record.kind) {
    case 'sysctl': {
      const value = state.sysctls.get(record.path)
      return value === undefined || value === null ? null : { ...record, value }
    }
    case 'link': {
      const link = state.link(record.name)
      if (link === undefined) return null
      return record.type === 'vxlan' ? recordOfVxlan(link, state) : record
    }
    case 'address': {
      const link = state.link(record.link)
      const addr = link === undefined ? undefined : state.address(link.index, record.address)
      return addr === undefined ? null : recordOfAddress(addr, record.link)
    }
    case 'route': {
      const route = state.route(keyOf(record))
      return route === undefined ? null : recordOfRoute(route, state)
    }
    case 'proxy': {
      const link = state.link(record.link)
      return link !== undefined && state.hasProxy(link.index, record.address) ? record : null
    }
    case 'fdb': {
      const link = state.link(record.link)
      const entry = link === undefined ? undefined : state.fdbEntry(link.index, record.mac, record.dst)
      return entry === undefined ? null : recordOfFdb(entry, record.link)
    }
  }
}
