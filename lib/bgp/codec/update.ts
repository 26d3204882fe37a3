// UPDATE messages as they are received (RFC 4271 §4.3, RFC 4760), with the error handling of RFC 7606.
//
// The result is what the message means, not how it was laid out: routes withdrawn and announced per family, from the fields of 1995
// and from the multiprotocol attributes alike. Where RFC 7606 says "treat as withdraw", the announced routes have already become
// withdrawn ones; where it says "attribute discard", the attribute is gone; `problems` tells. A session has to end only on the
// errors thrown. A route both withdrawn and announced in one message is announced: withdrawals come first.
//
// Not here: whether a route is acceptable (loops, first AS, policy), which is the business of who knows the session.
import { familyOf, isMulticast, type Family, type IPAddress, type Prefix } from '../../ip/index.ts'
import { mergeAs4Path } from './as-path.ts'
import { attributeRules, isHostIPv4, type AttributeContext, type Draft } from './attribute-table.ts'
import type { PathAttributes } from './attributes.ts'
import {
  AS_TRANS,
  ATTRIBUTE,
  FLAG,
  IPV4_UNICAST,
  familyCode,
  familyName,
  unicastFamily,
  type FamilyCode,
} from './constants.ts'
import { ERROR_CODE, SessionError, UPDATE_ERROR } from './errors.ts'
import { decodePrefixes } from './prefixes.ts'

export interface Announcement {
  readonly family: Family
  /** Of another family than the routes where RFC 8950 was negotiated. */
  readonly nextHop: IPAddress
  /** The link-local address beside a global IPv6 next hop (RFC 2545 §3). */
  readonly linkLocal?: bigint
  readonly prefixes: readonly Prefix[]
}

export interface Withdrawal {
  readonly family: Family
  readonly prefixes: readonly Prefix[]
}

export interface UpdateProblem {
  readonly detail: string
  /** What was done: RFC 7606's "attribute discard" or "treat as withdraw"; "ignore" for routes of families not negotiated. */
  readonly handling: 'discard' | 'withdraw' | 'ignore'
}

export interface UpdateMessage {
  readonly type: 'update'
  readonly withdrawn: readonly Withdrawal[]
  readonly announced: readonly Announcement[]
  /** Of all announced routes. */
  readonly attributes: PathAttributes
  /** The family whose initial routes are complete (RFC 4724 §2). */
  readonly endOfRib: Family | null
  readonly problems: readonly UpdateProblem[]
}

export interface UpdateContext extends AttributeContext {
  /** Families that both sides offered; routes of others are ignored. */
  readonly families: ReadonlySet<FamilyCode>
  /** IPv4 routes may have IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean
}

/** Of a connection whose OPEN has not come: an UPDATE is out of place there, whatever it says. */
export const NO_SESSION: UpdateContext = {
  fourOctetAs: false,
  external: true,
  families: new Set(),
  extendedNextHop: false,
}

const updateError = (subcode: number, detail: string): SessionError =>
  new SessionError(ERROR_CODE.update, subcode, detail)

/** One message on its way from bytes to meaning. */
class Reader {
  readonly withdrawn: Withdrawal[] = []
  readonly announced: Announcement[] = []
  readonly problems: UpdateProblem[] = []
  readonly draft: Draft = { attributes: {} }
  /** Codes seen, MP_REACH_NLRI and MP_UNREACH_NLRI among them. */
  readonly seen = new Set<number>()
  readonly #context: UpdateContext
  /** An MP_UNREACH_NLRI without routes, of a family this speaker carries. */
  emptyUnreach: Family | null = null
  asWithdrawal = false
  /** Some attribute does not end where all of them do, so there may be others unseen. */
  cut = false

  constructor(context: UpdateContext) {
    this.#context = context
  }

  problem(detail: string, handling: UpdateProblem['handling']): void {
    this.problems.push({ detail, handling })
    if (handling === 'withdraw') this.asWithdrawal = true
  }

  #cutShort(detail: string): void {
    this.cut = true
    this.problem(detail, 'withdraw')
  }

