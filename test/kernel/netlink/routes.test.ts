// Routes, rules and addresses against the real kernel, in both families.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import {
  isAlreadyExists,
  isNotFound,
  NetlinkError,
  NetworkNamespace,
  request,
  RouteSocket,
  RT_SCOPE_HOST,
  RTN_THROW,
  type Request,
  type Route,
} from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()

const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
const DEVICE = 100
const TABLE = 39999

async function applyAll(requests: readonly Request[]): Promise<void> {
  for (const error of await socket.apply(requests)) if (error) throw error
}

test.before(async () => {
  await applyAll([
    request.linkAdd({ kind: 'veth', name: 'd0', index: DEVICE, up: true, peer: { name: 'd1' } }),
    request.linkSet('d1', { up: true }),
    request.addressAdd({ index: DEVICE, address: parseAddress('10.9.0.1'), prefixLength: 24 }),
    request.addressAdd({ index: DEVICE, address: parseAddress('fd09::1'), prefixLength: 64, flags: 0x02 }),
  ])
})

test.after(() => {
  socket.close()
  namespace.close()
})

test('addresses are shown as they were added, in both families', async () => {
  const addresses = await socket.addresses({ index: DEVICE })
  const plain = addresses.map(({ address, prefixLength, scope }) => ({ address, prefixLength, scope }))
  assert.ok(plain.some((one) => one.address === parseAddress('10.9.0.1') && one.prefixLength === 24 && one.scope === 0))
  assert.ok(plain.some((one) => one.address === parseAddress('fd09::1') && one.prefixLength === 64))
  const inet6 = await socket.addresses({ index: DEVICE, family: 6 })
  assert.ok(inet6.length > 0 && inet6.every(({ address }) => typeof address === 'bigint'))
  const lo = await socket.addresses({ index: 1 })
  assert.ok(lo.every(({ scope, index }) => scope === RT_SCOPE_HOST && index === 1))
})

test('an address deleted twice is not found', async () => {
  const extra = { index: DEVICE, address: parseAddress('10.9.1.1'), prefixLength: 32 }
  await socket.run(request.addressAdd(extra))
  try {
    await socket.run(request.addressAdd(extra))
    assert.unreachable()
  } catch (error) {
    assert.ok(isAlreadyExists(error))
  }
  await socket.run(request.addressDelete(extra))
  try {
    await socket.run(request.addressDelete(extra))
    assert.unreachable()
  } catch (error) {
    assert.ok(isNotFound(error))
  }
})

for (const [family, prefix, gateway, source] of [
  [4, '10.20.0.0/24', '10.9.0.2', '10.9.0.1'],
  [6, 'fd20::/64', 'fd09::2', 'fd09::1'],
] as const) {
  test(`IPv${family} routes: every field comes back`, async () => {
    const dst = parsePrefix(prefix)
    const wanted = {
      table: TABLE,
      dst,
      gateway: parseAddress(gateway),
      prefSrc: parseAddress(source),
      oif: DEVICE,
      metric: 77,
      protocol: 123,
      flags: 4,
    }
    await applyAll([
      request.routeAdd(wanted),
      request.routeAdd({ table: TABLE, dst: { address: dst.address, length: dst.length + 1 }, type: RTN_THROW }),
    ])
    const routes = await socket.routes({ family, table: TABLE })
    assert.equal(routes.length, 2)
    const route = routes.find(({ dst: { length } }) => length === dst.length)
    assert.equal(route, { ...wanted, type: 1, scope: 0, nexthopId: 0, nexthops: [] })
    assert.equal(routes.find(({ type }) => type === RTN_THROW)?.dst.length, dst.length + 1)

    await socket.run(request.routeReplace({ ...wanted, prefSrc: null }))
    assert.equal((await socket.routes({ family, table: TABLE })).find(({ metric }) => metric === 77)?.prefSrc, null)
    // What a dump says deletes what it says.
    await applyAll((await socket.routes({ family, table: TABLE })).map((each) => request.routeDelete(each)))
    assert.equal(await socket.routes({ family, table: TABLE }), [])
  })

  test(`IPv${family} multipath and default routes`, async () => {
    const { address } = parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0')
    const nexthops = [
      { oif: DEVICE, gateway: parseAddress(gateway), weight: 1 },
      { oif: DEVICE, gateway: parseAddress(family === 4 ? '10.9.0.3' : 'fd09::3'), weight: 3 },
    ]
    await socket.run(request.routeAdd({ table: TABLE, dst: { address, length: 0 }, nexthops }))
    const [route, ...others] = await socket.routes({ family, table: TABLE })
    assert.equal(others, [])
    assert.equal(route?.nexthops, nexthops)
    assert.equal(route?.dst, { address, length: 0 })
    await socket.run(request.routeDelete({ table: TABLE, dst: { address, length: 0 } }))
  })

  test(`IPv${family} rules: every field comes back, and a dumped rule deletes itself`, async () => {
    const src = parsePrefix(prefix)
    const wanted = { family, priority: 5, src, fwmark: 0, fwmask: 0x4040, table: 10000, protocol: 99 } as const
    await socket.run(request.ruleAdd(wanted))
    await socket.run(request.ruleAdd({ family, priority: 3, fwmark: 0x20, fwmask: 0x20, table: 40001 }))
    const rules = (await socket.rules(family)).filter(({ priority }) => priority > 0 && priority < 10)
    assert.equal(rules, [
      {
        family,
        priority: 3,
        src: null,
        dst: null,
        fwmark: 0x20,
        fwmask: 0x20,
        table: 40001,
        action: 1,
        protocol: 0,
        foreignSelector: false,
      },
      { ...wanted, dst: null, action: 1, foreignSelector: false },
    ])
    await applyAll(rules.map((rule) => request.ruleDelete(rule)))
    assert.not((await socket.rules(family)).some(({ priority }) => priority > 0 && priority < 10))
  })

  test(`IPv${family}: a table that does not exist is empty`, async () => {
    assert.equal(await socket.routes({ family, table: 31337 }), [])
  })
}

