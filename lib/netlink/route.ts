// Routes <-> packed records (native/layout.h, RouteLayout).
import { familyBits, familyOf, type IPAddress, type Prefix } from '../ip/index.ts'
import { checkIndex, checkU32, checkU8, isGiven } from './check.ts'
import { AF_INET, AF_INET6, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN, RTN_UNICAST, RTPROT_BOOT } from './constants.ts'
import { RouteLayout as L } from './layout.ts'
import type { NextHop, Route } from './types.ts'
import { getAddress, has, putAddress, putWord, type WordView, type WordWriter } from './words.ts'

/** What a route request says; a Route of a dump is one. */
export interface RouteSpec {
  readonly dst: Prefix
  /** Default RT_TABLE_MAIN (254). */
  readonly table?: number
  /** RTN_*; default unicast. A delete without it matches any type. */
  readonly type?: number
  /** RTPROT_*; default boot (3). A delete without it matches any. */
  readonly protocol?: number
  /** RT_SCOPE_*; default universe (0). A delete without it matches any. */
  readonly scope?: number
  /** Output device index, 0 or absent for none (throw, blackhole, nexthopId, nexthops). */
  readonly oif?: number
  /** Of the other family than dst: sent as RTA_VIA. */
  readonly gateway?: IPAddress | null
  readonly prefSrc?: IPAddress | null
  /** 0 or absent lets the kernel choose (IPv6: 1024). */
  readonly metric?: number
  /** RTNH_F_*; only onlink (4) can be asked for. */
  readonly flags?: number
  /** A nexthop object instead of oif and gateway. */
  readonly nexthopId?: number
  /** Multipath instead of oif and gateway. */
  readonly nexthops?: readonly NextHop[]
}

/** What a field left out means: a new route gets defaults, a delete matches anything. */
export interface RouteDefaults {
  readonly type: number
  readonly protocol: number
  readonly scope: number
}

export const NEW_ROUTE: RouteDefaults = { type: RTN_UNICAST, protocol: RTPROT_BOOT, scope: RT_SCOPE_UNIVERSE }
/** RTN_UNSPEC, RTPROT_UNSPEC and RT_SCOPE_NOWHERE are the kernel's wildcards in RTM_DELROUTE. */
export const ANY_ROUTE: RouteDefaults = { type: 0, protocol: 0, scope: 255 }

function putGateway(out: WordWriter, record: number, family: number, gateway: IPAddress): void {
  putAddress(out, record, L.Gateway, familyOf(gateway) === family ? L.HasGateway : L.HasVia, gateway)
}

/**
 * Appends the route's record(s).
 *
 * @throws RangeError for a number out of range
 */
export function packRoute(out: WordWriter, route: RouteSpec, defaults: RouteDefaults): void {
  const { dst } = route
  const family = familyOf(dst.address)
  if (dst.length < 0 || dst.length > familyBits(family)) {
    throw new RangeError(`dst.length is ${dst.length}, expected at most ${familyBits(family)}`)
  }
  const nexthops = route.nexthops ?? []
  const at = out.reserve(L.Words * (1 + nexthops.length))
  const type = checkU8('type', route.type ?? defaults.type)
  const scope = family === 6 ? 0 : checkU8('scope', route.scope ?? defaults.scope)
  out.words[at + L.Header] = (family === 4 ? AF_INET : AF_INET6) | (dst.length << 8) | (type << 16) | (scope << 24)
  out.words[at + L.Protocol] = checkU8('protocol', route.protocol ?? defaults.protocol) | (nexthops.length << 16)
  out.words[at + L.Flags] = checkU32('flags', route.flags ?? 0)
  putAddress(out, at, L.Dst, L.HasDst, dst.address)
  putWord(out, at, L.Table, L.HasTable, checkU32('table', route.table ?? RT_TABLE_MAIN))
  if (route.metric) putWord(out, at, L.Metric, L.HasMetric, checkU32('metric', route.metric))
  if (isGiven(route.prefSrc)) putAddress(out, at, L.PrefSrc, L.HasPrefSrc, route.prefSrc)
  if (route.nexthopId) {
    // The kernel refuses a device or gateway beside a nexthop object, but shows both in dumps.
    putWord(out, at, L.NexthopId, L.HasNexthopId, checkU32('nexthopId', route.nexthopId))
    return
  }
  if (route.oif) putWord(out, at, L.Oif, L.HasOif, checkIndex('oif', route.oif))
  if (isGiven(route.gateway)) putGateway(out, at, family, route.gateway)
  nexthops.forEach((hop, i) => {
    const slot = at + L.Words * (i + 1)
    if (!Number.isInteger(hop.weight) || hop.weight < 1 || hop.weight > 256) {
      throw new RangeError(`nexthops[${i}].weight is ${hop.weight}, expected 1 to 256`)
    }
    out.words[slot + L.Metric] = hop.weight
    out.words[slot + L.Oif] = hop.oif === 0 ? 0 : checkIndex(`nexthops[${i}].oif`, hop.oif)
    if (hop.gateway !== null) putGateway(out, slot, family, hop.gateway)
  })
}

function gatewayOf(view: WordView, at: number): IPAddress | null {
  return getAddress(view, at, L.Gateway, has(view, at, L.HasVia) ? L.HasVia : L.HasGateway)
}

/** Records a route takes: one, and one for each next hop of a multipath route. */
export function routeSlots(words: Uint32Array, at: number): number {
  return 1 + ((words[at + L.Protocol] ?? 0) >>> 16)
}

const NO_NEXTHOPS: readonly NextHop[] = Object.freeze([])

/** The route of the record at word `at`. */
export function unpackRoute(view: WordView, at: number): Route {
  const { words } = view
  const header = words[at + L.Header] ?? 0
  const isIPv4 = (header & 0xff) === AF_INET
  const hops = routeSlots(words, at) - 1
  const address = getAddress(view, at, L.Dst, L.HasDst) ?? (isIPv4 ? 0 : 0n)
  return {
    table: words[at + L.Table] ?? 0,
    dst: { address, length: (header >>> 8) & 0xff },
    type: (header >>> 16) & 0xff,
    protocol: (words[at + L.Protocol] ?? 0) & 0xff,
    scope: header >>> 24,
    oif: words[at + L.Oif] ?? 0,
    gateway: gatewayOf(view, at),
    prefSrc: getAddress(view, at, L.PrefSrc, L.HasPrefSrc),
    metric: words[at + L.Metric] ?? 0,
    // The upper bits are RTM_F_*, about the message and not the next hop.
    flags: (words[at + L.Flags] ?? 0) & 0xff,
    nexthopId: words[at + L.NexthopId] ?? 0,
    nexthops:
      hops === 0 ? NO_NEXTHOPS : Array.from({ length: hops }, (_, i) => unpackNextHop(view, at + L.Words * (i + 1))),
  }
}

function unpackNextHop(view: WordView, at: number): NextHop {
  return { oif: view.words[at + L.Oif] ?? 0, gateway: gatewayOf(view, at), weight: view.words[at + L.Metric] ?? 1 }
}
