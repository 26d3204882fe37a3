// 802.1Q devices, which the kernels of build machines often lack.
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NetworkNamespace, request, RouteSocket } from '../../lib/netlink/index.ts'
import { requireSandbox } from '../support/sandbox.ts'

requireSandbox()
const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
test.after(() => {
  socket.close()
  namespace.close()
})

test('a VLAN device is made on its parent, with its tag, and up', async () => {
  await socket.run(request.linkAdd({ kind: 'veth', name: 'p0', mtu: 1400, up: true, peer: { name: 'p1' } }))
  const parent = await socket.link('p0')
  assert.ok(parent)
  await socket.run(request.linkAdd({ kind: 'vlan', name: 'p0.100', parent: parent.index, vlanId: 100, up: true }))
  const link = await socket.link('p0.100')
  assert.ok(link)
  assert.is(link.kind, 'vlan')
  assert.is(link.vlanId, 100)
  assert.is(link.parent, parent.index)
  assert.is(link.mac, parent.mac)
  assert.is(link.mtu, 1400)
  assert.match(
    execFileSync('ip', ['-d', 'link', 'show', 'p0.100'], { encoding: 'utf8' }),
    /vlan protocol 802\.1Q id 100 /,
  )
})

test('a tag beyond 4094 is refused in the words of the kernel', async () => {
  const parent = await socket.link('p0')
  const add = socket.run(request.linkAdd({ kind: 'vlan', name: 'bad', parent: parent?.index ?? 0, vlanId: 4095 }))
  await add.then(
    () => assert.unreachable(),
    (error: unknown) => assert.match(String(error), /bad/),
  )
})

test.run()
