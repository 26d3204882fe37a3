// Each planted bug is found within a few seeds, and the scenario that finds it passes without it.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { simulate } from './simulation.ts'
import { PLANTED_BUGS, scenarioFor } from './variants.ts'

const MAX_SEEDS = 60

for (const bug of PLANTED_BUGS) {
  const { name, profile, variant, breaks } = bug
  test(name, async () => {
    for (let seed = 1; seed <= MAX_SEEDS; seed++) {
      const scenario = scenarioFor(bug, seed)
      const { violation, steps } = await simulate(scenario, { variant })
      if (violation === null) continue
      console.log(`${name}\n    ${profile} seed ${seed}, step ${steps}: ${violation.message.slice(0, 150)}`)
      assert.ok(breaks.includes(violation.rule), `another rule than expected: ${violation.message}`)
      assert.is((await simulate(scenario)).violation, null, 'without the bug')
      return
    }
    assert.unreachable(`not found in ${MAX_SEEDS} seeds`)
  })
}

test.run()
