// The ring of the last changes, for watches that start in the past and for older versions of a collection.
import type { Change } from './store.ts'

export class History {
  readonly #capacity: number
  readonly #ring: (Change | undefined)[] = []
  /** Position in the ring of the next change. */
  #next = 0
  #count = 0
  #compacted = 0

  /** @param capacity changes kept, at least 1 */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`history size ${capacity}: expected a positive integer`)
    this.#capacity = capacity
  }

  /** The newest version whose change is forgotten: a watch may start at it, not before it. */
  get compacted(): number {
    return this.#compacted
  }

  push(change: Change): void {
    if (this.#count === this.#capacity) this.#compacted = this.#ring[this.#next]?.version ?? this.#compacted
    else this.#count++
    this.#ring[this.#next] = change
    this.#next = (this.#next + 1) % this.#capacity
  }

  /** Changes newer than `version`, oldest first. */
  *since(version: number): Generator<Change> {
    // Versions grow by one with each change, so the place is known without a search.
    const newest = this.#at(this.#count - 1)?.version ?? version
    for (let index = Math.max(0, this.#count - (newest - version)); index < this.#count; index++) {
      const change = this.#at(index)
      if (change !== undefined && change.version > version) yield change
    }
  }

  /** Changes newer than `version`, newest first. */
  *backwards(version: number): Generator<Change> {
    for (let index = this.#count - 1; index >= 0; index--) {
      const change = this.#at(index)
      if (change === undefined || change.version <= version) return
      yield change
    }
  }

  compact(version: number): void {
    this.#compacted = Math.max(this.#compacted, version)
    const kept = [...this.since(version)]
    this.#ring.length = 0
    this.#ring.push(...kept)
    this.#count = kept.length
    this.#next = kept.length % this.#capacity
  }

  /** Forget everything; the next change is the one after `version`, whatever came before. */
  reset(version: number): void {
    this.#ring.length = 0
    this.#count = 0
    this.#next = 0
    this.#compacted = version
  }

  /** The index-th oldest change. */
  #at(index: number): Change | undefined {
    if (index < 0) return undefined
    return this.#ring[(this.#next - this.#count + index + this.#capacity) % this.#capacity]
  }
}
