// Dumps under change: an interrupted one is done again, and filters hold whether the kernel knows them or not.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NetlinkError, NetworkNamespace, request, RouteLayout, RouteSocket } from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { applyAll } from './support.ts'

requireSandbox()

const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
const STEADY = 90

test.before(async () => {
  // Enough links that a dump takes several reads, between which something can change.
  await applyAll(
    socket,
    Array.from({ length: STEADY }, (_, i) =>
      request.linkAdd({ kind: 'veth', name: `s${i}`, queues: 1, up: true, peer: { name: `t${i}`, queues: 1 } }),
    ),
  )
})

test.after(() => {
  socket.close()
  namespace.close()
})

test('a dump interrupted by a change is done again and is whole', async () => {
  const churner = RouteSocket.open(namespace)
  let churning = true
  const churn = (async () => {
    const peer = { name: 'churn1', queues: 1 }
    while (churning) {
      await churner.apply([
        request.linkAdd({ kind: 'veth', name: 'churn0', queues: 1, peer }),
        request.linkSet('s0', { mtu: 1400 }),
        request.linkSet('s0', { mtu: 1500 }),
        request.linkDelete('churn0'),
      ])
    }
  })()
  let dumps = 0
  let gaveUp = 0
  try {
    const end = Date.now() + 8000
    while (Date.now() < end && (socket.interruptedDumps < 3 || dumps < 3)) {
      try {
        const links = await socket.links()
        dumps++
        const names = links.map(({ name }) => name)
        assert.is(new Set(names).size, names.length, 'no link twice')
        assert.is(names.filter((name) => /^[st]\d+$/.test(name)).length, 2 * STEADY, 'no link missing')
      } catch (error) {
        if (!(error instanceof NetlinkError)) throw error
        // Ten interruptions in a row are reported, not answered with half a table.
        assert.is(error.code, 'EINTR')
        assert.match(error.message, /^link dump: a change interrupted each of 10 dumps/)
        gaveUp++
      }
    }
  } finally {
    churning = false
    await churn
    churner.close()
  }
  assert.ok(dumps > 0, `no dump got through, ${gaveUp} gave up`)
  assert.ok(socket.interruptedDumps > 0, 'no dump was interrupted')
})

test('a route dump narrowed to table, device and protocol shows exactly those', async () => {
  const index = (await socket.link('s1'))?.index ?? 0
  const other = (await socket.link('s2'))?.index ?? 0
  await socket.run(request.linkSet('t1', { up: true }))
  await socket.run(request.linkSet('t2', { up: true }))
  const all = [0, 1, 2, 3, 4, 5].map((i) => ({
    table: 6000 + (i % 2),
    oif: i % 3 === 0 ? index : other,
    protocol: i < 3 ? 150 : 151,
    dst: { address: 0x15000000 + i, length: 32 },
  }))
  await applyAll(
    socket,
    all.map((route) => request.routeAdd(route)),
  )
  const numbers = async (filter: Parameters<RouteSocket['routes']>[0]): Promise<number[]> =>
    (await socket.routes(filter))
      .filter(({ table }) => table >= 6000 && table <= 6001)
      .map(({ dst }) => Number(dst.address) - 0x15000000)
      .sort()
  assert.equal(await numbers({ family: 4 }), [0, 1, 2, 3, 4, 5])
  assert.equal(await numbers({}), [0, 1, 2, 3, 4, 5])
  assert.equal(await numbers({ family: 4, table: 6000 }), [0, 2, 4])
  assert.equal(await numbers({ table: 6001 }), [1, 3, 5])
  assert.equal(await numbers({ family: 4, oif: index }), [0, 3])
  assert.equal(await numbers({ family: 4, protocol: 151 }), [3, 4, 5])
  assert.equal(await numbers({ family: 4, table: 6000, oif: index, protocol: 150 }), [0])
  assert.equal(await numbers({ family: 6 }), [])
})

test('packed dumps hold what the objects do', async () => {
  const flat = await socket.routesFlat({ family: 4, table: 6000 })
  assert.is(flat.length, 3 * 20)
  assert.equal(await socket.routesFlat({ family: 4, table: 31337 }), new Uint32Array())
})

test('the event loop turns while a large batch and its dump are under way', async () => {
  const index = (await socket.link('s1'))?.index ?? 0
  const requests = Array.from({ length: 60_000 }, (_, i) =>
    request.routeAdd({ table: 6100, oif: index, dst: { address: 0x16000000 + i, length: 32 } }),
  )
  let turns = 0
  let running = true
  const count = (): void => {
    turns++
    if (running) setImmediate(count)
  }
  setImmediate(count)
  await applyAll(socket, requests)
  const [packing, dumped] = [turns, await socket.routes({ family: 4, table: 6100 })]
  running = false
  assert.is(dumped.length, requests.length)
  // Slices of 2,048 each way.
  assert.ok(packing >= 29, `${packing} turns for the batch`)
  assert.ok(turns - packing >= 29, `${turns - packing} turns for the dump`)
})

test('a dump that comes in many pieces is whole and in the order of the packed one', async () => {
  // 60,000 routes of the test before: some twenty pieces, and a packed buffer of 5 MB.
  const filter = { family: 4, table: 6100 } as const
  const flat = await socket.routesFlat(filter)
  const packed = Array.from(
    { length: flat.length / RouteLayout.Words },
    (_, i) => flat[i * RouteLayout.Words + RouteLayout.Dst],
  )
  assert.is(new Set(packed).size, 60_000)
  assert.equal(
    (await socket.routes(filter)).map(({ dst }) => dst.address),
    packed,
  )
})

test('thousands of calls started in one turn each get their own answer', async () => {
  const index = (await socket.link('s1'))?.index ?? 0
  const calls = 5000
  // Every hundredth is a duplicate of the one before.
  const refused = (i: number): boolean => i % 100 === 99
  const answers = await Promise.allSettled(
    Array.from({ length: calls }, (_, i) =>
      socket.run(
        request.routeAdd({
          table: 6200,
          oif: index,
          dst: { address: 0x17000000 + i - Number(refused(i)), length: 32 },
        }),
      ),
    ),
  )
  answers.forEach((answer, i) => {
    assert.is(answer.status, refused(i) ? 'rejected' : 'fulfilled', `call ${i}`)
    if (answer.status === 'rejected') assert.is((answer.reason as NetlinkError).code, 'EEXIST')
  })
  assert.is((await socket.routesFlat({ family: 4, table: 6200 })).length, (calls - calls / 100) * RouteLayout.Words)
})

test('one message empties a forwarding table', async () => {
  const vxlan = { vni: 77, port: 4790 }
  await applyAll(socket, [request.linkAdd({ kind: 'vxlan', name: 'flushed', up: true, vxlan })])
  const index = (await socket.link('flushed'))?.index ?? 0
  await applyAll(
    socket,
    Array.from({ length: 1000 }, (_, i) => request.fdbReplace({ index, mac: 0x020000000001 + i, dst: 0xc0000201 })),
  )
  assert.is((await socket.fdb(index)).length, 1000)
  await socket.run(request.fdbFlush(index))
  assert.equal(await socket.fdb(index), [])
  let refused: unknown
  await socket.run(request.fdbFlush(0)).catch((error: unknown) => (refused = error))
  assert.match((refused as Error).message, /fdb flush dev 0: index is 0, expected a device index/)
})

test.run()
