// Simulated time: tasks in order of their moment, then of their making. A task is one step. One that belongs to a process runs
// with that process as the current one until every promise it settled has been followed up; so each continuation is known to
// be of the process whose task began it, and a process can be stopped dead between any two steps.
import type { SimProcess } from './process.ts'

export interface Task {
  at: number
  readonly serial: number
  /** null: a part of the world, which never waits for promises. */
  readonly owner: SimProcess | null
  readonly run: () => void
  cancelled: boolean
}

/** The real one: globals are replaced while a simulation runs. */
const turn = globalThis.setImmediate

export class Scheduler {
  /** Milliseconds since the beginning. */
  now = 0
  /** Tasks run. */
  steps = 0
  /** Whose code runs. */
  current: SimProcess | null = null
  #heap: Task[] = []
  #serial = 0

  /** Runs `run` after `delayMs`; 0 is after everything already due now. */
  after(delayMs: number, owner: SimProcess | null, run: () => void): Task {
    const task = { at: this.now + Math.max(0, delayMs), serial: this.#serial++, owner, run, cancelled: false }
    this.#push(task)
    return task
  }

  /** Runs the next task. False when there is none. */
  async step(): Promise<boolean> {
    for (;;) {
      const task = this.#pop()
      if (task === undefined) return false
      const { owner } = task
      if (task.cancelled || owner?.dead === true) continue
      if (owner !== null && owner.busyUntil > task.at) {
        task.at = owner.busyUntil
        this.#push(task)
        continue
      }
      this.now = task.at
      this.steps++
      if (owner === null) task.run()
      else await this.within(owner, task.run)
      return true
    }
  }

  /** Runs code of a process, and all that follows from it without waiting. */
  async within(owner: SimProcess, run: () => void): Promise<void> {
    this.current = owner
    try {
      run()
      // Microtasks are all done before the loop turns.
      await new Promise<void>((resolve) => turn(resolve))
    } finally {
      this.current = null
    }
  }

  #push(task: Task): void {
    const heap = this.#heap
    let at = heap.push(task) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(task, heap[parent] as Task)) break
      heap[at] = heap[parent] as Task
      at = parent
    }
    heap[at] = task
  }

  #pop(): Task | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Task, heap[child] as Task)) child++
      if (!isBefore(heap[child] as Task, last)) break
      heap[at] = heap[child] as Task
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.serial < b.serial)
}
