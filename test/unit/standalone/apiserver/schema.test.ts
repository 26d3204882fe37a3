// Structural schemas: the tables of built-in kinds, checks, pruning, defaults; printer columns.
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { evaluate, parseJsonPath } from '../../../../lib/standalone/apiserver/crds/columns.ts'
import { compareVersions } from '../../../../lib/standalone/apiserver/crds/definition.ts'
import { clone } from '../../../../lib/standalone/apiserver/json.ts'
import { builtinSchema, builtinTypes } from '../../../../lib/standalone/apiserver/schema/builtin.ts'
import { parseTypes } from '../../../../lib/standalone/apiserver/schema/dsl.ts'
import { fitsFormat } from '../../../../lib/standalone/apiserver/schema/formats.ts'
import { applyDefaults, dropNulls, prune } from '../../../../lib/standalone/apiserver/schema/prune.ts'
import type { Schema } from '../../../../lib/standalone/apiserver/schema/types.ts'
import { validate } from '../../../../lib/standalone/apiserver/schema/validate.ts'
import { humanDuration } from '../../../../lib/standalone/apiserver/tables/age.ts'
import type { Json, JsonObject } from '../../../../lib/standalone/apiserver/types.ts'

const test = suite('schema')

test('a table becomes schemas', () => {
  const { schemas, messages } = parseTypes([
    '\nA\n  name! string #1\n  list []B #2 @x,y ~y\n  <inline> C #3\nB =atomic\n  x string #1\nC\n  deep map int32 #4\n',
  ])
  const a = schemas.get('A')
  assert.equal(Object.keys(a?.properties ?? {}), ['name', 'list', 'deep'])
  assert.equal(a?.required, ['name'])
  const list = a?.properties?.['list']
  assert.equal(list?.['x-kubernetes-list-map-keys'], ['x', 'y'])
  assert.is(list?.['x-kubernetes-patch-merge-key'], 'y')
  assert.is(list?.items, schemas.get('B'))
  assert.is(schemas.get('B')?.['x-kubernetes-map-type'], 'atomic')
  assert.equal(messages.get('A')?.get(3), { name: null, type: 'C' })
  assert.throws(() => parseTypes(['A\n  x Nothing #1']), /A\.x: unknown type Nothing/)
})

test('the built-in kinds are what Kubernetes says they are', () => {
  const container = builtinSchema('Container')
  assert.is(container.properties?.['ports']?.['x-kubernetes-patch-merge-key'], 'containerPort')
  assert.equal(container.properties?.['ports']?.['x-kubernetes-list-map-keys'], ['containerPort', 'protocol'])
  assert.is(builtinSchema('PodSpec').properties?.['volumes']?.['x-kubernetes-patch-strategy'], 'merge,retainKeys')
  assert.is(builtinSchema('PodSpec').properties?.['tolerations']?.['x-kubernetes-list-type'], 'atomic')
  assert.is(builtinSchema('ObjectMeta').properties?.['finalizers']?.['x-kubernetes-list-type'], 'set')
  assert.ok(builtinSchema('Volume').properties?.['emptyDir'] !== undefined, 'embedded structs are part of their owner')
  assert.ok(builtinTypes().size > 250)
})

const schema: Schema = {
  type: 'object',
  required: ['n'],
  properties: {
    n: { type: 'integer', minimum: 0, exclusiveMaximum: true, maximum: 10, multipleOf: 2 },
    s: { type: 'string', minLength: 2, enum: ['ab', 'cd'] },
    l: { type: 'array', maxItems: 2, items: { type: 'object', properties: { k: { type: 'string', default: 'd' }, v: { type: 'integer' } } }, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] }, // prettier-ignore
    m: { type: 'object', additionalProperties: { type: 'integer' } },
    nil: { type: 'string', nullable: true },
    any: { 'x-kubernetes-preserve-unknown-fields': true },
    e: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
    d: { type: 'object', default: {}, properties: { x: { type: 'integer', default: 7 } } },
  },
}

test('what is wrong is said with its path', () => {
  const problems = (value: Json): string[] =>
    validate(schema, value).map(({ field, reason }) => `${field} ${reason.replace('FieldValue', '')}`)
  assert.equal(problems({ n: 2 }), [])
  assert.equal(problems({}), ['n Required'])
  assert.equal(problems({ n: -2 }), ['n Invalid'])
  assert.equal(problems({ n: 10 }), ['n Invalid'])
  assert.equal(problems({ n: 3 }), ['n Invalid'])
  assert.equal(problems({ n: 'x', s: 1 }), ['n TypeInvalid', 's TypeInvalid', 's NotSupported'])
  assert.equal(problems({ n: 2, s: 'x' }), ['s NotSupported', 's Invalid'])
  assert.equal(problems({ n: 2, l: [{ k: 'a' }, { k: 'a' }] }), ['l[1] Duplicate'])
  assert.equal(problems({ n: 2, l: [{ v: 'x' }, { k: 'b' }, { k: 'c' }] }), ['l TooMany', 'l[0].v TypeInvalid'])
  assert.equal(problems({ n: 2, m: { a: 1, b: 'x' } }), ['m.b TypeInvalid'])
  assert.equal(problems({ n: 2, nil: null }), [])
  assert.equal(problems({ n: 2, s: null }), ['s TypeInvalid'])
  assert.equal(problems({ n: 2, e: true }), ['e TypeInvalid'])
  assert.equal(problems([]), [' TypeInvalid'])
})

