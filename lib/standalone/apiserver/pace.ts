// Long work in slices, with the event loop free in between. All long work of the process shares one slice of time: ten lists
// at once hold the loop no longer in one turn than one does, each only takes longer.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Milliseconds of long work in one turn of the event loop, of all workers together. */
const TURN_MS = 4
/** No worker gets less: so short a slice would be all overhead. */
const SHORTEST_MS = 0.25

let workers = 0

/**
 * One piece of long work. After each small step ask {@link due}, and when it says so await {@link breathe}; call
 * {@link done} at the end.
 *
 *     const pace = new Pace()
 *     try {
 *       for (const item of items) {
 *         step(item)
 *         if (pace.due()) await pace.breathe()
 *       }
 *     } finally {
 *       pace.done()
 *     }
 */
export class Pace {
  #end: number
  #working = true

  constructor() {
    workers++
    this.#end = performance.now() + slice()
  }

  /** Whether the slice is used up. Costs some 50 ns. */
  due(): boolean {
    return performance.now() >= this.#end
  }

  /** Let the event loop turn, and begin a new slice. */
  async breathe(): Promise<void> {
    await nextTurn()
    this.renew()
  }

  /** Begin a new slice, after {@link done} too: a wait for something else lies between them. */
  renew(): void {
    if (!this.#working) workers++
    this.#working = true
    this.#end = performance.now() + slice()
  }

  /** The work has ended, or waits for something else. Idempotent. */
  done(): void {
    if (this.#working) workers--
    this.#working = false
  }
}

const slice = (): number => Math.max(SHORTEST_MS, TURN_MS / Math.max(1, workers))
