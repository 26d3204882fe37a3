// Links, neighbours and FDB entries against the real kernel.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAddress } from '../../../lib/ip/index.ts'
import {
  IFF_UP,
  isAlreadyExists,
  type NetlinkError,
  NetworkNamespace,
  NTF_PROXY,
  NUD_PERMANENT,
  NUD_REACHABLE,
  request,
  RouteSocket,
} from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { applyAll, newPlace, type Place } from './support.ts'

requireSandbox()

const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
let pod: Place
const MAC = 0xeeeeeeeeeeee
const PARENT = 50

test.before(async () => {
  pod = await newPlace()
  await applyAll(socket, [
    request.linkAdd({ kind: 'veth', name: 'p0', index: PARENT, up: true, peer: { name: 'p1' } }),
    request.linkSet('p1', { up: true }),
    request.addressAdd({ index: PARENT, address: parseAddress('10.1.0.1'), prefixLength: 24 }),
  ])
})

test.after(async () => {
  await pod.close()
  socket.close()
  namespace.close()
})

test('a veth is created with its peer in another namespace, everything set at creation', async () => {
  await socket.run(
    request.linkAdd({
      kind: 'veth',
      name: 'hybr0123456789a',
      index: 4001,
      mac: MAC,
      mtu: 1450,
      group: 77,
      queues: 1,
      txQueueLength: 500,
      up: true,
      peer: { name: 'eth0', index: 2, mac: 0x0242ac110002, mtu: 1450, queues: 1, namespace: pod.namespace },
    }),
  )
  const host = await socket.link('hybr0123456789a')
  assert.ok(host)
  assert.is(host.index, 4001)
  assert.is(host.kind, 'veth')
  assert.is(host.mac, MAC)
  assert.is(host.mtu, 1450)
  assert.is(host.group, 77)
  assert.is(host.parent, 2)
  assert.ok(host.parentNetnsId >= 0)
  assert.is(host.flags & IFF_UP, IFF_UP)
  const inside = await pod.socket.link(2)
  assert.ok(inside)
  assert.is(inside.name, 'eth0')
  assert.is(inside.mac, 0x0242ac110002)
  assert.is(inside.flags & IFF_UP, 0)
  assert.is(await socket.link('eth0'), null)
  assert.is(await socket.link(31337), null)
})

test('a taken name says so, in the words of the command', async () => {
  try {
    await socket.run(request.linkAdd({ kind: 'veth', name: 'p0', peer: { name: 'q1' } }))
    assert.unreachable()
  } catch (error) {
    assert.ok(isAlreadyExists(error))
    assert.match((error as Error).message, /^link add p0 type veth peer q1: /)
  }
})

test('linkSet changes what is given and nothing else', async () => {
  await socket.run(request.linkSet(4001, { name: 'renamed', mtu: 1400, group: 78, up: false }))
  const link = await socket.link(4001)
  assert.is(link?.name, 'renamed')
  assert.is(link?.mtu, 1400)
  assert.is(link?.group, 78)
  assert.is((link?.flags ?? 0) & IFF_UP, 0)
  assert.is(link?.mac, MAC)
})

test('linkSet moves a link to another namespace', async () => {
  await socket.run(request.linkAdd({ kind: 'veth', name: 'm0', peer: { name: 'm1' } }))
  await socket.run(request.linkSet('m1', { namespace: pod.namespace }))
  assert.is(await socket.link('m1'), null)
  assert.is((await pod.socket.link('m1'))?.name, 'm1')
  await socket.run(request.linkDelete('m0'))
  assert.is(await pod.socket.link('m1'), null)
})

test('links are deleted by group in one request', async () => {
  const group = 4242
  const names = Array.from({ length: 8 }, (_, i) => `g${i}`)
  await applyAll(
    socket,
    names.map((name) => request.linkAdd({ kind: 'veth', name, group, peer: { name: `${name}p` } })),
  )
  assert.is((await socket.links()).filter((link) => link.group === group).length, 8)
  await socket.run(request.linkDelete({ group }))
  assert.not((await socket.links()).some(({ name }) => /^g\dp?$/.test(name)))
})

for (const [family, local] of [
  [4, '10.1.0.1'],
  [6, 'fd01::1'],
] as const) {
  test(`a VXLAN device over IPv${family} comes back as it was asked for`, async () => {
    const name = `p0.vxlan${family}`
    await socket.run(
      request.linkAdd({
        kind: 'vxlan',
        name,
        mac: 0x525400000011,
        up: family === 4,
        vxlan: { vni: family, parent: PARENT, local: parseAddress(local), port: 8472, learning: true, ttl: 0, tos: 0 },
      }),
    )
    const link = await socket.link(name)
    assert.equal(link?.vxlan, {
      vni: family,
      parent: PARENT,
      local: parseAddress(local),
      group: null,
      port: 8472,
      learning: true,
    })
    assert.is(link?.mac, 0x525400000011)
    // Another device of the same VNI and port: EEXIST, whatever its name.
    const [error] = await socket.apply([
      request.linkAdd({ kind: 'vxlan', name: 'other', vxlan: { vni: family, local: parseAddress(local), port: 8472 } }),
    ])
    assert.ok(isAlreadyExists(error))
    if (family === 6) await socket.run(request.linkDelete(name))
  })
}

