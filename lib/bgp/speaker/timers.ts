// Timers by name with one owner. Setting one to a later time, as each message does with the hold timer, costs no timer of Node's.

interface Entry {
  deadline: number
  /** When Node's timer fires. */
  due: number
  timeout: NodeJS.Timeout
}

/** Node fires a timer of more than this at once. */
const LONGEST_MS = 2 ** 31 - 1

export class Timers<Name extends string> {
  readonly #onExpired: (name: Name) => void
  readonly #entries = new Map<Name, Entry>()

  constructor(onExpired: (name: Name) => void) {
    this.#onExpired = onExpired
  }

  /** @param seconds null stops it */
  set(name: Name, seconds: number | null): void {
    const entry = this.#entries.get(name)
    if (seconds === null) {
      if (entry === undefined) return
      clearTimeout(entry.timeout)
      this.#entries.delete(name)
      return
    }
    const deadline = performance.now() + seconds * 1000
    if (entry !== undefined && entry.due <= deadline) {
      entry.deadline = deadline
      return
    }
    if (entry !== undefined) clearTimeout(entry.timeout)
    this.#arm(name, deadline)
  }

  #arm(name: Name, deadline: number): void {
    const ms = Math.min(LONGEST_MS, Math.max(0, deadline - performance.now()))
    // What came in while the event loop was held is read first: it may set the timer anew.
    const timeout = setTimeout(() => setImmediate(() => this.#fire(name, timeout)), ms)
    this.#entries.set(name, { deadline, due: performance.now() + ms, timeout })
  }

  #fire(name: Name, timeout: NodeJS.Timeout): void {
    const entry = this.#entries.get(name)
    if (entry?.timeout !== timeout) return
    if (entry.deadline > performance.now() + 1) {
      this.#arm(name, entry.deadline)
      return
    }
    this.#entries.delete(name)
    this.#onExpired(name)
  }

  stop(): void {
    for (const { timeout } of this.#entries.values()) clearTimeout(timeout)
    this.#entries.clear()
  }
}
