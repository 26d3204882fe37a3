// What users write on pods (api.md §3, manager.md §0.6, H-9, H-11, D19) and what empty fields mean (§1.9, V-4, V-5, H-12).
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAddress } from '../../../lib/ip/index.ts'
import * as api from '../../../lib/api/index.ts'

const network = (spec: api.NetworkSpec | null, status: api.NetworkStatus = {}): api.Network => ({
  metadata: { name: 'n' },
  spec,
  status,
})
const instance = (address: Partial<api.IPInstanceAddress>, name = 'i'): api.IPInstance => ({
  metadata: { name, namespace: 'd' },
  spec: { network: 'n', subnet: 's', address: { version: '', ip: '', mac: '', ...address } },
})

test('bool text is exactly twelve spellings', () => {
  for (const text of ['1', 't', 'T', 'true', 'TRUE', 'True']) assert.is(api.parseBool(text, false), true)
  for (const text of ['0', 'f', 'F', 'false', 'FALSE', 'False']) assert.is(api.parseBool(text, true), false)
  for (const text of ['', 'yes', 'tRUE', ' true', '2', null, undefined]) {
    assert.is(api.parseBool(text, true), true)
    assert.is(api.parseBool(text, false), false)
  }
})

test('H-9 first non-empty', () => {
  assert.is(api.firstNonEmpty('', null, undefined, 'a', 'b'), 'a')
  assert.is(api.firstNonEmpty('', null), '')
})

test('§3.2 network types ignore case, and empty takes the default', () => {
  assert.is(api.parseNetworkType('oVeRlAy'), 'Overlay')
  assert.is(api.parseNetworkType('globalbgp'), 'GlobalBGP')
  assert.is(api.parseNetworkType('UNDERLAY', 'Overlay'), 'Underlay')
  assert.is(api.parseNetworkType(''), 'Underlay')
  assert.is(api.parseNetworkType(null, 'Overlay'), 'Overlay')
  assert.is(api.parseNetworkType('vxlan'), null)
})

test('§3.3 families', () => {
  for (const text of ['ipv4', 'IPv4Only', 'IPV4ONLY']) assert.is(api.parseIPFamily(text), 'IPv4Only')
  for (const text of ['IPv6', 'ipv6only']) assert.is(api.parseIPFamily(text), 'IPv6Only')
  assert.is(api.parseIPFamily('dualSTACK'), 'DualStack')
  assert.is(api.parseIPFamily(''), 'IPv4Only')
  assert.is(api.parseIPFamily(undefined, 'DualStack'), 'DualStack')
  assert.is(api.parseIPFamily('dual'), null)
  assert.equal(api.versionsOf('DualStack'), [4, 6])
})

test('§3.4 specified subnet', () => {
  assert.equal(api.splitSpecifiedSubnet('').value, [])
  assert.equal(api.splitSpecifiedSubnet('s').value, ['s'])
  assert.equal(api.splitSpecifiedSubnet('s4/s6').value, ['s4', 's6'])
  assert.match(api.splitSpecifiedSubnet('a/b/c').error ?? '', /names 3 subnets/)
  for (const text of ['/', 'a/', '/b']) assert.match(api.splitSpecifiedSubnet(text).error ?? '', /empty name/)
})

