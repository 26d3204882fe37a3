// Stored objects as numbers, and what is wrong with them as data (api.md §1.0 to §1.7; manager.md §1.2, §5.10, D20).
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress, formatPrefix, formatRange, parseAddress, parseMac, rangeSize } from '../../../lib/ip/index.ts'
import * as api from '../../../lib/api/index.ts'

const subnet = (range: Partial<api.AddressRangeSpec>, more: Partial<api.SubnetSpec> = {}, name = 's1'): api.Subnet => ({
  metadata: { name },
  spec: { network: 'net', range: { version: '4', cidr: '10.0.0.0/24', ...range }, ...more },
})
const fields = (parsed: api.Parsed<unknown>): string[] => parsed.problems.map((problem) => problem.field)
const total = (s: api.Subnet): number => {
  const { value } = api.parseSubnet(s)
  assert.ok(value)
  return Number(api.candidateRanges(value).reduce((sum, range) => sum + rangeSize(range), 0n))
}

test('manager §1.2: totals of the examples', () => {
  const v6 = (cidr: string, more: Partial<api.AddressRangeSpec> = {}): api.Subnet =>
    subnet({ version: '6', cidr, ...more })
  const v4 = (more: Partial<api.AddressRangeSpec>): api.Subnet => subnet({ cidr: '192.168.0.0/24', ...more })
  assert.is(total(v4({})), 254)
  assert.is(total(v4({ gateway: '192.168.0.1' })), 253)
  assert.is(total(v4({ start: '192.168.0.0', end: '192.168.0.255' })), 256)
  assert.is(total(v4({ start: '192.168.0.20', end: '192.168.0.10' })), 0)
  assert.is(total(v4({ cidr: '192.168.0.0/30' })), 2)
  assert.is(total(v6('fe80::/120')), 255)
  assert.is(total(v6('fe80::/120', { gateway: 'fe80::1' })), 254)
  assert.is(total(v6('fe80::/126')), 3)
  assert.is(total(v4({ cidr: '100.64.0.0/16' })), 65534)
  assert.is(total(v4({ start: '192.168.0.21', end: '192.168.0.50', gateway: '192.168.0.1' })), 30)
  const five = (from: number): string[] => Array.from({ length: 5 }, (_, i) => `fe20::${(from + i).toString(16)}`)
  assert.is(total(v6('fe20::/120', { reservedIPs: five(0x10), excludeIPs: five(0x20) })), 245)
  // Textual comparison in the original (D17): the same address in another spelling counts once.
  assert.is(total(v6('fe20::/120', { excludeIPs: ['fe20::10', 'FE20:0::0010'], reservedIPs: ['fe20:0:0::10'] })), 254)
})

test('manager §1.4: assignable and candidates of the worked trace', () => {
  const { value, problems } = api.parseSubnet(
    subnet({ cidr: '10.0.0.0/29', gateway: '10.0.0.1', reservedIPs: ['10.0.0.3'], excludeIPs: ['10.0.0.4'] }),
  )
  assert.ok(value)
  assert.equal(problems, [])
  assert.equal(api.candidateRanges(value).map(formatRange), ['10.0.0.2', '10.0.0.5-10.0.0.6'])
  assert.equal(api.assignableRanges(value).map(formatRange), ['10.0.0.2-10.0.0.3', '10.0.0.5-10.0.0.6'])
  for (let i = 0; i < 8; i++) {
    const address = parseAddress(`10.0.0.${i}`)
    assert.is(api.isAssignable(value, address), [2, 3, 5, 6].includes(i), `.${i}`)
  }
  assert.not.ok(api.isAssignable(value, parseAddress('::a00:2')))
})

test('a subnet as numbers', () => {
  const stored: api.Subnet = {
    metadata: { name: 's1', deletionTimestamp: '2024-01-01T00:00:00Z' },
    spec: {
      network: 'net',
      netID: 44,
      range: { version: '6', cidr: 'FD00:0::/64', start: null, end: '', gateway: 'fd00::1', excludeIPs: null },
      config: { private: true, autoNatOutgoing: null, gatewayType: '', allowSubnets: null },
    },
    status: { total: 1, lastAllocatedIP: 'fd00::5' },
  }
  const { value, problems } = api.parseSubnet(stored)
  assert.equal(problems, [])
  assert.ok(value?.range)
  assert.is(formatPrefix(value.prefix), 'fd00::/64')
  assert.is(formatRange(value.range), 'fd00::1-fd00::ffff:ffff:ffff:ffff')
  assert.is(formatAddress(value.gateway ?? 0), 'fd00::1')
  assert.is(value.lastAllocated, parseAddress('fd00::5'))
  assert.equal(
    [value.family, value.netID, value.private, value.autoNatOutgoing, value.terminating, value.network],
    [6, 44, true, true, true, 'net'],
  )
})

