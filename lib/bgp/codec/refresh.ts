// ROUTE-REFRESH messages: RFC 2918, with the begin and end marks of RFC 7313.
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE, afiOf, familyCode, safiOf, type FamilyCode } from './constants.ts'
import { ERROR_CODE, HEADER_ERROR, REFRESH_ERROR, SessionError } from './errors.ts'
import { Writer } from './writer.ts'

/** `unknown` is to be ignored (RFC 7313 §5). */
export type RefreshKind = 'request' | 'begin' | 'end' | 'unknown'

export interface RouteRefreshMessage {
  readonly type: 'route-refresh'
  readonly family: FamilyCode
  readonly kind: RefreshKind
}

const KINDS: readonly RefreshKind[] = ['request', 'begin', 'end']
const BODY_BYTES = 4

/**
 * @param body without the header, at least 4 bytes. More would be outbound route filters (RFC 5291), which this speaker never
 *   offers to take.
 * @throws SessionError "ROUTE-REFRESH message error", whose data is the whole message, or "bad message length"
 */
export function decodeRouteRefresh(body: Buffer): RouteRefreshMessage {
  const kind = KINDS[body.readUInt8(2)] ?? 'unknown'
  if (body.length !== BODY_BYTES && kind !== 'unknown') throw lengthError(body, kind)
  return { type: 'route-refresh', family: familyCode(body.readUInt16BE(0), body.readUInt8(3)), kind }
}

function lengthError(body: Buffer, kind: RefreshKind): SessionError {
  const bytes = body.length + 19
  const detail = `ROUTE-REFRESH (${kind}) has ${bytes} bytes, expected 23`
  if (kind === 'request') {
    const data = Uint8Array.of(bytes >> 8, bytes & 0xff)
    return new SessionError(ERROR_CODE.header, HEADER_ERROR.badLength, detail, data)
  }
  const header = Buffer.alloc(19, 0xff)
  header.writeUInt16BE(bytes, 16)
  header.writeUInt8(MESSAGE_TYPE.routeRefresh, 18)
  return new SessionError(ERROR_CODE.routeRefresh, REFRESH_ERROR.invalidLength, detail, Buffer.concat([header, body]))
}

export function encodeRouteRefresh(family: FamilyCode, kind: Exclude<RefreshKind, 'unknown'>): Buffer {
  const writer = new Writer(MAX_MESSAGE_BYTES)
  writer.u16(afiOf(family))
  writer.u8(KINDS.indexOf(kind))
  writer.u8(safiOf(family))
  return writer.message(MESSAGE_TYPE.routeRefresh)
}
