// The overlay part of Appendix A on the real kernel, as `ip`, `bridge` and `nft` show it; a restart writes nothing; what
// the original left is adopted; what is foreign stands.
import { spawn } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DataplaneEngine, type EngineStatus, type InputDelta } from '../../../lib/dataplane/index.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import { CONFIG, Fabric, hostLink, overlayInput, until, type TestNode } from './support.ts'

let fabric: Fabric
let node: TestNode

test.before(async () => {
  fabric = await Fabric.create()
  node = await fabric.addNode(1)
})
test.after(async () => {
  await fabric.close()
})

const addresses = (own: TestNode): Pick<InputDelta, 'nodeAddresses'> => ({
  nodeAddresses: [parseAddress(`192.168.56.1${own.number}`), parseAddress(`fd56::1${own.number}`)],
})

const pods = {
  set: [
    {
      key: 'default/a',
      address: parseAddress('100.64.0.11'),
      mode: 'VXLAN' as const,
      vlanId: null,
      hostLink: hostLink('a'),
    },
    {
      key: 'default/a6',
      address: parseAddress('fd64::11'),
      mode: 'VXLAN' as const,
      vlanId: null,
      hostLink: hostLink('a'),
    },
  ],
}

/** Starts an engine, lets `use` work with it, stops it; returns the last status. */
async function withEngine(
  on: TestNode,
  input: InputDelta,
  use: (engine: DataplaneEngine) => Promise<void> = async () => {},
): Promise<EngineStatus> {
  const engine = new DataplaneEngine({ namespace: on.namespace, config: CONFIG })
  try {
    await engine.start({ ...input, ...addresses(on) })
    assert.ok(await engine.waitFor(() => engine.status().inSync, 5000), JSON.stringify(engine.status(), null, 1))
    await use(engine)
    return engine.status()
  } finally {
    await engine.stop()
  }
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) =>
      line
        .trim()
        .replaceAll(/ proto 72| metric 1024| pref medium/g, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '')

test('an empty node becomes the golden one', async () => {
  await fabric.addPod(node, 'a', '100.64.0.11')
  const status = await withEngine(node, { ...overlayInput([1, 2]), pods })
  assert.equal(status.failing, [])
  assert.equal(status.waiting, [])
  assert.equal(status.problems, [])
  assert.is(status.netfilter.fanOut, 'nft')
  assert.equal(lines(node.run('ip rule')), [
    '0: from all lookup local',
    '1: from all lookup 39999',
    '2: from all lookup 40000',
    '3: from all fwmark 0x20/0x20 lookup 40001',
    '4: from 100.64.0.0/16 fwmark 0/0x4040 lookup 10000',
    '32766: from all lookup main',
    '32767: from all lookup default',
  ])
  assert.equal(lines(node.run('ip -6 rule')).slice(1, 5), [
    '1: from all lookup 39999',
    '2: from all lookup 40000',
    '3: from all fwmark 0x20/0x20 lookup 40001',
    '4: from fd64::/64 fwmark 0/0x4040 lookup 10000',
  ])
  assert.equal(lines(node.run('ip route show table 39999')), [`100.64.0.11 dev ${hostLink('a')}`])
  assert.equal(lines(node.run('ip -6 route show table 39999')), [`fd64::11 dev ${hostLink('a')}`])
  assert.equal(lines(node.run('ip route show table 40000')), ['100.64.0.0/16 dev eth0.vxlan4'])
  assert.equal(lines(node.run('ip -6 route show table 40000')), ['fd64::/64 dev eth0.vxlan4'])
  assert.equal(lines(node.run('ip route show table 40001')), ['default dev eth0.vxlan4'])
  assert.equal(lines(node.run('ip -6 route show table 40001')), ['default dev eth0.vxlan4'])
  assert.match(node.run('ip -d link show eth0.vxlan4'), /link\/ether 52:54:00:00:00:11 /)
  assert.match(
    node.run('ip -d link show eth0.vxlan4'),
    /vxlan id 4 local 192\.168\.56\.11 dev eth0 srcport 0 0 dstport 8472 ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx/,
  )
  assert.match(node.run('ip link show eth0.vxlan4'), /mtu 1450/)
  assert.match(
    node.run('ip addr show eth0.vxlan4'),
    /inet 192\.168\.56\.11\/24 brd 192\.168\.56\.255 scope global noprefixroute eth0\.vxlan4/,
  )
  assert.equal(lines(node.run('bridge fdb show dev eth0.vxlan4')).sort(), [
    '52:54:00:00:00:12 dst 192.168.56.12 self permanent',
    'ff:ff:ff:ff:ff:f1 dst 192.168.56.12 self permanent',
  ])
  assert.equal(lines(node.run('ip -4 neigh show proxy')), ['100.64.0.11 dev eth0.vxlan4 proxy'])
  assert.equal(lines(node.run('ip -6 neigh show proxy')).sort(), [
    'fd64::11 dev eth0.vxlan4 proxy',
    `fe80::ecee:eeff:feee:eeee dev ${hostLink('a')} proxy`,
  ])
  const set = (name: string) =>
    /elements = \{([^}]*)\}/
      .exec(node.run(`nft list set inet hybridnet ${name}`))?.[1]
      ?.trim()
      .split(/[\s,]+/)
  assert.equal(set('overlay_net4'), ['100.64.0.0/16'])
  assert.equal(set('node_ip4'), ['192.168.56.11', '192.168.56.12'])
  assert.equal(set('local_node_ip4'), ['192.168.56.11'])
  assert.equal(set('local_pod6'), ['fd64::11'])
  assert.equal(set('vxlan_if'), ['"eth0.vxlan4"'])
  assert.is(node.run('cat /proc/sys/net/ipv4/ip_forward').trim(), '1')
  assert.is(node.run('cat /proc/sys/net/ipv4/neigh/eth0.vxlan4/app_solicit').trim(), '1')
  assert.is(node.run('cat /proc/sys/net/ipv4/neigh/eth0.vxlan4/proxy_delay').trim(), '0')
  assert.is(node.run('cat /proc/sys/net/ipv4/conf/eth0/rp_filter').trim(), '0')
})