test('D20: what is wrong is named, and the rest is kept', () => {
  const { value, problems } = api.parseSubnet(
    subnet({
      version: '6',
      cidr: '10.0.0.9/24',
      start: '10.1.0.1',
      gateway: 'x',
      excludeIPs: ['10.0.0.3', '10.0.1.3'],
      reservedIPs: ['::ffff:10.0.0.1'],
    }),
  )
  assert.ok(value)
  assert.is(formatPrefix(value.prefix), '10.0.0.0/24')
  assert.equal(value.excluded, [parseAddress('10.0.0.3')])
  assert.is(value.gateway, null)
  assert.equal(
    problems.map((p) => p.field),
    [
      'spec.range.version',
      'spec.range.cidr',
      'spec.range.start',
      'spec.range.gateway',
      'spec.range.excludeIPs[1]',
      'spec.range.reservedIPs[0]',
    ],
  )
  assert.is(
    api.formatProblem(problems[4] as api.Problem),
    'spec.range.excludeIPs[1] is "10.0.1.3", expected an address in 10.0.0.0/24',
  )
  assert.equal(fields(api.parseSubnet(subnet({ cidr: '10.0.0.0/31' }))), ['spec.range.cidr'])
  assert.equal(fields(api.parseSubnet(subnet({ cidr: '10.0.0.1/32' }))), ['spec.range.cidr'])
  assert.equal(fields(api.parseSubnet(subnet({ start: '10.0.0.255' }))), ['spec.range.start'])
})

test('unusable objects have no value and do not throw', () => {
  const cases: readonly (readonly [api.Parsed<unknown>, string])[] = [
    [api.parseSubnet(subnet({ cidr: 'nonsense' })), 'spec.range.cidr'],
    [api.parseSubnet(subnet({ cidr: '::ffff:10.0.0.0/120' })), 'spec.range.cidr'],
    [api.parseSubnet(subnet({}, { network: '' })), 'spec.network'],
    [api.parseSubnet({ metadata: { name: 'no spec' } }), 'spec.network'],
    [api.parseRemoteSubnet({ metadata: { name: 'c.s' } }), 'spec.range.cidr'],
    [api.parseIPInstance({ metadata: { name: 'not-an-address' } }), 'spec.address.ip'],
    [api.parseNetwork({ metadata: { name: 'n' }, spec: { type: 'Other' } }), 'spec.type'],
    [api.parseNetwork({ metadata: { name: 'n' }, spec: { type: 'Overlay', mode: 'BGP' } }), 'spec.mode'],
    [api.parseNetwork({ metadata: { name: 'n' }, spec: { mode: 'vlan' } }), 'spec.mode'],
  ]
  for (const [parsed, field] of cases) {
    assert.is(parsed.value, null)
    assert.is(fields(parsed)[0], field)
  }
})

test('parsing never throws, whatever the text fields hold', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('10.0.0.0/24', '10.0.0.5', 'fd00::/64', 'fd00::7', '', '::ffff:1.2.3.4', '0.0.0.0/0', '::/0'),
  )
  const list = fc.option(fc.array(text, { maxLength: 4 }))
  const range = fc.record({
    version: text,
    cidr: text,
    start: fc.option(text),
    end: fc.option(text),
    gateway: text,
    reservedIPs: list,
    excludeIPs: list,
  })
  fc.assert(
    fc.property(range, range, (first, second) => {
      const a = api.parseRange(first).value
      const b = api.parseRange(second).value
      api.rangeViolation(first)
      api.admissionCapacity(first)
      if (a && b) assert.is(api.rangesShareAddress(a, b), api.rangesShareAddress(b, a))
    }),
    { numRuns: 1000 },
  )
})

