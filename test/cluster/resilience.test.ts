// What a node's kernel state survives: the death of the daemon, and other hands.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster, ClusterNode } from '../../lib/standalone/index.ts'
import { eventually } from '../support/eventually.ts'
import { present } from '../support/present.ts'
import { Probe, checkPairs, createPod, reported, runningPod, showLogs, startCluster } from './support.ts'

let cluster: Cluster
const pods = new Map<string, string[]>()
const nodes = ['node1', 'node2', 'node3']
let finished = 0

test.before(
  reported(async () => {
    cluster = await startCluster(nodes.length)
    for (const node of nodes) await createPod(cluster, `pod-${node}`, { node })
    for (const node of nodes) pods.set(`pod-${node}`, await runningPod(cluster, `pod-${node}`))
    assert.equal(await checkPairs(cluster, pods), [])
  }),
)
test.after(async () => {
  if (finished < 4) showLogs(cluster)
  await cluster.stop()
})

/** The daemon's metrics page. */
async function metricsPage(node: ClusterNode): Promise<string> {
  const program = "fetch('http://127.0.0.1:8091/metrics').then(r => r.text()).then(t => process.stdout.write(t))"
  const { stdout } = await node.exec([process.execPath, '-e', program])
  if (!stdout.includes('hybridnet_dataplane_in_sync')) throw new Error('the daemon serves no metrics yet')
  return stdout
}

/** One number of it. */
async function metric(node: ClusterNode, pattern: RegExp): Promise<number> {
  return Number(present(pattern.exec(await metricsPage(node)))[1])
}

const transactions = /^hybridnet_dataplane_nft_transactions (\d+)$/m
const inSync = /^hybridnet_dataplane_in_sync (\d+)$/m

