// A hierarchical bitmap: a leaf bit per offset, and over each level one that has a bit set where the word below is full.
// The next clear bit is found in one or two word operations per level, so a nearly full subnet costs what an empty one
// does. Leaves come in blocks of 2^15 bits that exist only once something in them is set.
const BLOCK_WORDS = 1024
const FULL = 0xffffffff

/** The lowest clear bit at or above `bit` of a word that is not full from there; 32 when there is none. */
function lowestClear(word: number, bit: number): number {
  // Bits below `bit` count as set.
  const free = ~word & (FULL << bit)
  return free === 0 ? 32 : 31 - Math.clz32(free & -free)
}

export class Bitmap {
  /** Number of offsets, from 1 to 2^30. */
  readonly size: number
  readonly #leaves: (Uint32Array | undefined)[]
  /** summaries[0] has a bit per leaf word, each further level a bit per word of the one before; the last is one word. */
  readonly #summaries: Uint32Array[] = []

  constructor(size: number) {
    this.size = size
    let words = Math.ceil(size / 32)
    this.#leaves = new Array<Uint32Array | undefined>(Math.ceil(words / BLOCK_WORDS))
    while (words > 1) {
      words = Math.ceil(words / 32)
      this.#summaries.push(new Uint32Array(words))
    }
  }

  has(offset: number): boolean {
    const word = offset >>> 5
    const block = this.#leaves[word >>> 10]
    return block !== undefined && ((block[word & (BLOCK_WORDS - 1)] ?? 0) & (1 << (offset & 31))) !== 0
  }

  set(offset: number): void {
    let index = offset >>> 5
    const slot = index >>> 10
    const remaining = Math.ceil(this.size / 32) - slot * BLOCK_WORDS
    const block = (this.#leaves[slot] ??= new Uint32Array(Math.min(BLOCK_WORDS, remaining)))
    let word = ((block[index & (BLOCK_WORDS - 1)] ?? 0) | (1 << (offset & 31))) >>> 0
    block[index & (BLOCK_WORDS - 1)] = word
    for (const summary of this.#summaries) {
      if (word !== FULL) return
      const bit = index & 31
      index >>>= 5
      word = ((summary[index] ?? 0) | (1 << bit)) >>> 0
      summary[index] = word
    }
  }

  clear(offset: number): void {
    let index = offset >>> 5
    const block = this.#leaves[index >>> 10]
    if (block === undefined) return
    const word = block[index & (BLOCK_WORDS - 1)] ?? 0
    block[index & (BLOCK_WORDS - 1)] = word & ~(1 << (offset & 31))
    if (word !== FULL) return
    for (const summary of this.#summaries) {
      const bit = index & 31
      index >>>= 5
      const above = summary[index] ?? 0
      summary[index] = above & ~(1 << bit)
      if (above !== FULL) return
    }
  }

  /** The lowest clear offset in [from, to], or -1. */
  nextClear(from: number, to: number): number {
    const last = Math.min(to, this.size - 1)
    if (from > last) return -1
    const word = from >>> 5
    const bit = lowestClear(this.#leafWord(word), from & 31)
    const offset = bit < 32 ? word * 32 + bit : this.#climb(word + 1)
    return offset >= 0 && offset <= last ? offset : -1
  }

  #leafWord(index: number): number {
    return this.#leaves[index >>> 10]?.[index & (BLOCK_WORDS - 1)] ?? 0
  }

  /** The lowest clear offset in leaf word `start` or a later one, or -1. */
  #climb(start: number): number {
    let index = start
    for (let level = 0; level < this.#summaries.length; level++) {
      const summary = this.#summaries[level] as Uint32Array
      const word = index >>> 5
      if (word >= summary.length) return -1
      const bit = lowestClear(summary[word] ?? 0, index & 31)
      if (bit < 32) return this.#descend(level, word * 32 + bit)
      index = word + 1
    }
    return -1
  }

  /** The lowest clear offset below entry `index` of summary `level`, which is known not to be full. */
  #descend(level: number, index: number): number {
    let at = index
    for (let below = level - 1; below >= 0; below--) {
      const word = this.#summaries[below]?.[at]
      // Entries beyond the end look free; there is nothing below them.
      if (word === undefined) return -1
      at = at * 32 + lowestClear(word, 0)
    }
    return at * 32 + lowestClear(this.#leafWord(at), 0)
  }
}
