// Pods wired through the real shim, server and kernel: reachability, shape of the wiring, and nothing left after DEL.
import { spawn } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostInterfaceName } from '../../../lib/daemon/cni/index.ts'
import { CniNode, document, inPod, requireShim, sh, type TestPod } from '../../support/cni-node.ts'

requireShim()
const node = await CniNode.start()
node.prepareHost()
test.after(() => node.stop())

/** Process id of a process inside the namespace, which `ip ... netns` takes; a name would need /run/netns. */
const holders: (() => void)[] = []
async function holder(netns: string): Promise<string> {
  const child = spawn('nsenter', [`--net=${netns}`, 'sh', '-c', 'echo ready; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  holders.push(() => child.kill())
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return String(child.pid)
}
test.after(() => holders.forEach((end) => end()))

const dual: TestPod = { name: 'dual', addresses: ['10.10.0.7/16', 'fd00:10::7/64'], gateways: ['10.10.0.1', null] }

function hybrLinks(): string[] {
  return sh('ip', '-o', 'link')
    .split('\n')
    .filter((line) => line.includes('hybr'))
}

async function added(pod: TestPod, netns: string, containerId: string): Promise<void> {
  node.networking.assign(pod)
  const result = await node.call({ command: 'ADD', pod, netns, containerId })
  assert.is(result.status, 0, result.stdout)
}

test('a dual-stack pod and its node reach each other', async () => {
  const netns = await node.namespace('dual')
  node.networking.assign(dual)
  const result = await node.call({ command: 'ADD', pod: dual, netns })
  assert.is(result.status, 0, result.stdout)
  const host = hostInterfaceName('default', 'dual', 'eth0')
  assert.equal(document(result), {
    cniVersion: '1.1.0',
    interfaces: [
      { name: host, mac: 'ee:ee:ee:ee:ee:ee', mtu: 1450 },
      { name: 'eth0', mac: '02:12:34:00:00:07', mtu: 1450, sandbox: netns },
    ],
    ips: [
      { address: '10.10.0.7/16', gateway: '10.10.0.1', interface: 1 },
      { address: 'fd00:10::7/64', interface: 1 },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      { dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' },
    ],
    dns: {},
  })
  // At once: no duplicate address detection stands in between, on either end.
  sh('ping', '-c1', '-W1', '10.10.0.7')
  sh('ping', '-c1', '-W1', 'fd00:10::7')
  inPod(netns, 'ping', '-c1', '-W1', '192.0.2.1')
  inPod(netns, 'ping', '-c1', '-W1', '2001:db8::1')
  inPod(netns, 'ping', '-c1', '-W1', 'fe80::ecee:eeff:feee:eeee%eth0')
})

test('the kernel holds exactly what the specification lists', () => {
  const netns = `${node.folder}/netns-dual`
  const host = hostInterfaceName('default', 'dual', 'eth0')
  const link = JSON.parse(inPod(netns, 'ip', '-j', '-d', 'link', 'show', 'eth0')) as Record<string, unknown>[]
  assert.is(link[0]?.['address'], '02:12:34:00:00:07')
  assert.is(link[0]?.['mtu'], 1450)
  assert.is(
    inPod(netns, 'ip', '-4', 'route').trim().replaceAll(/ +\n/g, '\n'),
    ['default via 169.254.1.1 dev eth0', '169.254.1.1 dev eth0 scope link'].join('\n'),
  )
  assert.match(inPod(netns, 'ip', '-6', 'route'), /^default via fe80::ecee:eeff:feee:eeee dev eth0 /m)
  assert.not.match(inPod(netns, 'ip', '-6', 'route'), /fd00:10::\/64/)
  assert.match(
    inPod(netns, 'ip', '-4', 'addr', 'show', 'eth0'),
    /10\.10\.0\.7\/16 brd 10\.10\.255\.255 .*noprefixroute/,
  )
  assert.match(sh('ip', 'route', 'show', 'table', '39999'), new RegExp(`^10\\.10\\.0\\.7 dev ${host}`, 'm'))
  assert.match(sh('ip', '-6', 'route', 'show', 'table', '39999'), new RegExp(`^fd00:10::7 dev ${host}`, 'm'))
  assert.match(sh('ip', '-6', 'neigh', 'show', 'proxy'), new RegExp(`fe80::ecee:eeff:feee:eeee dev ${host}`))
  const settings = {
    [`net/ipv4/conf/${host}/proxy_arp`]: '1',
    [`net/ipv4/conf/${host}/route_localnet`]: '1',
    [`net/ipv4/conf/${host}/forwarding`]: '1',
    [`net/ipv4/conf/${host}/rp_filter`]: '0',
    [`net/ipv4/neigh/${host}/proxy_delay`]: '0',
    [`net/ipv6/conf/${host}/proxy_ndp`]: '1',
    [`net/ipv6/conf/${host}/forwarding`]: '1',
    [`net/ipv6/conf/${host}/accept_dad`]: '0',
  }
  for (const [path, value] of Object.entries(settings)) {
    assert.is(sh('cat', `/proc/sys/${path}`).trim(), value, path)
  }
  assert.is(inPod(netns, 'sysctl', '-n', 'net.ipv6.conf.eth0.accept_dad').trim(), '0')
})

test('CHECK of a whole wiring passes, DEL leaves nothing, and may be repeated', async () => {
  const netns = `${node.folder}/netns-dual`
  assert.is((await node.call({ command: 'CHECK', pod: dual, netns })).stdout, '')
  for (let i = 0; i < 2; i++) {
    const result = await node.call({ command: 'DEL', pod: dual, netns })
    assert.is(result.status, 0, result.stdout)
    assert.is(result.stdout, '')
  }
  assert.equal(hybrLinks(), [])
  assert.is(sh('ip', 'route', 'show', 'table', '39999').trim(), '')
  assert.is(sh('ip', '-6', 'route', 'show', 'table', '39999').trim(), '')
  assert.is(sh('ip', '-6', 'neigh', 'show', 'proxy').trim(), '')
  assert.not.match(inPod(netns, 'ip', 'link'), /eth0/)
  assert.is(node.service.attachments().length, 0)
  assert.is(node.networking.detached.length, 1)
})

test('each family alone works too', async () => {
  const four: TestPod = { name: 'four', addresses: ['10.10.0.4/16'] }
  const six: TestPod = { name: 'six', addresses: ['fd00:10::6/64'] }
  const [a, b] = [await node.namespace('four'), await node.namespace('six')]
  await added(four, a, 'four')
  await added(six, b, 'six')
  sh('ping', '-c1', '-W1', '10.10.0.4')
  sh('ping', '-c1', '-W1', 'fd00:10::6')
  assert.is(inPod(b, 'ip', '-4', 'route').trim(), '')
  for (const id of ['four', 'six']) assert.is((await node.call({ command: 'DEL', containerId: id })).status, 0)
})

test('an interface of another name is honoured and has a host name of its own', async () => {
  const netns = await node.namespace('named')
  const pod: TestPod = { name: 'named', addresses: ['10.10.0.9/16'] }
  node.networking.assign(pod)
  const result = await node.call({ command: 'ADD', pod, netns, ifname: 'net1', containerId: 'named' })
  assert.is(result.status, 0, result.stdout)
  assert.match(inPod(netns, 'ip', '-o', 'link'), /net1@/)
  assert.match(sh('ip', '-o', 'link'), new RegExp(hostInterfaceName('default', 'named', 'net1')))
  sh('ping', '-c1', '-W1', '10.10.0.9')
  assert.is((await node.call({ command: 'DEL', ifname: 'net1', containerId: 'named' })).status, 0)
})

test('ADD twice is refused by name and changes nothing', async () => {
  const netns = await node.namespace('twice')
  const pod: TestPod = { name: 'twice', addresses: ['10.10.0.20/16'] }
  await added(pod, netns, 'twice')
  const again = await node.call({ command: 'ADD', pod, netns, containerId: 'twice' })
  assert.is(again.status, 1)
  assert.is(document(again)['code'], 103)
  assert.match(String(document(again)['msg']), /interface eth0 of container twice already exists/)
  const other = await node.call({ command: 'ADD', pod, netns, containerId: 'other' })
  assert.is(document(other)['code'], 103)
  assert.match(String(document(other)['msg']), /interface eth0 already exists in/)
  sh('ping', '-c1', '-W1', '10.10.0.20')
  assert.is((await node.call({ command: 'DEL', containerId: 'twice' })).status, 0)
})

test('a new sandbox replaces an old one of the same pod; the late DEL of the old one touches nothing', async () => {
  const [old, young] = [await node.namespace('old'), await node.namespace('young')]
  const pod: TestPod = { name: 'db-0', addresses: ['10.10.0.30/16'] }
  await added(pod, old, 'old')
  await added(pod, young, 'young')
  assert.not.match(inPod(old, 'ip', 'link'), /eth0/)
  inPod(young, 'ping', '-c1', '-W1', '192.0.2.1')
  assert.is((await node.call({ command: 'DEL', pod, netns: old, containerId: 'old' })).status, 0)
  sh('ping', '-c1', '-W1', '10.10.0.30')
  // Even when the old call names the new namespace, as a reused /proc/PID path would.
  assert.is((await node.call({ command: 'DEL', pod, netns: young, containerId: 'old' })).status, 0)
  sh('ping', '-c1', '-W1', '10.10.0.30')
  assert.is((await node.call({ command: 'DEL', pod, netns: young, containerId: 'young' })).status, 0)
  assert.equal(hybrLinks(), [])
})

test('DEL works after a restart, without the namespace', async () => {
  const netns = await node.namespace('restart')
  const pod: TestPod = { name: 'restart', addresses: ['10.10.0.40/16'] }
  await added(pod, netns, 'restart')
  await node.restart()
  assert.is(node.service.attachments().length, 1)
  assert.is((await node.call({ command: 'DEL', containerId: 'restart', netns: '/nowhere/netns' })).status, 0)
  assert.equal(hybrLinks(), [])
})

test('an interface without a record (an earlier daemon) is deleted through its namespace', async () => {
  const netns = await node.namespace('bare')
  const host = hostInterfaceName('default', 'bare', 'eth0')
  sh('ip', 'link', 'add', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', await holder(netns))
  const result = await node.call({ command: 'DEL', pod: { name: 'bare', addresses: [] }, netns, containerId: 'bare' })
  assert.is(result.status, 0, result.stdout)
  assert.equal(hybrLinks(), [])
})

test("DEL never touches an interface that is not ours, nor the node's own", async () => {
  const netns = await node.namespace('foreign')
  sh('ip', 'link', 'add', 'foreign0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', await holder(netns))
  assert.is((await node.call({ command: 'DEL', netns, containerId: 'foreign' })).status, 0)
  assert.match(inPod(netns, 'ip', '-o', 'link'), /eth0@/)
  sh('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'other0')
  assert.is((await node.call({ command: 'DEL', netns: '/proc/self/ns/net', containerId: 'foreign' })).status, 0)
  assert.is((await node.call({ command: 'DEL', netns: `/proc/${process.pid}/ns/net`, containerId: 'f' })).status, 0)
  assert.match(sh('ip', '-o', 'link'), / eth0@/)
  sh('ip', 'link', 'delete', 'foreign0')
  sh('ip', 'link', 'delete', 'eth0')
})

test.run()
