// Waiting for a condition that only events can make true: no polling, and an end by the caller's signal.

export class Waiters {
  readonly #waiting = new Set<() => void>()

  /** Something changed: every condition is looked at again. */
  notify(): void {
    for (const look of [...this.#waiting]) look()
  }

  /**
   * The first value of `probe` that is not null, looked for now and at each notify().
   *
   * @throws what `probe` throws; the result of `onAbort` when the signal aborts first
   */
  until<T>(probe: () => T | null, signal: AbortSignal, onAbort: () => Error): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const finish = (settle: () => void): void => {
        this.#waiting.delete(look)
        signal.removeEventListener('abort', aborted)
        settle()
      }
      const look = (): void => {
        try {
          const value = probe()
          if (value !== null) finish(() => resolve(value))
        } catch (error) {
          finish(() => reject(error instanceof Error ? error : new Error(String(error))))
        }
      }
      const aborted = (): void => finish(() => reject(onAbort()))
      this.#waiting.add(look)
      signal.addEventListener('abort', aborted)
      look()
      if (signal.aborted && this.#waiting.has(look)) aborted()
    })
  }
}
