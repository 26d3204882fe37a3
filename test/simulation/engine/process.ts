// One simulated operating system process: its clocks, its chance, and whether it lives. What it runs is ordinary code over the
// replaced globals of globals.ts.
import type { Dice } from './dice.ts'
import type { Scheduler } from './scheduler.ts'

/** The simulation begins then, milliseconds since the epoch; no meaning but being fixed. */
export const EPOCH = Date.UTC(2030, 0, 1)

export interface ProcessOptions {
  readonly name: string
  readonly dice: Dice
  /** Seconds of its clocks in a true second. */
  readonly rate?: number
  /** How far its wall clock is ahead of the true time, milliseconds. */
  readonly aheadMs?: number
  /** Longest simulated time that passes between two looks at the clock, milliseconds: a slow machine. */
  readonly slowMs?: number
  /** Different random MAC addresses there can be, as a power of two. */
  readonly macBits?: number
}

export class SimProcess {
  readonly name: string
  readonly dice: Dice
  readonly macBits: number
  dead = false
  /** Nothing of it runs before that moment. */
  busyUntil = 0
  readonly #scheduler: Scheduler
  readonly #bornAt: number
  readonly #rate: number
  readonly #slowMs: number
  #aheadMs: number
  #suspendedMs = 0

  constructor(scheduler: Scheduler, options: ProcessOptions) {
    this.#scheduler = scheduler
    this.#bornAt = scheduler.now
    this.name = options.name
    this.dice = options.dice
    this.macBits = options.macBits ?? 24
    this.#rate = options.rate ?? 1
    this.#slowMs = options.slowMs ?? 0
    this.#aheadMs = options.aheadMs ?? 0
  }

  /** performance.now(): stands still while the machine is suspended. */
  monotonic(): number {
    return (this.#look() - this.#bornAt) * this.#rate - this.#suspendedMs
  }

  /** Date.now(). */
  wall(): number {
    return Math.floor(EPOCH + this.#aheadMs + this.#look() * this.#rate)
  }

  /** True milliseconds of a duration by its own clock. */
  trueMs(ms: number): number {
    return ms / this.#rate
  }

  /** Nothing of it runs for that long: it is stopped, or waits for the disk, or for another virtual machine. */
  pause(ms: number): void {
    this.busyUntil = Math.max(this.busyUntil, this.#scheduler.now + ms)
  }

  /** A pause that its monotonic clock does not see. */
  suspend(ms: number): void {
    this.pause(ms)
    this.#suspendedMs += ms * this.#rate
  }

  /** Somebody sets its wall clock. */
  shiftWall(ms: number): void {
    this.#aheadMs += ms
  }

  #look(): number {
    const { now } = this.#scheduler
    if (this.#slowMs > 0) this.busyUntil = Math.max(this.busyUntil, now) + this.dice.fraction() * this.#slowMs
    return Math.max(now, this.busyUntil)
  }
}
