// Somebody deletes what is ours: each thing is back at once, by notification and not by audit (there is none here). How
// long each took is in the output of a verbose run; a busy machine is no failure.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DataplaneEngine, type EngineStatus } from '../../../lib/dataplane/index.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import { eventually } from '../../support/eventually.ts'
import { createLogger } from '../../../lib/telemetry/log.ts'
import { CONFIG, Fabric, hostLink, overlayInput, until, type TestNode } from './support.ts'

let fabric: Fabric
let node: TestNode
let engine: DataplaneEngine
/** What the engine logged since the last repair. */
const log: string[] = []
const recorder = createLogger({ name: 'engine', level: 'debug', sink: { write: (line) => log.push(line) } })

test.before(async () => {
  fabric = await Fabric.create()
  node = await fabric.addNode(1)
  await fabric.addPod(node, 'a', '100.64.0.11')
  engine = new DataplaneEngine({ namespace: node.namespace, config: CONFIG, timing: { auditMs: 0 }, log: recorder })
  await engine.start({
    ...overlayInput([1, 2]),
    nodeAddresses: [parseAddress('192.168.56.11'), parseAddress('fd56::11')],
    pods: {
      set: [
        {
          key: 'default/a',
          address: parseAddress('100.64.0.11'),
          mode: 'VXLAN',
          vlanId: null,
          hostLink: hostLink('a'),
        },
        { key: 'default/a6', address: parseAddress('fd64::11'), mode: 'VXLAN', vlanId: null, hostLink: hostLink('a') },
      ],
    },
  })
  assert.ok(await engine.waitFor(() => engine.status().inSync, 5000), JSON.stringify(engine.status()))
})
test.after(async () => {
  await engine.stop()
  await fabric.close()
})

/** Everything of ours as the tools show it; volatile parts left out. */
function picture(): string {
  return node
    .run(
      'ip rule; ip -6 rule; for t in 39999 40000 40001 10000; do echo $t; ip route show table $t; ip -6 route show table $t; done;' +
        'ip neigh show proxy | sort; ip -6 neigh show proxy | sort; bridge fdb show dev eth0.vxlan4 | sort;' +
        'ip -o addr show dev eth0.vxlan4 | grep -v "scope link" | sed "s/^[0-9]*: //; s/tentative//"; ip -o link show eth0.vxlan4 | sed "s/^[0-9]*: //";' +
        'nft list table inet hybridnet; nft list table netdev hybridnet; cat /proc/sys/net/ipv4/neigh/eth0.vxlan4/app_solicit',
    )
    .replaceAll(/[ \t]+/g, ' ')
}

const damages: Readonly<Record<string, string>> = {
  'a base rule': 'ip rule del lookup 40000',
  'the rule of a subnet': 'ip rule del from 100.64.0.0/16 fwmark 0/0x4040 lookup 10000',
  'an IPv6 rule': 'ip -6 rule del lookup 39999',
  'all rules': 'ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default',
  'the route to the overlay': 'ip route del 100.64.0.0/16 table 40000',
  'a whole table': 'ip route flush table 40001',
  'the route to a pod': 'ip route flush table 39999',
  'an IPv6 route': 'ip -6 route del fd64::/64 table 40000',
  'a route turned elsewhere': 'ip route replace 100.64.0.0/16 dev eth0 table 40000 scope global',
  'a stray route in a table of ours': 'ip route add 10.1.2.0/24 dev eth0.vxlan4 table 10000',
  'a stray rule of our shape': 'ip rule add pref 99 from 10.1.2.0/24 fwmark 0/0x4040 lookup 10077',
  'the unicast FDB entry': 'bridge fdb del 52:54:00:00:00:12 dev eth0.vxlan4 dst 192.168.56.12 self',
  'the fan-out entry': 'bridge fdb del ff:ff:ff:ff:ff:f1 dev eth0.vxlan4 dst 192.168.56.12 self',
  'an FDB entry turned elsewhere':
    'bridge fdb replace 52:54:00:00:00:12 dev eth0.vxlan4 dst 192.168.56.77 self permanent',
  'a proxy neighbour': 'ip neigh del proxy 100.64.0.11 dev eth0.vxlan4',
  'an IPv6 proxy neighbour': 'ip -6 neigh del proxy fd64::11 dev eth0.vxlan4',
  'a stray proxy neighbour': 'ip neigh add proxy 100.64.0.99 dev eth0.vxlan4',
  'an address of the VXLAN device': 'ip addr del 192.168.56.11/24 dev eth0.vxlan4',
  'all addresses of the VXLAN device': 'ip addr flush dev eth0.vxlan4 scope global',
  'a stray address on the VXLAN device': 'ip addr add 192.168.99.1/24 dev eth0.vxlan4 noprefixroute',
  'the VXLAN device': 'ip link del eth0.vxlan4',
  'the VXLAN device set down': 'ip link set eth0.vxlan4 down',
  'the VXLAN device with other attributes':
    'ip link del eth0.vxlan4; ip link add eth0.vxlan4 type vxlan id 4 dev eth0 local 192.168.56.11 dstport 8472 nolearning',
  'the veth set down and up': `ip link set ${hostLink('a')} down; ip link set ${hostLink('a')} up`,
  'the parent set down and up':
    'ip link set eth0 down; ip link set eth0 up; ip addr replace fd56::11/64 dev eth0 nodad; ip route add default via 192.168.56.1; ip -6 route replace default via fd56::1',
  'the nftables table': 'nft delete table inet hybridnet',
  'all of nftables': 'nft flush ruleset',
  'an nftables set': 'nft flush set inet hybridnet node_ip4',
  'an element of an nftables set': 'nft delete element inet hybridnet local_pod4 "{ 100.64.0.11 }"',
  'a stray element': 'nft add element inet hybridnet node_ip4 "{ 1.2.3.4 }"',
  'a chain emptied': 'nft flush chain inet hybridnet post_snat',
  'a stray rule in our chain': 'nft insert rule inet hybridnet fwd_guard drop',
  'the fan-out table': 'nft delete table netdev hybridnet',
}

