// Two nodes with a VXLAN between them: who reaches whom, and with which source address (spec/dataplane.md §1.5). There is
// no neighbour resolver here, so every first packet also proves the broadcast fan-out and the proxy neighbours.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DataplaneEngine, type PodAddressInput } from '../../../lib/dataplane/index.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import { CONFIG, Fabric, hostLink, overlayInput, runIn, type TestNode } from './support.ts'

let fabric: Fabric
const nodes: TestNode[] = []
const engines: DataplaneEngine[] = []
/** Namespaces of the pods: two on node 1, one on node 2. */
const pods: Record<string, string> = {}

const WHERE: Readonly<Record<string, { node: number; v4: string; v6: string }>> = {
  a: { node: 1, v4: '100.64.0.11', v6: 'fd64::11' },
  b: { node: 1, v4: '100.64.0.12', v6: 'fd64::12' },
  c: { node: 2, v4: '100.64.0.21', v6: 'fd64::21' },
}

function podInputs(number: number): PodAddressInput[] {
  return Object.entries(WHERE)
    .filter(([, { node }]) => node === number)
    .flatMap(([name, { v4, v6 }]) =>
      [v4, v6].map((address) => ({
        key: `default/${name}-${address}`,
        address: parseAddress(address),
        mode: 'VXLAN' as const,
        vlanId: null,
        hostLink: hostLink(name),
      })),
    )
}

test.before(async () => {
  fabric = await Fabric.create()
  for (const number of [1, 2]) nodes.push(await fabric.addNode(number))
  for (const [name, { node, v4, v6 }] of Object.entries(WHERE)) {
    pods[name] = await fabric.addPod(nodes[node - 1] as TestNode, name, v4, v6)
  }
  for (const node of nodes) {
    const engine = new DataplaneEngine({ namespace: node.namespace, config: CONFIG })
    engines.push(engine)
    await engine.start({
      ...overlayInput([1, 2]),
      nodeAddresses: [parseAddress(`192.168.56.1${node.number}`), parseAddress(`fd56::1${node.number}`)],
      pods: { set: podInputs(node.number) },
    })
    assert.ok(await engine.waitFor(() => engine.status().inSync, 5000), JSON.stringify(engine.status()))
  }
})
test.after(async () => {
  for (const engine of engines) await engine.stop()
  await fabric.close()
})

/** Pings from one namespace and returns whether the target saw the expected source, by a counter in its namespace. */
function pingSeenAs(from: string, to: string, target: string, source: string): void {
  const v6 = target.includes(':')
  const [family, echo] = v6 ? ['ip6', 'icmpv6 type echo-request'] : ['ip', 'icmp type echo-request']
  runIn(
    to,
    `nft add table inet seen; nft add chain inet seen in "{ type filter hook input priority 0; }"; nft flush chain inet seen in`,
  )
  runIn(to, `nft add rule inet seen in ${family} saddr ${source} ${echo} counter`)
  try {
    runIn(from, `ping ${v6 ? '-6' : '-4'} -c 1 -W 5 ${target}`)
  } catch (error) {
    assert.unreachable(`${target} does not answer: ${(error as { stdout?: string }).stdout ?? String(error)}`)
  }
  assert.match(runIn(to, 'nft list chain inet seen in'), /counter packets [1-9]/, `${target} sees ${source}`)
}

const pod = (name: string): string => pods[name] as string
const node = (number: number): string => (nodes[number - 1] as TestNode).path

for (const family of ['v4', 'v6'] as const) {
  const own = (number: number): string => (family === 'v4' ? `192.168.56.1${number}` : `fd56::1${number}`)
  const address = (name: string): string => WHERE[name]?.[family] ?? ''

  test(`${family}: pod to pod of the same node keeps its source`, () => {
    pingSeenAs(pod('a'), pod('b'), address('b'), address('a'))
  })
  test(`${family}: pod to pod of the other node keeps its source, both ways`, () => {
    pingSeenAs(pod('a'), pod('c'), address('c'), address('a'))
    pingSeenAs(pod('c'), pod('b'), address('b'), address('c'))
  })
  test(`${family}: node to its own pod and to the other node's, as the node`, () => {
    pingSeenAs(node(1), pod('a'), address('a'), own(1))
    pingSeenAs(node(1), pod('c'), address('c'), own(1))
  })
  test(`${family}: pod to its own node as itself, to the other node as its node`, () => {
    pingSeenAs(pod('a'), node(1), own(1), address('a'))
    pingSeenAs(pod('a'), node(2), own(2), own(1))
  })
}

test('replies of a pod to the other node travel over the VXLAN (mark 0x20)', () => {
  const two = nodes[1] as TestNode
  two.run(
    'nft add table netdev probe; nft add chain netdev probe out "{ type filter hook egress device eth0.vxlan4 priority 10; }"',
  )
  two.run('nft add rule netdev probe out ip saddr 100.64.0.21 ip daddr 192.168.56.11 counter')
  runIn(node(1), 'ping -c 1 -W 3 100.64.0.21')
  assert.match(two.run('nft list table netdev probe'), /counter packets [1-9]/)
  two.run('nft delete table netdev probe')
})

test('an unknown destination inside no managed network is refused by the overlay, not carried', () => {
  const one = nodes[0] as TestNode
  one.run('ip route add 203.0.113.0/24 dev eth0.vxlan4')
  assert.throws(
    () => runIn(pod('a'), 'ping -c 1 -W 2 203.0.113.5'),
    (error: { stdout?: string }) => /Host Unreachable|unreachable/i.test(error.stdout ?? ''),
  )
  one.run('ip route del 203.0.113.0/24 dev eth0.vxlan4')
})

test('pods cannot reach the loopback addresses of their node although route_localnet is on (defect 38)', async () => {
  const one = nodes[0] as TestNode
  one.run(`echo 1 > /proc/sys/net/ipv4/conf/${hostLink('a')}/route_localnet`)
  runIn(
    pod('a'),
    'ip route add 127.0.0.53 via 169.254.1.1 dev eth0 table 5; ip rule add to 127.0.0.53 lookup 5 pref 1; ip rule del lookup local; ip rule add lookup local pref 2; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet',
  )
  const reached = (): boolean => {
    try {
      runIn(pod('a'), 'ping -c 1 -W 1 -I 100.64.0.11 127.0.0.53')
      return true
    } catch {
      return false
    }
  }
  assert.not.ok(reached())
  // And it is our rule that keeps them out.
  await engines[0]?.stop()
  one.run('nft flush chain inet hybridnet input_guard')
  assert.ok(reached())
})

test.run()
