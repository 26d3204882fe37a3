import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { ParsedVtep } from '../../../lib/api/index.ts'
import { ResolverFeed } from '../../../lib/daemon/resolver-feed.ts'
import type { IPAddress } from '../../../lib/ip/index.ts'

/** A table that records what the native one would hold. */
function setUp(): {
  feed: ResolverFeed
  table: Map<IPAddress, number>
  places: Map<IPAddress, string>
  moved: (readonly [IPAddress, number])[]
} {
  const table = new Map<IPAddress, number>()
  const places = new Map<IPAddress, string>()
  const moved: (readonly [IPAddress, number])[] = []
  const feed = new ResolverFeed({
    nodeName: 'self',
    table: {
      set: (entries) => entries.forEach(([address, mac]) => table.set(address, mac)),
      delete: (addresses) => addresses.forEach((address) => table.delete(address)),
    },
    pods: () => ({
      nodeOf: (address) => places.get(address) ?? null,
      onNodes: (nodes) => [...places].filter(([, node]) => nodes.has(node)),
    }),
    onMoved: (entries) => moved.push(...entries),
  })
  return { feed, table, places, moved }
}

function vtep(name: string, mac: number, ...localIPs: IPAddress[]): ParsedVtep {
  return { name, ip: localIPs[0] ?? 1, mac, localIPs }
}

test('a pod resolves to its node, whichever comes first', () => {
  const { feed, table, places } = setUp()
  places.set(100, 'b')
  feed.podChanged(100)
  feed.flush()
  assert.is(table.has(100), false, 'nothing is known of the node yet')
  feed.vtepChanged('b', vtep('b', 0xb, 2))
  feed.flush()
  assert.equal(
    [...table],
    [
      [2, 0xb],
      [100, 0xb],
    ],
  )
})

test('a pod that moves is told as moved', () => {
  const { feed, table, places, moved } = setUp()
  feed.vtepChanged('b', vtep('b', 0xb, 2))
  feed.vtepChanged('c', vtep('c', 0xc, 3))
  places.set(100, 'b')
  feed.podChanged(100)
  feed.flush()
  moved.length = 0
  places.set(100, 'c')
  feed.podChanged(100)
  feed.flush()
  assert.is(table.get(100), 0xc)
  assert.equal(moved, [[100, 0xc]])
})

test('the own node is never resolved to itself', () => {
  const { feed, table } = setUp()
  feed.vtepChanged('self', vtep('self', 0xa, 1))
  feed.flush()
  assert.is(table.size, 0)
})

test('whatever the order of events, the table ends as computed from scratch', () => {
  const names = ['self', 'b', 'c', 'd']
  const event = fc.oneof(
    fc.record({
      kind: fc.constant('vtep' as const),
      name: fc.constantFrom(...names),
      mac: fc.option(fc.integer({ min: 1, max: 3 })),
      local: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }),
    }),
    fc.record({
      kind: fc.constant('pod' as const),
      address: fc.integer({ min: 4, max: 9 }),
      node: fc.option(fc.constantFrom('b', 'c', 'd', 'unknown')),
      flush: fc.boolean(),
    }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const { feed, table, places } = setUp()
      for (const change of events) {
        if (change.kind === 'vtep') {
          const { name, mac, local } = change
          feed.vtepChanged(name, mac === null ? null : vtep(name, mac, ...local))
        } else {
          if (change.node === null) places.delete(change.address)
          else places.set(change.address, change.node)
          feed.podChanged(change.address)
          if (change.flush) feed.flush()
        }
      }
      feed.flush()
      for (let address = 0; address < 10; address++) {
        assert.is(table.get(address) ?? null, feed.macOf(address), `address ${address}`)
      }
    }),
  )
})

test.run()
