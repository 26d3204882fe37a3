// UPDATE messages as they are sent: one set of attributes, as many prefixes in each message as fit.
//
// Attributes are in the order of their codes, but MP_REACH_NLRI and MP_UNREACH_NLRI come first (RFC 7606 §5.1), so that a receiver
// finds the routes whatever is wrong with the rest. To a peer of two-octet AS numbers AS4_PATH goes along (RFC 6793 §4.2.2).
import type { Family, IPAddress, Prefix } from '../../ip/index.ts'
import { encodeAsPath, needsFourOctets } from './as-path.ts'
import type { PathAttributes } from './attributes.ts'
import { AFI_IPV4, AFI_IPV6, AS_TRANS, ATTRIBUTE, FLAG, IPV4_UNICAST, MESSAGE_TYPE, safiOf } from './constants.ts'
import { Writer } from './writer.ts'

export interface EncodeContext {
  readonly fourOctetAs: boolean
  /** Bytes of the largest message the peer takes: MAX_MESSAGE_BYTES or MAX_EXTENDED_MESSAGE_BYTES. */
  readonly maxBytes: number
}

export interface NextHop {
  readonly nextHop: IPAddress
  readonly linkLocal?: bigint
}

const WELL_KNOWN = FLAG.transitive
const NON_TRANSITIVE = FLAG.optional
const TRANSITIVE = FLAG.optional | FLAG.transitive

/** Writes one attribute; its length takes two octets only when it must. */
function put(writer: Writer, flags: number, code: number, body: () => void): void {
  const start = writer.at
  writer.u8(flags)
  writer.u8(code)
  const short = writer.length8()
  body()
  if (writer.at - short - 1 <= 255) {
    writer.close8(short)
    return
  }
  writer.rewind(start)
  writer.u8(flags | FLAG.extendedLength)
  writer.u8(code)
  const long = writer.length16()
  body()
  writer.close16(long)
}

type Piece = readonly [flags: number, code: number, body: (writer: Writer) => void]

function pieces(attributes: PathAttributes, nextHop: number | null, fourOctetAs: boolean): Piece[] {
  const { origin, asPath, med, localPref, aggregator, communities, originatorId, clusterList, largeCommunities } =
    attributes
  const all: Piece[] = []
  const add = (flags: number, code: number, body: (writer: Writer) => void): void => void all.push([flags, code, body])
  const addWord = (flags: number, code: number, value: number | undefined): void => {
    if (value !== undefined) add(flags, code, (writer) => writer.u32(value))
  }
  const addWords = (flags: number, code: number, values: readonly number[] | undefined): void => {
    if (values !== undefined && values.length > 0)
      add(flags, code, (writer) => values.forEach((each) => writer.u32(each)))
  }
  if (origin !== undefined) add(WELL_KNOWN, ATTRIBUTE.origin, (writer) => writer.u8(origin))
  if (asPath !== undefined) {
    add(WELL_KNOWN, ATTRIBUTE.asPath, (writer) => encodeAsPath(writer, asPath, fourOctetAs))
    if (!fourOctetAs && needsFourOctets(asPath)) {
      add(TRANSITIVE, ATTRIBUTE.as4Path, (writer) => encodeAsPath(writer, asPath, true))
    }
  }
  if (nextHop !== null) addWord(WELL_KNOWN, ATTRIBUTE.nextHop, nextHop)
  addWord(NON_TRANSITIVE, ATTRIBUTE.med, med)
  addWord(WELL_KNOWN, ATTRIBUTE.localPref, localPref)
  if (attributes.atomicAggregate === true) add(WELL_KNOWN, ATTRIBUTE.atomicAggregate, () => undefined)
  if (aggregator !== undefined) {
    add(TRANSITIVE, ATTRIBUTE.aggregator, (writer) => {
      if (fourOctetAs) writer.u32(aggregator.as)
      else writer.u16(aggregator.as > 0xffff ? AS_TRANS : aggregator.as)
      writer.u32(aggregator.address)
    })
    if (!fourOctetAs && aggregator.as > 0xffff) {
      add(TRANSITIVE, ATTRIBUTE.as4Aggregator, (writer) => {
        writer.u32(aggregator.as)
        writer.u32(aggregator.address)
      })
    }
  }
  addWords(TRANSITIVE, ATTRIBUTE.communities, communities)
  addWord(NON_TRANSITIVE, ATTRIBUTE.originatorId, originatorId)
  addWords(NON_TRANSITIVE, ATTRIBUTE.clusterList, clusterList)
  addWords(TRANSITIVE, ATTRIBUTE.largeCommunities, largeCommunities?.flat())
  for (const { code, flags, value } of attributes.others ?? []) add(flags, code, (writer) => writer.bytes(value))
  return all.sort(([, a], [, b]) => a - b)
}