test('FDB: a unicast MAC has one destination, a group MAC many', async () => {
  const index = (await socket.link('p0.vxlan4'))?.index ?? 0
  const unicast = 0x525400000012
  const group = 0xfffffffffff1
  const dst = (n: number): number => (parseAddress('192.168.56.0') as number) + n
  await applyAll(socket, [
    request.fdbReplace({ index, mac: unicast, dst: dst(12) }),
    request.fdbReplace({ index, mac: unicast, dst: dst(13) }),
    request.fdbAppend({ index, mac: group, dst: dst(12) }),
    request.fdbAppend({ index, mac: group, dst: dst(13) }),
  ])
  const entries = await socket.fdb(index)
  assert.ok(entries.every((entry) => entry.kind === 'bridge' && entry.index === index))
  const of = (mac: number): unknown[] => entries.filter((entry) => entry.mac === mac).map((entry) => entry.dst)
  assert.equal(of(unicast), [dst(13)])
  assert.equal(new Set(of(group)), new Set([dst(12), dst(13)]))
  assert.is(entries.find((entry) => entry.mac === unicast)?.state, NUD_PERMANENT)
  await applyAll(socket, [
    request.fdbDelete({ index, mac: unicast, dst: dst(13) }),
    request.fdbDelete({ index, mac: group, dst: dst(12) }),
  ])
  assert.equal(
    (await socket.fdb(index)).filter((entry) => entry.mac === group).map((entry) => entry.dst),
    [dst(13)],
  )
})

test('FDB: a thousand entries in one batch', async () => {
  const index = (await socket.link('p0.vxlan4'))?.index ?? 0
  const entries = Array.from({ length: 1000 }, (_, i) => ({ index, mac: 0x020000000000 + i, dst: 0x0a010000 + i }))
  await applyAll(
    socket,
    entries.map((entry) => request.fdbReplace(entry)),
  )
  const shown = new Map((await socket.fdb(index)).map((entry) => [entry.mac, entry.dst]))
  for (const { mac, dst } of entries) assert.is(shown.get(mac), dst)
})

for (const [family, address] of [
  [4, '10.1.0.77'],
  [6, 'fd01::77'],
] as const) {
  test(`IPv${family} neighbours and proxy neighbours are kept apart`, async () => {
    const dst = parseAddress(address)
    await applyAll(socket, [
      request.neighAdd({ index: PARENT, dst, mac: 0x0200000000aa }),
      request.neighAdd({ index: PARENT, dst: typeof dst === 'number' ? dst + 1 : dst + 1n, flags: NTF_PROXY }),
    ])
    const kind = family === 4 ? 'inet' : 'inet6'
    const neighbours = await socket.neighbours({ family, index: PARENT })
    assert.equal(
      neighbours.filter((entry) => entry.dst === dst),
      [{ kind, index: PARENT, dst, mac: 0x0200000000aa, state: NUD_PERMANENT, flags: 0 }],
    )
    assert.not(neighbours.some((entry) => (entry.flags & NTF_PROXY) !== 0))
    const proxies = await socket.neighbours({ family, proxy: true, index: PARENT })
    assert.is(proxies.length, 1)
    assert.is((proxies[0]?.flags ?? 0) & NTF_PROXY, NTF_PROXY)
    assert.equal(await socket.neighbours({ family, proxy: true, index: 1 }), [])
    await applyAll(socket, [
      request.neighReplace({ index: PARENT, dst, mac: 0x0200000000bb, state: NUD_REACHABLE }),
      ...proxies.map((entry) => request.neighDelete(entry)),
    ])
    const [changed] = (await socket.neighbours({ family, index: PARENT })).filter((entry) => entry.dst === dst)
    assert.is(changed?.mac, 0x0200000000bb)
    assert.is(changed?.state, NUD_REACHABLE)
    assert.equal(await socket.neighbours({ family, proxy: true, index: PARENT }), [])
  })
}

test('requests of one turn go out as one batch, each with its own answer', async () => {
  const results = await Promise.allSettled([
    socket.run(request.linkSet('p0', { group: 5 })),
    socket.run(request.linkSet('absent', { group: 5 })),
    socket.run(request.linkSet('a name far too long', { group: 5 })),
  ])
  assert.equal(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected'],
  )
  const [, absent, tooLong] = results
  assert.ok(absent?.status === 'rejected' && (absent.reason as NetlinkError).code === 'ENODEV')
  assert.ok(tooLong?.status === 'rejected' && /expected 1 to 15 bytes/.test((tooLong.reason as Error).message))
})

test('a closed socket says so', async () => {
  const other = RouteSocket.open(namespace)
  other.close()
  other.close()
  try {
    await other.links()
    assert.unreachable()
  } catch (error) {
    assert.is((error as NetlinkError).code, 'EBADF')
    assert.match((error as Error).message, /^link dump: netlink socket is closed/)
  }
})

test.run()
