// For each path attribute: what its value must look like, and what is done when it does not (RFC 7606 §7, RFC 8092 §6,
// RFC 6793 §6).
//
// The handling is one of three, from mild to severe: the attribute is dropped; the routes of the message count as withdrawn; the
// session ends. What must end the session (lengths that leave the place of the routes unknown) is thrown by update.ts.
import { decodeAsPath, type AsPath } from './as-path.ts'
import type { Aggregator, LargeCommunity, PathAttributes } from './attributes.ts'
import { ATTRIBUTE, FLAG } from './constants.ts'

/** What has an influence on how attributes are read. */
export interface AttributeContext {
  /** AS numbers have four octets: both sides have the capability (RFC 6793). */
  readonly fourOctetAs: boolean
  /** The peer is of another AS. */
  readonly external: boolean
}

/** While a message is read: what the attributes say, with those that are resolved at its end. */
export interface Draft {
  readonly attributes: { -readonly [K in keyof PathAttributes]: PathAttributes[K] }
  nextHop?: number
  as4Path?: AsPath
  as4Aggregator?: Aggregator
}

export type Handling = 'discard' | 'withdraw'

export interface AttributeRule {
  readonly code: number
  readonly name: string
  /** The value of its Optional and Transitive flags. */
  readonly flags: number
  /** What a malformed one leads to. */
  readonly handling: Handling
  /** Not to be heard from an external peer: dropped unseen (RFC 7606 §7.5, §7.9, §7.10). */
  readonly internalOnly?: true
  /** Takes the value, at `bytes`; returns what is wrong with it, null when nothing. */
  readonly read: (bytes: Buffer, into: Draft, context: AttributeContext) => string | null
}

/** Unusable as the address of a router: 0/8, 127/8 and from 224.0.0.0 on (RFC 4271 §6.3 "syntactically correct"). */
export function isHostIPv4(address: number): boolean {
  const first = address >>> 24
  return first !== 0 && first !== 127 && first < 224
}

const WELL_KNOWN = FLAG.transitive
const NON_TRANSITIVE = FLAG.optional
const TRANSITIVE = FLAG.optional | FLAG.transitive

function sized(bytes: Buffer, size: number): string | null {
  return bytes.length === size ? null : `${bytes.length} bytes, expected ${size}`
}

function multiple(bytes: Buffer, size: number): string | null {
  return bytes.length > 0 && bytes.length % size === 0
    ? null
    : `${bytes.length} bytes, expected a multiple of ${size} above 0`
}

function words(bytes: Buffer): number[] {
  const all: number[] = []
  for (let at = 0; at < bytes.length; at += 4) all.push(bytes.readUInt32BE(at))
  return all
}

/** A rule for an attribute of one number of 32 bits. */
function word(
  code: number,
  name: string,
  flags: number,
  set: (into: Draft, value: number) => void,
  internalOnly = false,
): AttributeRule {
  return {
    code,
    name,
    flags,
    handling: 'withdraw',
    ...(internalOnly ? { internalOnly } : {}),
    read(bytes, into) {
      const wrong = sized(bytes, 4)
      if (wrong === null) set(into, bytes.readUInt32BE(0))
      return wrong
    },
  }
}

/** A rule for one that is kept as it is, after its length was checked. */
function opaque(code: number, name: string, size: number): AttributeRule {
  return {
    code,
    name,
    flags: TRANSITIVE,
    handling: 'withdraw',
    read(bytes, into) {
      const wrong = multiple(bytes, size)
      if (wrong === null)
        into.attributes.others = [
          ...(into.attributes.others ?? []),
          { code, flags: TRANSITIVE, value: Uint8Array.from(bytes) },
        ]
      return wrong
    },
  }
}

function readAggregator(bytes: Buffer, fourOctet: boolean): Aggregator {
  return fourOctet
    ? { as: bytes.readUInt32BE(0), address: bytes.readUInt32BE(4) }
    : { as: bytes.readUInt16BE(0), address: bytes.readUInt32BE(2) }
}

const asPathRule: AttributeRule = {
  code: ATTRIBUTE.asPath,
  name: 'AS_PATH',
  flags: FLAG.transitive,
  handling: 'withdraw',
  read(bytes, into, { fourOctetAs }) {
    const path = decodeAsPath(bytes, fourOctetAs)
    if (path === null) return 'a segment of unknown type, empty, too long or with AS 0'
    into.attributes.asPath = path
    return null
  },
}

/** Between two speakers of four octets it has no meaning and is dropped by update.ts (RFC 6793 §4.1). */
const as4PathRule: AttributeRule = {
  code: ATTRIBUTE.as4Path,
  name: 'AS4_PATH',
  flags: FLAG.optional | FLAG.transitive,
  handling: 'discard',
  read(bytes, into) {
    const path = decodeAsPath(bytes, true)
    if (path === null) return 'a segment of unknown type, empty, too long or with AS 0'
    into.as4Path = path
    return null
  },
}

