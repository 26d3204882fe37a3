// Table numbers: inherited from rules, reserved, never shared, never somebody else's.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { allocateTables } from '../../../lib/dataplane/index.ts'
import { parsePrefix, prefixKey } from '../../../lib/ip/index.ts'
import { rule } from './support.ts'

const A = parsePrefix('10.1.0.0/16')
const B = parsePrefix('10.2.0.0/16')
const FIXED = [39999, 40000, 40001]
const none = (): boolean => false
const own = (priority: number, src: typeof A, table: number) => rule({ priority, table, src, fwmask: 0x4040 })

function allocate(question: Partial<Parameters<typeof allocateTables>[0]>) {
  const answer = allocateTables({
    wanted: [A, B],
    rules: [],
    inUse: none,
    previous: new Map(),
    fixed: FIXED,
    ...question,
  })
  return { a: answer.tables.get(prefixKey(A)), b: answer.tables.get(prefixKey(B)), exhausted: answer.exhausted }
}

test('an empty node starts at 10000', () => {
  assert.equal(allocate({}), { a: 10000, b: 10001, exhausted: [] })
})

test('numbers are inherited from rules of ours', () => {
  assert.equal(allocate({ rules: [own(5, A, 12345), own(6, B, 10000)] }), { a: 12345, b: 10000, exhausted: [] })
})

test('a rule with another mask or a table outside our range gives nothing (defect 14)', () => {
  const foreign = rule({ priority: 5, table: 12345, src: A })
  const main = { ...own(6, B, 254) }
  assert.equal(allocate({ rules: [foreign, main] }), { a: 10000, b: 10001, exhausted: [] })
})

test('a table shared by two rules stays with the one that comes first (defect 13)', () => {
  assert.equal(allocate({ rules: [own(4, B, 10000), own(5, A, 10000)] }), { a: 10001, b: 10000, exhausted: [] })
})

test('numbers that foreign rules mention or that hold routes are not handed out', () => {
  const foreign = rule({ priority: 5, table: 10000 })
  assert.equal(allocate({ rules: [foreign], inUse: (table) => table === 10001 }), { a: 10002, b: 10003, exhausted: [] })
})

test('a number stays reserved while its table is empty and its rule not made (defects 13, 41)', () => {
  const previous = new Map([[prefixKey(B), 10000]])
  assert.equal(allocate({ previous }), { a: 10001, b: 10000, exhausted: [] })
})

test('the local-direct table inside the range is never handed out', () => {
  const answer = allocate({ inUse: (table) => table < 39998 })
  assert.is(answer.a, 39998)
  assert.is(answer.b, undefined)
  assert.equal(answer.exhausted, [B])
  assert.is(allocate({ rules: [own(5, A, 39999)] }).a, 10000)
})

test.run()
