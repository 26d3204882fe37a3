// How long the embedded API server holds its event loop, and what an object costs it, at 100,000 pods.
//
//   node --import tsx benchmarks/apiserver/run.ts [--objects N] [--rounds N] [--json FILE]
//
// The server is a process of its own (server.ts) and nothing else runs in it, so that its event loop is late only by what it
// does. Two measures of that: `turn`, the most CPU time its main thread used in one turn of the loop, which other work on the
// machine does not change, and `late`, how late perf_hooks saw the loop. On a quiet machine they are the same. Of each case the
// median of the rounds is shown, and the worst turn of all rounds. Everything goes over a Unix socket; no network is touched.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machine, significant, textTable } from '../support/report.ts'
import { median } from '../support/statistics.ts'
import { follow, page, read, skim, watchList } from './client.ts'
import type { Command, Sample } from './server.ts'

/** The longest stall allowed, ms: issue 3. */
const target = 20

const { values } = parseArgs({
  options: {
    objects: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
})

interface Ready {
  readonly heapPerObject: number
  readonly externalPerObject: number
  readonly rss: number
  readonly bytes: number
}

const directory = mkdtempSync(join(tmpdir(), 'apiserver-benchmark-'))
const socket = join(directory, 'api.sock')
const child: ChildProcess = fork(join(import.meta.dirname, 'server.ts'), [socket, values.objects], {
  execArgv: [...process.execArgv, '--expose-gc'],
})
process.on('exit', () => {
  child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})
const tell = (command: Command): boolean => child.send(command)
const hear = async <T>(): Promise<T> => ((await once(child, 'message')) as [T])[0]
child.on('exit', (code) => {
  if (child.connected || code === 0) return
  console.error(`the server ended with ${code}`)
  process.exit(1)
})

const all = '/api/v1/pods?'
const cases: Readonly<Record<string, () => Promise<number>>> = {
  'pages of 500': () => page(socket, all, 500, 'object'),
  'in one go': () => skim(socket, all, 'object'),
  'label selector, 1 of 1000': () => skim(socket, `${all}labelSelector=tier%3Drare`, 'object'),
  'label selector, pages': () => page(socket, `${all}labelSelector=tier%3Drare&`, 500, 'object'),
  'field selector, 1 of 500': () => skim(socket, `${all}fieldSelector=spec.nodeName%3Dnode-77`, 'object'),
  'Table, pages of 500': () => page(socket, all, 500, 'table'),
  'Table, in one go': () => skim(socket, all, 'table'),
  'metadata, in one go': () => skim(socket, all, 'metadata'),
  'watch-list': () => watchList(socket, all),
  'two lists at once': async () => {
    const bytes = await Promise.all([skim(socket, all, 'object'), skim(socket, all, 'metadata')])
    return bytes[0] + bytes[1]
  },
}

interface Row {
  readonly name: string
  readonly samples: readonly Sample[]
  readonly wallMs: readonly number[]
  readonly bytes: number
}

async function measure(name: string, work: () => Promise<number>): Promise<Row> {
  const samples: Sample[] = []
  const wallMs: number[] = []
  let bytes = 0
  for (let round = 0; round < Number(values.rounds); round++) {
    tell('start')
    const started = performance.now()
    bytes = await work()
    wallMs.push(performance.now() - started)
    tell('stop')
    samples.push(await hear<Sample>())
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const each = (of: (sample: Sample) => number): string => samples.map((sample) => of(sample).toFixed(1)).join(' ')
  process.stderr.write(`${name}: turns ${each(({ turnMs }) => turnMs)} ms, CPU ${each(({ cpuMs }) => cpuMs)} ms\n`)
  return { name, samples, wallMs, bytes }
}

const ready = await hear<Ready>()
const rows: Row[] = []
const chosen = Object.entries(cases).filter(([name]) => name.includes(values.only))
for (const [name, work] of chosen) rows.push(await measure(name, work))

// The same under load: 1,000 writes a second, 100 watches that see a fiftieth of them each and 4 that see all.
const version = /"resourceVersion":"(\d+)"/.exec((await read(socket, `${all}limit=1`, 'object')).toString())?.[1] ?? ''
const watches = await Promise.all([
  ...Array.from({ length: 96 }, (_, index) =>
    follow(socket, `${all}watch=true&resourceVersion=${version}&fieldSelector=spec.nodeName%3Dnode-${index}`),
  ),
  ...Array.from({ length: 4 }, () => follow(socket, `${all}watch=true&resourceVersion=${version}`)),
])
await new Promise((resolve) => setTimeout(resolve, 3000))
tell({ write: 1000 })
for (const [name, work] of chosen) rows.push(await measure(`loaded: ${name}`, work))
tell('quiet')
for (const watch of watches) watch.close()
child.disconnect()

console.log(JSON.stringify(machine()))
console.log(
  `${values.objects} pods of ${ready.bytes} bytes: ${ready.heapPerObject.toFixed(0)} bytes of heap each, RSS ${(ready.rss / 2 ** 20).toFixed(0)} MiB after filling`,
)
const pick = (row: Row, of: (sample: Sample) => number): number => median(row.samples.map(of))
console.log(
  textTable(
    ['case', 'turn ms', 'worst', 'late ms', 'p99', 'gc', 'CPU ms', 'wall ms', 'MB', 'RSS MiB', 'writes/s'],
    rows.map((row) => [
      row.name,
      significant(pick(row, ({ turnMs }) => turnMs)),
      significant(Math.max(...row.samples.map(({ turnMs }) => turnMs))),
      significant(pick(row, ({ stallMs }) => stallMs)),
      significant(pick(row, ({ p99Ms }) => p99Ms)),
      significant(Math.max(...row.samples.map(({ gcMs }) => gcMs))),
      significant(pick(row, ({ cpuMs }) => cpuMs)),
      significant(median(row.wallMs)),
      significant(row.bytes / 1e6),
      significant(Math.max(...row.samples.map(({ rss }) => rss)) / 2 ** 20),
      significant(median(row.samples.map(({ writes }, index) => (writes * 1000) / (row.wallMs[index] ?? 1)))),
    ]),
  ),
)
const late = rows.filter((row) => pick(row, ({ turnMs }) => turnMs) > target)
console.log(
  late.length === 0
    ? `no case held the event loop for more than ${target} ms`
    : `over ${target} ms: ${late.map(({ name }) => name).join('; ')}`,
)
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ machine: machine(), ready, rows }, null, 1)}\n`)
}
