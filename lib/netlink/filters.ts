// What a dump may be narrowed to: attributes for a kernel that filters, and conditions on the decoded records that hold
// either way (a kernel or table that refuses the filter sends everything).
import type { Family } from '../ip/index.ts'
import { AF_BRIDGE, AF_INET, AF_INET6, AF_UNSPEC, NTF_PROXY } from './constants.ts'
import { AddrLayout, NeighLayout, RouteLayout } from './layout.ts'

export interface RouteFilter {
  readonly family?: Family
  readonly table?: number
  /** Output device of a single-hop route. */
  readonly oif?: number
  /** RTPROT_*. */
  readonly protocol?: number
}

export interface AddressFilter {
  readonly family?: Family
  readonly index?: number
}

export interface NeighbourFilter {
  readonly family?: Family
  readonly index?: number
  /** Proxy entries instead of neighbours. */
  readonly proxy?: boolean
}

/** The arguments of a native dump. */
export interface DumpQuery {
  readonly body: Uint32Array
  readonly plain: Uint32Array
  readonly conditions: Uint32Array
}

const family = (value: Family | undefined): number =>
  value === undefined ? AF_UNSPEC : value === 4 ? AF_INET : AF_INET6
/** struct nlattr with a 32-bit payload, as two words. */
const u32 = (type: number, value: number): number[] => [8 | (type << 16), value]

const RTA_OIF = 4
const RTA_TABLE = 15
const NDA_IFINDEX = 8

export function routeQuery(filter: RouteFilter): DumpQuery {
  const { table, oif, protocol } = filter
  const wanted = family(filter.family)
  const attributes: number[] = []
  const conditions: number[] = []
  if (wanted !== AF_UNSPEC) conditions.push(RouteLayout.Header, 0xff, wanted)
  if (table !== undefined) {
    attributes.push(...u32(RTA_TABLE, table))
    conditions.push(RouteLayout.Table, 0xffff_ffff, table)
  }
  if (oif !== undefined) {
    attributes.push(...u32(RTA_OIF, oif))
    conditions.push(RouteLayout.Oif, 0xffff_ffff, oif)
  }
  if (protocol !== undefined) conditions.push(RouteLayout.Protocol, 0xff, protocol)
  // struct rtmsg: family, lengths, tos | table, protocol, scope, type | flags
  return {
    body: Uint32Array.of(wanted, (protocol ?? 0) << 8, 0, ...attributes),
    plain: Uint32Array.of(wanted, 0, 0),
    conditions: Uint32Array.from(conditions),
  }
}

export function addressQuery(filter: AddressFilter): DumpQuery {
  const { index } = filter
  const wanted = family(filter.family)
  const conditions: number[] = []
  if (wanted !== AF_UNSPEC) conditions.push(AddrLayout.Header, 0xff, wanted)
  if (index !== undefined) conditions.push(AddrLayout.Index, 0xffff_ffff, index)
  return {
    body: Uint32Array.of(wanted, index ?? 0),
    plain: Uint32Array.of(wanted, 0),
    conditions: Uint32Array.from(conditions),
  }
}

export function neighbourQuery(filter: NeighbourFilter): DumpQuery {
  const { index } = filter
  const wanted = family(filter.family)
  const flags = filter.proxy === true ? NTF_PROXY : 0
  const conditions = [NeighLayout.Header, NTF_PROXY << 8, flags << 8]
  if (wanted !== AF_UNSPEC) conditions.push(NeighLayout.Header, 0xff, wanted)
  if (index !== undefined) conditions.push(NeighLayout.Index, 0xffff_ffff, index)
  // struct ndmsg: family | index | state, flags, type. The device goes in an attribute; strict checks refuse the header's.
  const header = [wanted, 0, flags << 16]
  return {
    body: Uint32Array.of(...header, ...(index === undefined ? [] : u32(NDA_IFINDEX, index))),
    plain: Uint32Array.from(header),
    conditions: Uint32Array.from(conditions),
  }
}

export function fdbQuery(index: number): DumpQuery {
  return {
    body: Uint32Array.of(AF_BRIDGE, index, 0),
    plain: Uint32Array.of(AF_BRIDGE, 0, 0),
    conditions: Uint32Array.of(NeighLayout.Header, 0xff, AF_BRIDGE, NeighLayout.Index, 0xffff_ffff, index),
  }
}

export function ruleQuery(wanted: Family): DumpQuery {
  const header = Uint32Array.of(family(wanted), 0, 0)
  return { body: header, plain: header, conditions: new Uint32Array() }
}
