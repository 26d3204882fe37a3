// A work queue of keys: the level-triggered heart of a controller, with client-go's semantics.
//
// - A key waiting is waiting once, however often it is added.
// - A key being processed is never processed a second time beside; added meanwhile, it is processed again afterwards.
// - A key whose processing fails comes back after 5 ms, 10 ms, 20 ms, ... up to `maxDelayMs`; success forgets the count.
//
// Workers let the event loop turn after a few milliseconds, so that 100,000 keys of quick work do not hold it.
//
// It keeps no payload: `process` reads the current state of the key by itself.
import { longLivedAbort } from './abort.ts'
import { exponential, longestTimerMs } from './backoff.ts'

export interface WorkQueueOptions<K> {
  /** Bring the key's state in order. A returned number asks to be called again after that many milliseconds. */
  readonly process: (key: K, signal: AbortSignal) => Promise<number | void> | number | void
  /** Keys processed at once; 1. */
  readonly concurrency?: number | undefined
  /** Told of each failure, with the number of failures in a row and the delay before the next attempt. */
  readonly onError?: ((error: unknown, key: K, failures: number, delayMs: number) => void) | undefined
  /** First delay after a failure, milliseconds; 5. */
  readonly baseDelayMs?: number | undefined
  /** Longest delay after a failure, milliseconds; 30,000. */
  readonly maxDelayMs?: number | undefined
}

export interface WorkQueueHealth {
  /** Keys ready for a worker. */
  readonly waiting: number
  readonly inFlight: number
  /** Keys whose time has not come (addAfter, back-off). */
  readonly delayed: number
  /** Keys that failed and have not succeeded since. */
  readonly failing: number
  readonly processed: number
  readonly errors: number
}

/** Work on keys before the event loop may turn. */
const sliceMs = 5

interface Delay {
  readonly at: number
  readonly timer: NodeJS.Timeout
}

export class WorkQueue<K = string> {
  readonly #options: WorkQueueOptions<K>
  readonly #concurrency: number
  readonly #stopping = longLivedAbort()
  /** Keys in order of arrival from `#head` on. */
  #ready: K[] = []
  #head = 0
  /** Keys that are in #ready, or in flight and added again. */
  readonly #dirty = new Set<K>()
  readonly #inFlight = new Set<K>()
  readonly #delays = new Map<K, Delay>()
  readonly #retries = new Map<K, Delay>()
  readonly #failures = new Map<K, number>()
  #idleWaiters: (() => void)[] = []
  #started = false
  /** When the work of this turn of the event loop has been enough; null before the first of a turn. */
  #sliceEnd: number | null = null
  #turn: NodeJS.Immediate | null = null
  #processed = 0
  #errors = 0

  constructor(options: WorkQueueOptions<K>) {
    const concurrency = options.concurrency ?? 1
    if (!Number.isInteger(concurrency) || concurrency < 1) {
      throw new RangeError(`work queue: concurrency is ${concurrency}, expected a whole number of 1 or more`)
    }
    this.#options = options
    this.#concurrency = concurrency
  }

  /** Let the workers begin; keys added before wait until then. */
  start(): this {
    this.#started = true
    this.#pump()
    return this
  }

  /** Process the key soon. */
  add(key: K): void {
    if (this.#stopping.signal.aborted || this.#dirty.has(key)) return
    this.#dirty.add(key)
    if (this.#inFlight.has(key)) return
    this.#ready.push(key)
    this.#pump()
  }

  /**
   * Process the key after `ms` milliseconds (24 days at most); the earliest of several such calls counts.
   *
   * @throws RangeError when `ms` is no number
   */
  addAfter(key: K, ms: number): void {
    if (Number.isNaN(ms)) throw new RangeError(`work queue: delay of key ${String(key)} is NaN, expected milliseconds`)
    if (ms <= 0) this.add(key)
    else this.#delay(this.#delays, key, ms)
  }

  /** Failures in a row of a key. */
  failures(key: K): number {
    return this.#failures.get(key) ?? 0
  }

  /** Drop the key's failure count and its pending retry. */
  forget(key: K): void {
    this.#failures.delete(key)
    this.#cancel(this.#retries, key)
  }

  health(): WorkQueueHealth {
    return {
      waiting: this.#ready.length - this.#head,
      inFlight: this.#inFlight.size,
      delayed: this.#delays.size + this.#retries.size,
      failing: this.#failures.size,
      processed: this.#processed,
      errors: this.#errors,
    }
  }

  /** Resolves when nothing waits or is in flight; keys delayed for later do not count. */
  async idle(): Promise<void> {
    while (this.#inFlight.size > 0 || (this.#ready.length > this.#head && !this.#stopping.signal.aborted)) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
    }
  }

  /** Take no more keys, tell running work by its signal, and wait for it to end. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the work queue was stopped'))
    if (this.#turn) clearImmediate(this.#turn)
    for (const delays of [this.#delays, this.#retries]) {
      for (const { timer } of delays.values()) clearTimeout(timer)
      delays.clear()
    }
    await this.idle()
  }

  #pump(): void {
    while (this.#started && !this.#stopping.signal.aborted && this.#inFlight.size < this.#concurrency) {
      if (this.#head === this.#ready.length || this.#tired()) return
      const key = this.#ready[this.#head++] as K
      if (this.#head * 2 >= this.#ready.length) {
        this.#ready = this.#ready.slice(this.#head)
        this.#head = 0
      }
      this.#dirty.delete(key)
      this.#inFlight.add(key)
      void this.#work(key)
    }
  }

  /** Whether the event loop has to turn before the next key; the pump goes on by itself then. */
  #tired(): boolean {
    if (this.#sliceEnd !== null) return performance.now() >= this.#sliceEnd
    this.#sliceEnd = performance.now() + sliceMs
    this.#turn = setImmediate(() => {
      this.#sliceEnd = null
      this.#pump()
    })
    return false
  }

  async #work(key: K): Promise<void> {
    try {
      // A turn later: add() must not run work within itself.
      await Promise.resolve()
      const again = await this.#options.process(key, this.#stopping.signal)
      this.forget(key)
      if (typeof again === 'number' && again >= 0) this.addAfter(key, again)
    } catch (error) {
      this.#failed(key, error)
    } finally {
      this.#processed++
      this.#inFlight.delete(key)
      if (this.#dirty.has(key)) this.#ready.push(key)
      this.#pump()
      if (this.#inFlight.size === 0) {
        const waiters = this.#idleWaiters
        this.#idleWaiters = []
        for (const resolve of waiters) resolve()
      }
    }
  }

  #failed(key: K, error: unknown): void {
    this.#errors++
    const failures = this.failures(key) + 1
    this.#failures.set(key, failures)
    const delay = exponential(failures - 1, this.#options.baseDelayMs ?? 5, this.#options.maxDelayMs ?? 30_000)
    this.#delay(this.#retries, key, delay)
    this.#options.onError?.(error, key, failures, delay)
  }

  #delay(delays: Map<K, Delay>, key: K, wanted: number): void {
    if (this.#stopping.signal.aborted) return
    const ms = Math.min(wanted, longestTimerMs)
    const at = performance.now() + ms
    const pending = delays.get(key)
    if (pending && pending.at <= at) return
    if (pending) clearTimeout(pending.timer)
    const timer = setTimeout(() => {
      delays.delete(key)
      this.add(key)
    }, ms)
    delays.set(key, { at, timer })
  }

  #cancel(delays: Map<K, Delay>, key: K): void {
    const pending = delays.get(key)
    if (!pending) return
    clearTimeout(pending.timer)
    delays.delete(key)
  }
}
