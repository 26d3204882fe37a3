// Numbers of the protocol by name, as IANA registers them under "Border Gateway Protocol (BGP) Parameters".
import type { Family } from '../../ip/index.ts'

/** Message types: RFC 4271 §4.1, ROUTE-REFRESH RFC 2918. */
export const MESSAGE_TYPE = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const

/** Marker, length and type. */
export const HEADER_BYTES = 19
/** The largest message without RFC 8654, and always of OPEN and KEEPALIVE. */
export const MAX_MESSAGE_BYTES = 4096
/** The largest message once both sides sent the Extended Message capability (RFC 8654 §4). */
export const MAX_EXTENDED_MESSAGE_BYTES = 65535

/** The AS number that stands for a larger one where only two octets fit (RFC 6793). */
export const AS_TRANS = 23456
export const MAX_AS = 0xffffffff

/** An address family with its subsequent one in one number: AFI × 256 + SAFI. */
export type FamilyCode = number
export const familyCode = (afi: number, safi: number): FamilyCode => afi * 256 + safi
export const afiOf = (code: FamilyCode): number => code >>> 8
export const safiOf = (code: FamilyCode): number => code & 0xff

export const AFI_IPV4 = 1
export const AFI_IPV6 = 2
const SAFI_UNICAST = 1
export const IPV4_UNICAST: FamilyCode = familyCode(AFI_IPV4, SAFI_UNICAST)
export const IPV6_UNICAST: FamilyCode = familyCode(AFI_IPV6, SAFI_UNICAST)

export const unicast = (family: Family): FamilyCode => (family === 4 ? IPV4_UNICAST : IPV6_UNICAST)

/** The address family whose unicast routes the code names, null for any other (multicast, VPN, flow specifications, ...). */
export function unicastFamily(code: FamilyCode): Family | null {
  return code === IPV4_UNICAST ? 4 : code === IPV6_UNICAST ? 6 : null
}

/** "IPv4 unicast"; numbers for families this speaker does not carry. */
export function familyName(code: FamilyCode): string {
  const family = unicastFamily(code)
  return family === null ? `AFI ${afiOf(code)} SAFI ${safiOf(code)}` : `IPv${family} unicast`
}

export const CAPABILITY = {
  /** RFC 4760. */
  multiprotocol: 1,
  /** RFC 2918. */
  routeRefresh: 2,
  /** RFC 8950. */
  extendedNextHop: 5,
  /** RFC 8654. */
  extendedMessage: 6,
  /** RFC 4724. */
  gracefulRestart: 64,
  /** RFC 6793. */
  fourOctetAs: 65,
  /** RFC 7313. */
  enhancedRouteRefresh: 70,
  /** RFC 9494. */
  longLivedGracefulRestart: 71,
  /** draft-walton-bgp-hostname-capability. */
  hostname: 73,
} as const

export const ATTRIBUTE = {
  origin: 1,
  asPath: 2,
  nextHop: 3,
  med: 4,
  localPref: 5,
  atomicAggregate: 6,
  aggregator: 7,
  communities: 8,
  originatorId: 9,
  clusterList: 10,
  mpReach: 14,
  mpUnreach: 15,
  extendedCommunities: 16,
  as4Path: 17,
  as4Aggregator: 18,
  ipv6ExtendedCommunities: 25,
  largeCommunities: 32,
} as const

/** Attribute flags (RFC 4271 §4.3). */
export const FLAG = { optional: 0x80, transitive: 0x40, partial: 0x20, extendedLength: 0x10 } as const

/** Well-known communities: RFC 1997, and RFC 9494 for the two of long-lived graceful restart. */
export const COMMUNITY = {
  noExport: 0xffffff01,
  noAdvertise: 0xffffff02,
  noExportSubconfed: 0xffffff03,
  llgrStale: 0xffff0006,
  noLlgr: 0xffff0007,
} as const