for (const [what, command] of Object.entries(damages)) {
  test(`${what} is repaired at once`, async () => {
    const before = picture()
    node.run(command)
    let now = ''
    const same = (): boolean => {
      try {
        now = picture()
        return now === before
      } catch (error) {
        // The tools fail while a device or table is missing.
        now = String(error)
        return false
      }
    }
    const milliseconds = await until(same, what, 20_000).catch((error: unknown) => {
      const { failing, contested, netfilter } = engine.status()
      assert.is(now, before, `${String(error)} ${JSON.stringify({ failing, contested, netfilter })}\n${log.join('')}`)
      throw error
    })
    console.log(`${what}: repaired after ${Math.round(milliseconds)} ms`)
    // A repair that long is worth a look, though nothing says that it was ours to blame.
    if (milliseconds > 2000) console.log(log.join(''))
    log.length = 0
    assert.ok(
      await engine.waitFor(() => engine.status().failing.length === 0, 20_000),
      JSON.stringify(engine.status().failing),
    )
  })
}

test('a key that somebody keeps changing is held and reported, not fought for ever', async () => {
  for (let i = 0; i < 14; i++) {
    node.try('ip route del 100.64.0.0/16 table 40000')
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  assert.ok(await engine.waitFor(() => engine.status().contested.length > 0, 2000), 'contested')
  assert.equal(
    engine.status().contested.map(({ key }) => key),
    ['route 100.64.0.0/16 table 40000'],
  )
})

test('tables that somebody keeps deleting are held and reported; wishes are carried out all the same', async () => {
  const netfilter = (): EngineStatus['netfilter'] => engine.status().netfilter
  const drop = (): boolean => node.try('nft delete table inet hybridnet')
  const stands = (): boolean => node.try('nft list set inet hybridnet local_pod4')
  while (netfilter().contested.length === 0) {
    const { repairs } = netfilter()
    assert.ok(repairs < 40, 'contested long ago')
    drop()
    await eventually(() => netfilter().repairs > repairs, 30_000)
  }
  assert.equal(
    netfilter().contested.map(({ key }) => key),
    ['nft inet hybridnet'],
  )
  assert.ok(engine.status().contested.some(({ key }) => key === 'nft inet hybridnet'))
  const { repairs } = netfilter()
  const held = performance.now()
  for (let i = 0; i < 20; i++) {
    node.try('nft delete table inet hybridnet; nft add table inet hybridnet')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  // Holds take 5 s and longer: one may have ended for every 5 s that passed.
  const ended = Math.floor((performance.now() - held) / 5000)
  assert.ok(netfilter().repairs - repairs <= 1 + ended, `${netfilter().repairs - repairs} repairs of 20 deletions`)
  assert.not.ok(netfilter().inSync)
  await eventually(() => netfilter().inSync && stands(), 60_000)
  drop()
  const address = parseAddress('100.64.0.12')
  engine.setInput({
    pods: { set: [{ key: 'default/b', address, mode: 'VXLAN', vlanId: null, hostLink: hostLink('a') }] },
  })
  await eventually(() => node.run('nft list table inet hybridnet').includes('100.64.0.12'), 30_000)
})

test.run()
