// NOTIFICATION messages (RFC 4271 §4.5), with the operator's words of a shutdown (RFC 9003).
//
// A malformed NOTIFICATION is never answered by another: it ends the session all the same, so decoding cannot fail.
import { MAX_MESSAGE_BYTES, MESSAGE_TYPE } from './constants.ts'
import { CEASE, describeError, ERROR_CODE } from './errors.ts'
import { Writer } from './writer.ts'

export interface NotificationMessage {
  readonly type: 'notification'
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
}

/** Most bytes of UTF-8 that a shutdown communication holds (RFC 9003 §2). */
const MAX_COMMUNICATION_BYTES = 255

/** @param body without the header, at least 2 bytes */
export function decodeNotification(body: Buffer): NotificationMessage {
  return {
    type: 'notification',
    code: body.readUInt8(0),
    subcode: body.readUInt8(1),
    data: Uint8Array.from(body.subarray(2)),
  }
}

/** Data that does not fit is cut: it explains, nobody computes with it. */
export function encodeNotification({ code, subcode, data }: Omit<NotificationMessage, 'type'>): Buffer {
  const writer = new Writer(MAX_MESSAGE_BYTES)
  writer.u8(code)
  writer.u8(subcode)
  writer.bytes(data.subarray(0, writer.room))
  return writer.message(MESSAGE_TYPE.notification)
}

/** The words as a Cease's data: one octet of length, then UTF-8, cut between characters. */
export function encodeCommunication(text: string): Uint8Array {
  let bytes = Buffer.from(text)
  if (bytes.length > MAX_COMMUNICATION_BYTES) {
    let end = MAX_COMMUNICATION_BYTES
    // A continuation byte of UTF-8 is 10xxxxxx: the cut goes before the character it belongs to.
    while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
    bytes = bytes.subarray(0, end)
  }
  return Uint8Array.of(bytes.length, ...bytes)
}

/** What the peer's operator wrote, null when nothing or nothing readable; control characters are replaced. */
export function communicationOf({ code, subcode, data }: Omit<NotificationMessage, 'type'>): string | null {
  if (code !== ERROR_CODE.cease) return null
  if (subcode !== CEASE.administrativeShutdown && subcode !== CEASE.administrativeReset) return null
  const length = data[0] ?? 0
  if (length === 0 || length + 1 > data.length) return null
  // RFC 9003 §4: it ends up on terminals and in logs.
  const text = Buffer.from(data.subarray(1, length + 1)).toString('utf8')
  return text.replaceAll(/\p{Cc}/gu, '\ufffd')
}

/** The error within a hard reset's data (RFC 8538 §3.1); the message itself when it is none. */
export function withinHardReset(message: Omit<NotificationMessage, 'type'>): Omit<NotificationMessage, 'type'> {
  const { code, subcode, data } = message
  if (code !== ERROR_CODE.cease || subcode !== CEASE.hardReset || data.length < 2) return message
  return { code: data[0] ?? 0, subcode: data[1] ?? 0, data: data.subarray(2) }
}

/** One line for people: "cease: administrative shutdown: "maintenance"". */
export function describeNotification(message: Omit<NotificationMessage, 'type'>): string {
  const inner = withinHardReset(message)
  const text = describeError(inner.code, inner.subcode)
  const words = communicationOf(inner)
  return `${inner === message ? '' : 'hard reset: '}${text}${words === null ? '' : `: ${JSON.stringify(words)}`}`
}
