// Capabilities of an OPEN message (RFC 5492): what a speaker can do, as data.
//
// A capability whose value has a wrong length ends the session as "unspecific" OPEN error: a peer that miscounts here would
// miscount later. Unknown ones are kept as they came, for display.
import { CAPABILITY, MAX_AS, afiOf, familyCode, safiOf, type FamilyCode } from './constants.ts'
import { ERROR_CODE, OPEN_ERROR, SessionError } from './errors.ts'
import type { Writer } from './writer.ts'

/** RFC 4724 §3. */
export interface GracefulRestartCapability {
  /** R: the speaker has restarted and waits for End-of-RIB of its peers. */
  readonly restarting: boolean
  /** N: a NOTIFICATION other than a hard reset starts a graceful restart, too (RFC 8538). */
  readonly notification: boolean
  /** Seconds, 0 to 4095: how long routes are worth keeping until the session is back. */
  readonly restartTime: number
  readonly families: readonly {
    readonly family: FamilyCode
    /** F: forwarding state survived the restart. */
    readonly forwarding: boolean
  }[]
}

/** RFC 9494 §4.1. */
export interface LongLivedFamily {
  readonly family: FamilyCode
  readonly forwarding: boolean
  /** Seconds, 24 bits. */
  readonly staleTime: number
}

export interface UnknownCapability {
  readonly code: number
  readonly value: Uint8Array
}

export interface Capabilities {
  /** RFC 4760; empty when the capability is absent, which means IPv4 unicast. */
  readonly families: readonly FamilyCode[]
  readonly routeRefresh: boolean
  readonly enhancedRouteRefresh: boolean
  readonly extendedMessage: boolean
  /** RFC 8950: families whose next hop may be of another address family (an AFI). */
  readonly extendedNextHop: readonly { readonly family: FamilyCode; readonly nextHopAfi: number }[]
  /** The AS number (RFC 6793), null for a speaker of two-octet AS numbers. */
  readonly fourOctetAs: number | null
  readonly gracefulRestart: GracefulRestartCapability | null
  readonly longLived: readonly LongLivedFamily[] | null
  readonly hostname: { readonly host: string; readonly domain: string } | null
  readonly unknown: readonly UnknownCapability[]
}

