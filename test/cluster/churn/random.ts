// Random numbers that repeat: the same seed gives the same numbers on every machine.

export class Random {
  #state: number

  /** @param seed a whole number; its low 32 bits count */
  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** In [0, 1). mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** @throws Error when there is nothing to pick from */
  pick<T>(from: Iterable<T>): T {
    const list = [...from]
    if (list.length === 0) throw new Error('nothing to pick from')
    return list[this.below(list.length)] as T
  }

  /** One key, each as likely as its weight says; keys of weight 0 never. */
  weighted<K>(weights: ReadonlyMap<K, number>): K {
    const sum = [...weights.values()].reduce((total, weight) => total + weight, 0)
    if (sum <= 0) throw new Error('nothing to pick from')
    let left = this.next() * sum
    let last: K | undefined
    for (const [key, weight] of weights) {
      if (weight <= 0) continue
      last = key
      left -= weight
      if (left < 0) return key
    }
    return last as K
  }
}
