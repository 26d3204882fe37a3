// Chance that follows from a seed. Streams are split by name, so that what one part of the simulation draws never shifts what
// another part gets: a shrunk run stays close to the run it came from.
import { randomBy } from '../../support/model-api.ts'

export class Dice {
  readonly #seed: number
  readonly #next: () => number

  constructor(seed: number) {
    this.#seed = seed >>> 0
    this.#next = randomBy(this.#seed)
  }

  /** An independent stream; the same name always gives the same one. */
  split(name: string | number): Dice {
    // FNV-1a over seed and name.
    let hash = (0x811c9dc5 ^ this.#seed) >>> 0
    for (const character of String(name)) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0
    return new Dice(Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d))
  }

  /** In [0, 1). */
  fraction(): number {
    return this.#next()
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  /** In [from, to). */
  between(from: number, to: number): number {
    return from + this.#next() * (to - from)
  }

  /** A whole number in [0, below). */
  below(below: number): number {
    return Math.floor(this.#next() * below)
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  /** A choice by weight; zero weights are never taken. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries<number>(weights) as [T, number][]
    let left = this.#next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [choice, weight] of entries) {
      left -= weight
      if (left < 0) return choice
    }
    throw new RangeError('no choice has a weight')
  }
}
