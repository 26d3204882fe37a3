// What to leave alone for a while: operations the kernel refused, and keys another writer keeps changing.
import type { Operation } from '../operation.ts'

export interface Failure {
  readonly operation: Operation
  readonly error: Error
  /** Times in a row. */
  readonly attempts: number
  /** Clock value (ms) of the next attempt. */
  readonly retryAt: number
}

const FIRST_MS = 100
const LONGEST_MS = 30_000

/** Refused operations, retried after 100 ms, doubling to 30 s. */
export class Failures {
  readonly #byKey = new Map<string, Failure>()

  get size(): number {
    return this.#byKey.size
  }

  note(operation: Operation, error: Error, now: number): Failure {
    const attempts = (this.#byKey.get(operation.key)?.attempts ?? 0) + 1
    const delay = Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempts - 1))
    const failure = { operation, error, attempts, retryAt: now + delay }
    this.#byKey.set(operation.key, failure)
    return failure
  }

  /** The key is as wanted, or wanted otherwise: its history no longer counts. */
  forget(key: string): void {
    this.#byKey.delete(key)
  }

  get(key: string): Failure | undefined {
    return this.#byKey.get(key)
  }

  /** Whether the key has to wait. */
  blocked(key: string, now: number): boolean {
    const failure = this.#byKey.get(key)
    return failure !== undefined && failure.retryAt > now
  }

  list(): readonly Failure[] {
    return [...this.#byKey.values()]
  }

  /** When the earliest is due, null when there is none. */
  nextAt(): number | null {
    let next: number | null = null
    for (const { retryAt } of this.#byKey.values()) if (next === null || retryAt < next) next = retryAt
    return next
  }

  /** Those due, which stay known until they succeed. */
  due(now: number): Failure[] {
    return this.list().filter(({ retryAt }) => retryAt <= now)
  }
}

export interface Contest {
  readonly key: string
  /** Repairs within the window. */
  readonly repairs: number
  /** Left as it is until then. */
  readonly holdUntil: number
}

const WINDOW_MS = 60_000
const ALLOWED = 10
const FIRST_HOLD_MS = 5_000
const LONGEST_HOLD_MS = 300_000

/**
 * Keys that have to be repaired again and again: somebody else writes them. After ten repairs in a minute the key is left
 * alone for 5 s, doubling to 5 min, and reported; a minute of peace after a hold ends it.
 */
export class Contests {
  readonly #repairs = new Map<string, number[]>()
  readonly #holds = new Map<string, { until: number; ms: number }>()

  /** Notes a repair of drift. Returns true when the key has just become contested. */
  note(key: string, now: number): boolean {
    const recent = (this.#repairs.get(key) ?? []).filter((at) => at > now - WINDOW_MS)
    recent.push(now)
    this.#repairs.set(key, recent)
    const hold = this.#holds.get(key)
    if (hold !== undefined && now > hold.until + WINDOW_MS) this.#holds.delete(key)
    if (recent.length <= ALLOWED) return false
    const known = this.#holds.get(key)
    const ms = Math.min(LONGEST_HOLD_MS, known === undefined ? FIRST_HOLD_MS : known.ms * 2)
    this.#holds.set(key, { until: now + ms, ms })
    return known === undefined
  }

  held(key: string, now: number): boolean {
    const hold = this.#holds.get(key)
    return hold !== undefined && hold.until > now
  }

  /** Contested keys, held now or within the last minute. */
  list(now: number): Contest[] {
    return [...this.#holds]
      .filter(([, { until }]) => until > now - WINDOW_MS)
      .map(([key, { until }]) => ({ key, repairs: this.#repairs.get(key)?.length ?? 0, holdUntil: until }))
  }

  /** When the earliest hold ends, null when none is in force. */
  nextAt(now: number): number | null {
    let next: number | null = null
    for (const { until } of this.#holds.values()) if (until > now && (next === null || until < next)) next = until
    return next
  }

  /** Forgets what is older than the window, so that memory follows the present. */
  prune(now: number): void {
    for (const [key, times] of this.#repairs) if (times.every((at) => at <= now - WINDOW_MS)) this.#repairs.delete(key)
    for (const [key, { until }] of this.#holds) if (until <= now - WINDOW_MS) this.#holds.delete(key)
  }
}
