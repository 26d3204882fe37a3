// Subnets of underlay networks on the real kernel: BGP through a peer or along the node's default route, a VLAN subnet the
// node itself lives in; and that one subnet the kernel refuses costs only itself.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DataplaneEngine, type FabricMode, type SubnetInput } from '../../../lib/dataplane/index.ts'
import { parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import { CONFIG, Fabric, until, type TestNode } from './support.ts'

let fabric: Fabric
let node: TestNode
let engine: DataplaneEngine

function subnet(name: string, cidr: string, mode: FabricMode, fields: Partial<SubnetInput> = {}): SubnetInput {
  const base = { name, network: mode, prefix: parsePrefix(cidr), gateway: null, start: null, end: null, exclude: [] }
  return { ...base, mode, vlanId: mode === 'VLAN' ? 0 : null, autoNatOutgoing: true, member: true, ...fields }
}

test.before(async () => {
  fabric = await Fabric.create()
  node = await fabric.addNode(1)
  engine = new DataplaneEngine({ namespace: node.namespace, config: CONFIG })
  await engine.start({
    overlay: { name: 'overlay', vni: 4 },
    nodeAddresses: [parseAddress('192.168.56.11'), parseAddress('fd56::11')],
    subnets: {
      set: [
        subnet('overlay', '100.64.0.0/16', 'VXLAN'),
        subnet('bgp4', '10.20.0.0/24', 'BGP', { exclude: [parseAddress('10.20.0.2')] }),
        subnet('bgp6', 'fd20::/64', 'GlobalBGP'),
        subnet('shared', '192.168.56.0/24', 'VLAN', {
          gateway: parseAddress('192.168.56.1'),
          start: parseAddress('192.168.56.128'),
        }),
        subnet('elsewhere', '10.30.0.0/24', 'BGP', { member: false }),
      ],
    },
    bgpGateways: { 4: parseAddress('10.200.0.1'), 6: null },
    pods: {
      set: [{ key: 'p', address: parseAddress('192.168.56.130'), mode: 'VLAN', vlanId: 0, hostLink: null }],
    },
  })
})
test.after(async () => {
  await engine.stop()
  await fabric.close()
})

/** Routes of the table that the rule of the source selects. */
function tableOf(source: string, family: '-4' | '-6' = '-4'): string[] | null {
  const table = new RegExp(`from ${source} fwmark 0/0x4040 lookup (\\d+)`).exec(node.run(`ip ${family} rule`))?.[1]
  if (table === undefined) return null
  return node
    .run(`ip ${family} route show table ${table}`)
    .split('\n')
    .map((line) => line.replaceAll(/ proto 72| metric 1024| pref medium/g, '').trim())
    .filter((line) => line !== '')
    .sort()
}

test('a subnet whose gateway the kernel refuses has no rule, and costs only itself', () => {
  assert.is(tableOf('10.20.0.0/24'), null)
  const failing = engine.status().failing.map(({ key }) => key)
  assert.ok(
    failing.some((key) => key.startsWith('route 0.0.0.0/0 table ')),
    failing.join(),
  )
  assert.ok(tableOf('192.168.56.0/24'), 'the others stand')
  assert.ok(tableOf('fd20::/64', '-6'))
})

test('it is retried until the kernel takes it', async () => {
  node.run('ip addr add 10.200.0.2/24 dev eth0')
  await until(() => tableOf('10.20.0.0/24') !== null, 'the rule appears', 10_000)
  assert.equal(tableOf('10.20.0.0/24'), ['default via 10.200.0.1 dev eth0'])
  assert.ok(await engine.waitFor(() => engine.status().inSync, 3000), JSON.stringify(engine.status().failing))
})

test('without a routing peer the node’s own default route is copied', () => {
  assert.equal(tableOf('fd20::/64', '-6'), ['default via fd56::1 dev eth0'])
})

test('a VLAN subnet that the node lives in keeps the source of its own traffic', () => {
  assert.equal(tableOf('192.168.56.0/24'), [
    '192.168.56.0/24 dev eth0 scope link src 192.168.56.11',
    'default via 192.168.56.1 dev eth0',
  ])
})

test('the overlay table holds every underlay subnet and throws what no pod can have', () => {
  assert.equal(tableOf('100.64.0.0/16'), [
    '10.20.0.0/24 dev eth0.vxlan4',
    '10.30.0.0/24 dev eth0.vxlan4',
    '192.168.56.0/24 dev eth0.vxlan4',
    'throw 10.20.0.2',
    'throw 192.168.56.0/25',
  ])
})

test('a pod of an underlay answers on both fabrics and is ready once netfilter lets it in', async () => {
  assert.ok(await engine.waitReady(parseAddress('192.168.56.130'), 3000))
  assert.equal(node.run('ip -4 neigh show proxy').trim().split(/\s*\n/).sort(), [
    '192.168.56.130 dev eth0 proxy',
    '192.168.56.130 dev eth0.vxlan4 proxy',
  ])
  assert.match(node.run('nft list set inet hybridnet local_pod4'), /192\.168\.56\.130/)
  assert.match(node.run('nft list set inet hybridnet underlay_if'), /"eth0"/)
})

test('a subnet without NAT sends everything over the overlay; the change empties no table under its rule', async () => {
  engine.setInput({ subnets: { set: [subnet('overlay', '100.64.0.0/16', 'VXLAN', { autoNatOutgoing: false })] } })
  await until(() => tableOf('100.64.0.0/16')?.join() === 'default dev eth0.vxlan4', 'only the default is left')
})

test('a network the node leaves loses rule and table, its subnet stays reachable over the overlay (defect 12)', async () => {
  engine.setInput({ subnets: { set: [subnet('bgp6', 'fd20::/64', 'GlobalBGP', { member: false })] } })
  await until(() => tableOf('fd20::/64', '-6') === null, 'the rule goes')
  await until(
    () => node.run('ip -6 route show table all').match(/default via fd56::1 dev eth0 .*table 1\d{4}/) === null,
    'and its routes',
  )
})

test.run()