/** A speaker of 1995. */
export const NO_CAPABILITIES: Capabilities = {
  families: [],
  routeRefresh: false,
  enhancedRouteRefresh: false,
  extendedMessage: false,
  extendedNextHop: [],
  fourOctetAs: null,
  gracefulRestart: null,
  longLived: null,
  hostname: null,
  unknown: [],
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function expectLength(holds: boolean, name: string, bytes: number, expected: string): void {
  if (holds) return
  throw new SessionError(
    ERROR_CODE.open,
    OPEN_ERROR.unspecific,
    `capability ${name} has ${bytes} bytes, expected ${expected}`,
  )
}

/**
 * Adds what `bytes`, the value of one Capabilities parameter, says to `into`.
 *
 * @throws SessionError "OPEN message error"
 */
export function decodeCapabilities(bytes: Buffer, into: Mutable<Capabilities>): void {
  let at = 0
  while (at < bytes.length) {
    const code = bytes[at] ?? 0
    const length = bytes[at + 1]
    if (length === undefined || at + 2 + length > bytes.length) {
      throw new SessionError(ERROR_CODE.open, OPEN_ERROR.unspecific, `capability ${code} is longer than its parameter`)
    }
    decodeOne(code, bytes.subarray(at + 2, at + 2 + length), into)
    at += 2 + length
  }
}

function decodeOne(code: number, value: Buffer, into: Mutable<Capabilities>): void {
  const { length } = value
  switch (code) {
    case CAPABILITY.multiprotocol: {
      expectLength(length === 4, 'multiprotocol', length, '4')
      const family = familyCode(value.readUInt16BE(0), value.readUInt8(3))
      if (!into.families.includes(family)) into.families = [...into.families, family]
      return
    }
    case CAPABILITY.routeRefresh:
      expectLength(length === 0, 'route refresh', length, '0')
      into.routeRefresh = true
      return
    case CAPABILITY.enhancedRouteRefresh:
      expectLength(length === 0, 'enhanced route refresh', length, '0')
      into.enhancedRouteRefresh = true
      return
    case CAPABILITY.extendedMessage:
      expectLength(length === 0, 'extended message', length, '0')
      into.extendedMessage = true
      return
    case CAPABILITY.extendedNextHop:
      expectLength(length % 6 === 0, 'extended next hop', length, 'a multiple of 6')
      into.extendedNextHop = records(value, 6, (at) => ({
        family: familyCode(value.readUInt16BE(at), value.readUInt16BE(at + 2) & 0xff),
        nextHopAfi: value.readUInt16BE(at + 4),
      }))
      return
    case CAPABILITY.fourOctetAs:
      expectLength(length === 4, 'four-octet AS', length, '4')
      into.fourOctetAs = value.readUInt32BE(0)
      return
    case CAPABILITY.gracefulRestart:
      into.gracefulRestart = decodeGracefulRestart(value)
      return
    case CAPABILITY.longLivedGracefulRestart:
      expectLength(length % 7 === 0, 'long-lived graceful restart', length, 'a multiple of 7')
      into.longLived = records(value, 7, (at) => ({
        family: familyCode(value.readUInt16BE(at), value.readUInt8(at + 2)),
        forwarding: (value.readUInt8(at + 3) & 0x80) !== 0,
        staleTime: value.readUIntBE(at + 4, 3),
      }))
      return
    case CAPABILITY.hostname:
      into.hostname = decodeHostname(value)
      return
    default:
      into.unknown = [...into.unknown, { code, value: Uint8Array.from(value) }]
  }
}

function records<T>(value: Buffer, size: number, read: (at: number) => T): T[] {
  const all: T[] = []
  for (let at = 0; at + size <= value.length; at += size) all.push(read(at))
  return all
}

// RFC 4724 §3: of several instances the last one counts, which the caller's assignment gives.
function decodeGracefulRestart(value: Buffer): GracefulRestartCapability {
  const { length } = value
  expectLength(length >= 2 && (length - 2) % 4 === 0, 'graceful restart', length, '2 and a multiple of 4')
  const first = value.readUInt16BE(0)
  return {
    restarting: (first & 0x8000) !== 0,
    notification: (first & 0x4000) !== 0,
    restartTime: first & 0xfff,
    families: records(value.subarray(2), 4, (at) => ({
      family: familyCode(value.readUInt16BE(at + 2), value.readUInt8(at + 4)),
      forwarding: (value.readUInt8(at + 5) & 0x80) !== 0,
    })),
  }
}

/** Two texts, each behind its length. A draft, and for display only: a wrong one is left out instead of ending the session. */
function decodeHostname(value: Buffer): Capabilities['hostname'] {
  const hostEnd = 1 + (value[0] ?? 0)
  const domainEnd = hostEnd + 1 + (value[hostEnd] ?? 0)
  if (hostEnd > value.length || (hostEnd < value.length && domainEnd > value.length)) return null
  return {
    host: value.toString('utf8', 1, hostEnd),
    domain: hostEnd < value.length ? value.toString('utf8', hostEnd + 1, domainEnd) : '',
  }
}

/** Writes them as the values of one Capabilities parameter. */
export function encodeCapabilities(writer: Writer, capabilities: Capabilities): void {
  const put = (code: number, body?: () => void): void => {
    writer.u8(code)
    const mark = writer.length8()
    body?.()
    writer.close8(mark)
  }
  for (const family of capabilities.families) {
    put(CAPABILITY.multiprotocol, () => {
      writer.u16(afiOf(family))
      writer.u8(0)
      writer.u8(safiOf(family))
    })
  }
  if (capabilities.routeRefresh) put(CAPABILITY.routeRefresh)
  if (capabilities.extendedNextHop.length > 0) {
    put(CAPABILITY.extendedNextHop, () => {
      for (const { family, nextHopAfi } of capabilities.extendedNextHop) {
        writer.u16(afiOf(family))
        writer.u16(safiOf(family))
        writer.u16(nextHopAfi)
      }
    })
  }
  if (capabilities.extendedMessage) put(CAPABILITY.extendedMessage)
  const { fourOctetAs, gracefulRestart, longLived, hostname } = capabilities
  if (gracefulRestart !== null) put(CAPABILITY.gracefulRestart, () => encodeGracefulRestart(writer, gracefulRestart))
  if (fourOctetAs !== null) put(CAPABILITY.fourOctetAs, () => writer.u32(checkAs(fourOctetAs)))
  if (capabilities.enhancedRouteRefresh) put(CAPABILITY.enhancedRouteRefresh)
  if (longLived !== null) {
    put(CAPABILITY.longLivedGracefulRestart, () => {
      for (const { family, forwarding, staleTime } of longLived) {
        writer.u16(afiOf(family))
        writer.u8(safiOf(family))
        writer.u8(forwarding ? 0x80 : 0)
        writer.u8(staleTime >>> 16)
        writer.u16(staleTime & 0xffff)
      }
    })
  }
  if (hostname !== null) {
    put(CAPABILITY.hostname, () => {
      for (const text of [hostname.host, hostname.domain]) {
        const bytes = Buffer.from(text).subarray(0, 64)
        writer.u8(bytes.length)
        writer.bytes(bytes)
      }
    })
  }
  for (const { code, value } of capabilities.unknown) put(code, () => writer.bytes(value))
}

function encodeGracefulRestart(writer: Writer, capability: GracefulRestartCapability): void {
  const { restarting, notification, restartTime, families } = capability
  if (!Number.isInteger(restartTime) || restartTime < 0 || restartTime > 4095) {
    throw new RangeError(`restartTime is ${restartTime}, expected 0 to 4095 seconds`)
  }
  writer.u16((restarting ? 0x8000 : 0) | (notification ? 0x4000 : 0) | restartTime)
  for (const { family, forwarding } of families) {
    writer.u16(afiOf(family))
    writer.u8(safiOf(family))
    writer.u8(forwarding ? 0x80 : 0)
  }
}

/** @throws RangeError for what is no AS number of a speaker: RFC 7607 forbids 0. */
export function checkAs(as: number): number {
  if (!Number.isInteger(as) || as < 1 || as > MAX_AS) throw new RangeError(`AS is ${as}, expected 1 to ${MAX_AS}`)
  return as
}
