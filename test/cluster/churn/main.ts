// Churn by hand: a long one, one again, or the shortest that still fails.
//
//   node --import tsx test/cluster/churn/main.ts [--seed N] [--steps N] [--pods N] [--nodes N] [--settle-every N]
//        [--settle-seconds N] [--sample N] [--replay FILE] [--save FILE] [--shrink] [--shrink-minutes N] [--without KIND,...] [--verbose] [--logs]
//
// Without options 1,000 steps over some 500 pods on three nodes. `--without` leaves kinds of steps out: without those that end
// processes (kill,reboot-node,remove-node,restart-kubelet) the memory of long lives is seen. CHURN_PLANT=deaf-daemon plants a bug.
// It starts itself again in namespaces of its own.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { inSandbox, sandboxCommand, sandboxEnvironment } from '../../../lib/standalone/index.ts'
import { showLogs } from '../support.ts'
import { generate } from './generate.ts'
import { plantOf } from './plant.ts'
import { ChurnFailure, runChurn, settlementLine } from './run.ts'
import { shrinkInFreshClusters } from './shrink.ts'
import { formatSteps, kinds, parseSteps, type Step } from './steps.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    steps: { type: 'string', default: '1000' },
    pods: { type: 'string', default: '500' },
    nodes: { type: 'string', default: '3' },
    'settle-every': { type: 'string', default: '100' },
    'settle-seconds': { type: 'string', default: '240' },
    sample: { type: 'string', default: '8' },
    replay: { type: 'string' },
    save: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    'shrink-minutes': { type: 'string', default: '30' },
    without: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
    logs: { type: 'boolean', default: false },
  },
})

function whole(
  option: 'seed' | 'steps' | 'pods' | 'nodes' | 'settle-every' | 'settle-seconds' | 'sample' | 'shrink-minutes',
): number {
  const number = Number(values[option])
  if (!Number.isSafeInteger(number) || number < 0) {
    console.error(`--${option} '${values[option]}': expected a whole number`)
    process.exit(2)
  }
  return number
}

const shape = {
  seed: whole('seed'),
  steps: whole('steps'),
  pods: whole('pods'),
  nodes: whole('nodes'),
  settleEvery: whole('settle-every'),
}

if (!inSandbox()) {
  spawnSync('bash', ['scripts/build-bundle'], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [file, ...args] = sandboxCommand([
    process.execPath,
    '--import',
    'tsx',
    import.meta.filename,
    ...process.argv.slice(2),
    `--seed=${shape.seed}`,
  ])
  const { status } = spawnSync(file, args, { stdio: 'inherit', env: { ...process.env, ...sandboxEnvironment() } })
  process.exit(status ?? 1)
}

const leftOut = new Set(values.without.split(',').filter((kind) => kind !== ''))
for (const kind of leftOut) {
  if (!kinds.has(kind)) {
    console.error(`--without '${kind}': expected one of ${[...kinds].join(', ')}`)
    process.exit(2)
  }
}
const listed: readonly Step[] =
  values.replay === undefined ? generate(shape) : parseSteps(readFileSync(values.replay, 'utf8'))
const steps = listed.filter((step) => !leftOut.has(step.do))
if (values.save !== undefined) writeFileSync(values.save, formatSteps(steps))
console.log(`seed ${shape.seed}: ${steps.length} steps (fill and settlements included) on ${shape.nodes} nodes`)
try {
  const report = await runChurn({
    steps,
    seed: shape.seed,
    nodes: shape.nodes,
    settleMs: whole('settle-seconds') * 1000,
    sample: whole('sample'),
    onProgress: (text) => console.log(text),
    verbose: values.verbose,
    plant: plantOf(process.env['CHURN_PLANT'] ?? null),
    onFailure: (cluster) => {
      if (values.logs) showLogs(cluster, 200)
    },
  })
  const done = [...report.done].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, times]) => `${what} ${times}`)
  console.log(
    `passed in ${report.seconds.toFixed(0)} s; up to ${report.mostPods} pods; ${report.changes} changes judged;` +
      ` ${report.faultsHit} requests hit by faults; ${report.leasesRunOut} leases ran out`,
  )
  console.log(done.join(', '))
  for (const settlement of report.settlements) console.log(settlementLine(settlement))
} catch (error) {
  if (!(error instanceof ChurnFailure)) throw error
  console.error(`seed ${shape.seed}: ${error.message}`)
  const failed = steps.slice(0, error.step + 1)
  if (!values.shrink) {
    const file = values.save ?? `churn-${shape.seed}.steps`
    writeFileSync(file, formatSteps(failed))
    console.error(
      `steps up to there: ${file}; run them again with --replay ${file}, cut them down with --replay ${file} --shrink`,
    )
    process.exit(1)
  }
  const file = `churn-${shape.seed}.shrunk`
  const small = await shrinkInFreshClusters(failed, {
    seed: shape.seed,
    nodes: shape.nodes,
    settleSeconds: Math.min(60, whole('settle-seconds')),
    minutes: whole('shrink-minutes'),
    onProgress: (text) => console.error(text),
  })
  writeFileSync(file, formatSteps(small))
  console.error(`${small.length} of ${failed.length} steps are enough (${file}):\n${formatSteps(small)}`)
  process.exit(1)
}
