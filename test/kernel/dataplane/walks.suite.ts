// The packet walks W1 to W7 of spec/dataplane.md §1.5 over real connections between two nodes: what the far side sees, and how
// the packets travelled, by a capture at the nodes' ports. One suite for untagged and for tagged VLANs.
//
//   node1: pods a (overlay) and u (VLAN)    node2: pods c (overlay), w (VLAN), x (another VLAN Subnet)
//     │                                       │
//   ══╧═══════════════════════════════════════╧══╤══  one segment, tags pass
//                                              router   gateway of the nodes and of the VLANs; knows nothing of the overlay
//                                                │
//                                             outside
//
// No neighbour resolver runs here: first packets are resolved by broadcast and proxy neighbours. The rules of kube-proxy (W7)
// are written by hand, as its nftables mode writes them.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  DataplaneEngine,
  type InputDelta,
  type PodAddressInput,
  type SubnetInput,
} from '../../../lib/dataplane/index.ts'
import { formatAddress, parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import { createNamespace, deleteNamespace, NetworkNamespace } from '../../../lib/netlink/index.ts'
import { EchoServer, FabricCapture, greet } from '../../../lib/standalone/index.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { CONFIG, Fabric, hostLink, overlayInput, runIn, type TestNode } from './support.ts'

export interface Walks {
  /** 802.1Q ids of the first VLAN network per family, and of the second network; 0 is untagged. */
  readonly vlan: { readonly 4: number; readonly 6: number; readonly other: number }
}

type Ip = 4 | 6
type Name = 'a' | 'u' | 'c' | 'w' | 'x'

const PODS: Readonly<Record<Name, { node: 1 | 2; kind: 'overlay' | 'vlan' | 'other'; 4: string; 6: string }>> = {
  a: { node: 1, kind: 'overlay', 4: '100.64.0.11', 6: 'fd64::11' },
  u: { node: 1, kind: 'vlan', 4: '10.10.0.11', 6: 'fd10::11' },
  c: { node: 2, kind: 'overlay', 4: '100.64.0.21', 6: 'fd64::21' },
  w: { node: 2, kind: 'vlan', 4: '10.10.0.21', 6: 'fd10::21' },
  x: { node: 2, kind: 'other', 4: '10.20.0.21', 6: 'fd20::21' },
}
const OUTSIDE: Readonly<Record<Ip, string>> = { 4: '203.0.113.10', 6: '2001:db8:ffff::10' }
const PORT = 7007
/** How long a connection may take on a machine that translates. */
const PATIENCE_MS = 30_000

const nodeAddress = (number: 1 | 2, family: Ip): string => (family === 4 ? `192.168.56.1${number}` : `fd56::1${number}`)

export function defineWalks({ vlan }: Walks): void {
  let fabric: Fabric
  let capture: FabricCapture
  const nodes: TestNode[] = []
  const engines: DataplaneEngine[] = []
  const places = new Map<string, { path: string; namespace: NetworkNamespace; echo: EchoServer }>()
  const extra: string[] = []

  const subnet = (name: string, cidr: string, gateway: string, vlanId: number): SubnetInput => ({
    name,
    network: name,
    prefix: parsePrefix(cidr),
    gateway: parseAddress(gateway),
    start: null,
    end: null,
    exclude: [],
    mode: 'VLAN',
    vlanId,
    autoNatOutgoing: false,
    member: true,
  })
  const vlanOf = (name: Name, family: Ip): number => (PODS[name].kind === 'other' ? vlan.other : vlan[family])

  function input(number: 1 | 2): InputDelta {
    const base = overlayInput([1, 2])
    const pods = (Object.keys(PODS) as Name[])
      .filter((name) => PODS[name].node === number)
      .flatMap((name) =>
        ([4, 6] as const).map((family): PodAddressInput => {
          const onVlan = PODS[name].kind !== 'overlay'
          return {
            key: `default/${name}${family}`,
            address: parseAddress(PODS[name][family]),
            mode: onVlan ? 'VLAN' : 'VXLAN',
            vlanId: onVlan ? vlanOf(name, family) : null,
            hostLink: hostLink(name),
          }
        }),
      )
    const underlays = [
      { ...subnet('v4', '10.10.0.0/24', '10.10.0.1', vlan[4]), exclude: [parseAddress('10.10.0.2')] },
      subnet('v6', 'fd10::/64', 'fd10::1', vlan[6]),
      subnet('x4', '10.20.0.0/24', '10.20.0.1', vlan.other),
      subnet('x6', 'fd20::/64', 'fd20::1', vlan.other),
    ]
    return {
      ...base,
      subnets: { set: [...(base.subnets?.set ?? []), ...underlays] },
      nodeAddresses: [parseAddress(nodeAddress(number, 4)), parseAddress(nodeAddress(number, 6))],
      pods: { set: pods },
    }
  }

  async function place(name: string, path: string): Promise<void> {
    const namespace = NetworkNamespace.open(path)
    places.set(name, { path, namespace, echo: await EchoServer.listen(namespace, PORT) })
  }

  async function addRouter(): Promise<void> {
    const router = `${fabric.folder}/router`
    const outside = `${fabric.folder}/outside`
    for (const path of [router, outside]) {
      await createNamespace(path)
      extra.push(path)
    }
    runIn('/proc/self/ns/net', `ip link add port9 master fabric up type veth peer name eth0 netns ${router}`)
    const device = (id: number): string => (id === 0 ? 'eth0' : `eth0.${id}`)
    const tagged = [...new Set([vlan[4], vlan[6], vlan.other])].filter((id) => id !== 0)
    runIn(
      router,
      [
        'for f in all default eth0; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done',
        'ip link set lo up; ip link set eth0 up',
        ...tagged.map((id) => `ip link add link eth0 name eth0.${id} up type vlan id ${id}`),
        'ip addr add 192.168.56.1/24 dev eth0; ip addr add fd56::1/64 dev eth0',
        `ip addr add 10.10.0.1/24 dev ${device(vlan[4])}; ip addr add fd10::1/64 dev ${device(vlan[6])}`,
        `ip addr add 10.20.0.1/24 dev ${device(vlan.other)}; ip addr add fd20::1/64 dev ${device(vlan.other)}`,
        `ip link add eth1 up type veth peer name eth0 netns ${outside}`,
        'ip addr add 203.0.113.1/24 dev eth1; ip addr add 2001:db8:ffff::1/64 dev eth1 nodad',
        'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding',
        'echo 0 > /proc/sys/net/ipv4/conf/all/send_redirects; echo 0 > /proc/sys/net/ipv4/conf/eth0/send_redirects',
      ].join(' && '),
    )
    runIn(
      outside,
      'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad; ip link set lo up; ip link set eth0 up; ' +
        'ip addr add 203.0.113.10/24 dev eth0; ip addr add 2001:db8:ffff::10/64 dev eth0 nodad; ' +
        'ip route add default via 203.0.113.1; ip route add default via 2001:db8:ffff::1',
    )
    await place('outside', outside)
  }

  test.before(async () => {
    fabric = await Fabric.create()
    for (const number of [1, 2]) nodes.push(await fabric.addNode(number))
    await addRouter()
    for (const node of nodes) {
      node.run('ip link set lo up')
      await place(node.name, node.path)
    }
    for (const name of Object.keys(PODS) as Name[]) {
      const pod = PODS[name]
      await place(name, await fabric.addPod(nodes[pod.node - 1] as TestNode, name, pod[4], pod[6]))
    }
    capture = await FabricCapture.start(['port1', 'port2'])
    for (const number of [1, 2] as const) {
      const engine = new DataplaneEngine({ namespace: present(nodes[number - 1]).namespace, config: CONFIG })
      engines.push(engine)
      await engine.start(input(number))
      assert.ok(await engine.waitFor(() => engine.status().inSync, 60_000), JSON.stringify(engine.status(), null, 1))
      assert.equal(engine.status().problems, [])
      assert.equal(engine.status().failing, [])
    }
  })
  test.after(async () => {
    for (const { echo, namespace } of places.values()) {
      await echo.close()
      namespace.close()
    }
    for (const engine of engines) await engine.stop()
    capture.close()
    for (const path of extra) await deleteNamespace(path)
    await fabric.close()
  })

  /** Connects, and says what the far side saw and how the packets of that very connection travelled. */
  async function walk(from: string, address: string, port = PORT): Promise<{ source: string; path: string }> {
    const { namespace } = present(places.get(from))
    const { source, sourcePort, destination } = await eventually(
      () => greet(namespace, { address, port }, 5000),
      PATIENCE_MS,
      100,
    )
    const flow = { source, sourcePort, destination, destinationPort: PORT }
    // The last frames are on their way from the kernel.
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.is(capture.lostFrames, 0)
    const seen = capture.sighting(flow)
    if (seen === null) return { source, path: 'local' }
    const tag = seen.vlan === 0 ? '' : ` in VLAN ${seen.vlan}`
    if (seen.tunnel === null) return { source, path: `plain${tag}` }
    const { vni, source: outer, destination: far } = seen.tunnel
    return { source, path: `VNI ${vni} ${formatAddress(outer)} > ${formatAddress(far)}${tag}` }
  }

  const through = (id: number): string => (id === 0 ? 'plain' : `plain in VLAN ${id}`)
  const tunnel = (from: 1 | 2, to: 1 | 2): string => `VNI 4 ${nodeAddress(from, 4)} > ${nodeAddress(to, 4)}`

  for (const family of [4, 6] as const) {
    const ip = (name: Name): string => PODS[name][family]
    const own = (number: 1 | 2): string => nodeAddress(number, family)
    const the = (text: string): string => `IPv${family}: ${text}`

    test(the('W1 overlay to overlay, other node: in the tunnel, as itself, both ways'), async () => {
      assert.equal(await walk('a', ip('c')), { source: ip('a'), path: tunnel(1, 2) })
      assert.equal(await walk('c', ip('a')), { source: ip('c'), path: tunnel(2, 1) })
    })
    test(the('W2 overlay and VLAN, same node: neither tunnel nor wire'), async () => {
      assert.equal(await walk('a', ip('u')), { source: ip('a'), path: 'local' })
      assert.equal(await walk('u', ip('a')), { source: ip('u'), path: 'local' })
    })
    test(the('W2 overlay and VLAN, other node: in the tunnel both ways, never translated'), async () => {
      assert.equal(await walk('a', ip('w')), { source: ip('a'), path: tunnel(1, 2) })
      assert.equal(await walk('w', ip('a')), { source: ip('w'), path: tunnel(2, 1) })
    })
    test(the('W3 VLAN to VLAN of one Subnet, other node: on the wire in their VLAN'), async () => {
      assert.equal(await walk('u', ip('w')), { source: ip('u'), path: through(vlan[family]) })
      assert.equal(await walk('w', ip('u')), { source: ip('w'), path: through(vlan[family]) })
    })
    test(the('W3 VLAN to another VLAN Subnet: by the gateways, as itself'), async () => {
      // The capture sees what nodes send, hence the VLAN of the sender.
      assert.equal(await walk('u', ip('x')), { source: ip('u'), path: through(vlan[family]) })
      assert.equal(await walk('x', ip('u')), { source: ip('x'), path: through(vlan.other) })
    })
    test(the('W4 pod to its own node: as itself'), async () => {
      assert.equal(await walk('a', own(1)), { source: ip('a'), path: 'local' })
      assert.equal(await walk('u', own(1)), { source: ip('u'), path: 'local' })
    })
    test(the('W4 pod to another node: the overlay pod as its node, the VLAN pod as itself'), async () => {
      assert.equal(await walk('a', own(2)), { source: own(1), path: 'plain' })
      assert.equal(await walk('u', own(2)), { source: ip('u'), path: through(vlan[family]) })
    })
    test(the('W5 node to its own pods and to those of the other node: as itself'), async () => {
      assert.equal(await walk('node1', ip('a')), { source: own(1), path: 'local' })
      assert.equal(await walk('node1', ip('u')), { source: own(1), path: 'local' })
      assert.equal(await walk('node1', ip('c')), { source: own(1), path: tunnel(1, 2) })
      assert.equal(await walk('node1', ip('w')), { source: own(1), path: 'plain' })
    })
    test(
      the('W6 pod to the outside: the overlay pod as its node, the VLAN pod as itself through its gateway'),
      async () => {
        assert.equal(await walk('a', OUTSIDE[family]), { source: own(1), path: 'plain' })
        assert.equal(await walk('u', OUTSIDE[family]), { source: ip('u'), path: through(vlan[family]) })
      },
    )
    test(the('W6 the outside to a VLAN pod: as itself'), async () => {
      assert.is((await walk('outside', ip('u'))).source, OUTSIDE[family])
    })

    test(the('W7 ClusterIP and NodePort, to overlay and VLAN endpoints of both nodes'), async () => {
      const words = family === 4 ? 'ip' : 'ip6'
      const vip = family === 4 ? '10.96.0.' : 'fd96::'
      const endpoints: [Name, number][] = [
        ['a', 1],
        ['u', 2],
        ['c', 3],
        ['w', 4],
      ]
      const target = (name: Name): string => (family === 4 ? `${ip(name)}:${PORT}` : `[${ip(name)}]:${PORT}`)
      const one = present(nodes[0])
      // kube-proxy marks what comes from outside the cluster's pods for masquerade, on its first packet only.
      const marked = `${words} saddr != ${family === 4 ? '100.64.0.0/16' : 'fd64::/64'} meta mark set meta mark or 0x4000`
      const rules = endpoints.flatMap(([name, n]) => [
        ...['nat_pre', 'nat_out'].flatMap((chain) => [
          `add rule inet kp ${chain} ${words} daddr ${vip}${n} tcp dport 80 ${marked}`,
          `add rule inet kp ${chain} ${words} daddr ${vip}${n} tcp dport 80 dnat ${words} to ${target(name)}`,
          `add rule inet kp ${chain} ${words} daddr ${own(1)} tcp dport ${30000 + n} meta mark set meta mark or 0x4000`,
          `add rule inet kp ${chain} ${words} daddr ${own(1)} tcp dport ${30000 + n} dnat ${words} to ${target(name)}`,
        ]),
      ])
      const script = [
        'add table inet kp',
        'add chain inet kp nat_pre { type nat hook prerouting priority dstnat; }',
        'add chain inet kp nat_out { type nat hook output priority -100; }',
        'add chain inet kp nat_post { type nat hook postrouting priority srcnat; }',
        ...rules,
        'add rule inet kp nat_post meta mark and 0x4000 == 0x4000 meta mark set meta mark xor 0x4000 masquerade',
      ].join('\n')
      one.run(`nft -f - <<'EOF'\n${script}\nEOF`)
      try {
        // Without masquerade it is a walk to the endpoint, as W1 and W2.
        assert.equal(await walk('a', `${vip}3`, 80), { source: ip('a'), path: tunnel(1, 2) })
        assert.equal(await walk('a', `${vip}4`, 80), { source: ip('a'), path: tunnel(1, 2) })
        assert.equal(await walk('a', `${vip}2`, 80), { source: ip('a'), path: 'local' })
        // With masquerade it comes from the node: its address on the overlay, and on the wire.
        assert.equal(await walk('u', `${vip}3`, 80), { source: own(1), path: tunnel(1, 2) })
        assert.equal(await walk('u', `${vip}4`, 80), { source: own(1), path: 'plain' })
        assert.equal(await walk('node1', `${vip}3`, 80), { source: own(1), path: tunnel(1, 2) })
        assert.equal(await walk('node1', `${vip}4`, 80), { source: own(1), path: 'plain' })
        for (const [name, n] of endpoints) {
          const { source } = await walk('outside', own(1), 30000 + n)
          assert.is(source, own(1), `NodePort of ${name}`)
        }
      } finally {
        one.run('nft delete table inet kp')
      }
    })
  }

  test('an address of the VLAN that no pod has is not sent back to the gateway (loop drop)', () => {
    const counter = 'nft list table netdev probe'
    const one = present(nodes[0])
    const device = vlan[4] === 0 ? 'eth0' : `eth0.${vlan[4]}`
    one.run(
      'nft add table netdev probe; ' +
        `nft add chain netdev probe out "{ type filter hook egress device ${device} priority 10; }"; ` +
        'nft add rule netdev probe out ip daddr 10.10.0.200 counter',
    )
    // A neighbour that takes node1 for the owner.
    runIn(
      `${fabric.folder}/router`,
      `ip neigh replace 10.10.0.200 lladdr 52:54:00:00:00:11 dev ${device} nud permanent; ping -c 3 -i 0.2 -W 1 10.10.0.200 || true`,
    )
    assert.match(one.run(counter), /counter packets 0 /)
    one.run('nft delete table netdev probe')
  })

  test('the node’s own interface is as it was: nothing of ours on it', () => {
    const one = present(nodes[0])
    assert.equal(
      one
        .run('ip -o addr show dev eth0 scope global')
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/)[3])
        .sort(),
      ['192.168.56.11/24', 'fd56::11/64'],
    )
    assert.match(one.run('ip route show default'), /^default via 192\.168\.56\.1 dev eth0 *$/m)
    assert.match(one.run('ip link show eth0'), /mtu 1500 .*state UP/)
  })
}
