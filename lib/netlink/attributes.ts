// Netlink attributes for the rarer, richer objects (links): a writer for requests and a walk for answers. The bulk classes
// never come here; their one table per class is in native/codec.cc.
import { readAddress, writeAddress, type IPAddress } from '../ip/index.ts'

const HEADER = 4
const TYPE_MASK = 0x3fff
const text = new TextEncoder()

export class AttributeWriter {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #size = 0

  #space(length: number): number {
    const at = this.#size
    this.#size += (length + 3) & ~3
    if (this.#size > this.#bytes.length) {
      const grown = new Uint8Array(this.#size * 2)
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    return at
  }

  #attribute(type: number, length: number): number {
    const at = this.#space(HEADER + length)
    this.#view.setUint16(at, HEADER + length, true)
    this.#view.setUint16(at + 2, type, true)
    return at + HEADER
  }

  /** struct ifinfomsg. */
  ifinfomsg(index: number, flags: number, change: number, family = 0): this {
    const at = this.#space(16)
    this.#bytes[at] = family
    this.#view.setInt32(at + 4, index, true)
    this.#view.setUint32(at + 8, flags, true)
    this.#view.setUint32(at + 12, change, true)
    return this
  }

  u8(type: number, value: number): this {
    this.#bytes[this.#attribute(type, 1)] = value
    return this
  }

  u16(type: number, value: number): this {
    this.#view.setUint16(this.#attribute(type, 2), value, true)
    return this
  }

  /** Network order. */
  be16(type: number, value: number): this {
    this.#view.setUint16(this.#attribute(type, 2), value, false)
    return this
  }

  u32(type: number, value: number): this {
    this.#view.setUint32(this.#attribute(type, 4), value, true)
    return this
  }

  /** Zero-terminated. */
  string(type: number, value: string): this {
    const bytes = text.encode(value)
    this.#bytes.set(bytes, this.#attribute(type, bytes.length + 1))
    return this
  }

  mac(type: number, value: number): this {
    const at = this.#attribute(type, 6)
    this.#view.setUint16(at, Math.floor(value / 0x1_0000_0000), false)
    this.#view.setUint32(at + 2, value >>> 0, false)
    return this
  }

  address(type: number, value: IPAddress): this {
    const at = this.#attribute(type, typeof value === 'number' ? 4 : 16)
    writeAddress(this.#bytes, at, value)
    return this
  }

  /** An attribute holding what `fill` writes. */
  nest(type: number, fill: (inner: this) => void): this {
    const at = this.#attribute(type, 0) - HEADER
    fill(this)
    this.#view.setUint16(at, this.#size - at, true)
    return this
  }

  /** What was written, as words. */
  words(): Uint32Array {
    return new Uint32Array(this.#bytes.buffer.slice(0, this.#size))
  }
}

/** The payload of one attribute. */
export class AttributeValue {
  readonly #view: DataView

  constructor(view: DataView) {
    this.#view = view
  }

  get length(): number {
    return this.#view.byteLength
  }
  u8(): number {
    return this.length >= 1 ? this.#view.getUint8(0) : 0
  }
  u16(): number {
    return this.length >= 2 ? this.#view.getUint16(0, true) : 0
  }
  be16(): number {
    return this.length >= 2 ? this.#view.getUint16(0, false) : 0
  }
  u32(): number {
    return this.length >= 4 ? this.#view.getUint32(0, true) : 0
  }
  i32(): number {
    return this.length >= 4 ? this.#view.getInt32(0, true) : 0
  }
  /** null unless it has the 6 bytes of a MAC. */
  mac(): number | null {
    return this.length === 6 ? this.#view.getUint16(0, false) * 0x1_0000_0000 + this.#view.getUint32(2, false) : null
  }
  /** null unless it has 4 or 16 bytes. */
  address(): IPAddress | null {
    const { buffer, byteOffset, byteLength } = this.#view
    if (byteLength !== 4 && byteLength !== 16) return null
    return readAddress(new Uint8Array(buffer, byteOffset, byteLength), 0, byteLength === 4 ? 4 : 6)
  }
  string(): string {
    const { buffer, byteOffset, byteLength } = this.#view
    const bytes = Buffer.from(buffer, byteOffset, byteLength)
    const end = bytes.indexOf(0)
    return bytes.toString('utf8', 0, end < 0 ? byteLength : end)
  }
  nested(): Map<number, AttributeValue> {
    return readAttributes(this.#view)
  }
}

/** The attributes in the view by type; of a repeated type the last. Stops at the first that overruns. */
export function readAttributes(view: DataView): Map<number, AttributeValue> {
  const result = new Map<number, AttributeValue>()
  for (let at = 0; at + HEADER <= view.byteLength;) {
    const length = view.getUint16(at, true)
    if (length < HEADER || at + length > view.byteLength) break
    const type = view.getUint16(at + 2, true) & TYPE_MASK
    const payload = new DataView(view.buffer, view.byteOffset + at + HEADER, length - HEADER)
    result.set(type, new AttributeValue(payload))
    at += (length + 3) & ~3
  }
  return result
}
