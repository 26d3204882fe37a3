// One contender in a process of its own: list, watch and reconcile against the server of server.ts. Prints one line of JSON.
//
//   node --expose-gc --import tsx benchmarks/kube/client.ts CONTENDER PORT COUNT EVENTS
import { longestTurn } from '../support/event-loop.ts'
import { contenders, type Running } from './contenders.ts'

/** One phase; milliseconds, processor time of all threads. */
export interface Phase {
  readonly wall: number
  readonly cpu: number
  /** Longest time the event loop did not come round, and processor time of its thread in the longest turn (null: unknown). */
  readonly stall: number
  readonly turn: number | null
  readonly requests: number
  readonly bytes: number
}

export interface Sample {
  readonly list: Phase
  readonly watch: Phase
  /** Peak of the process, and what it was before; MiB. */
  readonly peak: number
  readonly idle: number
  /** Heap kept per object after a collection. */
  readonly heapPerObject: number
}

const [name = '', port = '', countText = '', eventsText = ''] = process.argv.slice(2)
const [count, events] = [Number(countText), Number(eventsText)]
const base = `http://127.0.0.1:${port}`

async function control(what: string): Promise<{ requests: number; bytes: number }> {
  return (await (await fetch(`${base}/control/${what}`)).json()) as { requests: number; bytes: number }
}

async function phase(work: () => Promise<void>): Promise<Phase> {
  await control('reset')
  const cpuBefore = process.cpuUsage()
  const began = performance.now()
  const { wall: stall, cpu: turn } = await longestTurn(work)
  const wall = performance.now() - began
  const { user, system } = process.cpuUsage(cpuBefore)
  return { wall, cpu: (user + system) / 1000, stall, turn, ...(await control('stats')) }
}

/** Heap in use after a full collection. */
function heap(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const contender = contenders.find((candidate) => candidate.name === name)
if (!contender) throw new Error(`no contender '${name}', there are: ${contenders.map((one) => one.name).join(', ')}`)
const prepared = await contender.prepare(base)
await control('stats')
const idle = process.memoryUsage.rss() / 2 ** 20
const before = heap()
let running: Running | null = null
/** Resolves when as many objects have been reconciled. */
let done: { readonly at: number; readonly resolve: () => void } | null = null
let reconciled = 0
const reconcile = (): void => {
  if (++reconciled === done?.at) done.resolve()
}
const reached = (at: number): Promise<void> => new Promise((resolve) => (done = { at, resolve }))

const listed = await phase(async () => {
  const all = reached(count)
  running = await prepared(reconcile)
  await all
})
const heapPerObject = (heap() - before) / count
const watched = await phase(async () => {
  const all = reached(count + events)
  await Promise.all([control(`events?count=${events}`), all])
})
const peak = process.resourceUsage().maxRSS / 1024
await (running as Running | null)?.stop()
const sample: Sample = { list: listed, watch: watched, peak, idle, heapPerObject }
console.log(JSON.stringify(sample))
process.exit(0)
