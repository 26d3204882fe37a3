// Who may work when: one job at a time per key, at most `limit` jobs at once, urgent ones (DEL frees what an ADD may be
// waiting for) before the others, otherwise in order of arrival. Jobs that share a key never overtake each other.

interface Job {
  readonly keys: readonly string[]
  readonly urgent: boolean
  readonly start: () => void
}

/** Mutual exclusion by key with a common limit. It owns no timer; every job ends its own turn. */
export class JobQueue {
  readonly #limit: number
  readonly #busy = new Set<string>()
  #running = 0
  #waiting: Job[] = []

  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`limit ${limit}: expected a positive whole number`)
    this.#limit = limit
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Run `work` when its turn comes; its outcome is the promise's.
   *
   * @param signal when it aborts before the turn, the promise rejects with its reason and `work` never runs
   */
  run<T>(keys: readonly string[], urgent: boolean, signal: AbortSignal | null, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      const abandon = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== job)
        reject(signal?.reason as Error)
        this.#startNext()
      }
      const job: Job = {
        keys,
        urgent,
        start: () => {
          signal?.removeEventListener('abort', abandon)
          const done = (): void => this.#finish(job)
          // The work runs even when it throws synchronously, and its turn always ends.
          Promise.resolve().then(work).finally(done).then(resolve, reject)
        },
      }
      signal?.addEventListener('abort', abandon, { once: true })
      this.#waiting.push(job)
      this.#startNext()
    })
  }

  #finish(job: Job): void {
    this.#running--
    for (const key of job.keys) this.#busy.delete(key)
    this.#startNext()
  }

  #startNext(): void {
    while (this.#running < this.#limit) {
      const job = this.#next()
      if (job === null) return
      this.#waiting = this.#waiting.filter((other) => other !== job)
      this.#running++
      for (const key of job.keys) this.#busy.add(key)
      job.start()
    }
  }

  #next(): Job | null {
    const claimed = new Set(this.#busy)
    let first: Job | null = null
    for (const job of this.#waiting) {
      const free = job.keys.every((key) => !claimed.has(key))
      if (free && job.urgent) return job
      if (free) first ??= job
      for (const key of job.keys) claimed.add(key)
    }
    return first
  }
}
