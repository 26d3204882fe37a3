// Merge patches: applying the difference gives the target.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyMergePatch, deepEqual, mergePatchBetween } from '../../../lib/kube/index.ts'

/** JSON without null members, which merge patches cannot express. */
const name = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor')
const json = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: 0, max: 2 }),
    fc.boolean(),
    fc.constantFrom('x', ''),
    fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
    tie('object'),
  ),
  object: fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
})).object

test('applying the difference gives the target', () => {
  fc.assert(
    fc.property(json, json, (before, after) => {
      const patch = mergePatchBetween(before, after)
      if (patch === null) assert.ok(deepEqual(before, after))
      else assert.ok(deepEqual(applyMergePatch(before, patch), after), JSON.stringify({ before, after, patch }))
    }),
    { numRuns: 2000 },
  )
})

test('no difference, no patch', () => {
  fc.assert(
    fc.property(json, (object) => {
      assert.is(mergePatchBetween(object, JSON.parse(JSON.stringify(object))), null)
    }),
  )
})

test('undefined is absent; arrays are replaced; nested changes stay small', () => {
  assert.is(mergePatchBetween({ a: undefined }, {}), null)
  assert.equal(mergePatchBetween({ a: 1 }, { a: undefined }), { a: null })
  assert.equal(mergePatchBetween({ a: [1, 2] }, { a: [2] }), { a: [2] })
  assert.equal(mergePatchBetween({ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }), { a: { c: 3 } })
  assert.equal(mergePatchBetween({ a: { b: 1 } }, { a: 5 }), { a: 5 })
})

/** The examples of RFC 7396, appendix A. */
const examples: [string, string, string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', 'null', 'null'],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
]

test('RFC 7396, appendix A', () => {
  for (const [target, patch, result] of examples) {
    assert.equal(applyMergePatch(JSON.parse(target), JSON.parse(patch)), JSON.parse(result), `${target} + ${patch}`)
  }
})

test.run()
