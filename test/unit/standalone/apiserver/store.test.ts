// The sorted map, the store and its memory.
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { StatusError } from '../../../../lib/standalone/apiserver/errors.ts'
import { SortedMap } from '../../../../lib/standalone/apiserver/sorted.ts'
import { Store } from '../../../../lib/standalone/apiserver/store.ts'
import type { Change, Collection } from '../../../../lib/standalone/apiserver/store.ts'
import type { KubeObject } from '../../../../lib/standalone/apiserver/types.ts'

const test = suite('store')

const key = fc.stringMatching(/^[a-c]{1,3}(\/[a-d]{1,2})?$/)
const operation = fc.record({ key, remove: fc.boolean() })

test('a sorted map is a map in order, and old versions stay as they were', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), key, (operations, probe) => {
      const model = new Map<string, number>()
      let map = SortedMap.empty<number>()
      const versions: [SortedMap<number>, string][] = []
      for (const [index, { key, remove }] of operations.entries()) {
        if (remove) model.delete(key)
        else model.set(key, index)
        map = remove ? map.delete(key) : map.set(key, index)
        versions.push([map, JSON.stringify([...model].sort(([a], [b]) => (a < b ? -1 : 1)))])
      }
      for (const [version, content] of versions) assert.is(JSON.stringify([...version.entries()]), content)
      const sorted = [...model.keys()].sort()
      assert.is(map.size, model.size)
      assert.is(map.get(probe), model.get(probe))
      assert.is(map.rank(probe), sorted.filter((one) => one < probe).length)
      assert.equal(
        [...map.entries(`${probe}/`)].map(([one]) => one),
        sorted.filter((one) => one.startsWith(`${probe}/`)),
      )
    }),
    { numRuns: 50 },
  )
})

test('a sorted map of many entries, filled in order, backwards and at random', () => {
  const keys = Array.from({ length: 5000 }, (_, index) => String(index).padStart(5, '0'))
  const shuffled = keys.toSorted((a, b) => ((Number(a) * 7919) % 5003) - ((Number(b) * 7919) % 5003))
  for (const order of [keys, keys.toReversed(), shuffled]) {
    let map = SortedMap.empty<string>()
    for (const one of order) map = map.set(one, one)
    assert.equal(
      [...map.entries()].map(([one]) => one),
      keys,
    )
    for (const one of order.slice(0, 4990)) map = map.delete(one)
    assert.is(map.size, 10)
    assert.equal(
      [...map.entries()].map(([one]) => one),
      order.slice(4990).toSorted(),
    )
  }
})

const object = (name: string, value: number): KubeObject => ({ apiVersion: 'v1', kind: 'X', metadata: { name }, value })
const content = (collection: Collection): string =>
  JSON.stringify([...collection.entries()].map(([, stored]) => stored.object))

test('every version that the ring remembers can be had again', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), remove: fc.boolean(), other: fc.boolean() }), {
        maxLength: 60,
      }),
      async (operations) => {
        const store = new Store({ historySize: 20 })
        const past = new Map<number, string>([[store.version, '[]']])
        for (const [index, { key, remove, other }] of operations.entries()) {
          const collection = other ? '/other' : '/things'
          if (remove) store.remove(collection, key)
          else store.put(collection, key, object(key, index))
          past.set(store.version, content(store.collection('/things')))
        }
        for (const [version, expected] of past) {
          const found = await store.collectionAt('/things', version).then(content, (error: unknown) => {
            assert.ok(error instanceof StatusError && error.code === 410, String(error))
            return null
          })
          assert.is(found, version >= store.history.compacted ? expected : null, `version ${version}`)
        }
      },
    ),
  )
})

test('the ring gives the changes after a version, in order, as far back as it goes', () => {
  const store = new Store({ historySize: 5 })
  const seen: Change[] = []
  store.subscribe('/things', (change) => seen.push(change))
  for (let index = 0; index < 12; index++) store.put('/things', String(index % 3), object(String(index % 3), index))
  assert.is(seen.length, 12)
  assert.equal(
    seen.map(({ version }) => version),
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13],
  )
  assert.is(store.history.compacted, 8)
  for (let from = 8; from <= 13; from++) {
    assert.equal(
      [...store.history.since(from)],
      seen.filter(({ version }) => version > from),
      `from ${from}`,
    )
    assert.equal([...store.history.backwards(from)], seen.filter(({ version }) => version > from).toReversed())
  }
  store.compact(11)
  assert.is(store.history.compacted, 11)
  assert.equal(
    [...store.history.since(11)].map(({ version }) => version),
    [12, 13],
  )
  for (let index = 0; index < 9; index++) store.put('/things', 'x', object('x', index))
  assert.equal(
    [...store.history.since(17)].map(({ version }) => version),
    [18, 19, 20, 21, 22],
  )
})

test('a removal has a version of its own and shows the last state', () => {
  const store = new Store({ historySize: 10 })
  const stored = store.put('/things', 'a', object('a', 1))
  const removed = store.remove('/things', 'a')
  assert.is(removed?.object['value'], 1)
  assert.is(removed?.object.metadata.resourceVersion, String(stored.version + 1))
  assert.is(stored.object.metadata.resourceVersion, String(stored.version), 'the stored one is not changed')
  assert.is(store.remove('/things', 'a'), undefined)
})

test.run()
