// Each planted bug is found within a few seeds; that the same seeds pass without it, simulation.test.ts shows.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { scenarioOf } from './scenario.ts'
import { simulate } from './simulation.ts'
import { PLANTED_BUGS } from './variants.ts'

const MAX_SEEDS = 60

for (const { name, profile, variant, breaks } of PLANTED_BUGS) {
  test(name, async () => {
    for (let seed = 1; seed <= MAX_SEEDS; seed++) {
      const { violation, steps } = await simulate(scenarioOf(seed, profile), { variant })
      if (violation === null) continue
      console.log(`${name}\n    ${profile} seed ${seed}, step ${steps}: ${violation.message.slice(0, 150)}`)
      assert.ok(breaks.includes(violation.rule), `another rule than expected: ${violation.message}`)
      return
    }
    assert.unreachable(`not found in ${MAX_SEEDS} seeds`)
  })
}

test.run()