test('§3.7 ip pools: every entry on its own (§7.1)', () => {
  const a = parseAddress('10.0.0.1')
  const b = parseAddress('10.0.0.2')
  const c = parseAddress('fd00::1')
  assert.equal(api.parseIPPool('10.0.0.1,10.0.0.2/fd00::1').value, [[a], [b, c]])
  assert.match(api.parseIPPool('10.0.0.1,').error ?? '', /entry 1: .*empty/)
  assert.match(api.parseIPPool('10.0.0.1,x').error ?? '', /entry 1: "x"/)
  assert.match(api.parseIPPool('fd00::1/10.0.0.1').error ?? '', /neither one address nor IPv4\/IPv6/)
  assert.match(api.parseIPPool('10.0.0.1/10.0.0.2').error ?? '', /neither/)
  assert.match(api.parseIPPool('fd00::1,FD00::0001').error ?? '', /repeats an address of entry 0/)
  // D19: a second spelling of an IPv4 address.
  assert.match(api.parsePoolEntry('::ffff:10.0.0.1').error ?? '', /not an IPv4 or IPv6 address/)
  assert.equal(api.poolEntryAt('a,,c', 2).value, 'c')
  assert.match(api.poolEntryAt('a,,c', 1).error ?? '', /empty/)
  assert.match(api.poolEntryAt('a,,c', 3).error ?? '', /3 entries, none for ordinal 3/)
  assert.ok(
    api.addressesFit([a], 'IPv4Only') && api.addressesFit([c], 'IPv6Only') && api.addressesFit([a, c], 'DualStack'),
  )
  assert.not.ok(
    api.addressesFit([c, a], 'DualStack') || api.addressesFit([a, c], 'IPv4Only') || api.addressesFit([a], 'IPv6Only'),
  )
})

test('H-11 MAC normalisation', () => {
  for (const text of ['1.2.3.4', '', '11.22.33.44.55', '00:00:00:00', '00-16-EA:AE-3C-40', '02:00:5e:10:00:00:00:01']) {
    assert.is(api.normaliseMac(text), null, text)
  }
  assert.is(api.normaliseMac('00-16-EA-AE-3C-40'), 0x0016eaae3c40)
  assert.is(api.normaliseMac('08:00:20:0A:8C:6D'), 0x0800200a8c6d)
  assert.is(api.normaliseMac('0800.200a.8c6d'), 0x0800200a8c6d)
  assert.equal(api.parseMacPool('02:00:00:00:00:01,02-00-00-00-00-02').value, [0x020000000001, 0x020000000002])
  assert.match(api.parseMacPool('02:00:00:00:00:01,').error ?? '', /entry 1 .*empty/)
  assert.match(api.parseMacPool('zz').error ?? '', /entry 0 .*"zz"/)
})

test('V-4 effective type and mode, empty and null alike', () => {
  for (const empty of [null, {}, { type: '' }, { type: null }]) {
    assert.is(api.effectiveType(network(empty)), 'Underlay')
    assert.is(api.effectiveMode(network(empty)), 'VLAN')
  }
  assert.is(api.effectiveType(null), 'Underlay')
  assert.is(api.effectiveType(network({ type: 'others' })), 'others')
  assert.is(api.effectiveMode(network({ type: 'Overlay', mode: '' })), 'VXLAN')
  assert.is(api.effectiveMode(network({ type: 'GlobalBGP' })), 'GlobalBGP')
  assert.is(api.effectiveMode(network({ type: 'Overlay', mode: 'VLAN' })), 'VLAN')
})

test('V-5 family of an IPInstance', () => {
  assert.not.ok(api.isIPv6Instance(null))
  assert.not.ok(api.isIPv6Instance(instance({})))
  assert.ok(api.isIPv6Instance(instance({ version: '6', ip: '10.0.0.1/24' })))
  assert.not.ok(api.isIPv6Instance(instance({ version: '4', ip: 'fe80::1/64' })))
  assert.not.ok(api.isIPv6Instance(instance({ ip: '192.168.0.1/24' })))
  assert.ok(api.isIPv6Instance(instance({ ip: 'fe80::1/64' })))
})

test('H-12 IPv4 first, stable within a family', () => {
  const list = [
    instance({ version: '6' }, 'a'),
    instance({ version: '4' }, 'b'),
    instance({ version: '6' }, 'c'),
    instance({ version: '4' }, 'd'),
  ]
  assert.equal(
    api.sortInstances(list).map((i) => i.metadata.name),
    ['b', 'd', 'a', 'c'],
  )
  assert.equal(api.sortInstances([]), [])
})

