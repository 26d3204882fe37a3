// Rules: priorities of the original on an empty node, order kept whatever is found, foreign rules untouched.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ruleKey, type RuleRecord } from '../../../lib/dataplane/index.ts'
import { diffRules, isPlainRule, type RuleChange } from '../../../lib/dataplane/rules.ts'
import { isFromSubnetRule } from '../../../lib/dataplane/index.ts'
import { parsePrefix } from '../../../lib/ip/index.ts'
import type { Rule } from '../../../lib/netlink/types.ts'
import { rule } from './support.ts'

const base = (order: number, table: number, mark = 0): RuleRecord => ({
  kind: 'rule',
  family: 4,
  src: null,
  mark,
  mask: mark,
  table,
  order,
  link: null,
})
const BASE = [base(0, 39999), base(1, 40000), base(2, 40001, 0x20)]
const subnet = (n: number): RuleRecord => ({
  ...base(3, 10000 + n),
  src: parsePrefix(`10.${n}.0.0/16`),
  mask: 0x4040,
})
const SYSTEM = [
  rule({ priority: 0, table: 255 }),
  rule({ priority: 32766, table: 254 }),
  rule({ priority: 32767, table: 253 }),
]

const asRule = (record: RuleRecord, priority: number): Rule =>
  rule({ priority, table: record.table, src: record.src, fwmark: record.mark, fwmask: record.mask })

function after(actual: readonly Rule[], changes: readonly RuleChange[]): Rule[] {
  const result = [...actual]
  for (const { action, record, priority } of changes) {
    if (action === 'add') result.push(asRule(record, priority))
    else {
      const at = result.findIndex((have) => have.priority === priority && keyOf(have) === ruleKey(record))
      assert.ok(at >= 0, `deleted rule exists: ${ruleKey(record)} at ${priority}`)
      result.splice(at, 1)
    }
  }
  return result.sort((a, b) => a.priority - b.priority)
}
const keyOf = (have: Rule): string => ruleKey({ ...have, mark: have.fwmark, mask: have.fwmask })

test('an empty node gets the numbers of the original', () => {
  const changes = diffRules([...BASE, subnet(0), subnet(1)], SYSTEM, isFromSubnetRule)
  assert.equal(
    changes.map(({ record, priority }) => [record.table, priority]),
    [
      [39999, 1],
      [40000, 2],
      [40001, 3],
      [10000, 4],
      [10001, 5],
    ],
  )
})

test('a moved local rule moves everything', () => {
  const moved = [rule({ priority: 100, table: 255 }), ...SYSTEM.slice(1)]
  const [first] = diffRules(BASE, moved, isFromSubnetRule)
  assert.is(first?.priority, 101)
})

test('rules in place are kept at whatever priority they have', () => {
  const actual = [
    ...SYSTEM,
    asRule(base(0, 39999), 7),
    asRule(base(1, 40000), 9),
    asRule(base(2, 40001, 0x20), 20),
    asRule(subnet(0), 400),
  ]
  assert.equal(diffRules([...BASE, subnet(0)], actual, isFromSubnetRule), [])
})

test('a from-subnet rule before a base rule is moved behind it', () => {
  const actual = [
    ...SYSTEM,
    asRule(subnet(0), 1),
    asRule(base(0, 39999), 2),
    asRule(base(1, 40000), 3),
    asRule(base(2, 40001, 0x20), 4),
  ]
  const changes = diffRules([...BASE, subnet(0)], actual, isFromSubnetRule)
  assert.equal(
    changes.map(({ action, priority }) => `${action} ${priority}`),
    ['add 5', 'delete 1'],
  )
})

test('a rule behind main is moved before it', () => {
  const actual = [...SYSTEM, asRule(base(0, 39999), 32768)]
  const changes = diffRules([base(0, 39999)], actual, isFromSubnetRule)
  assert.equal(
    changes.map(({ action, priority }) => `${action} ${priority}`),
    ['add 1', 'delete 32768'],
  )
})

test('a rule with a selector we do not know is neither taken for ours nor removed', () => {
  const strange = { ...asRule(subnet(0), 4), foreignSelector: true }
  const changes = diffRules([subnet(0)], [...SYSTEM, strange], isFromSubnetRule)
  assert.equal(
    changes.map(({ action }) => action),
    ['add'],
  )
})

const arbitraryRule: fc.Arbitrary<Rule> = fc.oneof(
  fc
    .record({ priority: fc.integer({ min: 1, max: 12 }), which: fc.integer({ min: 0, max: 2 }) })
    .map(({ priority, which }) => asRule(BASE[which] as RuleRecord, priority)),
  fc
    .record({ priority: fc.integer({ min: 1, max: 12 }), n: fc.nat(4), table: fc.nat(4) })
    .map(({ priority, n, table }) => asRule({ ...subnet(n), table: 10000 + table }, priority)),
  fc
    .record({ priority: fc.integer({ min: 1, max: 12 }), table: fc.integer({ min: 1, max: 300 }) })
    .map((fields) => rule({ ...fields, fwmark: 1, fwmask: 1 })),
)

test('diffRules() converges in one step from any rules, keeps the order, and touches nothing foreign', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(arbitraryRule, { selector: (r) => `${r.priority} ${keyOf(r)}`, maxLength: 14 }),
      fc.subarray([0, 1, 2, 3, 4]),
      (found, subnets) => {
        const actual = [...SYSTEM, ...found].sort((a, b) => a.priority - b.priority)
        const desired = [...BASE, ...subnets.map(subnet)]
        const result = after(actual, diffRules(desired, actual, isFromSubnetRule))
        assert.equal(diffRules(desired, result, isFromSubnetRule), [], 'a second diff finds nothing')
        const foreign = (rules: readonly Rule[]) =>
          rules.filter((r) => !isFromSubnetRule(r) && !desired.some((d) => ruleKey(d) === keyOf(r)))
        assert.equal(foreign(result), foreign(actual))
        const places = desired.map((record) => result.findIndex((r) => isPlainRule(r) && keyOf(r) === ruleKey(record)))
        assert.ok(places.every((place) => place >= 0))
        const [pods = 0, overlay = 0, mark = 0, ...rest] = places
        assert.ok(pods < overlay && overlay < mark && rest.every((place) => place > mark), 'base rules first')
        assert.is(result.filter((r) => isFromSubnetRule(r)).length, subnets.length)
      },
    ),
    { numRuns: 300 },
  )
})

test.run()
