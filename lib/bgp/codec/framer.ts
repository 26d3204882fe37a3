// Messages out of a byte stream (RFC 4271 §4.1, §6.1; RFC 8654).
//
// A frame's body is a view into the chunk it came in wherever the whole message is in one chunk; only what straddles two is
// copied. Who keeps bytes of a body beyond the call copies them, or keeps 64 KiB alive for them.
import { HEADER_BYTES, MAX_MESSAGE_BYTES, MESSAGE_TYPE } from './constants.ts'
import { ERROR_CODE, HEADER_ERROR, SessionError } from './errors.ts'

export interface Frame {
  /** One of MESSAGE_TYPE. */
  readonly type: number
  /** Without the header. */
  readonly body: Buffer
}

/** The least length of each message type with its header, at its type's number (RFC 4271 §6.1, RFC 2918 §3). */
const LEAST: readonly number[] = [0, 29, 23, 21, HEADER_BYTES, 23]

const NOTHING: Buffer = Buffer.alloc(0)

export class Framer {
  /** Set to MAX_EXTENDED_MESSAGE_BYTES when RFC 8654 was negotiated. */
  maxBytes: number = MAX_MESSAGE_BYTES
  #pending = NOTHING
  #at = 0

  /** Takes the bytes received next. `next()` must have returned null before. */
  push(chunk: Buffer): void {
    this.#pending = this.#at === this.#pending.length ? chunk : Buffer.concat([this.#pending.subarray(this.#at), chunk])
    this.#at = 0
  }

  /** Bytes that wait for the rest of their message. */
  get waiting(): number {
    return this.#pending.length - this.#at
  }

  /**
   * The next whole message, null when more bytes are needed.
   *
   * @throws SessionError "message header error"; nothing can be read from this stream after it
   */
  next(): Frame | null {
    const bytes = this.#pending
    const start = this.#at
    const available = bytes.length - start
    if (available < HEADER_BYTES) {
      if (available === 0) this.#pending = NOTHING
      if (available === 0) this.#at = 0
      return null
    }
    checkMarker(bytes, start)
    const length = bytes.readUInt16BE(start + 16)
    const type = bytes.readUInt8(start + 18)
    this.#checkLength(length, type)
    if (available < length) return null
    this.#at = start + length
    return { type, body: bytes.subarray(start + HEADER_BYTES, start + length) }
  }

  #checkLength(length: number, type: number): void {
    const least = LEAST[type]
    if (least === undefined || type === 0) {
      throw new SessionError(
        ERROR_CODE.header,
        HEADER_ERROR.badType,
        `message type ${type}, expected 1 to 5`,
        Uint8Array.of(type),
      )
    }
    // RFC 8654 §4: the larger limit is not for OPEN and KEEPALIVE.
    const most =
      type === MESSAGE_TYPE.keepalive ? HEADER_BYTES : type === MESSAGE_TYPE.open ? MAX_MESSAGE_BYTES : this.maxBytes
    if (length < least || length > most) {
      throw new SessionError(
        ERROR_CODE.header,
        HEADER_ERROR.badLength,
        `message of type ${type} has ${length} bytes, expected ${least} to ${most}`,
        Uint8Array.of(length >> 8, length & 0xff),
      )
    }
  }
}

function checkMarker(bytes: Buffer, start: number): void {
  for (let i = start; i < start + 16; i += 4) {
    if (bytes.readUInt32BE(i) !== 0xffffffff) {
      throw new SessionError(ERROR_CODE.header, HEADER_ERROR.notSynchronized, 'the marker is not all ones')
    }
  }
}
