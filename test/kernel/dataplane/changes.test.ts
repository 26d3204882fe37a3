// The cluster changes under a running node: what the kernel then holds, and that nothing else is touched.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DataplaneEngine, type PodAddressInput, type VtepInput } from '../../../lib/dataplane/index.ts'
import { parseAddress, parseMac } from '../../../lib/ip/index.ts'
import { CONFIG, Fabric, hostLink, overlayInput, until, type TestNode } from './support.ts'

let fabric: Fabric
let node: TestNode
let engine: DataplaneEngine
const GRACE_MS = 300

const pods: PodAddressInput[] = ['100.64.0.11', 'fd64::11'].map((address) => ({
  key: `default/${address}`,
  address: parseAddress(address),
  mode: 'VXLAN',
  vlanId: null,
  hostLink: hostLink('a'),
}))

function vtep(name: string, mac: string, ...addresses: readonly string[]): VtepInput {
  const localIPs = addresses.map(parseAddress)
  return { name, address: localIPs[0] ?? 0, mac: parseMac(mac), localIPs }
}

test.before(async () => {
  fabric = await Fabric.create()
  node = await fabric.addNode(1)
  await fabric.addPod(node, 'a', '100.64.0.11', 'fd64::11')
  engine = new DataplaneEngine({
    namespace: node.namespace,
    config: CONFIG,
    timing: { auditMs: 0, fdbGraceMs: GRACE_MS },
  })
  await engine.start({
    ...overlayInput([1, 2]),
    nodeAddresses: [parseAddress('192.168.56.11'), parseAddress('fd56::11')],
    pods: { set: pods },
  })
  await settled()
})
test.after(async () => {
  await engine.stop()
  await fabric.close()
})

async function settled(): Promise<void> {
  const calm = (): boolean => engine.status().inSync && engine.status().waiting.length === 0
  assert.ok(await engine.waitFor(calm, 5000), JSON.stringify(engine.status(), null, 1))
}

/** Remote entries of the VXLAN device, "MAC IP". */
function fdb(): string[] {
  return node
    .run('bridge fdb show dev eth0.vxlan4')
    .split('\n')
    .flatMap((line) => {
      const [, mac, dst] = /^(\S+) dst (\S+) self permanent/.exec(line) ?? []
      return mac === undefined || dst === undefined ? [] : [`${mac} ${dst}`]
    })
    .sort()
}

const FAN_OUT = 'ff:ff:ff:ff:ff:f1'

test('a peer with another address: its unicast entry is turned at once, its old share of the fan-out goes', async () => {
  engine.setInput({ vteps: { set: [vtep('node2', '52:54:00:00:00:12', '192.168.56.22')] } })
  await until(() => fdb().includes('52:54:00:00:00:12 192.168.56.22'), 'the new address')
  await until(() => fdb().length === 2, 'the old share of the fan-out goes')
  assert.equal(fdb(), ['52:54:00:00:00:12 192.168.56.22', `${FAN_OUT} 192.168.56.22`])
})

test('a peer with another MAC: the old entry outlives the new one by the grace', async () => {
  engine.setInput({ vteps: { set: [vtep('node2', '52:54:00:00:00:99', '192.168.56.22')] } })
  await until(() => fdb().includes('52:54:00:00:00:99 192.168.56.22'), 'the new MAC')
  await until(() => !fdb().some((entry) => entry.startsWith('52:54:00:00:00:12')), 'the old MAC goes')
  assert.equal(fdb(), ['52:54:00:00:00:99 192.168.56.22', `${FAN_OUT} 192.168.56.22`])
})

test('a node that is removed and comes back within the grace is never without its entries', async () => {
  await settled()
  const before = fdb()
  const operations = engine.status().operationCount
  engine.setInput({ vteps: { delete: ['node2'] } })
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS / 3))
  assert.equal(fdb(), before)
  engine.setInput({ vteps: { set: [vtep('node2', '52:54:00:00:00:99', '192.168.56.22')] } })
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS * 2))
  await settled()
  assert.equal(fdb(), before)
  assert.is(engine.status().operationCount, operations)
})

