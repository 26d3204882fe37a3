// The arithmetic of the netlink benchmark: ratios per repetition, absent contenders, verdicts.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { GROUPS, LIMIT, OURS_PACKED, IPROUTE, PYTHON, type Sample } from '../../../benchmarks/netlink/groups.ts'
import { markdownReport, textReport, verdicts, type Measured } from '../../../benchmarks/netlink/results.ts'
import { textTable } from '../../../benchmarks/support/report.ts'
import { median, percentile, shuffled } from '../../../benchmarks/support/statistics.ts'

const group = GROUPS.find(({ name }) => name === 'routes4')
assert.ok(group)

/** A sample whose three phases took the same time. */
const sample = (seconds: number, blockedMs?: number): Sample => ({
  seconds: { add: seconds, dump: seconds, delete: seconds },
  cpu: { add: seconds / 2, dump: seconds / 2, delete: seconds / 2 },
  count: 1000,
  ...(blockedMs === undefined ? {} : { blocked: { add: blockedMs, dump: 0, delete: 0 } }),
})

const measured = (samples: Record<string, readonly (Sample | null)[]>): Measured => ({
  group,
  count: 1000,
  samples: new Map(Object.entries(samples)),
})

test('median, percentile and shuffle', () => {
  assert.is(median([3, 1, 2]), 2)
  assert.is(median([4, 1, 2, 3]), 2.5)
  assert.ok(Number.isNaN(median([])))
  assert.is(percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90), 9)
  const list = Array.from({ length: 50 }, (_, i) => i)
  assert.equal(
    [...shuffled(list)].sort((a, b) => a - b),
    list,
  )
  assert.ok(Array.from({ length: 5 }, () => shuffled(list).join()).some((text) => text !== list.join()))
})

test('a ratio is the median of the ratios within each repetition', () => {
  // The machine was ten times slower in the second repetition, for both: the ratio of medians would be 2 / 2 = 1.
  const verdict = verdicts([
    measured({ [LIMIT]: [sample(1), sample(10), sample(2)], [OURS_PACKED]: [sample(1.2), sample(12), sample(2)] }),
  ]).find(({ what }) => what.startsWith('add') && what.includes(LIMIT))
  assert.ok(verdict)
  assert.ok(Math.abs(verdict.measured - 1.2) < 1e-9)
  assert.ok(Math.abs((verdict.cpu ?? 0) - 1.2) < 1e-9)
  assert.not.ok(verdict.met, '1.2 is more than 1.10')
})

test('a contender that sat out later repetitions is compared within those it ran in', () => {
  const text = textReport(measured({ [LIMIT]: [sample(1), sample(100)], [PYTHON]: [sample(50), null] }))
  const row = text.split('\n').find((line) => line.startsWith(PYTHON))
  assert.match(row ?? '', /^pyroute2 +50000 +50\.0 +50\.0 /)
})

test('speed-ups and event-loop blocks are judged', () => {
  const list = verdicts([measured({ [LIMIT]: [sample(1)], [OURS_PACKED]: [sample(1, 11)], [IPROUTE]: [sample(3.4)] })])
  const find = (text: string) => list.find(({ what }) => what.includes(text))
  assert.is(find('add: hybridnet packed faster than iproute2')?.met, false, '3.4 is less than 3.5')
  assert.is(find('dump: hybridnet packed faster than iproute2')?.met, true, '3.4 is at least 3.1')
  assert.is(find('event loop held')?.met, false, '11 ms is more than 10')
  assert.is(find('Go'), undefined, 'no verdict without the other contender')
})

test('reports hold every contender and every verdict', () => {
  const one = measured({ [LIMIT]: [sample(1)], [OURS_PACKED]: [sample(1, 1)] })
  const markdown = markdownReport([one], { kernel: '1.2.3' })
  assert.match(markdown, /- kernel: 1\.2\.3/)
  assert.match(markdown, /\| C limit \| 1000 \| 1\.00 \| 1\.00 \|/)
  const judged = verdicts([one])
  assert.is(judged.length, 4)
  assert.match(markdown, /## Targets: 4 of 4 met/)
  assert.is(markdown.split('\n').filter((line) => line.endsWith('| met |')).length, 4)
  assert.is(textTable(['a', 'b'], [['long', '1']]), 'a     b\n----  -\nlong  1')
})

test.run()
