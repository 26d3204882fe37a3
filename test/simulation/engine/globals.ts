// What a program takes from its surroundings without being given it: clocks, timers, chance. While a simulation runs these
// globals answer for the process whose code runs; with no such process they are the real ones.
//
// So lib/kube and lib/manager run as they are, with no clock to inject. Transport is injected (`KubeClient.through`).
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import type { SimProcess } from './process.ts'
import type { Scheduler, Task } from './scheduler.ts'

/** Node's own longest timer; what is longer fires at once there. */
const longestTimerMs = 2 ** 31 - 1

/** What a simulated setTimeout returns. */
class SimTimer {
  readonly task: Task

  constructor(task: Task) {
    this.task = task
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

type AnyFunction = (...args: unknown[]) => unknown

/**
 * Replaces the globals.
 *
 * @returns puts the real ones back
 */
export function installGlobals(scheduler: Scheduler): () => void {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    setImmediate: globalThis.setImmediate,
    clearImmediate: globalThis.clearImmediate,
    Date: globalThis.Date,
  }
  const realRandom = Math.random
  const realBytes = crypto.randomBytes
  const realNow = performance.now.bind(performance)

  const later = (process: SimProcess, run: AnyFunction, ms: number, args: unknown[]): SimTimer => {
    // As in Node: no timer is shorter than a millisecond, and NaN is one.
    const wait = ms >= 1 && ms <= longestTimerMs ? ms : 1
    return new SimTimer(scheduler.after(process.trueMs(wait), process, () => void run(...args)))
  }
  const cancel = (timer: unknown, elsewhere: (timer: never) => void): void => {
    if (timer instanceof SimTimer) timer.task.cancelled = true
    else elsewhere(timer as never)
  }
  const here = (): SimProcess | null => scheduler.current
  class SimDate extends real.Date {
    constructor(...args: [] | [number | string | Date]) {
      if (args.length > 0) super(args[0] as number)
      else super(here()?.wall() ?? real.Date.now())
    }

    static override now(): number {
      return here()?.wall() ?? real.Date.now()
    }
  }
  Object.assign(globalThis, {
    setTimeout: (run: AnyFunction, ms = 0, ...args: unknown[]) => {
      const process = here()
      return process === null ? real.setTimeout(run, ms, ...args) : later(process, run, ms, args)
    },
    clearTimeout: (timer: unknown) => cancel(timer, real.clearTimeout),
    setInterval: (run: AnyFunction, ms = 0, ...args: unknown[]) => {
      if (here() !== null) throw new Error('the simulation has no setInterval: nothing used it')
      return real.setInterval(run, ms, ...args)
    },
    setImmediate: (run: AnyFunction, ...args: unknown[]) => {
      const process = here()
      if (process === null) return real.setImmediate(run, ...args)
      return new SimTimer(scheduler.after(0, process, () => void run(...args)))
    },
    clearImmediate: (timer: unknown) => cancel(timer, real.clearImmediate),
    Date: SimDate,
  })
  Math.random = () => here()?.dice.fraction() ?? realRandom()
  performance.now = () => here()?.monotonic() ?? realNow()
  crypto.randomBytes = (size: number) => {
    const process = here()
    if (process === null) return realBytes(size)
    const value = process.dice.below(2 ** Math.min(8 * size, process.macBits))
    const bytes = Buffer.alloc(size)
    bytes.writeUIntBE(value, 0, Math.min(6, size))
    return bytes
  }
  syncBuiltinESMExports()

  return () => {
    Object.assign(globalThis, real)
    Math.random = realRandom
    performance.now = realNow
    crypto.randomBytes = realBytes
    syncBuiltinESMExports()
  }
}
