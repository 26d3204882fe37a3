// Waiting: exponential back-off with jitter, and sleeps that an AbortSignal cuts short.

export interface BackoffOptions {
  /** First delay, milliseconds. */
  readonly baseMs?: number
  /** Ceiling before jitter, milliseconds. */
  readonly maxMs?: number
  readonly factor?: number
  /** A delay d becomes a random one in [d, d × (1 + jitter)). */
  readonly jitter?: number
  /** A pause this long since the last failure starts over from the base. */
  readonly resetAfterMs?: number
}

/** Delays of repeated failures of one activity. The defaults are those of client-go's reflector. */
export class Backoff {
  readonly #options: Required<BackoffOptions>
  #failures = 0
  #lastAt = Number.NEGATIVE_INFINITY

  constructor(options: BackoffOptions = {}) {
    this.#options = { baseMs: 800, maxMs: 30_000, factor: 2, jitter: 1, resetAfterMs: 120_000, ...options }
  }

  /** Failures counted since the last reset. */
  get failures(): number {
    return this.#failures
  }

  /** The delay before the next attempt, in milliseconds; counts one failure. */
  next(): number {
    const now = performance.now()
    if (now - this.#lastAt > this.#options.resetAfterMs) this.#failures = 0
    const delay = exponential(this.#failures, this.#options.baseMs, this.#options.maxMs, this.#options.factor)
    this.#failures++
    this.#lastAt = now + delay
    return jittered(delay, this.#options.jitter)
  }

  reset(): void {
    this.#failures = 0
  }
}

/** Node fires a timer of more than this at once. */
export const longestTimerMs = 2 ** 31 - 1

/** base × factor^n, at most max; exact at any n. */
export function exponential(n: number, baseMs: number, maxMs: number, factor = 2): number {
  return Math.min(maxMs, baseMs * factor ** Math.min(n, 1000))
}

/** A random value in [ms, ms × (1 + fraction)). */
export function jittered(ms: number, fraction: number): number {
  return ms * (1 + Math.random() * fraction)
}

/**
 * Resolve after `ms` milliseconds; reject with the signal's reason as soon as it aborts.
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error)
      return
    }
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      },
      Math.min(ms, longestTimerMs),
    )
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** Let the event loop turn once: timers, sockets and other callbacks run before this resolves. */
export function yieldToLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