test('a node that stays away is forgotten', async () => {
  engine.setInput({ vteps: { delete: ['node2'] } })
  await until(() => fdb().length === 0, 'its entries go')
  await until(() => !/192\.168\.56\.22/.test(node.run('nft list set inet hybridnet node_ip4')), 'its address goes')
})

test('a Subnet deleted under its pods: its rule and table go, the pods keep their routes', async () => {
  const local = node.run('ip route show table 39999; ip -6 route show table 39999')
  engine.setInput({ subnets: { delete: ['o4'] } })
  await until(() => !/from 100\.64\.0\.0\/16/.test(node.run('ip rule')), 'the rule goes')
  await settled()
  assert.is(node.run('ip route show table 40000').trim(), '')
  assert.match(node.run('ip -6 rule'), /from fd64::\/64 fwmark 0\/0x4040/)
  assert.is(node.run('ip route show table 39999; ip -6 route show table 39999'), local)
  node.run('ping -c 1 -W 2 100.64.0.11')
  const { set: subnets = [] } = overlayInput([]).subnets ?? {}
  engine.setInput({ subnets: { set: subnets } })
  await until(() => /from 100\.64\.0\.0\/16/.test(node.run('ip rule')), 'the rule is back')
  await settled()
})

test('an overlay network that comes again with another VNI: the old device goes, the new one has everything', async () => {
  const local = node.run('ip route show table 39999; ip -6 route show table 39999')
  engine.setInput({ overlay: null })
  await until(() => !node.try('ip link show eth0.vxlan4'), 'the device goes')
  await settled()
  assert.is(node.run('ip route show table 39999; ip -6 route show table 39999'), local)
  node.run('ping -c 1 -W 2 100.64.0.11')
  engine.setInput({ overlay: { name: 'overlay', vni: 5 } })
  await until(() => node.try('ip link show eth0.vxlan5'), 'the new device')
  await settled()
  assert.match(node.run('ip route show table 40000'), /100\.64\.0\.0\/16 dev eth0\.vxlan5/)
  assert.match(node.run('ip neigh show proxy'), /100\.64\.0\.11 dev eth0\.vxlan5/)
  assert.match(node.run('nft list table netdev hybridnet'), /eth0\.vxlan5/)
  // Without a moment in between: the new device needs what the old one has.
  engine.setInput({ overlay: { name: 'overlay', vni: 4 } })
  await until(() => node.try('ip link show eth0.vxlan4'), 'the device of before')
  await settled()
  assert.not.ok(node.try('ip link show eth0.vxlan5'))
  assert.is(node.run('ip route show table 39999; ip -6 route show table 39999'), local)
})

test('a fan-out chain that hangs on no device, or another one, is written anew', async () => {
  // Kernels from 6.13 keep a chain whose device is gone, and up to 6.15 do not hang it on the next device of that name.
  const table = node.run('nft list table netdev hybridnet')
  assert.match(table, /device "eth0\.vxlan4"|devices = \{ "?eth0\.vxlan4"? \}/)
  const moved = table.replaceAll('eth0.vxlan4', 'eth0')
  node.run(`nft delete table netdev hybridnet; nft -f - <<'END'\n${moved}END`)
  await until(() => node.run('nft list table netdev hybridnet').includes('eth0.vxlan4'), 'it hangs on the device again')
})

test('reading the kernel anew does not move an IPv6 tunnel endpoint', async () => {
  // The kernel lists the newest IPv6 address of a device first.
  const other = await fabric.addNode(2)
  const config = { ...CONFIG, vtepAddressCidrs: [{ address: 0n, length: 0 }] }
  const own = new DataplaneEngine({ namespace: other.namespace, config, timing: { auditMs: 0 } })
  try {
    await own.start(overlayInput([2]))
    assert.ok(await own.waitFor(() => own.status().inSync, 5000))
    other.run('ip addr add fd56::aa/64 dev eth0 nodad')
    await new Promise((resolve) => setTimeout(resolve, 200))
    const before = own.facts()?.vtep
    own.audit()
    assert.ok(await own.waitFor(() => own.status().inSync, 5000))
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.equal(own.facts()?.vtep, before)
  } finally {
    await own.stop()
  }
})

test.run()
