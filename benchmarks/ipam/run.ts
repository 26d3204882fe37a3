// Addresses: what the allocator costs by itself, and the manager on the embedded API server. See README.md.
//
//   node --import tsx benchmarks/ipam/run.ts [--pods N] [--nodes N] [--only allocator,manager] [--no-write]
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot } from '../../lib/standalone/project.ts'
import { bringUpLoopback } from '../../test/support/loopback.ts'
import { cells, header, type Section } from '../scale/figures.ts'
import { machine, markdownTable, textTable } from '../support/report.ts'
import { requireFreshNamespace, restartInSandbox, startedInSandbox } from '../support/sandbox.ts'
import { allocator } from './allocator.ts'
import { managerThroughput } from './manager.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '200' },
    pods: { type: 'string', default: '10000' },
    only: { type: 'string', default: 'allocator,manager' },
    'no-write': { type: 'boolean', default: false },
    json: { type: 'string', default: '' },
  },
})

if (!startedInSandbox()) {
  const bundle = spawnSync('bash', ['scripts/build-bundle'], { cwd: projectRoot(), stdio: 'inherit' })
  if (bundle.status !== 0) process.exit(1)
  await restartInSandbox()
}
requireFreshNamespace()
bringUpLoopback()

function keep(part: string, sections: readonly Section[]): void {
  for (const { title, figures } of sections) {
    process.stdout.write(`\n${title}\n\n${textTable(header, figures.map(cells))}\n`)
  }
  const [, five = NaN] = loadavg()
  const facts = { ...machine(), load: `${five.toFixed(1)} (5 min)` }
  const json = `${JSON.stringify({ machine: facts, sections }, null, 2)}\n`
  if (values.json !== '') writeFileSync(values.json, json)
  if (values['no-write']) return
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  writeFileSync(join(results, `${part}.json`), json)
  const tables = sections.map(({ title, figures }) => `## ${title}\n\n${markdownTable(header, figures.map(cells))}\n`)
  const about = Object.entries(facts).map(([key, value]) => `${key}: ${value}`)
  writeFileSync(join(results, `${part}.md`), `# IPAM: ${part}\n\n${about.join(', ')}\n\n${tables.join('\n')}`)
}

if (values.only.includes('allocator')) keep('allocator', allocator())
if (values.only.includes('manager')) {
  const directory = mkdtempSync(join(tmpdir(), 'hybridnet-ipam-'))
  try {
    const size = { nodes: Number(values.nodes), pods: Number(values.pods) }
    keep('manager', await managerThroughput(directory, size))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
process.exit(0)
