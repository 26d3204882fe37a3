// The indexed store against a plain model.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MutableStore } from '../../../lib/kube/index.ts'

interface Thing {
  readonly tags: readonly string[]
  readonly node: string
}

const indexes = {
  tag: (thing: Thing) => thing.tags,
  node: (thing: Thing, key: string) => [thing.node, `${thing.node}/${key}`],
}

const key = fc.constantFrom('a/1', 'a/2', 'b/1', 'b/2', 'c')
const thing = fc.record({
  tags: fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: 4 }),
  node: fc.constantFrom('n1', 'n2'),
})
const operation = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key, thing }),
  fc.record({ kind: fc.constant('remove' as const), key }),
)

test('indexes agree with a scan after any operations', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const store = new MutableStore<Thing>(indexes)
      const model = new Map<string, Thing>()
      for (const step of operations) {
        const before = model.get(step.key)
        if (step.kind === 'put') {
          const old = store.put(step.key, { resourceVersion: '1', uid: '', value: step.thing })
          assert.is(old?.value, before)
          model.set(step.key, step.thing)
        } else {
          assert.is(store.remove(step.key)?.value, before)
          model.delete(step.key)
        }
        assert.is(store.size, model.size)
        for (const [name, of] of Object.entries(indexes)) {
          const expected = new Map<string, string[]>()
          for (const [own, object] of model) {
            for (const value of new Set(of(object, own))) expected.set(value, [...(expected.get(value) ?? []), own])
          }
          assert.equal([...store.indexValues(name)].sort(), [...expected.keys()].sort())
          for (const [value, keys] of expected) {
            assert.equal(store.keysByIndex(name, value).sort(), keys.sort())
            assert.equal(new Set(store.byIndex(name, value)), new Set(keys.map((own) => model.get(own))))
          }
        }
      }
      assert.equal(new Map([...store.keys()].map((own) => [own, store.get(own)])), model)
      assert.equal(new Set(store.values()), new Set(model.values()))
    }),
    { numRuns: 300 },
  )
})

test('an index function that throws leaves everything as it was', () => {
  const store = new MutableStore<number>({ parity: (value) => (value < 0 ? fail() : [String(value % 2)]) })
  store.put('k', { resourceVersion: '1', uid: '', value: 1 })
  assert.throws(() => store.put('k', { resourceVersion: '2', uid: '', value: -1 }), /negative/)
  assert.is(store.get('k'), 1)
  assert.equal(store.keysByIndex('parity', '1'), ['k'])
})

function fail(): never {
  throw new Error('negative')
}

test('an unknown index is a clear error', () => {
  const store = new MutableStore<number>({ one: () => [] })
  assert.throws(() => store.byIndex('two', ''), /no index 'two' in this store, it has: one/)
})

test.run()