  attributes(bytes: Buffer, start: number, end: number): void {
    let at = start
    while (at < end) {
      const flags = bytes[at] ?? 0
      const head = (flags & FLAG.extendedLength) !== 0 ? 4 : 3
      // RFC 7606 §4: the routes can still be found, by the length of all attributes.
      if (at + head > end) return this.#cutShort('the last attribute is cut short')
      const code = bytes[at + 1] ?? 0
      const length = head === 4 ? bytes.readUInt16BE(at + 2) : bytes.readUInt8(at + 2)
      if (at + head + length > end) return this.#cutShort(`attribute ${code} is longer than all attributes`)
      this.#attribute(
        code,
        flags,
        bytes.subarray(at + head, at + head + length),
        bytes.subarray(at, at + head + length),
      )
      at += head + length
    }
  }

  #attribute(code: number, flags: number, value: Buffer, whole: Buffer): void {
    const routes = code === ATTRIBUTE.mpReach || code === ATTRIBUTE.mpUnreach
    if (this.seen.has(code)) {
      // RFC 7606 §3 (g).
      if (routes) throw updateError(UPDATE_ERROR.malformedAttributeList, `attribute ${code} appears twice`)
      return this.problem(`attribute ${code} appears again`, 'discard')
    }
    this.seen.add(code)
    if (routes) {
      if (!hasKind(flags, FLAG.optional))
        this.#wrongFlags(code === ATTRIBUTE.mpReach ? 'MP_REACH_NLRI' : 'MP_UNREACH_NLRI', flags)
      if (code === ATTRIBUTE.mpReach) this.#mpReach(value)
      else this.#mpUnreach(value)
      return
    }
    const rule = attributeRules[code]
    if (rule === undefined) return this.#unknown(code, flags, value, whole)
    const { external, fourOctetAs } = this.#context
    if (rule.internalOnly === true && external) return this.problem(`${rule.name} from an external peer`, 'discard')
    if (fourOctetAs && (code === ATTRIBUTE.as4Path || code === ATTRIBUTE.as4Aggregator)) {
      return this.problem(`${rule.name} from a speaker of four-octet AS numbers`, 'discard')
    }
    if (!hasKind(flags, rule.flags)) return this.#wrongFlags(rule.name, flags)
    const wrong = rule.read(value, this.draft, this.#context)
    if (wrong !== null) this.problem(`${rule.name}: ${wrong}`, rule.handling)
  }

  /** RFC 7606 §3 (c). */
  #wrongFlags(name: string, flags: number): void {
    this.problem(`${name}: flags 0x${flags.toString(16)} say it is another kind of attribute`, 'withdraw')
  }

  #unknown(code: number, flags: number, value: Buffer, whole: Buffer): void {
    if ((flags & FLAG.optional) === 0) {
      const detail = `attribute ${code} is unknown, but its flags say that everybody knows it`
      throw new SessionError(ERROR_CODE.update, UPDATE_ERROR.unrecognizedWellKnown, detail, Uint8Array.from(whole))
    }
    if ((flags & FLAG.transitive) === 0) return
    // RFC 4271 §5: who passes on what it does not understand says so.
    const kept = FLAG.optional | FLAG.transitive | FLAG.partial
    const { attributes } = this.draft
    attributes.others = [...(attributes.others ?? []), { code, flags: kept, value: Uint8Array.from(value) }]
  }

  /** The family of the routes, null when it was not negotiated and they are to be ignored. */
  #family(name: string, value: Buffer): Family | null {
    const code = familyCode(value.readUInt16BE(0), value.readUInt8(2))
    const family = this.#context.families.has(code) ? unicastFamily(code) : null
    if (family === null) this.problem(`${name} of ${familyName(code)}, which was not negotiated`, 'ignore')
    return family
  }

  #mpUnreach(value: Buffer): void {
    if (value.length < 3) throw updateError(UPDATE_ERROR.optionalAttribute, `MP_UNREACH_NLRI has ${value.length} bytes`)
    const family = this.#family('MP_UNREACH_NLRI', value)
    if (family === null) return
    const prefixes = decodePrefixes(value, 3, value.length, family)
    if (prefixes.length === 0) this.emptyUnreach = family
    else this.withdrawn.push({ family, prefixes })
  }

  #mpReach(value: Buffer): void {
    const size = value[3] ?? 0
    if (value.length < 5 + size) {
      throw updateError(
        UPDATE_ERROR.optionalAttribute,
        `MP_REACH_NLRI has ${value.length} bytes and a next hop of ${size}`,
      )
    }
    const family = this.#family('MP_REACH_NLRI', value)
    if (family === null) return
    const v4 = family === 4 && size === 4
    const v6 = (family === 6 || this.#context.extendedNextHop) && (size === 16 || size === 32)
    if (!v4 && !v6) {
      throw updateError(UPDATE_ERROR.optionalAttribute, `a next hop of ${size} bytes for IPv${family} routes`)
    }
    // One reserved byte between next hop and routes.
    const prefixes = decodePrefixes(value, 5 + size, value.length, family)
    const hop = v4 ? { nextHop: value.readUInt32BE(4) } : ipv6NextHop(value, size)
    if (!isHost(hop.nextHop)) this.problem('MP_REACH_NLRI: the next hop is not the address of a host', 'withdraw')
    if (prefixes.length > 0) this.announced.push({ family, ...hop, prefixes })
  }
}

const KIND = FLAG.optional | FLAG.transitive
const hasKind = (flags: number, expected: number): boolean => (flags & KIND) === expected

/** Global and link-local (RFC 2545 §3); a peer with nothing but link-local addresses leaves the global one unspecified. */
function ipv6NextHop(value: Buffer, size: number): { nextHop: bigint; linkLocal?: bigint } {
  const at = (offset: number): bigint => (value.readBigUInt64BE(offset) << 64n) | value.readBigUInt64BE(offset + 8)
  const first = at(4)
  if (size === 16) return { nextHop: first }
  const second = at(20)
  return first === 0n ? { nextHop: second } : { nextHop: first, linkLocal: second }
}

