// JSON merge patch, JSON patch, strategic merge patch: the examples of their specifications and laws.
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { StatusError } from '../../../../lib/standalone/apiserver/errors.ts'
import { equal, isObject } from '../../../../lib/standalone/apiserver/json.ts'
import { jsonPatch } from '../../../../lib/standalone/apiserver/patch/json.ts'
import { mergePatch } from '../../../../lib/standalone/apiserver/patch/merge.ts'
import { strategicPatch } from '../../../../lib/standalone/apiserver/patch/strategic.ts'
import { builtinSchema } from '../../../../lib/standalone/apiserver/schema/builtin.ts'
import type { Json, JsonObject } from '../../../../lib/standalone/apiserver/types.ts'

const test = suite('patches')
const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>
const objects = fc.dictionary(fc.string({ maxLength: 3 }), json, { maxKeys: 4 }) as fc.Arbitrary<JsonObject>

test('merge patch: the examples of RFC 7386, appendix A', () => {
  const examples: [Json, Json, Json][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ]
  for (const [target, patch, result] of examples) assert.equal(mergePatch(target, patch), result)
})

/** The merge patch that makes `b` out of `a`, for values without nulls. */
function mergeDiff(a: Json | undefined, b: Json): Json {
  if (!isObject(a) || !isObject(b)) return b
  const patch: JsonObject = {}
  for (const key of Object.keys(a))
    if (!Object.hasOwn(b, key)) Object.defineProperty(patch, key, { value: null, enumerable: true })
  for (const [key, value] of Object.entries(b)) {
    if (value === undefined || equal(a[key], value)) continue
    Object.defineProperty(patch, key, {
      value: mergeDiff(Object.hasOwn(a, key) ? a[key] : undefined, value),
      enumerable: true,
    })
  }
  return patch
}

const withoutNulls = (value: Json): Json => {
  if (Array.isArray(value)) return value
  if (!isObject(value)) return value ?? 0
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withoutNulls(member ?? 0)]))
}

test('merge patch: a difference leads from one object to the other and changes neither', () => {
  fc.assert(
    fc.property(objects, objects, (first, second) => {
      const a = withoutNulls(first)
      const b = withoutNulls(second)
      const before = JSON.stringify(a)
      const patch = mergeDiff(a, b)
      assert.ok(equal(mergePatch(a, patch), b))
      assert.is(JSON.stringify(a), before)
      assert.ok(equal(mergePatch(mergePatch(a, patch), patch), b), 'twice is once')
    }),
  )
})