test('parse and admission agree: a range admission accepts has no problems', () => {
  const octet = fc.integer({ min: 0, max: 255 })
  const address = octet.map((n) => `10.0.0.${n}`)
  const range = fc.record({
    version: fc.constantFrom('4', '4', '4', '6'),
    cidr: fc.constantFrom('10.0.0.0/24', '10.0.0.0/25', '10.0.0.128/25', '10.0.0.8/30', '10.0.0.9/30'),
    start: fc.option(address),
    end: fc.option(address),
    gateway: fc.option(address),
    reservedIPs: fc.array(address, { maxLength: 2 }),
    excludeIPs: fc.array(address, { maxLength: 2 }),
  })
  fc.assert(
    fc.property(range, (spec) => {
      const problems = api.parseRange(spec).problems
      assert.is(api.rangeViolation(spec) === null, problems.length === 0, api.formatProblems(problems))
    }),
    { numRuns: 2000 },
  )
})

test('networks', () => {
  const { value, problems } = api.parseNetwork({
    metadata: { name: 'bgp' },
    spec: {
      type: '',
      mode: 'BGP',
      netID: 65000,
      nodeSelector: { rack: 'a' },
      config: {
        bgpPeers: [
          { asn: 65001, address: '10.0.0.1', password: 'secret' },
          {
            asn: 65002,
            address: 'fd00::1',
            gracefulRestartSeconds: 60,
            doesNotRouteTraffic: true,
            allowNotEstablished: true,
          },
        ],
      },
    },
    status: { nodeList: ['n1', '', 'n2'], lastAllocatedSubnet: 's1', lastAllocatedIPv6Subnet: null },
  })
  assert.equal(problems, [])
  assert.equal(value, {
    name: 'bgp',
    type: 'Underlay',
    mode: 'BGP',
    netID: 65000,
    nodeSelector: { rack: 'a' },
    nodes: ['n1', 'n2'],
    bgpPeers: [
      {
        asn: 65001,
        address: parseAddress('10.0.0.1'),
        gracefulRestartSeconds: 300,
        password: 'secret',
        routesTraffic: true,
        requireEstablished: true,
      },
      {
        asn: 65002,
        address: parseAddress('fd00::1'),
        gracefulRestartSeconds: 60,
        password: '',
        routesTraffic: false,
        requireEstablished: false,
      },
    ],
    lastAllocatedSubnet: 's1',
    lastAllocatedIPv6Subnet: '',
    terminating: false,
  })
})

test('§1.1 and §7.1: netID by mode, selectors and peers', () => {
  const problems = (spec: api.NetworkSpec): string[] => fields(api.parseNetwork({ metadata: { name: 'n' }, spec }))
  const nodeSelector = { a: 'b' }
  assert.equal(problems({ nodeSelector, netID: 0 }), [])
  assert.equal(problems({ nodeSelector, netID: null }), [])
  assert.equal(problems({ nodeSelector, netID: 4095 }), ['spec.netID'])
  assert.equal(problems({ nodeSelector, netID: -1 }), ['spec.netID'])
  assert.equal(problems({ netID: 5 }), ['spec.nodeSelector'])
  assert.equal(problems({ type: 'Overlay', netID: 16777215 }), [])
  for (const netID of [null, 0, 16777216]) assert.equal(problems({ type: 'Overlay', netID }), ['spec.netID'])
  assert.equal(problems({ type: 'Overlay', netID: 4, nodeSelector }), ['spec.nodeSelector'])
  assert.equal(problems({ type: 'GlobalBGP' }), [])
  assert.equal(problems({ type: 'GlobalBGP', netID: 4 }), ['spec.netID'])
  const bgp = (bgpPeers: api.BGPPeer[]): string[] =>
    problems({ mode: 'BGP', netID: 1, nodeSelector, config: { bgpPeers } })
  const peer = { asn: 1, address: '10.0.0.1' }
  assert.equal(bgp([peer]), [])
  assert.equal(bgp([]), ['spec.config.bgpPeers'])
  assert.equal(bgp([peer, peer]), ['spec.config.bgpPeers'])
  assert.equal(bgp([{ asn: 0, address: '10.0.0.1' }]), ['spec.config.bgpPeers[0].asn'])
  assert.equal(bgp([peer, { asn: 1, address: 'rack-a' }]), ['spec.config.bgpPeers[1].address'])
  assert.equal(bgp([{ ...peer, gracefulRestartSeconds: 5000 }]), ['spec.config.bgpPeers[0].gracefulRestartSeconds'])
})

