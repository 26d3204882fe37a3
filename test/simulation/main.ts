// Runs the simulation from a shell:
//
//   node --import tsx test/simulation/main.ts --seeds 100 --profile faults     seeds 1 to 100
//   node --import tsx test/simulation/main.ts --seed 42 --profile faults       one, with its trace
import { parseArgs } from 'node:util'
import { PROFILES, scenarioOf, type Profile } from './scenario.ts'
import { simulate } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string', default: '10' },
    from: { type: 'string', default: '1' },
    profile: { type: 'string', default: 'all' },
    log: { type: 'string', default: 'warn' },
    quiet: { type: 'boolean', default: false },
  },
})

const profiles = PROFILES.filter((profile) => values.profile === 'all' || values.profile === profile)
if (profiles.length === 0) {
  console.error(`--profile '${values.profile}': expected all, ${PROFILES.join(', ')}`)
  process.exit(2)
}

async function one(seed: number, profile: Profile, traced: boolean): Promise<number> {
  const onTrace = traced ? (line: string): void => console.log(line) : undefined
  const outcome = await simulate(scenarioOf(seed, profile), { onTrace, logLevel: values.log })
  const { violation, steps, writes, sandboxes, leaders, digest, simulatedMs } = outcome
  const seconds = Math.round(simulatedMs / 1000)
  const text = `${profile} seed ${seed}: ${steps} steps, ${seconds} s, ${writes} writes, ${sandboxes} sandboxes, ${leaders} leaders, ${digest}`
  console.log(violation === null ? `ok   ${text}` : `FAIL ${text}\n     ${violation.message}`)
  if (violation !== null) process.exitCode = 1
  return steps
}

if (values.seed !== undefined) {
  for (const profile of profiles) await one(Number(values.seed), profile, !values.quiet)
} else {
  const started = process.cpuUsage()
  let steps = 0
  for (let seed = Number(values.from); seed < Number(values.from) + Number(values.seeds); seed++) {
    for (const profile of profiles) steps += await one(seed, profile, false)
  }
  const { user, system } = process.cpuUsage(started)
  console.log(`${steps} steps, ${((user + system) / 1e6).toFixed(1)} s of processor time`)
}
