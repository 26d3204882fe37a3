// Runs the simulation from a shell:
//
//   node --import tsx test/simulation/main.ts --seeds 100 --profile faults     seeds 1 to 100
//   node --import tsx test/simulation/main.ts --seed 42 --profile faults       one, with its trace
//   node --import tsx test/simulation/main.ts --seed 42 --profile faults --shrink
//                                                                               a failing one, made small, with its trace
import { parseArgs } from 'node:util'
import { PROFILES, scenarioOf, type Profile, type Scenario } from './scenario.ts'
import type { FaultRates } from './server/faults.ts'
import { shrink } from './shrink.ts'
import { simulate } from './simulation.ts'
import { PLANTED_BUGS, scenarioFor } from './variants.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '10' },
    from: { type: 'string', default: '1' },
    profile: { type: 'string', default: 'all' },
    log: { type: 'string', default: 'warn' },
    quiet: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    /** Plants the bug whose name begins so (variants.ts). */
    bug: { type: 'string' },
    /** Rates of faults besides those of the seed, as JSON: {"cutAfter":0.3}. */
    faults: { type: 'string', default: '{}' },
  },
})

const profiles = PROFILES.filter((profile) => values.profile === 'all' || values.profile === profile)
if (profiles.length === 0) {
  console.error(`--profile '${values.profile}': expected all, ${PROFILES.join(', ')}`)
  process.exit(2)
}

const bug = values.bug
const planted = bug === undefined ? undefined : PLANTED_BUGS.find(({ name }) => name.startsWith(bug))
const variant = planted?.variant
if (bug !== undefined && variant === undefined) {
  console.error(
    `--bug '${bug}': expected the beginning of one of\n  ${PLANTED_BUGS.map(({ name }) => name).join('\n  ')}`,
  )
  process.exit(2)
}

async function one(scenario: Scenario, traced: boolean): Promise<number> {
  const { seed, profile } = scenario
  const onTrace = traced ? (line: string): void => console.log(line) : undefined
  const outcome = await simulate(scenario, { onTrace, logLevel: values.log, variant })
  const { violation, steps, writes, sandboxes, leaders, digest, simulatedMs } = outcome
  const seconds = Math.round(simulatedMs / 1000)
  const text = `${profile} seed ${seed}: ${steps} steps, ${seconds} s, ${writes} writes, ${sandboxes} sandboxes, ${leaders} leaders, ${digest}`
  console.log(violation === null ? `ok   ${text}` : `FAIL ${text}\n     ${violation.message}`)
  if (violation !== null) process.exitCode = 1
  return steps
}

/** The scenario, or when it fails and that is wanted the smallest that fails alike. */
async function small(seed: number, profile: Profile): Promise<Scenario> {
  const drawn = planted === undefined ? scenarioOf(seed, profile) : scenarioFor({ ...planted, profile }, seed)
  const faults = { ...drawn.link.faults, ...(JSON.parse(values.faults) as Partial<FaultRates>) }
  const scenario = { ...drawn, link: { ...drawn.link, faults } }
  if (!values.shrink) return scenario
  const { violation } = await simulate(scenario, { variant })
  if (violation === null) return scenario
  const { scenario: shrunk, runs } = await shrink(scenario, violation.rule, variant)
  console.log(
    `${scenario.orders.length} orders became ${shrunk.orders.length} in ${runs} runs; what is left beside them:`,
  )
  console.log(JSON.stringify({ ...shrunk, orders: 'as below' }))
  return shrunk
}

if (values.seed !== undefined) {
  for (const profile of profiles) await one(await small(Number(values.seed), profile), !values.quiet)
} else {
  const started = process.cpuUsage()
  let steps = 0
  for (let seed = Number(values.from); seed < Number(values.from) + Number(values.seeds); seed++) {
    for (const profile of profiles) steps += await one(await small(seed, profile), false)
  }
  const { user, system } = process.cpuUsage(started)
  console.log(`${steps} steps, ${((user + system) / 1e6).toFixed(1)} s of processor time`)
}
