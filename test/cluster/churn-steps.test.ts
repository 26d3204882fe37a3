// The pure parts of a churn: step lists repeat and can be cut, shrinking finds what matters, and the judge's arithmetic.
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress, parseAddress } from '../../lib/ip/index.ts'
import { excludedBlocks, toNumber, toText } from './churn/blocks.ts'
import { generate } from './churn/generate.ts'
import { Random } from './churn/random.ts'
import { shrink } from './churn/shrink.ts'
import { formatSteps, parseSteps } from './churn/steps.ts'

const shape = { seed: 7, pods: 500, steps: 1000, nodes: 3, settleEvery: 100 }

test('a seed gives the same steps every time, another seed others', () => {
  assert.equal(generate(shape), generate(shape))
  assert.not.equal(generate(shape), generate({ ...shape, seed: 8 }))
})

test('a list has the random steps that were asked for, every kind of them, and ends settled', () => {
  const steps = generate(shape)
  const filled = steps.findIndex((step) => step.do === 'settle')
  const random = steps.slice(filled).filter((step) => step.do !== 'settle' && step.do !== 'pause')
  assert.is(random.length, shape.steps)
  assert.is(steps.filter((step) => step.do === 'settle').length, 11)
  assert.is(steps.at(-1)?.do, 'settle')
  const kinds = new Set(random.map((step) => step.do))
  for (const kind of [
    'delete-namespace',
    'delete-subnet',
    'grow-subnet',
    'restart-api',
    'fault',
    'kill',
    'damage',
    'node-mac',
  ])
    assert.ok(kinds.has(kind as (typeof random)[number]['do']), kind)
})

test('a step list reads back as it was written, and a wrong line is named', () => {
  const steps = generate(shape)
  assert.equal(parseSteps(`# a comment\n\n${formatSteps(steps)}`), steps)
  assert.throws(
    () => parseSteps('{"do":"settle"}\n{"do":"explode"}'),
    /line 2: do 'explode': expected one of namespace/,
  )
  assert.throws(() => parseSteps('settle'), /line 1: not JSON: settle/)
})

test('shrinking leaves what is needed and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(60), { minLength: 1, maxLength: 4 }), async (needed) => {
      const list = Array.from({ length: 61 }, (_, index) => index)
      const left = await shrink(list, (part) => Promise.resolve(needed.every((one) => part.includes(one))))
      assert.equal(
        left,
        needed.toSorted((a, b) => a - b),
      )
    }),
    { numRuns: 200 },
  )
})

test('shrinking stops when there is no more time', async () => {
  let tries = 0
  const list = Array.from({ length: 100 }, (_, index) => index)
  const left = await shrink(
    list,
    (part) => Promise.resolve(++tries > 0 && part.includes(42)),
    () => tries >= 3,
  )
  assert.is(tries, 3)
  assert.ok(left.includes(42) && left.length < 100)
})

test('weights are kept, and nothing of weight 0 is ever chosen', () => {
  const random = new Random(1)
  const count = { a: 0, b: 0, c: 0 }
  for (let i = 0; i < 6000; i++)
    count[
      random.weighted(
        new Map([
          ['a', 1],
          ['b', 2],
          ['c', 0],
        ] as const),
      )
    ]++
  assert.is(count.c, 0)
  assert.ok(count.a > 1800 && count.a < 2200, JSON.stringify(count))
})

test('excluded blocks are those of the specification (Appendix D)', () => {
  const cidr = '192.168.3.0/24'
  const blocks = (start: string, end: string, excludeIPs: string[] = []): string =>
    excludedBlocks({ cidr, start: `192.168.3.${start}`, end: `192.168.3.${end}`, excludeIPs })
      .map((block) => block.replace('192.168.3', ''))
      .join(' ')
  assert.equal(excludedBlocks({ cidr }), [])
  assert.equal(excludedBlocks({ cidr, excludeIPs: ['192.168.3.1'] }), ['192.168.3.1'])
  assert.is(blocks('100', '200'), '.0/26 .64/27 .96/30 .201 .202/31 .204/30 .208/28 .224/27')
  assert.is(
    blocks('100', '200', ['192.168.3.120', '192.168.3.121']),
    '.0/26 .64/27 .96/30 .120/31 .201 .202/31 .204/30 .208/28 .224/27',
  )
  assert.equal(excludedBlocks({ cidr: 'fd66::/126', start: 'fd66::1', end: 'fd66::2' }), ['fd66::', 'fd66::3'])
})

test("the judge's addresses are read and written as the kernel's tools write them", () => {
  const address = fc.oneof(
    fc.nat(0xffffffff),
    fc
      .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.reduce((sum, group) => (sum << 16n) | BigInt(group), 0n)),
  )
  fc.assert(
    fc.property(address, (one) => {
      const written = formatAddress(one)
      const { value, bits } = toNumber(written)
      assert.is(value, BigInt(parseAddress(written)))
      // IPv4-mapped addresses have a form of their own; none occurs here.
      if (!written.includes('.') || bits === 32) assert.is(toText(value, bits), written)
    }),
  )
})

test.run()