test('a daemon killed under 1 ms probes between all pairs loses nothing, and writes nothing when it is back', async () => {
  const node = cluster.node('node2')
  const probes: Probe[] = []
  for (const from of pods.keys()) {
    for (const [to, addresses] of pods) {
      if (from === to) continue
      for (const address of addresses) probes.push(new Probe(cluster.sandbox(from).attachment.netns, address, 1))
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 500))
  const daemon = present(node.daemon)
  const { starts } = daemon.state
  assert.ok(daemon.kill('SIGKILL'))
  await eventually(() => daemon.state.starts > starts && daemon.state.pid !== null, 10_000)
  await eventually(async () => (await metric(node, inSync)) === 1, 15_000, 100)
  await new Promise((resolve) => setTimeout(resolve, 500))
  const results = await Promise.all(probes.map((probe) => probe.stop()))
  const sent = results.reduce((sum, result) => sum + result.sent, 0)
  assert.ok(sent > results.length * 500, `${sent} packets sent by ${results.length} probes`)
  assert.is(
    results.reduce((sum, result) => sum + result.lost, 0),
    0,
    `of ${sent} packets`,
  )
  const written = (await metricsPage(node)).split('\n').filter((line) => /^hybridnet_dataplane_operations\{/.test(line))
  assert.equal(written, [], 'netlink operations after the restart')
  assert.is(await metric(node, transactions), 0, 'nftables transactions after the restart')
  finished++
})

/** All state the daemon keeps, as text; device indexes and counters left out. Taking it costs some 50 ms. */
async function snapshot(node: ClusterNode): Promise<Record<string, string>> {
  const device = 'eth0.vxlan4'
  const commands: Record<string, string> = {
    rules: 'ip rule; ip -6 rule',
    'local pods': 'ip route show table 39999; ip -6 route show table 39999',
    overlay: 'ip route show table 40000; ip -6 route show table 40000',
    marked: 'ip route show table 40001; ip -6 route show table 40001',
    subnets: 'for t in 10000 10001; do ip route show table $t; ip -6 route show table $t; done 2>/dev/null',
    device: `ip -d -o link show ${device} | cut -d: -f3- | sed 's/ promiscuity.*vxlan/ vxlan/; s/state [A-Z]*//; s/qdisc [a-z]*//; s/qlen [0-9]*//'`,
    addresses: `ip -o addr show dev ${device} scope global | cut -d: -f2- | sort`,
    fdb: `bridge fdb show dev ${device} | grep permanent | sort`,
    proxies: 'ip neigh show proxy | sort; ip -6 neigh show proxy | sort',
    nftables: 'nft list table inet hybridnet; nft list table netdev hybridnet',
    sysctls: `cat /proc/sys/net/ipv4/neigh/${device}/app_solicit /proc/sys/net/ipv4/ip_forward`,
  }
  const script = Object.values(commands).join('; echo ----; ')
  const { stdout } = await node.exec(['sh', '-c', `{ ${script}; } 2>&1`])
  const parts = stdout.split('----\n')
  const result = Object.fromEntries(Object.keys(commands).map((name, index) => [name, parts[index] ?? '']))
  return result
}

/** Damages, each a shell command; most pick their victim at random. */
const damages: Record<string, string> = {
  'a base rule': 'ip rule del pref $(shuf -n1 -e 1 2 3)',
  'an IPv6 base rule': 'ip -6 rule del pref $(shuf -n1 -e 1 2 3)',
  'a subnet rule': 'ip rule del from 100.64.0.0/16',
  'an IPv6 subnet rule': 'ip -6 rule del from fd64::/64',
  'a local pod route': 'ip route del $(ip route show table 39999 | shuf -n1) table 39999',
  'an IPv6 local pod route': 'ip -6 route flush table 39999',
  'an overlay route': 'ip route flush table 40000',
  'an IPv6 overlay route': 'ip -6 route flush table 40000',
  'the default of marked replies': 'ip route del default table 40001',
  'an FDB entry':
    'set -- $(bridge fdb show dev eth0.vxlan4 | grep permanent | shuf -n1); bridge fdb del $1 dev eth0.vxlan4 dst $3',
  'all FDB entries': 'bridge fdb flush dev eth0.vxlan4',
  'a proxy neighbour':
    'ip neigh del proxy $(ip neigh show proxy | grep vxlan4 | shuf -n1 | cut -d" " -f1) dev eth0.vxlan4',
  'an IPv6 proxy neighbour':
    'ip -6 neigh del proxy $(ip -6 neigh show proxy | grep vxlan4 | shuf -n1 | cut -d" " -f1) dev eth0.vxlan4',
  'the elements of an nft set': 'nft flush set inet hybridnet node_ip4',
  'an nft chain': 'nft flush chain inet hybridnet post_snat',
  'the nft table': 'nft delete table inet hybridnet',
  'the whole nft ruleset': 'nft flush ruleset',
  'an address of the VXLAN device':
    'ip addr del $(ip -o -4 addr show dev eth0.vxlan4 | awk "{print \\$4}" | head -1) dev eth0.vxlan4',
  'an IPv6 address of the VXLAN device': 'ip -6 addr flush dev eth0.vxlan4 scope global',
  'the VXLAN device up state': 'ip link set eth0.vxlan4 down',
  'the VXLAN device': 'ip link del eth0.vxlan4',
}

for (const [what, command] of Object.entries(damages)) {
  test(`${what} is repaired at once`, async () => {
    const node = cluster.node('node1')
    const before = await snapshot(node)
    const { code, stderr } = await node.exec(['bash', '-c', `set -e; ${command}`])
    assert.is(code, 0, `${command}: ${stderr}`)
    const damaged = performance.now()
    await eventually(async () => {
      const after = await snapshot(node)
      for (const part of Object.keys(before)) assert.is(after[part], before[part], part)
      return true
    }, 20_000)
    console.log(`${what}: repaired within ${Math.round(performance.now() - damaged)} ms`)
  })
}

test('after all that every pod still reaches every other', async () => {
  await eventually(async () => assert.equal(await checkPairs(cluster, pods), []) === undefined, 20_000)
  finished = 4
})

test.run()
