// A cluster under random work, faults and death, judged while it lasts and whenever it is left alone: see churn/run.ts. The
// long form of 500 pods and 1,000 steps is a command: churn/main.ts.
//
// CHURN_SEED=number takes other steps (their timing is the machine's).
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { requireSandbox } from '../support/sandbox.ts'
import { generate } from './churn/generate.ts'
import { runChurn } from './churn/run.ts'
import { formatSteps } from './churn/steps.ts'
import { showLogs } from './support.ts'

const seed = Number(process.env['CHURN_SEED'] ?? 20_261)
const nodes = 3
const steps = generate({ seed, nodes, pods: 30, steps: 150, settleEvery: 150 })

test('150 random steps over 30 pods with faults: everything agrees whenever it is quiet, and nothing is left', async () => {
  requireSandbox()
  const report = await runChurn({
    steps,
    seed,
    nodes,
    // A slow machine takes fewer steps; what it took is judged all the same.
    stepMs: 20_000,
    settleMs: 75_000,
    sample: 6,
    onProgress: (text) => console.log(text),
    onFailure: (cluster, { step }) => {
      showLogs(cluster, 60)
      const file = join(tmpdir(), `churn-${seed}.steps`)
      writeFileSync(file, formatSteps(steps.slice(0, step + 1)))
      console.error(
        `seed ${seed}: the steps up to there are in ${file}: test/cluster/churn/main.ts --replay and --shrink`,
      )
    },
  })
  const done = [...report.done].map(([what, times]) => `${what} ${times}`).join(', ')
  console.log(`seed ${seed}: ${report.taken} of ${steps.length} steps, ${report.changes} changes judged; ${done}`)
  assert.ok(
    report.taken > steps.findIndex((step) => step.do === 'settle'),
    'some steps beyond those that fill the cluster',
  )
})

test.run()
