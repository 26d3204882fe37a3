// Appendix A, the golden state of one node, as pure data and in both families.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  describeRecord,
  DesiredModel,
  KernelState,
  type DataplaneRecord,
  type RecordKind,
} from '../../../lib/dataplane/index.ts'
import { appendixA, CONFIG, factsOf, ModelKernel, NODE_ADDRESSES } from './support.ts'

const model = new DesiredModel(CONFIG, new KernelState())
model.update({ ...appendixA(), nodeAddresses: NODE_ADDRESSES })
model.setFacts(factsOf(model.input, new ModelKernel()))
const records = [...model.store.entries()].map(([, { record }]) => record)

function lines(kind: RecordKind, keep: (record: DataplaneRecord) => boolean = () => true): string[] {
  return records
    .filter((record) => record.kind === kind && keep(record))
    .map(describeRecord)
    .sort()
}

function table(number: number): string[] {
  return records
    .filter((record) => record.kind === 'route' && record.table === number)
    .map((record) => describeRecord(record).replace(` table ${number}`, ''))
    .sort()
}

test('ip rule', () => {
  const expected = (family: number, overlay: string, vlan: string) => [
    `rule${family} from ${vlan} fwmark 0x0/0x4040 lookup 10001`,
    `rule${family} from ${overlay} fwmark 0x0/0x4040 lookup 10000`,
    `rule${family} from all fwmark 0x20/0x20 lookup 40001`,
    `rule${family} from all lookup 39999`,
    `rule${family} from all lookup 40000`,
  ]
  assert.equal(
    lines('rule'),
    [...expected(4, '100.64.0.0/16', '10.10.0.0/24'), ...expected(6, 'fd64::/64', 'fd10::/64')].sort(),
  )
})

test('ip route show table 39999', () => {
  assert.equal(table(39999), [
    'route 10.10.0.11/32 dev hybrbbbbbbbbbbb',
    'route 100.64.0.11/32 dev hybraaaaaaaaaaa',
    'route fd10::11/128 dev hybrbbbbbbbbbbb',
    'route fd64::11/128 dev hybraaaaaaaaaaa',
  ])
})

test('ip route show table 40000', () => {
  assert.equal(table(40000), ['route 100.64.0.0/16 dev eth0.vxlan4', 'route fd64::/64 dev eth0.vxlan4'])
})

test('ip route show table 40001', () => {
  assert.equal(table(40001), ['route 0.0.0.0/0 dev eth0.vxlan4', 'route ::/0 dev eth0.vxlan4'])
})

test('ip route show table 10000', () => {
  assert.equal(table(10000), [
    'route 10.10.0.0/24 dev eth0.vxlan4',
    'route fd10::/64 dev eth0.vxlan4',
    'throw 10.10.0.1/32',
    'throw 10.10.0.2/32',
    'throw fd10::1/128',
  ])
})

test('ip route show table 10001', () => {
  assert.equal(table(10001), [
    'route 0.0.0.0/0 via 10.10.0.1 dev eth0.100',
    'route 10.10.0.0/24 dev eth0.100',
    'route ::/0 via fd10::1 dev eth0.100',
    'route fd10::/64 dev eth0.100',
  ])
  const direct = records.find(
    (record) => record.kind === 'route' && record.table === 10001 && record.family === 4 && record.dst.length === 24,
  )
  assert.is(direct?.kind === 'route' && direct.scope, 253, 'scope link')
})

test('no other table has routes', () => {
  const tables = new Set(records.flatMap((record) => (record.kind === 'route' ? [record.table] : [])))
  assert.equal([...tables].sort(), [10000, 10001, 39999, 40000, 40001])
})

test('ip link, ip addr', () => {
  assert.equal(lines('link'), [
    'link eth0.100 type vlan id 100 dev eth0',
    'link eth0.vxlan4 type vxlan id 4 dev eth0 dstport 8472 local 192.168.56.11 address 52:54:00:00:00:11',
  ])
  assert.equal(lines('address'), [
    'address 192.168.56.11/24 dev eth0.vxlan4 noprefixroute',
    'address fd56::11/64 dev eth0.vxlan4 noprefixroute',
  ])
})

test('bridge fdb', () => {
  assert.equal(lines('fdb'), [
    'fdb 52:54:00:00:00:12 dst 192.168.56.12 dev eth0.vxlan4',
    'fdb ff:ff:ff:ff:ff:f1 dst 192.168.56.12 dev eth0.vxlan4',
  ])
})

test('ip neigh show proxy', () => {
  assert.equal(lines('proxy'), [
    'proxy 10.10.0.11 dev eth0.100',
    'proxy 10.10.0.11 dev eth0.vxlan4',
    'proxy 100.64.0.11 dev eth0.vxlan4',
    'proxy fd10::11 dev eth0.100',
    'proxy fd10::11 dev eth0.vxlan4',
    'proxy fd64::11 dev eth0.vxlan4',
    'proxy fe80::ecee:eeff:feee:eeee dev hybraaaaaaaaaaa',
    'proxy fe80::ecee:eeff:feee:eeee dev hybrbbbbbbbbbbb',
  ])
})

test('members of the netfilter sets', () => {
  const members = (set: string) =>
    lines('element', (record) => record.kind === 'element' && record.set === set).map((line) => line.split(' ')[2])
  assert.equal(members('overlay_net4'), ['100.64.0.0-100.64.255.255'])
  assert.equal(members('overlay_net6'), ['fd64::-fd64::ffff:ffff:ffff:ffff'])
  assert.equal(members('managed_net4'), ['10.10.0.0-10.10.0.255', '100.64.0.0-100.64.255.255'])
  assert.equal(members('node_ip4'), ['192.168.56.11', '192.168.56.12'])
  assert.equal(members('local_node_ip4'), ['192.168.56.11'])
  assert.equal(members('local_node_ip6'), ['fd56::11'])
  assert.equal(members('local_underlay_net4'), ['10.10.0.0-10.10.0.255'])
  assert.equal(members('pod_net4'), ['10.10.0.0-10.10.0.255', '100.64.0.0-100.64.255.255'])
  assert.equal(members('local_pod4'), ['10.10.0.11', '100.64.0.11'])
  assert.equal(members('vxlan_if'), ['eth0.vxlan4'])
  assert.equal(members('underlay_if'), ['eth0.100'])
})

test('settings', () => {
  const settings = lines('sysctl')
  for (const expected of [
    'net/ipv4/ip_forward = 1',
    'net/ipv6/conf/all/forwarding = 1',
    'net/ipv4/conf/eth0/rp_filter = 0',
    'net/ipv4/conf/all/arp_filter = 0',
    'net/ipv4/neigh/eth0.vxlan4/app_solicit = 1',
    'net/ipv4/neigh/eth0.vxlan4/base_reachable_time_ms = 5000',
    'net/ipv4/neigh/eth0.vxlan4/proxy_delay = 0',
    'net/ipv6/neigh/eth0.vxlan4/proxy_delay = 0',
    'net/ipv4/neigh/eth0.100/proxy_delay = 0',
    'net/ipv6/conf/eth0.vxlan4/proxy_ndp = 1',
    'net/ipv6/conf/eth0.100/proxy_ndp = 1',
    'net/ipv6/conf/eth0.vxlan4/accept_ra = 0',
    'net/ipv4/neigh/default/gc_thresh3 = 4096',
  ]) {
    assert.ok(settings.includes(expected), expected)
  }
})

test('nothing is wrong with the golden cluster', () => {
  assert.equal(model.problems(), [])
  assert.equal(model.store.conflicts(), [])
})

test.run()
