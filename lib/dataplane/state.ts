// Desired state as data: one record per kernel object, identified the way the kernel identifies it.
//
// A record names devices, never indexes: an index is known only once the device exists and changes when it is
// recreated. Two records with the same key describe the same kernel object; the other fields say how it should look.
// Keys are readable because they are also what status, diff and logs show. No I/O and no policy here.
import { formatAddress, formatMac, formatPrefix, type Family, type IPAddress, type Prefix } from '../ip/index.ts'
import { RTN_THROW } from './constants.ts'

/** `/proc/sys/<path>` should read `value`. */
export interface SysctlRecord {
  readonly kind: 'sysctl'
  /** Below /proc/sys, slashes only: "net/ipv4/ip_forward". */
  readonly path: string
  readonly value: string
  /** The device the file belongs to: the record waits while it is missing. */
  readonly link: string | null
  /** A kernel without this file is fine. */
  readonly optional: boolean
  /** Lower ranks are written first. */
  readonly rank: number
}

/** `ip link add NAME address MAC type vxlan id VNI dev PARENT local LOCAL dstport PORT`, up. */
export interface VxlanLinkRecord {
  readonly kind: 'link'
  readonly type: 'vxlan'
  readonly name: string
  readonly parent: string
  readonly vni: number
  readonly port: number
  /** Outer source and MAC; null while the node's own are unknown: an existing device is kept, none is made. */
  readonly identity: { readonly local: IPAddress; readonly mac: number } | null
}

/** `ip link add NAME link PARENT type vlan id ID`, up. An existing device of that name is used as it is. */
export interface VlanLinkRecord {
  readonly kind: 'link'
  readonly type: 'vlan'
  readonly name: string
  readonly parent: string
  readonly vlanId: number
}

export type LinkRecord = VxlanLinkRecord | VlanLinkRecord

/** `ip address add ADDRESS/LENGTH dev LINK noprefixroute`. */
export interface AddressRecord {
  readonly kind: 'address'
  readonly link: string
  readonly address: IPAddress
  readonly prefixLength: number
}

/** `ip route replace [throw] DST [via GATEWAY] [dev LINK] table TABLE [src SRC] scope SCOPE`. */
export interface RouteRecord {
  readonly kind: 'route'
  readonly family: Family
  readonly table: number
  readonly dst: Prefix
  /** 0 for IPv4, 1024 for IPv6 unless copied from another route. */
  readonly metric: number
  /** RTN_UNICAST or RTN_THROW. */
  readonly type: number
  /** null for throw routes. */
  readonly link: string | null
  readonly gateway: IPAddress | null
  readonly prefSrc: IPAddress | null
  /** RT_SCOPE_*; IPv6 always 0. */
  readonly scope: number
  /** RTNH_F_* wanted (onlink of a copied default). */
  readonly flags: number
  /** Next hops of a copied multipath route; empty otherwise. */
  readonly nexthops: readonly { readonly link: string; readonly gateway: IPAddress | null; readonly weight: number }[]
}

/**
 * `ip rule add [from SRC] [fwmark MARK/MASK] lookup TABLE`. The priority is no part of the record: rules are kept in the
 * order of `order` above the local rule, at whatever free priorities (see rules.ts).
 */
export interface RuleRecord {
  readonly kind: 'rule'
  readonly family: Family
  readonly src: Prefix | null
  readonly mark: number
  readonly mask: number
  readonly table: number
  /** 0, 1, 2 for the three base rules; FROM_SUBNET for all subnets. */
  readonly order: number
  /** The device the table's routes leave through; the rule is not added before it exists. null for base rules. */
  readonly link: string | null
}

/** The `order` of from-subnet rules. */
export const FROM_SUBNET = 3

/** `ip neigh add proxy ADDRESS dev LINK`. */
export interface ProxyRecord {
  readonly kind: 'proxy'
  readonly link: string
  readonly address: IPAddress
}

/** `bridge fdb replace MAC dev LINK dst DST self permanent`, or `append` for the fan-out MAC. */
export interface FdbRecord {
  readonly kind: 'fdb'
  readonly link: string
  readonly mac: number
  readonly dst: IPAddress
  /** One of many remotes of a group MAC: part of the key then. */
  readonly fanOut: boolean
}

/** One element of a set of the nftables table; text as nft writes it. Ranges are "first-last". */
export interface ElementRecord {
  readonly kind: 'element'
  readonly set: string
  readonly value: string
}

export type DataplaneRecord =
  SysctlRecord | LinkRecord | AddressRecord | RouteRecord | RuleRecord | ProxyRecord | FdbRecord | ElementRecord

export type RecordKind = DataplaneRecord['kind']

/** Unique over all kinds; equal for two records of the same kernel object. */
export function keyOf(record: DataplaneRecord): string {
  switch (record.kind) {
    case 'sysctl':
      return `sysctl ${record.path}`
    case 'link':
      return `link ${record.name}`
    case 'address':
      return `address ${formatAddress(record.address)} dev ${record.link}`
    case 'route':
      return routeKey(record.family, record.table, record.dst, record.metric)
    case 'rule':
      return ruleKey(record)
    case 'proxy':
      return `proxy ${formatAddress(record.address)} dev ${record.link}`
    case 'fdb':
      return record.fanOut
        ? `fdb ${formatMac(record.mac)} dst ${formatAddress(record.dst)} dev ${record.link}`
        : `fdb ${formatMac(record.mac)} dev ${record.link}`
    case 'element':
      return `element ${record.set} ${record.value}`
  }
}

