// Field sets and typed merging, on which server-side apply stands.
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { equal } from '../../../../lib/standalone/apiserver/json.ts'
import {
  difference,
  differenceBelow,
  fromFieldsV1,
  intersection,
  isEmpty,
  paths,
  showPath,
  toFieldsV1,
  union,
} from '../../../../lib/standalone/apiserver/patch/fields.ts'
import type { FieldSet } from '../../../../lib/standalone/apiserver/patch/fields.ts'
import { compare, fieldsOf, mergeTyped, withoutFields } from '../../../../lib/standalone/apiserver/patch/typed.ts'
import { builtinSchema } from '../../../../lib/standalone/apiserver/schema/builtin.ts'
import type { JsonObject } from '../../../../lib/standalone/apiserver/types.ts'

const test = suite('fields')
const Pod = builtinSchema('Pod')

const name = fc.constantFrom('a', 'b', 'c')
const container = fc.record({
  name,
  image: fc.constantFrom('1', '2'),
  env: fc.uniqueArray(fc.record({ name, value: fc.constantFrom('x', 'y') }), {
    selector: (env) => env.name,
    maxLength: 3,
  }),
  args: fc.array(name, { maxLength: 2 }),
})
const pods = fc.record({
  metadata: fc.record({
    labels: fc.dictionary(name, name, { maxKeys: 3 }),
    finalizers: fc.uniqueArray(name, { maxLength: 3 }),
  }),
  spec: fc.record({
    containers: fc.uniqueArray(container, { selector: (one) => one.name, minLength: 1, maxLength: 3 }),
    nodeSelector: fc.dictionary(name, name, { maxKeys: 2 }),
  }),
}) as fc.Arbitrary<JsonObject>

const members = (set: FieldSet): string[] => [...paths(set)].map((path) => path.join('/')).sort()

test('sets behave like sets of paths', () => {
  fc.assert(
    fc.property(pods, pods, (first, second) => {
      const a = fieldsOf(first, Pod)
      const b = fieldsOf(second, Pod)
      const inA = new Set(members(a))
      const inB = new Set(members(b))
      assert.equal(members(union(a, b)), [...new Set([...inA, ...inB])].sort())
      assert.equal(members(intersection(a, b)), [...inA].filter((path) => inB.has(path)).sort())
      assert.equal(members(difference(a, b)), [...inA].filter((path) => !inB.has(path)).sort())
      assert.ok(isEmpty(difference(a, a)))
      assert.ok(isEmpty(differenceBelow(a, a)))
      assert.equal(members(fromFieldsV1(toFieldsV1(a))), [...inA].sort())
    }),
  )
})

test('the written form is Kubernetes’', () => {
  const pod = {
    metadata: { labels: { x: 'y' }, finalizers: ['f'] },
    spec: { containers: [{ name: 'a', args: ['1'], ports: [{ containerPort: 80 }] }], nodeSelector: { n: 'm' } },
  }
  assert.equal(toFieldsV1(fieldsOf(pod, Pod)), {
    'f:metadata': { 'f:finalizers': { 'v:"f"': {} }, 'f:labels': { 'f:x': {} } },
    'f:spec': {
      'f:containers': {
        'k:{"name":"a"}': {
          '.': {},
          'f:args': {},
          'f:name': {},
          'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
        },
      },
      'f:nodeSelector': {},
    },
  })
  assert.is(showPath(['f:spec', 'f:containers', 'k:{"name":"a"}', 'f:image']), '.spec.containers[name="a"].image')
})

test('a difference names exactly what changed', () => {
  fc.assert(
    fc.property(pods, pods, (before, after) => {
      const { changed, removed } = compare(before, after, Pod)
      assert.is(
        isEmpty(changed) && isEmpty(removed),
        members(fieldsOf(before, Pod)).join() === members(fieldsOf(after, Pod)).join() &&
          isEmpty(compare(after, before, Pod).changed),
      )
      const now = new Set(members(fieldsOf(after, Pod)))
      assert.ok(members(changed).every((path) => now.has(path)))
      assert.ok(members(removed).every((path) => !now.has(path)))
    }),
  )
})

test('merging holds all of the configuration, and of the rest what was there', () => {
  fc.assert(
    fc.property(pods, pods, (live, config) => {
      const merged = mergeTyped(live, config, Pod)
      const { changed, removed } = compare(merged, mergeTyped(merged, config, Pod), Pod)
      assert.ok(isEmpty(changed) && isEmpty(removed), 'merging again changes nothing')
      const fields = new Set(members(fieldsOf(merged, Pod)))
      // An empty list or map is a field only while nothing is in it.
      const whole = (set: FieldSet) =>
        members(set).filter((path) => [...fields].every((field) => !field.startsWith(`${path}/`)) || fields.has(path))
      for (const path of whole(fieldsOf(config, Pod))) assert.ok(fields.has(path), path)
    }),
  )
})

test('what is taken away is gone, everything else stays', () => {
  const pod = { metadata: { labels: { a: '1', b: '2' } }, spec: { containers: [{ name: 'a', image: 'i' }, { name: 'b' }] } } // prettier-ignore
  const gone = fieldsOf({ metadata: { labels: { a: '' } }, spec: { containers: [{ name: 'b' }] } }, Pod)
  const rest = withoutFields(pod, gone, Pod)
  assert.ok(equal(rest, { metadata: { labels: { b: '2' } }, spec: { containers: [{ name: 'a', image: 'i' }] } }))
  assert.is(
    withoutFields({ metadata: { labels: { a: '1' } } }, fieldsOf({ metadata: { labels: { a: '' } } }, Pod), Pod),
    undefined,
  )
})

test.run()