const table: readonly AttributeRule[] = [
  {
    code: ATTRIBUTE.origin,
    name: 'ORIGIN',
    flags: WELL_KNOWN,
    handling: 'withdraw',
    read(bytes, into) {
      const value = bytes[0]
      if (bytes.length !== 1) return sized(bytes, 1)
      if (value !== 0 && value !== 1 && value !== 2) return `value ${value}, expected 0 to 2`
      into.attributes.origin = value
      return null
    },
  },
  asPathRule,
  {
    code: ATTRIBUTE.nextHop,
    name: 'NEXT_HOP',
    flags: WELL_KNOWN,
    handling: 'withdraw',
    read(bytes, into) {
      if (bytes.length !== 4) return sized(bytes, 4)
      const address = bytes.readUInt32BE(0)
      if (!isHostIPv4(address)) return 'not the address of a host'
      into.nextHop = address
      return null
    },
  },
  word(ATTRIBUTE.med, 'MULTI_EXIT_DISC', NON_TRANSITIVE, (into, value) => (into.attributes.med = value)),
  word(ATTRIBUTE.localPref, 'LOCAL_PREF', WELL_KNOWN, (into, value) => (into.attributes.localPref = value), true),
  {
    code: ATTRIBUTE.atomicAggregate,
    name: 'ATOMIC_AGGREGATE',
    flags: WELL_KNOWN,
    handling: 'discard',
    read(bytes, into) {
      const wrong = sized(bytes, 0)
      if (wrong === null) into.attributes.atomicAggregate = true
      return wrong
    },
  },
  {
    code: ATTRIBUTE.aggregator,
    name: 'AGGREGATOR',
    flags: TRANSITIVE,
    handling: 'discard',
    read(bytes, into, { fourOctetAs }) {
      const wrong = sized(bytes, fourOctetAs ? 8 : 6)
      if (wrong !== null) return wrong
      const aggregator = readAggregator(bytes, fourOctetAs)
      // RFC 7607 §2: AS 0 makes it malformed.
      if (aggregator.as === 0) return 'AS 0'
      into.attributes.aggregator = aggregator
      return null
    },
  },
  {
    code: ATTRIBUTE.communities,
    name: 'COMMUNITIES',
    flags: TRANSITIVE,
    handling: 'withdraw',
    read(bytes, into) {
      const wrong = multiple(bytes, 4)
      if (wrong === null) into.attributes.communities = words(bytes)
      return wrong
    },
  },
  word(
    ATTRIBUTE.originatorId,
    'ORIGINATOR_ID',
    NON_TRANSITIVE,
    (into, value) => (into.attributes.originatorId = value),
    true,
  ),
  {
    code: ATTRIBUTE.clusterList,
    name: 'CLUSTER_LIST',
    flags: NON_TRANSITIVE,
    handling: 'withdraw',
    internalOnly: true,
    read(bytes, into) {
      const wrong = multiple(bytes, 4)
      if (wrong === null) into.attributes.clusterList = words(bytes)
      return wrong
    },
  },
  opaque(ATTRIBUTE.extendedCommunities, 'EXTENDED_COMMUNITIES', 8),
  as4PathRule,
  {
    code: ATTRIBUTE.as4Aggregator,
    name: 'AS4_AGGREGATOR',
    flags: TRANSITIVE,
    handling: 'discard',
    read(bytes, into) {
      const wrong = sized(bytes, 8)
      if (wrong !== null) return wrong
      const aggregator = readAggregator(bytes, true)
      if (aggregator.as === 0) return 'AS 0'
      into.as4Aggregator = aggregator
      return null
    },
  },
  opaque(ATTRIBUTE.ipv6ExtendedCommunities, 'IPv6 EXTENDED_COMMUNITIES', 20),
  {
    code: ATTRIBUTE.largeCommunities,
    name: 'LARGE_COMMUNITY',
    flags: TRANSITIVE,
    handling: 'withdraw',
    read(bytes, into) {
      const wrong = multiple(bytes, 12)
      if (wrong !== null) return wrong
      const all: LargeCommunity[] = []
      for (let at = 0; at < bytes.length; at += 12) {
        all.push([bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4), bytes.readUInt32BE(at + 8)])
      }
      into.attributes.largeCommunities = all
      return null
    },
  },
]

/** By attribute code; undefined for an unknown one, and for MP_REACH_NLRI and MP_UNREACH_NLRI, which carry routes. */
export const attributeRules: readonly (AttributeRule | undefined)[] = Array.from({ length: 256 }, (_, code) =>
  table.find((rule) => rule.code === code),
)