test('JSON patch: the examples of RFC 6902, appendix A', () => {
  const examples: [Json, Json, Json][] = [
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { baz: 'qux', foo: 'bar' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo', foo: 'bar' }],
    [
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [{ baz: 'qux', foo: ['a', 2, 'c'] }, [{ op: 'test', path: '/baz', value: 'qux' }, { op: 'test', path: '/foo/1', value: 2 }], { baz: 'qux', foo: ['a', 2, 'c'] }], // prettier-ignore
    [
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [{ foo: ['bar'] }, [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }], { foo: ['bar', ['abc', 'def']] }],
    [{ a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
    [{ a: [1] }, [{ op: 'copy', from: '/a', path: '/b' }], { a: [1], b: [1] }],
  ]
  for (const [target, patch, result] of examples) {
    const before = JSON.stringify(target)
    assert.equal(jsonPatch(target, patch), result)
    assert.is(JSON.stringify(target), before)
  }
})

test('JSON patch: what does not apply is 422, what is none is 400', () => {
  const codeOf = (target: Json, patch: Json): number => {
    try {
      jsonPatch(target, patch)
      return 0
    } catch (error) {
      return error instanceof StatusError ? error.code : -1
    }
  }
  const cases: [Json, number][] = [
    [[{ op: 'test', path: '/a', value: 2 }], 422],
    [[{ op: 'remove', path: '/none' }], 422],
    [[{ op: 'replace', path: '/list/1', value: 1 }], 422],
    [[{ op: 'add', path: '/none/deep', value: 1 }], 422],
    [[{ op: 'add', path: '/list/5', value: 1 }], 422],
    [[{ op: 'add', path: '/list/01', value: 1 }], 422],
    [[{ op: 'move', from: '/list', path: '/list/x' }], 422],
    [[{ op: 'remove', path: '/constructor' }], 422],
    [[{ op: 'add', path: 'a', value: 1 }], 400],
    [[{ op: 'jump', path: '/a' }], 422],
    [[{ op: 'add', path: '/a' }], 400],
    [[1], 400],
    [{}, 400],
  ]
  for (const [patch, code] of cases) assert.is(codeOf({ a: 1, list: [1] }, patch), code, JSON.stringify(patch))
})

const Pod = builtinSchema('Pod')
const patchPod = (spec: JsonObject, patch: JsonObject): Json =>
  strategicPatch({ spec }, { spec: patch }, Pod)['spec'] ?? null

test('strategic: lists merge by key, by value, or are replaced', () => {
  const containers = [
    { name: 'a', image: '1', env: [{ name: 'X', value: '1' }], args: ['p'] },
    { name: 'b', image: '1' },
  ]
  assert.equal(
    patchPod(
      { containers },
      { containers: [{ name: 'a', image: '2', env: [{ name: 'Y', value: '2' }], args: ['q'] }] },
    ),
    {
      containers: [
        { name: 'a', image: '2', env: [{ name: 'X', value: '1' }, { name: 'Y', value: '2' }], args: ['q'] }, // prettier-ignore
        { name: 'b', image: '1' },
      ],
    },
  )
  assert.equal(patchPod({ containers }, { containers: [{ name: 'c', image: '3' }] }), {
    containers: [...containers, { name: 'c', image: '3' }],
  })
  assert.equal(patchPod({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] }), {
    tolerations: [{ key: 'b' }],
  })
  const meta = strategicPatch({ metadata: { finalizers: ['a', 'b'] } }, { metadata: { finalizers: ['b', 'c'] } }, Pod)
  assert.equal(meta, { metadata: { finalizers: ['a', 'b', 'c'] } })
})

test('strategic: directives', () => {
  const containers = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
  assert.equal(patchPod({ containers }, { containers: [{ name: 'b', $patch: 'delete' }] }), {
    containers: [{ name: 'a' }, { name: 'c' }],
  })
  assert.equal(patchPod({ containers }, { containers: [{ name: 'z' }, { $patch: 'replace' }] }), {
    containers: [{ name: 'z' }],
  })
  assert.equal(
    patchPod({ securityContext: { runAsUser: 1, fsGroup: 2 } }, { securityContext: { $patch: 'replace', fsGroup: 3 } }),
    {
      securityContext: { fsGroup: 3 },
    },
  )
  const finalizers = strategicPatch(
    { metadata: { finalizers: ['a', 'b'] } },
    { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } },
    Pod,
  )
  assert.equal(finalizers, { metadata: { finalizers: ['b'] } })
  const ordered = patchPod(
    { containers },
    { '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }, { name: 'b' }], containers: [] },
  )
  assert.equal(ordered, { containers: [{ name: 'c' }, { name: 'a' }, { name: 'b' }] })
  const volumes = patchPod(
    { volumes: [{ name: 'v', emptyDir: {} }] },
    { volumes: [{ $retainKeys: ['name', 'configMap'], name: 'v', configMap: { name: 'm' } }] },
  )
  assert.equal(volumes, { volumes: [{ name: 'v', configMap: { name: 'm' } }] })
  assert.equal(patchPod({ nodeName: 'a', hostname: 'b' }, { nodeName: null }), { hostname: 'b' })
  assert.throws(
    () => patchPod({ containers }, { containers: [{ image: 'x' }] }),
    /does not contain declared merge key: name/,
  )
  assert.throws(() => patchPod({}, { $patch: 'burn' }), /Unknown patch type/)
})

test('strategic: conditions by type, ports by their number, owner references by uid', () => {
  const conditions = [{ type: 'Ready', status: 'False' }, { type: 'Other', status: 'True' }] // prettier-ignore
  const patched = strategicPatch(
    { status: { conditions } },
    { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    Pod,
  )
  assert.equal(patched, { status: { conditions: [{ type: 'Ready', status: 'True' }, conditions[1]] } })
  const owners = [{ uid: '1', name: 'a' }]
  const owned = strategicPatch(
    { metadata: { ownerReferences: owners } },
    { metadata: { ownerReferences: [{ uid: '1', $patch: 'delete' }] } },
    Pod,
  )
  assert.equal(owned, { metadata: { ownerReferences: [] } })
  const ports = strategicPatch(
    { spec: { ports: [{ port: 80 }] } },
    { spec: { ports: [{ port: 80, name: 'x' }] } },
    builtinSchema('Service'),
  )
  assert.equal(ports, { spec: { ports: [{ port: 80, name: 'x' }] } })
})

test('strategic: without lists it is a merge patch', () => {
  const plain = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.oneof(fc.string(), fc.integer(), fc.constant(null)), {
    maxKeys: 3,
  })
  fc.assert(
    fc.property(plain, plain, (labels, patch) => {
      const target = { metadata: { labels } } as JsonObject
      const change = { metadata: { labels: patch } } as JsonObject
      assert.ok(equal(strategicPatch(target, change, Pod), mergePatch(target, change)))
    }),
  )
})

test.run()
