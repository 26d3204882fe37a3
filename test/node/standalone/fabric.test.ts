// The fabric in a real kernel: who reaches whom, and what the router does not know.
import { existsSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress } from '../../../lib/ip/index.ts'
import { Fabric, type FabricHost } from '../../../lib/standalone/nodes/fabric.ts'
import { execInNamespace } from '../../../lib/standalone/exec.ts'
import { prepareSandbox } from '../../../lib/standalone/sandbox.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
await prepareSandbox()

const text = (host: FabricHost): string[] => host.addresses.map(({ address }) => formatAddress(address))

/** true when one echo request from a host is answered within a second. */
async function reaches(from: FabricHost, address: string): Promise<boolean> {
  const { code } = await execInNamespace(from.path, ['ping', '-n', '-c1', '-W1', address])
  return code === 0
}

const fabric = await Fabric.create({ families: [4, 6] })
const [one, two] = [await fabric.addNode('node1'), await fabric.addNode('node2')]
test.after(() => fabric.close())

test('nodes get consecutive addresses of both families', () => {
  assert.equal(text(one), ['192.168.56.11', 'fd56::b'])
  assert.equal(text(two), ['192.168.56.12', 'fd56::c'])
  assert.equal(fabric.supervisorAddresses.map(formatAddress), ['192.168.56.254', 'fd56::fe'])
})

test('nodes reach each other, the supervisor and, through the router, the host outside', async () => {
  const targets = [...text(two), ...fabric.supervisorAddresses.map(formatAddress), ...text(fabric.outside)]
  for (const target of targets) assert.ok(await reaches(one, target), target)
  for (const target of text(one)) assert.ok(await reaches(fabric.outside, target), target)
})

test('the router has routes to its two networks only', async () => {
  const { stdout } = await execInNamespace(fabric.host('router').path, ['ip', '-4', 'route'])
  assert.equal(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(0, 3).join(' ')),
    ['192.168.56.0/24 dev eth0', '203.0.113.0/24 dev eth1'],
  )
})

test('an unplugged node is alone until it is plugged in again', async () => {
  await fabric.setConnected('node2', false)
  assert.not(await reaches(one, '192.168.56.12'))
  await fabric.setConnected('node2', true)
  // The kernel takes its time to notice a carrier.
  assert.ok(await eventually(() => reaches(one, '192.168.56.12'), 20_000))
  assert.ok(await eventually(() => reaches(one, 'fd56::c'), 20_000))
})

test("a node can be removed after somebody made a namespace of his own with 'ip netns'", async () => {
  const four = await fabric.addNode('node4')
  const { code, stderr } = await execInNamespace(one.path, ['ip', 'netns', 'add', 'mine'])
  assert.is(code, 0, stderr)
  await fabric.removeNode('node4')
  assert.not(existsSync(four.path))
  assert.is((await execInNamespace(one.path, ['ip', 'netns', 'delete', 'mine'])).code, 0)
})

test('a removed node leaves no namespace and no port', async () => {
  const three = await fabric.addNode('node3')
  assert.ok(existsSync(three.path))
  await fabric.removeNode('node3')
  assert.not(existsSync(three.path))
  const { stdout } = await execInNamespace('/proc/self/ns/net', ['ip', '-br', 'link'])
  assert.not.match(stdout, /node3/)
  assert.throws(() => fabric.host('node3'), /no host 'node3' on the fabric; there are router, outside, node1, node2/)
})

test.run()