/** All attributes but those with routes, as they stand in a message. */
function encodeAttributes(attributes: PathAttributes, nextHop: number | null, context: EncodeContext): Buffer {
  const writer = new Writer(context.maxBytes)
  const start = writer.at
  for (const [flags, code, body] of pieces(attributes, nextHop, context.fourOctetAs)) {
    put(writer, flags, code, () => body(writer))
  }
  return writer.copyFrom(start)
}

/** MP_REACH_NLRI or MP_UNREACH_NLRI up to its routes; the result goes to close16(). */
function beginRoutes(writer: Writer, code: number, family: Family): number {
  writer.u8(FLAG.optional | FLAG.extendedLength)
  writer.u8(code)
  const mark = writer.length16()
  writer.u16(family === 4 ? AFI_IPV4 : AFI_IPV6)
  writer.u8(safiOf(IPV4_UNICAST))
  return mark
}

/** Writes prefixes from `from` on until they are all in or there is no room but `reserve`; returns where it stopped. */
function fill(writer: Writer, prefixes: readonly Prefix[], from: number, reserve: number): number {
  let next = from
  for (; next < prefixes.length; next++) {
    const prefix = prefixes[next]
    const mark = writer.at
    if (prefix === undefined || !writer.prefix(prefix)) break
    if (writer.room < reserve) {
      writer.rewind(mark)
      break
    }
  }
  if (next === from) throw new RangeError(`attributes of ${reserve} bytes leave no room for a route in a message`)
  return next
}

/**
 * Messages that announce all prefixes, which are of `family`.
 *
 * IPv4 routes with an IPv4 next hop go the way of 1995, all others by MP_REACH_NLRI.
 *
 * @throws RangeError when the attributes leave no room for a route (RFC 8654 §5: such routes are not for this peer)
 */
export function encodeAnnouncements(
  family: Family,
  hop: NextHop,
  attributes: PathAttributes,
  prefixes: readonly Prefix[],
  context: EncodeContext,
): Buffer[] {
  const { nextHop } = hop
  const classic = family === 4 && typeof nextHop === 'number'
  const rest = encodeAttributes(attributes, classic ? nextHop : null, context)
  const messages: Buffer[] = []
  for (let next = 0; next < prefixes.length;) {
    const writer = new Writer(context.maxBytes)
    writer.u16(0)
    const all = writer.length16()
    if (classic) {
      writer.bytes(rest)
      writer.close16(all)
      next = fill(writer, prefixes, next, 0)
    } else {
      const mark = beginRoutes(writer, ATTRIBUTE.mpReach, family)
      const size = writer.length8()
      writer.address(nextHop)
      if (hop.linkLocal !== undefined) writer.address(hop.linkLocal)
      writer.close8(size)
      writer.u8(0)
      next = fill(writer, prefixes, next, rest.length)
      writer.close16(mark)
      writer.bytes(rest)
      writer.close16(all)
    }
    messages.push(writer.message(MESSAGE_TYPE.update))
  }
  return messages
}

/** Messages that withdraw all prefixes, which are of `family`. */
export function encodeWithdrawals(family: Family, prefixes: readonly Prefix[], maxBytes: number): Buffer[] {
  const messages: Buffer[] = []
  for (let next = 0; next < prefixes.length;) {
    const writer = new Writer(maxBytes)
    if (family === 4) {
      const mark = writer.length16()
      next = fill(writer, prefixes, next, 2)
      writer.close16(mark)
      writer.u16(0)
    } else {
      writer.u16(0)
      const all = writer.length16()
      const mark = beginRoutes(writer, ATTRIBUTE.mpUnreach, family)
      next = fill(writer, prefixes, next, 0)
      writer.close16(mark)
      writer.close16(all)
    }
    messages.push(writer.message(MESSAGE_TYPE.update))
  }
  return messages
}

/** The mark that all routes of the family were sent (RFC 4724 §2). */
export function encodeEndOfRib(family: Family): Buffer {
  const writer = new Writer(64)
  writer.u16(0)
  const all = writer.length16()
  if (family === 6) writer.close16(beginRoutes(writer, ATTRIBUTE.mpUnreach, family))
  writer.close16(all)
  return writer.message(MESSAGE_TYPE.update)
}
