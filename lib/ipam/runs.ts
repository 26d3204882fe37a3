// The used addresses of a subnet too large for a bitmap, as merged runs: [start, end] intervals in a treap keyed by start.
// Memory and time depend on the number of runs alone, so a /64 costs what a /24 does. Priorities come from a fixed
// generator: same calls, same tree.
import type { IPAddress } from '../ip/index.ts'

interface Run {
  start: IPAddress
  end: IPAddress
  readonly priority: number
  left: Run | null
  right: Run | null
}

function next(address: IPAddress): IPAddress {
  return typeof address === 'number' ? address + 1 : address + 1n
}

function previous(address: IPAddress): IPAddress {
  return typeof address === 'number' ? address - 1 : address - 1n
}

/** Everything in `left` starts before everything in `right`. */
function join(left: Run | null, right: Run | null): Run | null {
  if (left === null) return right
  if (right === null) return left
  if (left.priority > right.priority) {
    left.right = join(left.right, right)
    return left
  }
  right.left = join(left, right.left)
  return right
}

export class UsedRuns {
  #root: Run | null = null
  #seed = 0x9e3779b9
  #count = 0

  /** Number of runs, for tests and statistics. */
  get runs(): number {
    return this.#count
  }

  has(address: IPAddress): boolean {
    const run = this.#floor(address)
    return run !== null && run.end >= address
  }

  add(address: IPAddress): void {
    const before = this.#floor(address)
    if (before !== null && before.end >= address) return
    const successor = next(address)
    const after = this.#find(successor)
    const touches = before !== null && next(before.end) === address
    if (touches && after !== null) {
      before.end = after.end
      this.#remove(after.start)
    } else if (touches) {
      before.end = address
    } else if (after !== null) {
      // No run lies between, so the order of the tree stands.
      after.start = address
    } else {
      this.#insert(address, address)
    }
  }

  delete(address: IPAddress): void {
    const run = this.#floor(address)
    if (run === null || run.end < address) return
    const { start, end } = run
    if (start === end) {
      this.#remove(start)
    } else if (start === address) {
      run.start = next(address)
    } else if (end === address) {
      run.end = previous(address)
    } else {
      run.end = previous(address)
      this.#insert(next(address), end)
    }
  }

  /** The lowest address in [from, to] that is not used, or null. */
  nextFree(from: IPAddress, to: IPAddress): IPAddress | null {
    if (from > to) return null
    const run = this.#floor(from)
    // Runs are merged, so what follows a run is free.
    const free = run !== null && run.end >= from ? next(run.end) : from
    return free <= to ? free : null
  }

  /** The run with the greatest start at or below the address. */
  #floor(address: IPAddress): Run | null {
    let found: Run | null = null
    let run = this.#root
    while (run !== null) {
      if (run.start <= address) {
        found = run
        run = run.right
      } else {
        run = run.left
      }
    }
    return found
  }

  #find(start: IPAddress): Run | null {
    let run = this.#root
    while (run !== null && run.start !== start) run = start < run.start ? run.left : run.right
    return run
  }

  #insert(start: IPAddress, end: IPAddress): void {
    // xorshift32: deterministic and good enough to balance by.
    let seed = this.#seed
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    this.#seed = seed
    const run: Run = { start, end, priority: seed >>> 0, left: null, right: null }
    const [left, right] = split(this.#root, start)
    this.#root = join(join(left, run), right)
    this.#count++
  }

  #remove(start: IPAddress): void {
    let parent: Run | null = null
    let run = this.#root
    while (run !== null && run.start !== start) {
      parent = run
      run = start < run.start ? run.left : run.right
    }
    if (run === null) return
    const rest = join(run.left, run.right)
    if (parent === null) this.#root = rest
    else if (parent.left === run) parent.left = rest
    else parent.right = rest
    this.#count--
  }
}

/** The runs that start before `start`, and the others. */
function split(run: Run | null, start: IPAddress): [Run | null, Run | null] {
  if (run === null) return [null, null]
  if (run.start < start) {
    const [left, right] = split(run.right, start)
    run.right = left
    return [run, right]
  }
  const [left, right] = split(run.left, start)
  run.left = right
  return [left, run]
}