test('§1.9 subnet defaults', () => {
  const subnet = (config: api.SubnetConfig | null, range = { version: '4', cidr: '10.0.0.0/24' }): api.Subnet => ({
    metadata: { name: 's' },
    spec: { network: 'n', range, config },
  })
  for (const config of [null, {}, { private: null, autoNatOutgoing: null }]) {
    assert.is(api.isPrivateSubnet(subnet(config)), false)
    assert.is(api.autoNatOutgoing(subnet(config)), true)
  }
  assert.is(api.isPrivateSubnet(subnet({ private: true })), true)
  assert.is(api.autoNatOutgoing(subnet({ autoNatOutgoing: false })), false)
  assert.ok(api.isIPv6Subnet(subnet(null, { version: '6', cidr: 'x' })))
  assert.ok(api.isIPv6Subnet(subnet(null, { version: '4', cidr: 'fd00::/64' })))
  assert.not.ok(api.isIPv6Subnet({ metadata: { name: 'no spec' } }))
})

test('§1.9 effective netID', () => {
  const subnet = (netID: number | null): api.Subnet => ({
    metadata: { name: 's' },
    spec: { network: 'n', netID, range: { version: '4', cidr: '10.0.0.0/24' } },
  })
  assert.is(api.effectiveNetID(subnet(0), network({ netID: 7 })), 0)
  assert.is(api.effectiveNetID(subnet(null), network({ netID: 7 })), 7)
  assert.is(api.effectiveNetID(subnet(null), network({ netID: null })), null)
  assert.is(api.effectiveNetID(subnet(null), null), null)
})

test('§1.9 nodes and Networks', () => {
  const overlay = network({ type: 'Overlay' })
  const underlay = network({ nodeSelector: { net: 'a' } }, { nodeList: ['n1'] })
  assert.ok(api.nodeBelongsTo(overlay, 'any'))
  assert.ok(api.nodeBelongsTo(underlay, 'n1'))
  assert.not.ok(api.nodeBelongsTo(underlay, 'n2'))
  assert.is(api.overlayNetwork([underlay, overlay]), overlay)
  assert.is(api.overlayNetwork([underlay]), null)
  const node = (labels: Record<string, string>): api.Node => ({ metadata: { name: 'x', labels } })
  assert.is(api.underlayNetworkOf([overlay, network({}), underlay], node({ net: 'a', more: 'b' })), underlay)
  assert.is(api.underlayNetworkOf([underlay], node({ net: 'b' })), null)
  assert.is(api.underlayNetworkOf([underlay], { metadata: { name: 'no labels' } }), null)
  assert.ok(api.isAvailable({ available: 1 }))
  for (const count of [null, undefined, {}, { available: null }, { available: 0 }, { available: -1 }])
    assert.not.ok(api.isAvailable(count))
})

test('§3.1 annotation wins, unless empty', () => {
  const pod = { metadata: { name: 'p', annotations: { a: 'x', b: '' }, labels: { a: 'y', b: 'z' } } }
  assert.is(api.annotationOrLabel(pod, 'a'), 'x')
  assert.is(api.annotationOrLabel(pod, 'b'), 'z')
  assert.is(api.annotationOrLabel({ metadata: { name: 'p', annotations: null, labels: null } }, 'a'), '')
})

test('meta helpers take null and absent alike', () => {
  assert.not.ok(api.isTerminating({ metadata: { name: 'p', deletionTimestamp: null } }))
  assert.ok(api.isTerminating({ metadata: { name: 'p', deletionTimestamp: '2024-01-01T00:00:00Z' } }))
  assert.is(api.controllerOf({ metadata: { name: 'p', ownerReferences: null } }), null)
  const owner = { apiVersion: 'v1', kind: 'K', name: 'o', uid: 'u' }
  assert.is(api.controllerOf({ metadata: { name: 'p', ownerReferences: [owner] } }), null)
  const controller = { ...owner, controller: true }
  assert.is(api.controllerOf({ metadata: { name: 'p', ownerReferences: [owner, controller] } }), controller)
  assert.is(api.objectKey({ metadata: { name: 'a', namespace: 'b' } }), 'b/a')
})

test.run()