test('a restart with nothing changed writes nothing', async () => {
  const monitor = spawn('nsenter', [`--net=${node.path}`, 'ip', 'monitor', 'all'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let events = ''
  monitor.stdout.on('data', (chunk: Buffer) => (events += chunk.toString()))
  const ended = new Promise((resolve) => monitor.on('close', resolve))
  const status = await withEngine(node, { ...overlayInput([1, 2]), pods }, async (engine) => {
    engine.audit()
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.ok(await engine.waitFor(() => engine.status().inSync, 3000))
  })
  monitor.kill()
  await ended
  assert.equal(status.operations, {})
  assert.is(status.netfilter.transactions, 0)
  assert.not.match(events, /RULE|ROUTE.*table (1\d{4}|4000\d)|vxlan4.*self/, 'the kernel announced no change')
})

test('rules, tables and routes of the original are adopted as they are', async () => {
  const other = await fabric.addNode(3)
  // What the original wrote: protocol boot, its own order of tables.
  other.run(
    [
      'ip link add eth0.vxlan4 address 52:54:00:00:00:13 type vxlan id 4 dev eth0 local 192.168.56.13 dstport 8472',
      'ip link set eth0.vxlan4 up',
      'ip addr add 192.168.56.13/24 brd + dev eth0.vxlan4 noprefixroute',
      'ip rule add pref 1 lookup 39999; ip rule add pref 2 lookup 40000; ip rule add pref 3 fwmark 0x20/0x20 lookup 40001',
      'ip rule add pref 7 from 100.64.0.0/16 fwmark 0/0x4040 lookup 10123',
      'ip route add 100.64.0.0/16 dev eth0.vxlan4 scope global table 40000',
      'ip route add default dev eth0.vxlan4 scope global table 40001',
      'bridge fdb append 52:54:00:00:00:12 dev eth0.vxlan4 dst 192.168.56.12 self permanent',
      'bridge fdb append ff:ff:ff:ff:ff:f1 dev eth0.vxlan4 dst 192.168.56.12 self permanent',
    ].join(';'),
  )
  const before = other.run('ip rule; ip route show table 40000; ip link show eth0.vxlan4')
  const { operations } = await withEngine(other, overlayInput([2, 3]))
  assert.is(operations['add link'], undefined)
  assert.is(operations['replace link'], undefined)
  assert.is(operations['delete rule'], undefined)
  assert.is(operations['delete route'], undefined)
  assert.is(other.run('ip rule; ip route show table 40000; ip link show eth0.vxlan4'), before, 'IPv4 stands untouched')
})

test('foreign objects stand, next to ours and after ours have gone', async () => {
  const other = await fabric.addNode(4)
  const foreign =
    'ip rule show pref 200; ip rule show pref 201; ip route show table 100; ip route show table 12000; ' +
    'ip neigh show proxy dev eth0; ip -d link show flannel.7; nft list table inet other; ip route show table 40000 | grep 10.96'
  other.run(
    [
      'ip rule add pref 200 from 10.98.0.0/16 lookup 12000; ip rule add pref 201 fwmark 1/1 lookup 100',
      'ip route add 10.99.0.0/16 via 192.168.56.1 table 100; ip route add 10.98.0.0/16 via 192.168.56.1 table 12000',
      'ip route add 10.96.0.0/16 via 192.168.56.1 table 40000',
      'ip neigh add proxy 192.168.56.200 dev eth0',
      'ip link add flannel.7 type vxlan id 7 dev eth0 dstport 8473; ip link set flannel.7 up',
      'nft add table inet other; nft add chain inet other c',
    ].join(';'),
  )
  const before = other.run(foreign)
  await withEngine(other, overlayInput([2, 4]), async (engine) => {
    assert.is(other.run(foreign), before)
    engine.setInput({ ...overlayInput([]), overlay: null, subnets: { set: [] }, replace: true })
    await until(() => !other.try('ip link show eth0.vxlan4'), 'the VXLAN device goes with its network')
    assert.ok(await engine.waitFor(() => engine.status().inSync, 3000))
  })
  assert.is(other.run(foreign), before)
  assert.not.match(other.run('ip rule'), /lookup 100\d\d\d/)
  assert.not.ok(other.try('nft list table netdev hybridnet'), 'the fan-out goes with the device')
})

test('a foreign device that holds the VNI is reported and left alone; ours comes when it goes', async () => {
  const other = await fabric.addNode(5)
  other.run('ip link add rival type vxlan id 4 dev eth0 dstport 8472')
  const engine = new DataplaneEngine({ namespace: other.namespace, config: CONFIG })
  try {
    await engine.start({ ...overlayInput([2, 5]), ...addresses(other) })
    const waiting = engine.status().waiting.find(({ key }) => key === 'link eth0.vxlan4')
    assert.is(waiting?.for, 'device rival to give up VNI 4 and port 8472')
    assert.ok(other.try('ip link show rival'))
    other.run('ip link del rival')
    await until(() => other.try('ip link show eth0.vxlan4'), 'our device appears')
    assert.ok(await engine.waitFor(() => engine.status().inSync && engine.status().waiting.length === 0, 3000))
  } finally {
    await engine.stop()
  }
})

test.run()
