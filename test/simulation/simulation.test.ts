// Seeds of every profile, each a cluster of its own; README.md says what is simulated and how a failure is looked into.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { PROFILES, scenarioOf, type Profile } from './scenario.ts'
import { simulate } from './simulation.ts'

/** How many seeds of each; together some hundred thousand steps. */
const SEEDS: Readonly<Record<Profile, number>> = { calm: 10, crashes: 20, faults: 60, zombies: 20 }

let total = 0

for (const profile of PROFILES) {
  test(`${profile}: ${SEEDS[profile]} seeds`, async () => {
    const failures: string[] = []
    let steps = 0
    for (let seed = 1; seed <= SEEDS[profile]; seed++) {
      const outcome = await simulate(scenarioOf(seed, profile))
      steps += outcome.steps
      if (outcome.violation !== null) {
        const replay = `node --import tsx test/simulation/main.ts --profile ${profile} --seed ${seed}`
        failures.push(`${outcome.violation.message}\n  ${replay}`)
      }
    }
    total += steps
    console.log(`${profile}: ${steps} steps`)
    assert.is(failures.join('\n'), '')
  })
}

test('a seed says everything: the same steps and the same writes again', async () => {
  const scenario = scenarioOf(7, 'faults')
  const [first, second] = [await simulate(scenario), await simulate(scenario)]
  assert.equal(second, first)
  const other = await simulate(scenarioOf(8, 'faults'))
  assert.is.not(other.digest, first.digest)
  console.log(`${total} steps in all`)
})

test.run()