function isHost(address: IPAddress): boolean {
  if (familyOf(address) === 4) return isHostIPv4(address as number)
  return address !== 0n && address !== 1n && !isMulticast(address)
}

/**
 * @param body without the header, at least 4 bytes (the framer saw to it)
 * @throws SessionError "UPDATE message error" for what RFC 7606 leaves as a reason to end the session
 */
export function decodeUpdate(body: Buffer, context: UpdateContext): UpdateMessage {
  const withdrawnEnd = 2 + body.readUInt16BE(0)
  if (withdrawnEnd + 2 > body.length) {
    throw updateError(UPDATE_ERROR.malformedAttributeList, 'the withdrawn routes are longer than the message')
  }
  const attributesStart = withdrawnEnd + 2
  const attributesEnd = attributesStart + body.readUInt16BE(withdrawnEnd)
  if (attributesEnd > body.length) {
    throw updateError(UPDATE_ERROR.malformedAttributeList, 'the attributes are longer than the message')
  }
  const reader = new Reader(context)
  const withdrawn = decodePrefixes(body, 2, withdrawnEnd, 4)
  reader.attributes(body, attributesStart, attributesEnd)
  const announced = decodePrefixes(body, attributesEnd, body.length, 4)
  const ipv4 = context.families.has(IPV4_UNICAST)
  if (!ipv4 && withdrawn.length + announced.length > 0) {
    reader.problem('routes of IPv4 unicast, which was not negotiated', 'ignore')
  }
  if (ipv4 && withdrawn.length > 0) reader.withdrawn.unshift({ family: 4, prefixes: withdrawn })
  const { draft, seen } = reader
  const reach = seen.has(ATTRIBUTE.mpReach)
  if (announced.length > 0 || reader.announced.length > 0) checkMandatory(reader, announced.length > 0)
  // RFC 7606 §5.2: with no routes in sight it is not sure that all were found.
  const onlyUnreach = !reader.cut && seen.size === 1 && seen.has(ATTRIBUTE.mpUnreach)
  if (reader.asWithdrawal && announced.length === 0 && !reach && !onlyUnreach) {
    const detail = reader.problems.map((problem) => problem.detail).join('; ')
    throw updateError(UPDATE_ERROR.malformedAttributeList, `${detail}; and the message announces nothing`)
  }
  const { nextHop } = draft
  if (ipv4 && announced.length > 0) {
    // Without a next hop they are withdrawn below.
    reader.announced.unshift({ family: 4, nextHop: nextHop ?? 0, prefixes: announced })
  }
  const lost = reader.asWithdrawal ? reader.announced.map(({ family, prefixes }) => ({ family, prefixes })) : []
  return {
    type: 'update',
    withdrawn: [...reader.withdrawn, ...lost],
    announced: reader.asWithdrawal ? [] : reader.announced,
    attributes: finish(draft),
    endOfRib: endOfRib(body, reader, ipv4),
    problems: reader.problems,
  }
}

/** RFC 7606 §3 (d). LOCAL_PREF is no reason: who leaves it out means the default (RFC 4271 §5.1.5). */
function checkMandatory(reader: Reader, needsNextHop: boolean): void {
  const mandatory: [number, string][] = [
    [ATTRIBUTE.origin, 'ORIGIN'],
    [ATTRIBUTE.asPath, 'AS_PATH'],
  ]
  if (needsNextHop) mandatory.push([ATTRIBUTE.nextHop, 'NEXT_HOP'])
  for (const [code, name] of mandatory) if (!reader.seen.has(code)) reader.problem(`${name} is missing`, 'withdraw')
}

/** RFC 4724 §2: an UPDATE with nothing in it, or with an MP_UNREACH_NLRI without routes and nothing else. */
function endOfRib(body: Buffer, reader: Reader, ipv4: boolean): Family | null {
  if (body.length === 4) return ipv4 ? 4 : null
  if (reader.emptyUnreach === null || reader.seen.size > 1) return null
  return reader.announced.length + reader.withdrawn.length === 0 ? reader.emptyUnreach : null
}

/** Joins what a speaker of two octets split (RFC 6793 §4.2.3). */
function finish(draft: Draft): PathAttributes {
  const { attributes, as4Path, as4Aggregator } = draft
  const { asPath, aggregator } = attributes
  // An aggregating speaker of two octets left AS4_PATH of before: neither of the two fits any more.
  if (as4Aggregator !== undefined && aggregator !== undefined && aggregator.as !== AS_TRANS) return attributes
  if (as4Path !== undefined && asPath !== undefined) attributes.asPath = mergeAs4Path(asPath, as4Path)
  if (as4Aggregator !== undefined && aggregator !== undefined) attributes.aggregator = as4Aggregator
  return attributes
}
