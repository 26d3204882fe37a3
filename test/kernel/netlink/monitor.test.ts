// Notifications: what arrives, from where, and what is said when something was lost.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parsePrefix, type IPAddress } from '../../../lib/ip/index.ts'
import {
  Monitor,
  NetworkNamespace,
  request,
  RouteSocket,
  type MonitorEvent,
  type MonitorOptions,
} from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { applyAll, blockEventLoop, newPlace, until } from './support.ts'

requireSandbox()

const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
const DEVICE = 60
const TABLE = 4000

const opened: Monitor[] = []

interface Watch {
  readonly events: MonitorEvent[]
  readonly overruns: string[]
  readonly monitor: Monitor
}

function watch(options: Partial<MonitorOptions> & Pick<MonitorOptions, 'groups'>, where = namespace): Watch {
  const events: MonitorEvent[] = []
  const overruns: string[] = []
  const monitor = Monitor.open(where, {
    onEvents: (batch) => {
      for (const event of batch) events.push(event)
    },
    onOverrun: (place) => overruns.push(place),
    onError: (error) => {
      throw error
    },
    ...options,
  })
  opened.push(monitor)
  return { events, overruns, monitor }
}

const routes = (count: number, base = 0x0d000000) =>
  Array.from({ length: count }, (_, i) => ({ table: TABLE, dst: { address: base + i, length: 32 }, oif: DEVICE }))

test.before(async () => {
  await applyAll(socket, [
    request.linkAdd({ kind: 'veth', name: 'w0', index: DEVICE, up: true, peer: { name: 'w1' } }),
    request.linkSet('w1', { up: true }),
  ])
})

// An open monitor keeps the process alive, also after a failed test.
test.after.each(() => {
  for (const monitor of opened.splice(0)) monitor.close()
})

test.after(() => {
  socket.close()
  namespace.close()
})

test('each kind of object is reported, new and deleted, as its dump would show it', async () => {
  const { events, monitor } = watch({ groups: ['link', 'addr', 'route', 'rule', 'neigh'] })
  const address = { index: DEVICE, address: 0x0a010101, prefixLength: 24 }
  const rule = { family: 6, priority: 9, src: parsePrefix('fd00::/8'), table: 500 } as const
  const neigh = { index: DEVICE, dst: 0x0a0101fe, mac: 0x020000000001 }
  const route = routes(1)[0]
  assert.ok(route)
  await applyAll(socket, [
    request.addressAdd(address),
    request.routeAdd(route),
    request.ruleAdd(rule),
    request.neighAdd(neigh),
    request.linkSet(DEVICE, { mtu: 1400 }),
  ])
  const shown = (await socket.routes({ family: 4, table: TABLE }))[0]
  await applyAll(socket, [
    request.routeDelete(route),
    request.ruleDelete(rule),
    request.neighDelete(neigh),
    // Last: with its only address the device loses its routes.
    request.addressDelete(address),
  ])
  const has = (type: string, object: string): MonitorEvent | undefined =>
    events.find((event) => {
      if (event.type !== type || event.object !== object) return false
      if (event.object === 'route') return event.value.table === TABLE
      if (event.object === 'neigh') return event.value.dst === neigh.dst
      return true
    })
  await until('the last event', () => has('del', 'addr') !== undefined)
  for (const object of ['addr', 'route', 'rule', 'neigh']) {
    assert.ok(has('new', object), `new ${object}`)
    assert.ok(has('del', object), `del ${object}`)
  }
  assert.equal(has('new', 'route')?.value, shown)
  const link = events.findLast((event) => event.object === 'link')
  assert.ok(link?.object === 'link' && link.value.mtu === 1400 && link.value.name === 'w0')
  const added = has('new', 'rule')
  assert.ok(added?.object === 'rule' && added.value.priority === 9 && added.value.table === 500)
  monitor.close()
  const count = events.length
  await socket.run(request.linkSet(DEVICE, { mtu: 1500 }))
  await socket.links()
  assert.is(events.length, count, 'nothing after close()')
})

test('a monitor sees its own namespace only', async () => {
  const place = await newPlace()
  const there = watch({ groups: ['route', 'link'] }, place.namespace)
  const here = watch({ groups: ['route', 'link'] })
  await place.socket.run(request.linkAdd({ kind: 'veth', name: 'in0', up: true, peer: { name: 'in1' } }))
  await until('the link over there', () => there.events.some((event) => event.object === 'link'))
  assert.ok(there.events.every((event) => event.object !== 'link' || /^in[01]$/.test(event.value.name)))
  assert.equal(here.events, [])
  there.monitor.close()
  here.monitor.close()
  await place.close()
})

test('nothing is lost while the event loop is held', async () => {
  const { events, overruns, monitor } = watch({ groups: ['route'] })
  const wanted = routes(10000)
  const applied = applyAll(
    socket,
    wanted.map((route) => request.routeAdd(route)),
  )
  blockEventLoop(300)
  await applied
  // The devices' own IPv6 routes may still come, seconds after they were set up.
  const ours = (): Set<IPAddress> =>
    new Set(
      events.flatMap(({ object, value }) => (object === 'route' && value.table === TABLE ? [value.dst.address] : [])),
    )
  await until('all events', () => events.length >= wanted.length && ours().size >= wanted.length)
  assert.equal(overruns, [])
  assert.is(ours().size, wanted.length)
  monitor.close()
})

test('a full kernel buffer is an overrun, and events go on after it', async () => {
  // The least the kernel gives: room for two events.
  const { events, overruns, monitor } = watch({ groups: ['route'], receiveBytes: 1 })
  const flood = routes(2000, 0x0e000000)
  let caused = 0
  await until('an overrun', async () => {
    await applyAll(socket, [
      ...flood.map((route) => request.routeAdd(route)),
      ...flood.map((route) => request.routeDelete(route)),
    ])
    caused += 2 * flood.length
    return overruns.includes('kernel')
  })
  assert.ok(events.length < caused)
  // The reader may still be in the middle of the flood; a later event must arrive all the same.
  const later = { table: TABLE + 1, dst: parsePrefix('10.99.0.0/16'), oif: DEVICE }
  await until('a later event', async () => {
    await applyAll(socket, [request.routeAdd(later), request.routeDelete(later)])
    return events.some((event) => event.object === 'route' && event.value.table === TABLE + 1)
  })
  monitor.close()
})

test('a process that does not read is told so, and keeps a bounded queue', async () => {
  const { overruns, monitor } = watch({ groups: ['route'], queueBytes: 64 * 1024 })
  const applied = applyAll(
    socket,
    routes(8000, 0x0f000000).map((route) => request.routeAdd(route)),
  )
  blockEventLoop(300)
  await applied
  await until('an overrun', () => overruns.length > 0)
  assert.equal(new Set(overruns), new Set(['process']))
  monitor.close()
})

test.run()
