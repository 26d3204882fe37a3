// OPEN messages (RFC 4271 §4.2, §6.2; RFC 5492 capabilities; RFC 6286 identifiers; RFC 6793 AS numbers; RFC 9072 long parameters).
//
// What the message says by itself is checked here; whether its AS and identifier are the expected ones is the session's.
import { encodeCapabilities, decodeCapabilities, NO_CAPABILITIES, type Capabilities } from './capabilities.ts'
import { AS_TRANS, MAX_MESSAGE_BYTES, MESSAGE_TYPE } from './constants.ts'
import { ERROR_CODE, OPEN_ERROR, SessionError } from './errors.ts'
import { Writer } from './writer.ts'

export interface OpenMessage {
  readonly type: 'open'
  /** The speaker's AS, of four octets when it has that capability. Never 0. */
  readonly as: number
  /** Seconds: 0 (no keepalives) or 3 to 65535. */
  readonly holdTime: number
  /** BGP identifier, a nonzero number written like an IPv4 address. */
  readonly identifier: number
  readonly capabilities: Capabilities
}

const VERSION = 4
const PARAMETER_CAPABILITIES = 2
/** RFC 9072: this length, then this type, say that lengths have two octets. */
const EXTENDED = 255

const openError = (subcode: number, detail: string, data?: Uint8Array): SessionError =>
  new SessionError(ERROR_CODE.open, subcode, detail, data)

/**
 * @param body without the header, at least 10 bytes (the framer saw to it)
 * @throws SessionError "OPEN message error"
 */
export function decodeOpen(body: Buffer): OpenMessage {
  const version = body.readUInt8(0)
  if (version !== VERSION) {
    throw openError(OPEN_ERROR.unsupportedVersion, `version ${version}, expected ${VERSION}`, Uint8Array.of(0, VERSION))
  }
  const as = body.readUInt16BE(1)
  const holdTime = body.readUInt16BE(3)
  if (holdTime === 1 || holdTime === 2) {
    throw openError(OPEN_ERROR.unacceptableHoldTime, `hold time ${holdTime} s, expected 0 or 3 and more`)
  }
  const identifier = body.readUInt32BE(5)
  if (identifier === 0) throw openError(OPEN_ERROR.badIdentifier, 'identifier 0.0.0.0')
  const capabilities = { ...NO_CAPABILITIES }
  decodeParameters(body, capabilities)
  const whole = capabilities.fourOctetAs ?? as
  if (whole === 0) throw openError(OPEN_ERROR.badPeerAs, 'AS 0')
  return { type: 'open', as: whole, holdTime, identifier, capabilities }
}

function decodeParameters(body: Buffer, into: { -readonly [K in keyof Capabilities]: Capabilities[K] }): void {
  let at = 10
  let length = body.readUInt8(9)
  const extended = length === EXTENDED && body[10] === EXTENDED
  if (extended) {
    if (body.length < 13) throw openError(OPEN_ERROR.unspecific, 'extended optional parameters are cut short')
    length = body.readUInt16BE(11)
    at = 13
  }
  if (at + length !== body.length) {
    throw openError(
      OPEN_ERROR.unspecific,
      `optional parameters have ${body.length - at} bytes, but ${length} are announced`,
    )
  }
  const head = extended ? 3 : 2
  while (at < body.length) {
    if (at + head > body.length) throw openError(OPEN_ERROR.unspecific, 'an optional parameter is cut short')
    const type = body.readUInt8(at)
    const size = extended ? body.readUInt16BE(at + 1) : body.readUInt8(at + 1)
    at += head
    if (at + size > body.length) {
      throw openError(OPEN_ERROR.unspecific, `optional parameter ${type} is longer than the message`)
    }
    if (type !== PARAMETER_CAPABILITIES) {
      throw openError(OPEN_ERROR.unsupportedParameter, `optional parameter ${type}, expected capabilities only`)
    }
    decodeCapabilities(body.subarray(at, at + size), into)
    at += size
  }
}

/** @throws RangeError for a field out of its range */
export function encodeOpen(open: Omit<OpenMessage, 'type'>): Buffer {
  const { as, holdTime, identifier, capabilities } = open
  if (holdTime === 1 || holdTime === 2) throw new RangeError(`holdTime is ${holdTime}, expected 0 or 3 and more`)
  const text = encodeFrom(open, false)
  if (text !== null) return text
  const extended = encodeFrom({ as, holdTime, identifier, capabilities }, true)
  if (extended === null) throw new RangeError('capabilities do not fit an OPEN message')
  return extended
}

/** Null when the parameters do not fit the lengths of one octet. */
function encodeFrom(open: Omit<OpenMessage, 'type'>, extended: boolean): Buffer | null {
  const writer = new Writer(MAX_MESSAGE_BYTES)
  writer.u8(VERSION)
  writer.u16(open.as > 0xffff ? AS_TRANS : open.as)
  writer.u16(open.holdTime)
  writer.u32(open.identifier)
  if (extended) {
    writer.u8(EXTENDED)
    writer.u8(EXTENDED)
  }
  const parameters = extended ? writer.length16() : writer.length8()
  const start = writer.at
  writer.u8(PARAMETER_CAPABILITIES)
  const value = extended ? writer.length16() : writer.length8()
  const first = writer.at
  encodeCapabilities(writer, open.capabilities)
  if (writer.at === first) writer.rewind(start)
  else if (extended) writer.close16(value)
  else if (writer.at - first > 255) return null
  else writer.close8(value)
  if (extended) writer.close16(parameters)
  // 255 itself announces the extended form.
  else if (writer.at - start >= EXTENDED) return null
  else writer.close8(parameters)
  return writer.message(MESSAGE_TYPE.open)
}
