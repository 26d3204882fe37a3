// The server under measurement, in a process of its own: filled directly, served on a Unix socket, its event loop watched by
// perf_hooks. Started by run.ts with an IPC channel: `start` begins a measurement, `stop` ends it and answers with a Sample,
// `write` makes writes at a rate until `quiet`.
import { monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks'
import { openSync, readSync } from 'node:fs'
import { assemble } from '../../lib/standalone/apiserver/server.ts'
import { podOf } from './objects.ts'

/** What one measurement found, of the server's process alone. Times in ms, sizes in bytes. */
export interface Sample {
  /** Most CPU time the main thread used in one turn of the event loop: the stall of a machine that has nothing else to do. */
  readonly turnMs: number
  /** Longest time the event loop was late, and how late it was at the 99th percentile of all ticks. */
  readonly stallMs: number
  readonly p99Ms: number
  /** Longest pause of the garbage collector: part of the stall, and not the server's code. */
  readonly gcMs: number
  readonly cpuMs: number
  readonly rss: number
  readonly writes: number
}

export type Command = 'start' | 'stop' | 'quiet' | { readonly write: number }

const [socketPath = '', countText = '100000'] = process.argv.slice(2)
const count = Number(countText)
const settle = async (): Promise<void> => {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const { server, context } = await assemble({ listen: [{ path: socketPath }], bookmarkIntervalMs: 1000 })
await settle()
const empty = process.memoryUsage()
for (let index = 0; index < count; index++) {
  const pod = podOf(index)
  context.store.put('/pods', `${pod.metadata.namespace ?? ''}/${pod.metadata.name ?? ''}`, pod)
  if (index % 500 === 499) await new Promise(setImmediate)
}
await settle()
const full = process.memoryUsage()

const delay = monitorEventLoopDelay({ resolution: 1 })
let turnMs = 0
let ticker: NodeJS.Timeout | null = null
const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
const text = Buffer.alloc(64)

/** CPU time of the main thread, ms (Documentation/scheduler/sched-stats.rst). */
function threadCpu(): number {
  return Number.parseInt(text.toString('latin1', 0, readSync(schedstat, text, 0, 64, 0)), 10) / 1e6
}

function watchTurns(): void {
  turnMs = 0
  let last = threadCpu()
  ticker = setInterval(() => {
    const now = threadCpu()
    turnMs = Math.max(turnMs, now - last)
    last = now
  }, 1)
}
let gcMs = 0
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) gcMs = Math.max(gcMs, duration)
}).observe({ entryTypes: ['gc'] })
let cpu = process.cpuUsage()
let writes = 0
let writer: NodeJS.Timeout | null = null

/** `rate` status changes a second of objects all over the collection, spread over the time. */
function write(rate: number): void {
  let due = performance.now()
  writer = setInterval(() => {
    // What a machine that is too slow leaves behind is not made up for: it would come in bursts.
    for (let left = 10; left > 0 && due <= performance.now(); left--, due += 1000 / rate) {
      const pod = podOf((writes * 7919) % count)
      pod.metadata.generation = writes++
      context.store.put('/pods', `${pod.metadata.namespace ?? ''}/${pod.metadata.name ?? ''}`, pod)
    }
    due = Math.max(due, performance.now() - 10)
  }, 1)
}

function quiet(): void {
  if (writer !== null) clearInterval(writer)
  writer = null
}

process.on('message', (command: Command) => {
  if (command === 'quiet') quiet()
  else if (command === 'start') {
    gcMs = 0
    writes = 0
    cpu = process.cpuUsage()
    watchTurns()
    delay.enable()
    delay.reset()
  } else if (command === 'stop') {
    delay.disable()
    if (ticker !== null) clearInterval(ticker)
    const { user, system } = process.cpuUsage(cpu)
    // The histogram's values are the whole intervals between its ticks, 1 ms of which are the tick's own.
    const sample: Sample = {
      turnMs,
      stallMs: Math.max(0, delay.max / 1e6 - 1),
      p99Ms: Math.max(0, delay.percentile(99) / 1e6 - 1),
      gcMs,
      cpuMs: (user + system) / 1000,
      rss: process.memoryUsage.rss(),
      writes,
    }
    process.send?.(sample)
  } else write(command.write)
})
process.on('disconnect', () => {
  quiet()
  void server.close().then(() => process.exit(0))
})
process.send?.({
  heapPerObject: (full.heapUsed - empty.heapUsed) / count,
  externalPerObject: (full.external - empty.external) / count,
  rss: full.rss,
  bytes: JSON.stringify(podOf(0)).length,
})
