// Name codecs: api.md §1.10, §7.2; node-agent.md §1 (veth vectors); manager.md §0.6, D18, H-10.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress, formatMac, ipv6FromGroups, macToLinkLocal, parseAddress } from '../../../lib/ip/index.ts'
import * as api from '../../../lib/api/index.ts'

test('§1.10 address to object name', () => {
  const table: readonly (readonly [string, string])[] = [
    ['10.0.0.1', '10-0-0-1'],
    ['0.0.0.0', '0-0-0-0'],
    ['fd00::1', 'fd00-0-0-0-0-0-0-1'],
    ['fe80::1', 'fe80-0-0-0-0-0-0-1'],
    ['1::4:5:6:7:8', '1-0-0-4-5-6-7-8'],
    // D18: short forms that begin or end with "::".
    ['fd00::', 'fd00-0-0-0-0-0-0-0'],
    ['::1', '0-0-0-0-0-0-0-1'],
    ['::', '0-0-0-0-0-0-0-0'],
    ['1:2:3:4:5:6::', '1-2-3-4-5-6-0-0'],
  ]
  for (const [address, name] of table) {
    assert.is(api.addressToName(parseAddress(address)), name)
    assert.is(api.addressFromName(name), parseAddress(address))
  }
})

test('§1.10 names round trip and are valid object names', () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }))
  const address = fc.oneof(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.array(group, { minLength: 8, maxLength: 8 }).map(ipv6FromGroups),
  )
  fc.assert(
    fc.property(address, (value) => {
      const name = api.addressToName(value)
      assert.match(name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
      assert.is(api.addressFromName(name), value)
    }),
  )
})

test('§1.10 names that stand for no address', () => {
  for (const name of [
    '',
    '10-0-0',
    '10-0-0-256',
    '10-0-0-01',
    'fd00--1',
    'fd00-0-0-0-0-0-0-g',
    'web-0',
    'a-b-c-d',
    '-0-0-0',
  ]) {
    assert.is(api.addressFromName(name), null, name)
  }
  // Exactly seven dashes are IPv6, with or without leading zeros.
  assert.is(formatAddress(api.addressFromName('fd00-0000-0-0-0-0-0-0001') ?? 0), 'fd00::1')
})

test('§1.10 pod name as label value', () => {
  assert.is(api.podNameLabel('web-0'), 'web-0')
  const name63 = 'a'.repeat(63)
  assert.is(api.podNameLabel(name63), name63)
  // md5("a" × 33), computed with md5sum.
  assert.is(api.podNameLabel('a'.repeat(64)), 'a'.repeat(31) + 'b4f13cb081e412f44e99742cb128a1a5')
  assert.is(api.podNameLabel('b'.repeat(253)).length, 63)
})

test('§1.10 ordinal of a pod', () => {
  const table: readonly (readonly [string, number])[] = [
    ['web-0', 0],
    ['web-2', 2],
    ['web-007', 7],
    ['my-web-12', 12],
    ['5', 5],
    ['web', 2147483647],
    ['web-', 2147483647],
    ['web-a1', 2147483647],
    ['web-99999999999', 2147483647],
  ]
  for (const [name, ordinal] of table) assert.is(api.podOrdinal(name), ordinal, name)
})

test('node-agent: host veth names', () => {
  assert.is(api.hostVethName('default', 'nginx'), 'hybrc440f455693')
  assert.is(api.hostVethName('kube-system', 'coredns-abc'), 'hybr3d5d6ab04b5')
  assert.is(api.hostVethName('a', 'b'), 'hybr69f6642c9d7')
})

test('H-10 generated MACs', () => {
  const macs = new Set(Array.from({ length: 100 }, () => formatMac(api.generateMac())))
  // 100 draws of 2^24 collide once in 3,400 runs; two collisions would be a broken generator.
  assert.ok(macs.size >= 99)
  for (const mac of macs) assert.match(mac, /^02:12:34(:[0-9a-f]{2}){3}$/)
})

test('§1.10 VLAN and VXLAN interface names', () => {
  assert.is(api.vlanInterfaceName('eth0', 0), 'eth0')
  assert.is(api.vlanInterfaceName('eth0', 4094), 'eth0.4094')
  for (const id of [null, undefined, -1, 4095, 1.5]) assert.throws(() => api.vlanInterfaceName('eth0', id), /0 to 4094/)
  assert.is(api.vxlanInterfaceName('eth0', 4), 'eth0.vxlan4')
  assert.is(api.vxlanInterfaceName('eth0', 16777215), 'eth0.vxlan16777215')
  for (const vni of [null, undefined, 0, 16777216])
    assert.throws(() => api.vxlanInterfaceName('eth0', vni), /1 to 16777215/)
})

test('§2.6 container interfaces', () => {
  for (const name of ['hybr12345678901', 'h_old', 'old_h', 'veth1', 'docker0', 'kube-ipvs0'])
    assert.ok(api.isContainerInterface(name))
  for (const name of ['eth0', 'bond0', 'cni0', 'eth0.vxlan4', 'lo']) assert.not.ok(api.isContainerInterface(name))
})

test('§1.10 remote names split at the first dot', () => {
  assert.is(api.remoteObjectName('c1', 's.1'), 'c1.s.1')
  assert.equal(api.splitRemoteObjectName('c1.s.1'), { cluster: 'c1', name: 's.1' })
  assert.is(api.splitRemoteObjectName('plain'), null)
})

test('§2.6 constants agree with each other', () => {
  assert.is(formatAddress(api.POD_GATEWAY_IPV4), '169.254.1.1')
  assert.is(formatAddress(api.POD_GATEWAY_IPV6), 'fe80::ecee:eeff:feee:eeee')
  assert.is(macToLinkLocal(api.HOST_VETH_MAC), api.POD_GATEWAY_IPV6)
  assert.is(formatMac(api.VXLAN_BROADCAST_MAC), 'ff:ff:ff:ff:ff:f1')
  assert.is(api.MARK_FULL_NAT | api.MARK_KUBE_PROXY_MASQUERADE, api.MASK_FROM_SUBNET)
})

test('§1.0 resources', () => {
  assert.equal(api.OWN_RESOURCES.map(api.crdName), [
    'networks.networking.alibaba.com',
    'subnets.networking.alibaba.com',
    'ipinstances.networking.alibaba.com',
    'nodeinfoes.networking.alibaba.com',
    'remoteclusters.multicluster.alibaba.com',
    'remotesubnets.multicluster.alibaba.com',
    'remotevteps.multicluster.alibaba.com',
    'remoteendpointslice.multicluster.alibaba.com',
  ])
  assert.equal(
    api.OWN_RESOURCES.filter((r) => r.namespaced).map((r) => r.kind),
    ['IPInstance'],
  )
  assert.is(api.apiVersionOf(api.NETWORKS), 'networking.alibaba.com/v1')
  assert.is(api.apiVersionOf(api.PODS), 'v1')
})

test.run()
