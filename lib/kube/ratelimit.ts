// Client-side rate limit: a token bucket with a first-come queue, like client-go's flowcontrol. Off unless configured.

/** `burst` requests at once, then `qps` a second. */
export class RateLimiter {
  readonly #qps: number
  readonly #burst: number
  #tokens: number
  #filledAt = performance.now()
  readonly #waiting: { resolve: () => void; reject: (reason: Error) => void }[] = []
  #timer: NodeJS.Timeout | null = null

  /**
   * @param qps tokens a second, more than 0
   * @param burst capacity, at least 1
   */
  constructor(qps: number, burst: number) {
    if (!(qps > 0)) throw new RangeError(`client rate limit: qps is ${qps}, expected a number above 0`)
    if (!(burst >= 1)) throw new RangeError(`client rate limit: burst is ${burst}, expected 1 or more`)
    this.#qps = qps
    this.#burst = burst
    this.#tokens = burst
  }

  /** Requests waiting for a token now. */
  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Wait for permission to send; reject with the signal's reason if it aborts first.
   *
   * @param withinMs longest wait worth it
   * @returns false at once when the turn would come later than that
   */
  async take(withinMs: number, signal?: AbortSignal): Promise<boolean> {
    this.#refill()
    if (this.#waiting.length === 0 && this.#tokens >= 1) {
      this.#tokens--
      return true
    }
    signal?.throwIfAborted()
    if (((this.#waiting.length + 1 - this.#tokens) / this.#qps) * 1000 > withinMs) return false
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        const index = this.#waiting.indexOf(entry)
        if (index >= 0) this.#waiting.splice(index, 1)
        reject(signal?.reason as Error)
      }
      const entry = {
        resolve: (): void => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        reject,
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(entry)
      this.#arm()
    })
    return true
  }

  #refill(): void {
    const now = performance.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) / 1000) * this.#qps)
    this.#filledAt = now
  }

  #arm(): void {
    if (this.#timer !== null || this.#waiting.length === 0) return
    const waitMs = Math.max(1, Math.ceil(((1 - this.#tokens) / this.#qps) * 1000))
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#refill()
      while (this.#tokens >= 1 && this.#waiting.length > 0) {
        this.#tokens--
        this.#waiting.shift()?.resolve()
      }
      this.#arm()
    }, waitMs)
  }
}
