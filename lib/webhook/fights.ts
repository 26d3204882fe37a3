// How often the same may be put right again. Somebody else who keeps writing another value (a chart applied over and over, an
// injector) must not be answered at the speed of the watch: a few times at once, then ever less often, while it lasts.

export interface FightLimits {
  /** Corrections without a pause. */
  readonly burst: number
  /** Milliseconds before the next; doubled each time, up to `longestMs`. */
  readonly firstMs: number
  readonly longestMs: number
  /** Milliseconds of peace after which everything is forgotten. */
  readonly peaceMs: number
}

export const FIGHT_LIMITS: FightLimits = { burst: 5, firstMs: 2000, longestMs: 300_000, peaceMs: 900_000 }

interface Fight {
  rounds: number
  last: number
}

export class Fights {
  readonly #limits: FightLimits
  readonly #fights = new Map<string, Fight>()

  constructor(limits: FightLimits = FIGHT_LIMITS) {
    this.#limits = limits
  }

  /** Milliseconds before the key may be corrected; 0: now. @param now milliseconds */
  wait(key: string, now: number): number {
    const fight = this.#fights.get(key)
    if (fight === undefined) return 0
    const { burst, firstMs, longestMs, peaceMs } = this.#limits
    if (now - fight.last >= peaceMs) {
      this.#fights.delete(key)
      return 0
    }
    const over = fight.rounds - burst
    if (over < 0) return 0
    return Math.max(0, fight.last + Math.min(longestMs, firstMs * 2 ** Math.min(over, 30)) - now)
  }

  /** The key was corrected. @returns whether it was so often that it is a fight */
  corrected(key: string, now: number): boolean {
    const { rounds = 0 } = this.#fights.get(key) ?? {}
    this.#fights.set(key, { rounds: rounds + 1, last: now })
    return rounds + 1 >= this.#limits.burst
  }
}
