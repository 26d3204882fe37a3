// One message under construction in a scratch buffer that is reused for all: a finished message is copied out once.
import { HEADER_BYTES, MAX_EXTENDED_MESSAGE_BYTES } from './constants.ts'
import { writeAddress, type IPAddress, type Prefix } from '../../ip/index.ts'

// Never live across a call of an encoder, and encoders do not call one another's message(); sharing it is safe in one thread.
const scratch = Buffer.alloc(MAX_EXTENDED_MESSAGE_BYTES)
const addressBytes = Buffer.alloc(16)
scratch.fill(0xff, 0, 16)

export class Writer {
  readonly #limit: number
  #at = HEADER_BYTES

  /**
   * Starts a message; there is one at a time.
   *
   * @param limit bytes of the largest message the session allows
   */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Where the next byte goes, from the start of the message. */
  get at(): number {
    return this.#at
  }

  /** Bytes left. */
  get room(): number {
    return this.#limit - this.#at
  }

  /** Goes back: what was written from there on is dropped. */
  rewind(at: number): void {
    this.#at = at
  }

  #claim(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#limit) throw new RangeError(`a message would have more than ${this.#limit} bytes`)
    this.#at = at + bytes
    return at
  }

  u8(value: number): void {
    scratch.writeUInt8(value, this.#claim(1))
  }

  u16(value: number): void {
    scratch.writeUInt16BE(value, this.#claim(2))
  }

  u32(value: number): void {
    scratch.writeUInt32BE(value, this.#claim(4))
  }

  bytes(value: Uint8Array): void {
    scratch.set(value, this.#claim(value.length))
  }

  address(value: IPAddress): void {
    writeAddress(scratch, this.#claim(typeof value === 'number' ? 4 : 16), value)
  }

  /** Length in bits, then the bytes that hold them (RFC 4271 §4.3, RFC 4760 §5). False, and nothing written, when it does not fit. */
  prefix(value: Prefix): boolean {
    const count = (value.length + 7) >> 3
    if (this.room < count + 1) return false
    const at = this.#claim(count + 1)
    scratch[at] = value.length
    writeAddress(addressBytes, 0, value.address)
    for (let i = 0; i < count; i++) scratch[at + 1 + i] = addressBytes[i] ?? 0
    return true
  }

  /** Leaves two bytes for a length that is known later. */
  length16(): number {
    return this.#claim(2)
  }

  /** Leaves one byte for a length that is known later. */
  length8(): number {
    return this.#claim(1)
  }

  /** Fills a length left by length16(): the bytes written since. */
  close16(mark: number): void {
    scratch.writeUInt16BE(this.#at - mark - 2, mark)
  }

  /**
   * Fills a length left by length8().
   *
   * @throws RangeError when more than 255 bytes were written
   */
  close8(mark: number): void {
    scratch.writeUInt8(this.#at - mark - 1, mark)
  }

  /** What was written from there on, in bytes of its own. */
  copyFrom(start: number): Buffer {
    return Buffer.from(scratch.subarray(start, this.#at))
  }

  /** The finished message with its header, in bytes of its own. */
  message(type: number): Buffer {
    scratch.writeUInt16BE(this.#at, 16)
    scratch.writeUInt8(type, 18)
    return Buffer.from(scratch.subarray(0, this.#at))
  }
}
