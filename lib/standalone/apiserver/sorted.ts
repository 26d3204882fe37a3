// A persistent (immutable) map from string to T, sorted by key: a list of chunks of at most 2 × CHUNK entries. A change
// copies one chunk and the list of chunks (some thousand words at 100,000 entries), everything else is shared, so keeping
// an old version for a consistent paged list costs next to nothing.

const CHUNK = 128

interface Chunk<T> {
  readonly keys: readonly string[]
  readonly values: readonly T[]
}

export class SortedMap<T> {
  readonly size: number
  readonly #chunks: readonly Chunk<T>[]

  private constructor(chunks: readonly Chunk<T>[], size: number) {
    this.#chunks = chunks
    this.size = size
  }

  static empty<T>(): SortedMap<T> {
    return new SortedMap<T>([], 0)
  }

  get(key: string): T | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)]
    if (chunk === undefined) return undefined
    const at = lowerBound(chunk.keys, key)
    return chunk.keys[at] === key ? chunk.values[at] : undefined
  }

  set(key: string, value: T): SortedMap<T> {
    if (this.#chunks.length === 0) return new SortedMap<T>([{ keys: [key], values: [value] }], 1)
    const index = this.#chunkOf(key)
    const chunk = this.#chunks[index]
    if (chunk === undefined) throw new Error(`sorted map: no chunk ${index} for ${key}`)
    const at = lowerBound(chunk.keys, key)
    if (chunk.keys[at] === key) {
      return new SortedMap(
        this.#chunks.with(index, { keys: chunk.keys, values: chunk.values.with(at, value) }),
        this.size,
      )
    }
    const keys = chunk.keys.toSpliced(at, 0, key)
    const values = chunk.values.toSpliced(at, 0, value)
    if (keys.length <= 2 * CHUNK) return new SortedMap(this.#chunks.with(index, { keys, values }), this.size + 1)
    // Keys that only grow leave a full chunk behind instead of a half full one.
    const cut = at === keys.length - 1 ? keys.length - 1 : CHUNK
    const left = { keys: keys.slice(0, cut), values: values.slice(0, cut) }
    const right = { keys: keys.slice(cut), values: values.slice(cut) }
    return new SortedMap(this.#chunks.toSpliced(index, 1, left, right), this.size + 1)
  }

  delete(key: string): SortedMap<T> {
    const index = this.#chunkOf(key)
    const chunk = this.#chunks[index]
    if (chunk === undefined) return this
    const at = lowerBound(chunk.keys, key)
    if (chunk.keys[at] !== key) return this
    if (chunk.keys.length === 1) return new SortedMap(this.#chunks.toSpliced(index, 1), this.size - 1)
    const smaller = { keys: chunk.keys.toSpliced(at, 1), values: chunk.values.toSpliced(at, 1) }
    return new SortedMap(this.#chunks.with(index, smaller), this.size - 1)
  }

  /** Values of keys that start with `prefix`, from `start` (inclusive) on, in key order. */
  *entries(prefix = '', start = prefix): Generator<readonly [string, T]> {
    const from = start > prefix ? start : prefix
    let index = this.#chunkOf(from)
    let at = lowerBound(this.#chunks[index]?.keys ?? [], from)
    for (; index < this.#chunks.length; index++, at = 0) {
      const chunk = this.#chunks[index]
      if (chunk === undefined) return
      for (; at < chunk.keys.length; at++) {
        const key = chunk.keys[at]
        if (key === undefined || !key.startsWith(prefix)) return
        yield [key, chunk.values[at] as T]
      }
    }
  }

  /** How many keys come before `key`. */
  rank(key: string): number {
    const index = this.#chunkOf(key)
    let count = 0
    for (let before = 0; before < index; before++) count += this.#chunks[before]?.keys.length ?? 0
    return count + lowerBound(this.#chunks[index]?.keys ?? [], key)
  }

  /** The last chunk whose first key is not after `key`; 0 when there is none. */
  #chunkOf(key: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#chunks[middle]?.keys[0] ?? '') <= key) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}

/** Index of the first element that is not before `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
