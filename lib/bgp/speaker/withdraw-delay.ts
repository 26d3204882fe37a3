// Withdrawals that wait: a route that is back before its time was never away for the peers.
import type { RouteKey } from '../rib/index.ts'

export class WithdrawDelay {
  readonly #ms: number
  readonly #onDue: (keys: readonly RouteKey[]) => void
  /** When each is due, in that order: all wait equally long. */
  readonly #waiting = new Map<RouteKey, number>()
  #timer: NodeJS.Timeout | null = null

  /** @param ms 0: at once */
  constructor(ms: number, onDue: (keys: readonly RouteKey[]) => void) {
    this.#ms = ms
    this.#onDue = onDue
  }

  add(key: RouteKey): void {
    if (this.#ms === 0) return this.#onDue([key])
    if (this.#waiting.has(key)) return
    this.#waiting.set(key, performance.now() + this.#ms)
    this.#timer ??= setTimeout(() => this.#due(), this.#ms)
  }

  cancel(key: RouteKey): void {
    this.#waiting.delete(key)
  }

  #due(): void {
    this.#timer = null
    const now = performance.now()
    const keys: RouteKey[] = []
    for (const [key, at] of this.#waiting) {
      if (at > now) {
        this.#timer = setTimeout(() => this.#due(), at - now)
        break
      }
      this.#waiting.delete(key)
      keys.push(key)
    }
    if (keys.length > 0) this.#onDue(keys)
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#waiting.clear()
  }
}