test('§4.2.2 rules 4 to 10: a subnet and its network', () => {
  const parsed = (spec: api.NetworkSpec): api.ParsedNetwork =>
    api.parseNetwork({ metadata: { name: 'n' }, spec }).value as api.ParsedNetwork
  const vlan = parsed({ netID: 5 })
  const bare = parsed({})
  const check = (s: api.Subnet, n: api.ParsedNetwork): string[] => api.subnetNetworkProblems(s, n).map((p) => p.field)
  const gateway = '10.0.0.1'
  assert.equal(check(subnet({ gateway }), vlan), [])
  assert.equal(check(subnet({ gateway }, { netID: 5 }), vlan), [])
  assert.equal(check(subnet({ gateway }, { netID: 6 }), vlan), ['spec.netID'])
  assert.equal(check(subnet({ gateway }), bare), ['spec.netID'])
  assert.equal(check(subnet({ gateway }, { netID: 4095 }), bare), ['spec.netID'])
  assert.equal(check(subnet({}), vlan), ['spec.range.gateway'])
  assert.equal(check(subnet({ gateway }, { config: { autoNatOutgoing: false } }), vlan), [
    'spec.config.autoNatOutgoing',
  ])
  const vxlan = parsed({ type: 'Overlay', netID: 4 })
  assert.equal(check(subnet({}, { config: { autoNatOutgoing: false } }), vxlan), [])
  assert.equal(check(subnet({}, { netID: 4 }), vxlan), ['spec.netID'])
  for (const n of [parsed({ mode: 'BGP', netID: 4 }), parsed({ type: 'GlobalBGP' })]) {
    assert.equal(check(subnet({}), n), [])
    assert.equal(check(subnet({}, { netID: 4, config: { autoNatOutgoing: true } }), n), [
      'spec.netID',
      'spec.config.autoNatOutgoing',
    ])
    assert.equal(check(subnet({}, { netID: null, config: { autoNatOutgoing: null } }), n), [])
  }
})

// The example of manager.md §1.6.
const bound: api.IPInstance = {
  metadata: {
    name: '100-10-0-170',
    namespace: 'default',
    finalizers: [api.FINALIZER_IP_ALLOCATED],
    labels: {
      'networking.alibaba.com/version': 'v1.2',
      'networking.alibaba.com/node': 'node1',
      'networking.alibaba.com/pod': 'web-2',
      'networking.alibaba.com/pod-uid': '6d1f',
    },
  },
  spec: {
    network: 'overlay-network',
    subnet: 'overlay-ipv4-subnet',
    address: { version: '4', ip: '100.10.0.170/24', netID: 44, mac: '02:12:34:5e:01:9f' },
    binding: {
      referredObject: { kind: 'StatefulSet', name: 'web', uid: '0b7a' },
      nodeName: 'node1',
      podUID: '6d1f',
      podName: 'web-2',
      stateful: { index: 2 },
    },
  },
}

test('IPInstances', () => {
  const { value, problems } = api.parseIPInstance(bound)
  assert.equal(problems, [])
  assert.equal(value, {
    key: 'default/100-10-0-170',
    namespace: 'default',
    name: '100-10-0-170',
    network: 'overlay-network',
    subnet: 'overlay-ipv4-subnet',
    family: 4,
    address: parseAddress('100.10.0.170'),
    prefixLength: 24,
    otherAddress: null,
    gateway: null,
    netID: 44,
    mac: parseMac('02:12:34:5e:01:9f'),
    nodeName: 'node1',
    nodeLabel: 'node1',
    podName: 'web-2',
    podUID: '6d1f',
    podUIDLabel: '6d1f',
    vm: '',
    owner: { kind: 'StatefulSet', name: 'web', uid: '0b7a' },
    ordinal: 2,
    reserved: false,
    valid: true,
    terminating: false,
  })
  const reserved = api.parseIPInstance({
    ...bound,
    spec: { ...bound.spec, binding: { nodeName: '' } } as api.IPInstanceSpec,
  })
  assert.equal([reserved.value?.reserved, reserved.value?.valid, reserved.value?.ordinal], [true, false, null])
})