test('a refused request names itself and carries the kernel text', async () => {
  const route = { table: TABLE, dst: parsePrefix('10.30.0.0/24'), gateway: parseAddress('192.0.2.1') }
  const [error] = await socket.apply([request.routeAdd(route)])
  assert.instance(error, NetlinkError)
  assert.is(error?.code, 'ENETUNREACH')
  assert.is(error?.operation, 'route add 10.30.0.0/24 via 192.0.2.1 table 39999')
  assert.match(error?.message ?? '', /Nexthop has invalid gateway/)
})

test('a refused request in the middle of a batch costs only itself', async () => {
  const dsts = Array.from({ length: 300 }, (_, i) => ({ address: 0x0b000000 + i, length: 32 }))
  const requests = dsts.map((dst, i) => {
    if (i === 150) return request.routeAdd({ table: TABLE, dst, oif: 4242 })
    // Never reaches the kernel: refused while packing.
    if (i === 151) return request.routeAdd({ table: -1, dst, oif: DEVICE })
    return request.routeAdd({ table: TABLE, dst, oif: DEVICE })
  })
  const results = await socket.apply(requests)
  assert.is(results.filter((result) => result !== null).length, 2)
  assert.is(results[150]?.code, 'ENODEV')
  assert.is(results[151]?.code, 'EINVAL')
  assert.match(results[151]?.message ?? '', /table is -1/)
  const routes = await socket.routes({ family: 4, table: TABLE })
  assert.is(routes.length, 298)
  await applyAll(routes.map((route: Route) => request.routeDelete(route)))
})

test('a batch that fails as a whole loses no report', async () => {
  const requests = Array.from({ length: 1000 }, (_, i) =>
    request.routeDelete({ table: TABLE, dst: { address: i, length: 32 } }),
  )
  const results = await socket.apply(requests)
  assert.ok(results.every((result) => result?.code === 'ESRCH'))
})

test('ten thousand routes arrive as they were sent', async () => {
  const dsts = Array.from({ length: 10000 }, (_, i) => ({ address: 0x0c000000 + i * 7, length: 32 }))
  await applyAll(dsts.map((dst) => request.routeAdd({ table: TABLE, dst, oif: DEVICE })))
  const routes = await socket.routes({ family: 4, table: TABLE })
  assert.equal(new Set(routes.map(({ dst }) => dst.address)), new Set(dsts.map(({ address }) => address)))
  await applyAll(routes.map((route) => request.routeDelete(route)))
  assert.equal(await socket.routes({ family: 4, table: TABLE }), [])
})

test.run()