/** "route 10.0.0.0/24 table 40000 [metric N]". The default metrics are not shown. */
export function routeKey(family: Family, table: number, dst: Prefix, metric: number): string {
  const shown = metric === (family === 4 ? 0 : 1024) ? '' : ` metric ${metric}`
  return `route ${formatPrefix(dst)} table ${table}${shown}`
}

/** "rule4 from 10.0.0.0/24 fwmark 0x0/0x4040 lookup 10000". */
export function ruleKey(rule: Pick<RuleRecord, 'family' | 'src' | 'mark' | 'mask' | 'table'>): string {
  const from = rule.src === null ? 'all' : formatPrefix(rule.src)
  const mark =
    rule.mask === 0 && rule.mark === 0 ? '' : ` fwmark 0x${rule.mark.toString(16)}/0x${rule.mask.toString(16)}`
  return `rule${rule.family} from ${from}${mark} lookup ${rule.table}`
}

/** The devices that must exist before the record can be programmed. */
export function linksOf(record: DataplaneRecord): readonly string[] {
  switch (record.kind) {
    case 'link':
      return [record.parent]
    case 'element':
      return []
    case 'route':
      return record.link === null ? record.nexthops.map((hop) => hop.link) : [record.link]
    case 'rule':
    case 'sysctl':
    case 'address':
    case 'proxy':
    case 'fdb':
      return record.link === null ? [] : [record.link]
  }
}

/** One line for people: the `ip`, `bridge` or `nft` words of the object. */
export function describeRecord(record: DataplaneRecord): string {
  switch (record.kind) {
    case 'sysctl':
      return `${record.path} = ${record.value}`
    case 'link':
      return record.type === 'vxlan'
        ? `link ${record.name} type vxlan id ${record.vni} dev ${record.parent} dstport ${record.port}` +
            (record.identity
              ? ` local ${formatAddress(record.identity.local)} address ${formatMac(record.identity.mac)}`
              : '')
        : `link ${record.name} type vlan id ${record.vlanId} dev ${record.parent}`
    case 'address':
      return `address ${formatAddress(record.address)}/${record.prefixLength} dev ${record.link} noprefixroute`
    case 'route':
      return describeRoute(record)
    case 'fdb':
      return `fdb ${formatMac(record.mac)} dst ${formatAddress(record.dst)} dev ${record.link}`
    case 'rule':
    case 'proxy':
    case 'element':
      return keyOf(record)
  }
}

function describeRoute(route: RouteRecord): string {
  const parts = [route.type === RTN_THROW ? 'throw' : 'route', formatPrefix(route.dst)]
  if (route.gateway !== null) parts.push('via', formatAddress(route.gateway))
  if (route.link !== null) parts.push('dev', route.link)
  for (const hop of route.nexthops) {
    parts.push('nexthop', ...(hop.gateway === null ? [] : ['via', formatAddress(hop.gateway)]), 'dev', hop.link)
  }
  parts.push('table', String(route.table))
  if (route.prefSrc !== null) parts.push('src', formatAddress(route.prefSrc))
  return parts.join(' ')
}

/** Whether two records of one key ask for the same thing. */
export function sameRecord(a: DataplaneRecord, b: DataplaneRecord): boolean {
  if (a === b) return true
  switch (a.kind) {
    case 'sysctl':
      return b.kind === 'sysctl' && a.path === b.path && a.value === b.value
    case 'link':
      return b.kind === 'link' && sameLink(a, b)
    case 'address':
      return b.kind === 'address' && a.link === b.link && a.address === b.address && a.prefixLength === b.prefixLength
    case 'route':
      return b.kind === 'route' && keyOf(a) === keyOf(b) && describeRoute(a) === describeRoute(b) && sameHops(a, b)
    case 'rule':
      return b.kind === 'rule' && keyOf(a) === keyOf(b) && a.order === b.order && a.link === b.link
    case 'proxy':
      return b.kind === 'proxy' && a.link === b.link && a.address === b.address
    case 'fdb':
      return b.kind === 'fdb' && a.link === b.link && a.mac === b.mac && a.dst === b.dst && a.fanOut === b.fanOut
    case 'element':
      return b.kind === 'element' && a.set === b.set && a.value === b.value
  }
}

function sameHops(a: RouteRecord, b: RouteRecord): boolean {
  return (
    a.scope === b.scope &&
    a.flags === b.flags &&
    a.nexthops.length === b.nexthops.length &&
    a.nexthops.every((hop, i) => hop.weight === b.nexthops[i]?.weight)
  )
}

function sameLink(a: LinkRecord, b: LinkRecord): boolean {
  if (a.name !== b.name || a.parent !== b.parent) return false
  if (a.type === 'vlan') return b.type === 'vlan' && a.vlanId === b.vlanId
  return (
    b.type === 'vxlan' &&
    a.vni === b.vni &&
    a.port === b.port &&
    a.identity?.local === b.identity?.local &&
    a.identity?.mac === b.identity?.mac
  )
}