test('an address that anything claims stays claimed', () => {
  const withAddress = (
    address: Partial<api.IPInstanceAddress>,
    name = '100-10-0-170',
  ): api.Parsed<api.ParsedIPInstance> =>
    api.parseIPInstance({
      metadata: { ...bound.metadata, name },
      spec: {
        ...(bound.spec as api.IPInstanceSpec),
        address: { ...(bound.spec as api.IPInstanceSpec).address, ...address },
      },
    })
  const unreadable = withAddress({ ip: '' })
  assert.is(unreadable.value?.address, parseAddress('100.10.0.170'))
  assert.equal(fields(unreadable), ['spec.address.ip'])
  const differs = withAddress({ ip: '100.10.0.171/24' })
  assert.is(differs.value?.address, parseAddress('100.10.0.171'))
  assert.is(differs.value?.otherAddress, parseAddress('100.10.0.170'))
  assert.equal(fields(differs), ['metadata.name'])
  const bad = withAddress({ mac: 'x', gateway: 'fd00::1', version: '6' })
  assert.equal([bad.value?.mac, bad.value?.gateway], [null, null])
  assert.equal(fields(bad), ['spec.address.version', 'spec.address.mac', 'spec.address.gateway'])
})

test('§1.4 and §1.7: endpoints that are not there yet are no problem', () => {
  for (const vtepInfo of [null, {}, { ip: '10.0.0.1' }, { ip: '', mac: '02:00:00:00:00:01' }]) {
    assert.equal(api.parseNodeInfo({ metadata: { name: 'n1' }, spec: { vtepInfo } }), { value: null, problems: [] })
  }
  assert.equal(api.parseNodeInfo({ metadata: { name: 'n1' } }), { value: null, problems: [] })
  const info = api.parseNodeInfo({
    metadata: { name: 'n1' },
    spec: { vtepInfo: { ip: '10.0.0.1', mac: '02:00:00:00:00:01', localIPs: ['10.0.0.1', 'x'] } },
  })
  assert.equal(info.value, {
    name: 'n1',
    ip: parseAddress('10.0.0.1'),
    mac: 0x020000000001,
    localIPs: [parseAddress('10.0.0.1')],
  })
  assert.equal(fields(info), ['spec.vtepInfo.localIPs[1]'])
  const remote = api.parseRemoteVtep({
    metadata: { name: 'c.n1' },
    spec: { clusterName: 'c', nodeName: 'n1', ip: 'fd00::1', mac: '02:00:00:00:00:01', endpointIPList: ['10.1.0.1'] },
  })
  assert.equal(remote.value?.endpoints, [parseAddress('10.1.0.1')])
  assert.equal([remote.value?.cluster, remote.value?.node], ['c', 'n1'])
  assert.equal(fields(api.parseRemoteVtep({ metadata: { name: 'c.n' }, spec: { ip: 'x', mac: 'y' } })), [
    'spec.ip',
    'spec.mac',
  ])
})

test('remote subnets', () => {
  const range = { version: '4', cidr: '10.0.0.0/24' }
  const parsed = api.parseRemoteSubnet({
    metadata: { name: 'c.s' },
    spec: { range, networkType: '', clusterName: 'c' },
  })
  assert.equal([parsed.value?.type, parsed.value?.cluster, parsed.problems], ['Underlay', 'c', []])
  assert.equal(fields(api.parseRemoteSubnet({ metadata: { name: 'c.s' }, spec: { range, networkType: 'x' } })), [
    'spec.networkType',
  ])
})

test('networks claim what is unique in order of age, those that cannot be served last', () => {
  const network = (name: string, created: string, spec: api.NetworkSpec): api.Network => ({
    metadata: { name, creationTimestamp: created },
    spec,
  })
  const order = api.networksBySeniority([
    network('a-later', '2026-01-03T00:00:00Z', { type: 'Overlay', netID: 5 }),
    network('b-no-vni', '2026-01-01T00:00:00Z', { type: 'Overlay', netID: 0 }),
    network('z-first', '2026-01-02T00:00:00Z', { type: 'Overlay', netID: 4 }),
    network('c-no-type', '2026-01-01T00:00:00Z', { type: 'Foo' }),
    network('y-first', '2026-01-02T00:00:00Z', { type: 'Overlay', netID: 6 }),
  ])
  assert.equal(
    order.map(({ metadata }) => metadata.name),
    ['y-first', 'z-first', 'a-later', 'b-no-vni', 'c-no-type'],
  )
})

test.run()
