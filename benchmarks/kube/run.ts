// The informer against @kubernetes/client-node's: see README.md.
//
//   node --import tsx benchmarks/kube/run.ts [--count 100000] [--events 20000] [--repetitions 5] [--quick] [--json] [--no-write]
//
// Starts itself again in fresh namespaces; there one server process and, for each sample, one process of its own for the
// contender, in shuffled order.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bringUpLoopback } from '../../test/support/loopback.ts'
import { machine, markdownTable, significant, textTable } from '../support/report.ts'
import { requireFreshNamespace, restartInSandbox, startedInSandbox } from '../support/sandbox.ts'
import { median, shuffled } from '../support/statistics.ts'
import type { Sample } from './client.ts'
import { REFERENCE, contenders } from './contenders.ts'

const { values } = parseArgs({
  options: {
    count: { type: 'string' },
    events: { type: 'string' },
    repetitions: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'no-write': { type: 'boolean', default: false },
  },
})
if (!startedInSandbox()) await restartInSandbox()
requireFreshNamespace()
bringUpLoopback()

const count = Number(values.count ?? (values.quick ? 10_000 : 100_000))
const events = Number(values.events ?? (values.quick ? 5000 : 20_000))
const repetitions = Number(values.repetitions ?? (values.quick ? 2 : 5))
// Each event must be of another object, or the queue would rightly merge two.
if (!(count > 0 && events > 0 && events <= count)) throw new Error(`--events ${events}: expected 1 to --count ${count}`)

function start(script: string, ...args: string[]): ChildProcess {
  const file = join(import.meta.dirname, script)
  return spawn(process.execPath, ['--expose-gc', '--import', 'tsx', file, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function sampleOf(name: string, port: string): Promise<Sample> {
  const child = start('client.ts', name, port, String(count), String(events))
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${text}`)
  return JSON.parse(text) as Sample
}

/** What is reported of a sample; less is better in all. */
const measures: readonly { readonly title: string; readonly of: (sample: Sample) => number }[] = [
  { title: 'list ms', of: ({ list }) => list.wall },
  { title: 'list cpu ms', of: ({ list }) => list.cpu },
  { title: 'list stall ms', of: ({ list }) => list.stall },
  { title: 'list turn cpu ms', of: ({ list }) => list.turn ?? NaN },
  { title: 'events ms', of: ({ watch }) => watch.wall },
  { title: 'events cpu ms', of: ({ watch }) => watch.cpu },
  { title: 'events stall ms', of: ({ watch }) => watch.stall },
  { title: 'events turn cpu ms', of: ({ watch }) => watch.turn ?? NaN },
  { title: 'peak RSS MiB', of: ({ peak }) => peak },
  { title: 'RSS before MiB', of: ({ idle }) => idle },
  { title: 'heap bytes/object', of: ({ heapPerObject }) => heapPerObject },
  { title: 'requests', of: ({ list, watch }) => list.requests + watch.requests },
  { title: 'list MB', of: ({ list }) => list.bytes / 1e6 },
]

const load = loadavg()[0] ?? 0
const server = start('server.ts', String(count))
const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]))
try {
  const [first] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const port = first.toString().trim()
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const { name } of shuffled(contenders)) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Krepetition ${repetition + 1}: ${name}`)
      samples.get(name)?.push(await sampleOf(name, port))
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
} finally {
  server.kill()
}

const header = ['median', ...samples.keys()]
const reference = samples.get(REFERENCE) ?? []
const rows = measures.map(({ title, of }) => {
  const base = median(reference.map(of))
  const cells = [...samples].map(([name, list]) => {
    const value = median(list.map(of))
    return name === REFERENCE ? significant(value) : `${significant(value)} (${significant(value / base)})`
  })
  return [title, ...cells]
})
const facts = { ...machine(), load: load.toFixed(1), count, events, repetitions }
if (values.json) console.log(JSON.stringify({ facts, samples: Object.fromEntries(samples) }, null, 1))
else
  console.log(`${count} objects, ${events} events; in brackets the ratio to ${REFERENCE}\n\n${textTable(header, rows)}`)

if (!values['no-write']) {
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  const name = values.quick ? 'quick' : 'latest'
  writeFileSync(
    join(results, `${name}.json`),
    `${JSON.stringify({ facts, samples: Object.fromEntries(samples) }, null, 1)}\n`,
  )
  const lines = Object.entries(facts).map(([fact, value]) => `- ${fact}: ${value}`)
  writeFileSync(join(results, `${name}.md`), `${lines.join('\n')}\n\n${markdownTable(header, rows)}\n`)
}