test('pruning takes out what the schema does not know, and nothing else', () => {
  const value: JsonObject = { n: 2, x: 1, l: [{ k: 'a', y: 1 }], m: { free: 1 }, any: { deep: { z: 1 } }, d: { q: 1 } }
  assert.equal(prune(schema, value), ['x', 'l[0].y', 'd.q'])
  assert.equal(value, { n: 2, l: [{ k: 'a' }], m: { free: 1 }, any: { deep: { z: 1 } }, d: {} })
  fc.assert(
    fc.property(fc.jsonValue(), (anything) => {
      const object = { any: clone(anything), junk: anything }
      prune(schema, object)
      assert.equal(object, { any: anything })
      assert.equal(prune(schema, object), [], 'twice is once')
    }),
  )
})

test('defaults go deep, and only where nothing is', () => {
  const value: JsonObject = { l: [{ v: 1 }, { k: 'x' }] }
  applyDefaults(schema, value)
  assert.equal(value, { l: [{ v: 1, k: 'd' }, { k: 'x' }], d: { x: 7 } })
  const kept: JsonObject = { d: { x: 0 }, nil: null }
  applyDefaults(schema, kept)
  assert.equal(kept, { d: { x: 0 }, nil: null })
  const nulls: JsonObject = { n: null, any: null, l: [{ k: null }] }
  dropNulls(schema, nulls)
  assert.equal(nulls, { any: null, l: [{}] })
})

test('formats', () => {
  const good: [string, string][] = [
    ['date-time', '2024-02-29T23:59:60Z'],
    ['date-time', '2024-01-01T00:00:00.123+02:00'],
    ['ipv4', '10.0.0.1'],
    ['ipv6', '::1'],
    ['cidr', '10.0.0.0/8'],
    ['cidr', '2001:db8::/32'],
    ['quantity', '1.5Gi'],
    ['quantity', '100m'],
    ['byte', 'Zm9v'],
    ['duration', '1h30m'],
    ['unheard-of', 'anything'],
  ]
  const bad: [string, string][] = [
    ['date-time', '2024-13-01T00:00:00Z'],
    ['date-time', 'today'],
    ['ipv4', '10.0.0.256'],
    ['cidr', '10.0.0.0/33'],
    ['cidr', '10.0.0.0'],
    ['quantity', '1 Gi'],
    ['byte', 'Zm9'],
    ['duration', '1'],
    ['mac', '00:11:22:33:44'],
  ]
  for (const [format, value] of good) assert.ok(fitsFormat(format, value), `${format} ${value}`)
  for (const [format, value] of bad) assert.not(fitsFormat(format, value), `${format} ${value}`)
})

test('JSONPath of printer columns', () => {
  const item: Json = { spec: { a: 1, 'b.c': 2, l: [{ t: 'x', v: 3 }, { t: 'y', v: 4 }] }, metadata: { labels: { 'k.io/n': 'z' } } } // prettier-ignore
  const get = (path: string): Json[] => evaluate(parseJsonPath(path) ?? [], item)
  assert.equal(get('.spec.a'), [1])
  assert.equal(get('{.spec.a}'), [1])
  assert.equal(get('.spec.b\\.c'), [2])
  assert.equal(get(".metadata.labels['k.io/n']"), ['z'])
  assert.equal(get('.spec.l[1].v'), [4])
  assert.equal(get('.spec.l[*].v'), [3, 4])
  assert.equal(get('.spec.l[?(@.t=="y")].v'), [4])
  assert.equal(get('.spec.none.deep'), [])
  assert.is(parseJsonPath('.spec.l[?(@.v>3)]'), null)
  assert.is(parseJsonPath('spec'), null)
})

test('durations as kubectl prints them', () => {
  const cases: [number, string][] = [
    [-5, '<invalid>'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [125, '2m5s'],
    [600, '10m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 60, '3h1m'],
    [9 * 3600, '9h'],
    [48 * 3600, '2d'],
    [50 * 3600, '2d2h'],
    [10 * 86400, '10d'],
    [800 * 86400, '2y70d'],
    [4000 * 86400, '10y'],
  ]
  for (const [seconds, text] of cases) assert.is(humanDuration(seconds * 1000), text, String(seconds))
})

test('versions in Kubernetes’ order', () => {
  const versions = ['foo1', 'v1alpha1', 'v10', 'v1beta2', 'v2', 'v1', 'v11beta1', 'v1beta1']
  assert.equal(versions.sort(compareVersions), [
    'v10',
    'v2',
    'v1',
    'v11beta1',
    'v1beta2',
    'v1beta1',
    'v1alpha1',
    'foo1',
  ])
})

test.run()
