// A growing array of 32-bit words with the address view over the same bytes. Requests are packed here in JavaScript: the
// addon reading objects property by property costs more than a tenth of a route add, packing them here does not.
import type { IPAddress } from '../ip/index.ts'
import { PRESENCE } from './layout.ts'

const LOW_64 = 0xffff_ffff_ffff_ffffn

/** Read access to packed words. `wide` are the same bytes as 64-bit halves of addresses. */
export interface WordView {
  readonly words: Uint32Array
  readonly wide: BigUint64Array
}

/** A view of words that start on an 8-byte boundary (as all the addon returns do). */
export function wordView(words: Uint32Array): WordView {
  return { words, wide: new BigUint64Array(words.buffer, words.byteOffset, words.length >> 1) }
}

export class WordWriter implements WordView {
  words: Uint32Array
  wide: BigUint64Array
  /** Words in use. */
  size = 0

  constructor(capacity = 256) {
    this.words = new Uint32Array(capacity + (capacity & 1))
    this.wide = new BigUint64Array(this.words.buffer)
  }

  /** Makes room for `count` zeroed words and returns the index of the first. */
  reserve(count: number): number {
    const at = this.size
    this.size += count
    if (this.size > this.words.length) {
      const grown = new Uint32Array(Math.max(this.words.length * 2, this.size + (this.size & 1)))
      grown.set(this.words)
      this.words = grown
      this.wide = new BigUint64Array(grown.buffer)
    }
    return at
  }

  /** A copy of exactly what was written. */
  finish(): Uint32Array {
    return this.words.slice(0, this.size)
  }
}

/**
 * Writes an address to the field at word `field` (even) of the record at `record`, and marks it present.
 */
export function putAddress(out: WordView, record: number, field: number, bit: number, address: IPAddress): void {
  const at = record + field
  const present = record + PRESENCE
  if (typeof address === 'number') {
    out.words[at] = address
    out.words[present] = (out.words[present] ?? 0) | (1 << bit)
    return
  }
  out.wide[at >> 1] = address >> 64n
  out.wide[(at >> 1) + 1] = address & LOW_64
  out.words[present] = (out.words[present] ?? 0) | (1 << bit) | (1 << (bit + 16))
}

/** The address field at word `field` of the record at `record`, null when absent. */
export function getAddress(view: WordView, record: number, field: number, bit: number): IPAddress | null {
  const presence = view.words[record + PRESENCE] ?? 0
  if ((presence & (1 << bit)) === 0) return null
  const at = record + field
  if ((presence & (1 << (bit + 16))) === 0) return view.words[at] ?? 0
  return highHalf(view, at) | (view.wide[(at >> 1) + 1] ?? 0n)
}

// Neighbours in a dump share their network: shifting its half again for each makes three bigints of garbage.
let highBelow = 0
let highAbove = 0
let high = 0n

function highHalf({ words, wide }: WordView, at: number): bigint {
  const below = words[at] ?? 0
  const above = words[at + 1] ?? 0
  if (below !== highBelow || above !== highAbove) {
    highBelow = below
    highAbove = above
    high = (wide[at >> 1] ?? 0n) << 64n
  }
  return high
}

/** Writes a word-sized field and marks it present. */
export function putWord(out: WordView, record: number, field: number, bit: number, value: number): void {
  out.words[record + field] = value
  out.words[record + PRESENCE] = (out.words[record + PRESENCE] ?? 0) | (1 << bit)
}

export function has(view: WordView, record: number, bit: number): boolean {
  return ((view.words[record + PRESENCE] ?? 0) & (1 << bit)) !== 0
}
