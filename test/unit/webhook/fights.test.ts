// How often the same is put right again.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Fights } from '../../../lib/webhook/fights.ts'

test('a few at once, then ever less often, forgotten after a time of peace; each key by itself', () => {
  const fights = new Fights({ burst: 3, firstMs: 100, longestMs: 350, peaceMs: 1000 })
  let now = 5000
  const correct = (): boolean => {
    assert.is(fights.wait('a', now), 0)
    return fights.corrected('a', now)
  }
  assert.equal([correct(), correct(), correct()], [false, false, true])
  for (const wait of [100, 200, 350, 350]) {
    assert.is(fights.wait('a', now), wait)
    assert.is(fights.wait('a', now + wait - 1), 1)
    now += wait
    assert.is(correct(), true)
  }
  assert.is(fights.wait('b', now), 0)
  assert.is(fights.wait('a', now + 1000), 0)
  assert.is(fights.corrected('a', now + 1000), false, 'begun anew')
})

test.run()
