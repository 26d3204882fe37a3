// A large cluster on one machine: what it costs the manager, one real daemon and the API server. See README.md.
//
//   node --import tsx benchmarks/scale/run.ts [--nodes N] [--pods N] [--cold NxN,...] [--only growth,cold] [...]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Fabric } from '../../lib/standalone/nodes/fabric.ts'
import { prepareSandbox } from '../../lib/standalone/sandbox.ts'
import { projectRoot } from '../../lib/standalone/project.ts'
import { machine, markdownTable, textTable } from '../support/report.ts'
import { requireFreshNamespace, restartInSandbox, startedInSandbox } from '../support/sandbox.ts'
import { cold } from './cold.ts'
import { cells, header, met, type Section } from './figures.ts'
import { growth } from './growth.ts'
import { Stage, type StageOptions } from './stage.ts'
import { takeover } from './takeover.ts'

const usage = `node --import tsx benchmarks/scale/run.ts
  --nodes N --pods N     of the cluster that grows (2000, 50000)
  --filled N             of these pods, so many are there and run from the beginning, made without HTTP (0)
  --cold NxM,...         nodes and pods of the clusters a daemon starts in (2000x50000,5000x100000)
  --events N --rate N    pod events in the last of these, and how many a second (20000, 1000); 0 events for none
  --heartbeat SECONDS    between two heartbeats of a hollow node (10, as a kubelet's; longer for a machine that is busy)
  --rest SECONDS         how long to look at the programs at rest (20)
  --only growth,takeover,cold     some of the parts; takeover is of --nodes and --pods too
  --node=FLAGS           of node itself for the programs, such as '--cpu-prof --cpu-prof-dir=/tmp'
  --keep                 keep the logs
  --json FILE            all figures as JSON; --no-write: do not touch results/

Each part's results are written as soon as it is over, to results/PART.{json,md}.`

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '2000' },
    pods: { type: 'string', default: '50000' },
    filled: { type: 'string', default: '0' },
    cold: { type: 'string', default: '2000x50000,5000x100000' },
    events: { type: 'string', default: '20000' },
    rate: { type: 'string', default: '1000' },
    heartbeat: { type: 'string', default: '10' },
    rest: { type: 'string', default: '20' },
    only: { type: 'string', default: 'growth,takeover,cold' },
    node: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
    json: { type: 'string', default: '' },
    'no-write': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

function count(name: string, text: string, minimum = 1): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < minimum)
    throw new Error(`--${name} is '${text}', expected a whole number from ${minimum}`)
  return number
}

const started = performance.now()
function say(text: unknown): void {
  const line = text instanceof Error ? text.message : String(text)
  process.stderr.write(`[${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s] ${line}\n`)
}

async function measure(directory: string): Promise<Section[]> {
  const options: StageOptions = {
    directory,
    family: 'IPv4Only',
    nodeFlags: values.node === '' ? [] : values.node.split(' '),
    say,
  }
  const only = values.only.split(',')
  const events = count('events', values.events, 0)
  const rate = count('rate', values.rate)
  const sections: Section[] = []
  await prepareSandbox()
  const fabric = await Fabric.create({ families: [4] })
  const onStage = async (name: string, measured: (stage: Stage) => Promise<Section[]>): Promise<Section[]> => {
    const stage = await Stage.build({ ...options, directory: join(directory, name) }, fabric)
    try {
      return await measured(stage)
    } finally {
      await stage.close()
    }
  }
  const over = (part: string, results: readonly Section[]): void => {
    if (!values['no-write']) keep(part, results)
    sections.push(...results)
  }
  try {
    if (only.includes('growth')) {
      const size = {
        nodes: count('nodes', values.nodes),
        pods: count('pods', values.pods),
        filled: count('filled', values.filled, 0),
        heartbeatSeconds: count('heartbeat', values.heartbeat),
        restSeconds: count('rest', values.rest),
      }
      over('growth', await onStage('growth', (stage) => growth(stage, size)))
    }
    if (only.includes('takeover')) {
      const size = { nodes: count('nodes', values.nodes), pods: count('pods', values.pods) }
      over('takeover', await onStage('takeover', (stage) => takeover(stage, size)))
    }
    const sizes = only.includes('cold') ? values.cold.split(',') : []
    const starts: Section[] = []
    for (const [index, text] of sizes.entries()) {
      const [nodes = '', pods = ''] = text.split('x')
      const last = index === sizes.length - 1
      const size = { nodes: count('cold', nodes), pods: count('cold', pods), events: last ? events : 0, rate }
      starts.push(...(await onStage(`cold-${text}`, (stage) => cold(stage, size))))
    }
    if (starts.length > 0) over('cold', starts)
    return sections
  } finally {
    await fabric.close()
  }
}

function report(sections: readonly Section[]): void {
  for (const { title, figures } of sections) {
    process.stdout.write(`\n${title}\n\n${textTable(header, figures.map(cells))}\n`)
  }
  if (values.json !== '') writeFileSync(values.json, toJson(sections))
}

const toJson = (sections: readonly Section[]): string =>
  `${JSON.stringify({ machine: machineNow(), sections }, null, 2)}\n`

/** The load tells what the latencies are worth. */
function machineNow(): Record<string, string> {
  const [, five = NaN, fifteen = NaN] = loadavg()
  return { ...machine(), load: `${five.toFixed(1)} (5 min), ${fifteen.toFixed(1)} (15 min)` }
}

function keep(part: string, sections: readonly Section[]): void {
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${part}.json`), toJson(sections))
  const tables = sections.map(({ title, figures }) => `## ${title}\n\n${markdownTable(header, figures.map(cells))}\n`)
  const about = Object.entries(machineNow()).map(([key, value]) => `${key}: ${value}`)
  writeFileSync(join(results, `${part}.md`), `# Scale: ${part}\n\n${about.join(', ')}\n\n${tables.join('\n')}`)
}

if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit(0)
}
if (!startedInSandbox()) {
  const bundle = spawnSync('bash', ['scripts/build-bundle'], { cwd: projectRoot(), stdio: 'inherit' })
  if (bundle.status !== 0) process.exit(1)
  await restartInSandbox()
}
requireFreshNamespace()
const directory = mkdtempSync(join(tmpdir(), 'hybridnet-scale-'))
try {
  const sections = await measure(directory)
  report(sections)
  const missed = sections.flatMap(({ figures }) => figures).filter((figure) => met(figure) === false)
  if (missed.length > 0) process.stdout.write(`\nnot reached: ${missed.map(({ what }) => what).join('; ')}\n`)
} finally {
  if (values.keep) say(`logs: ${directory}`)
  else rmSync(directory, { recursive: true, force: true })
}
process.exit(0)
