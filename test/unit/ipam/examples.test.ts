// The worked examples of manager.md §1.2 to §1.5, one by one.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allocator, type SubnetConfig } from '../../../lib/ipam/index.ts'
import { formatAddress, parseAddress } from '../../../lib/ip/index.ts'
import { present } from '../../support/present.ts'
import { allocate, allocatorOf, code, pod, subnet, view, type RangeText } from './words.ts'

const totals: [string, string, RangeText, number][] = [
  ['a /24', '192.168.0.0/24', {}, 254],
  ['with a gateway', '192.168.0.0/24', { gateway: '192.168.0.1' }, 253],
  ['explicit first and last', '192.168.0.0/24', { start: '192.168.0.0', end: '192.168.0.255' }, 256],
  ['start after end', '192.168.0.0/24', { start: '192.168.0.20', end: '192.168.0.10' }, 0],
  ['a /30', '192.168.0.0/30', {}, 2],
  ['an IPv6 /120', 'fe80::/120', {}, 255],
  ['with its gateway', 'fe80::/120', { gateway: 'fe80::1' }, 254],
  ['an IPv6 /126', 'fe80::/126', {}, 3],
  ['a /16', '100.64.0.0/16', {}, 65534],
  ['a part', '10.0.0.0/24', { start: '10.0.0.21', end: '10.0.0.50', gateway: '10.0.0.1' }, 30],
  [
    'five reserved, five excluded',
    'fe20::/120',
    {
      reserved: ['fe20::1', 'fe20::2', 'fe20::0003', 'FE20::4', 'fe20::5'],
      excluded: ['fe20::6', 'fe20::7', 'fe20::8', 'fe20::9', 'fe20::A'],
    },
    245,
  ],
  [
    'a gateway that is also reserved and excluded',
    '10.0.0.0/29',
    { gateway: '10.0.0.1', reserved: ['10.0.0.1'], excluded: ['10.0.0.1'] },
    5,
  ],
  [
    'holes outside the range',
    '10.0.0.0/24',
    { start: '10.0.0.10', end: '10.0.0.19', reserved: ['10.0.0.1'], excluded: ['10.0.9.9'] },
    10,
  ],
  ['an IPv6 /64, saturated', 'fd00::/64', {}, 2147483647],
  ['an IPv4 /1, saturated', '0.0.0.0/1', {}, 2147483646],
]
for (const [what, cidr, range, total] of totals) {
  test(`total: ${what}`, () => {
    assert.equal(allocatorOf(subnet('s', cidr, range)).subnetUsage('s'), { total, used: 0, available: total })
  })
}

test('the worked trace', () => {
  const allocator = allocatorOf(
    subnet('s', '10.0.0.0/29', { gateway: '10.0.0.1', reserved: ['10.0.0.3'], excluded: ['10.0.0.4'] }),
  )
  const numbers = () => {
    const { total, used, available, lastAllocated } = present(allocator.subnetUsage('s'))
    return `${total}/${used}/${available} ${lastAllocated === undefined ? '' : formatAddress(lastAllocated)}`
  }
  const release = (address: string, name: string) => {
    const at = parseAddress(address)
    allocator.observe(view(address, name))
    allocator.gone('s', at, { namespace: 'default', uid: `object-${name}` })
  }
  const assign = (address: string, name: string, force: boolean) =>
    code(() =>
      allocator.assign({
        network: 'net',
        pod: pod(name),
        family: 'IPv4Only',
        addresses: [{ address: parseAddress(address) }],
        force,
        mac: 0,
      }),
    )
  assert.is(numbers(), '3/0/3 ')
  assert.is(allocate(allocator, 'a'), '10.0.0.2')
  assert.is(numbers(), '3/1/2 10.0.0.2')
  assert.is(allocate(allocator, 'b'), '10.0.0.5')
  release('10.0.0.2', 'a')
  assert.is(numbers(), '3/1/2 10.0.0.5')
  assert.is(allocate(allocator, 'c'), '10.0.0.6')
  assert.is(allocate(allocator, 'd'), '10.0.0.2')
  assert.is(numbers(), '3/3/0 10.0.0.2')
  assert.is(
    code(() => allocate(allocator, 'e')),
    'no-available-subnet',
  )
  assert.is(
    code(() => allocate(allocator, 'e', ['s'])),
    'subnet-full',
  )
  assert.is(assign('10.0.0.3', 'f', false), 'address-not-available')
  assert.is(assign('10.0.0.3', 'f', true), 'no error')
  assert.is(numbers(), '3/3/0 10.0.0.2')
  for (const nowhere of ['10.0.0.4', '10.0.0.1', '10.0.0.7', '10.0.0.0']) {
    assert.is(assign(nowhere, 'f', true), 'address-not-found', nowhere)
  }
  assert.is(assign('10.0.0.5', 'b', false), 'no error')
  assert.is(assign('10.0.0.5', 'z', true), 'address-not-available')
  allocator.observe(view('10.0.0.5', 'b', { reserved: true, podUID: '' }))
  assert.is(numbers(), '3/3/0 10.0.0.2')
  assert.is(assign('10.0.0.5', 'z', false), 'address-not-available')
  assert.is(assign('10.0.0.5', 'z', true), 'no error')
  release('10.0.0.3', 'f')
  assert.is(assign('10.0.0.3', 'g', false), 'address-not-available', 'held back again')
})

test('a full subnet whose cursor was before the first ends on the last candidate', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/30', {}))
  allocator.observe(view('10.0.0.1', 'a'))
  allocator.observe(view('10.0.0.2', 'b'))
  assert.is(
    code(() => allocate(allocator, 'c', ['s'])),
    'subnet-full',
  )
  assert.is(allocator.subnetUsage('s')?.lastAllocated, parseAddress('10.0.0.2'))
})

test('D20: a subnet that contradicts itself is refused with the field, the others serve', () => {
  const bad: [SubnetConfig, RegExp][] = [
    [subnet('bad', '10.1.0.0/31'), /cidr 10\.1\.0\.0\/31.*\/30/],
    [subnet('bad', 'fd00::/127'), /cidr fd00::\/127.*\/126/],
    [subnet('bad', '10.1.0.0/24', { gateway: '10.2.0.1' }), /gateway 10\.2\.0\.1 is not inside 10\.1\.0\.0\/24/],
    [subnet('bad', '10.1.0.0/24', { start: 'fd00::1' }), /start fd00::1 is not inside/],
    [subnet('bad', '10.1.0.0/24', { end: '10.1.1.0' }), /end 10\.1\.1\.0 is not inside/],
    [subnet('bad', '10.1.0.0/24', { network: 'nowhere' }), /spec\.network "nowhere" does not exist/],
    [subnet('bad', '10.0.0.0/25'), /overlaps 10\.0\.0\.0\/24 of subnet "s"/],
    [subnet('bad', '10.0.0.0/24'), /overlaps that of subnet "s"/],
  ]
  for (const [config, reason] of bad) {
    const allocator = allocatorOf(subnet('s', '10.0.0.0/24'))
    assert.match(allocator.setSubnet(config).refusal ?? '', reason)
    assert.is(allocate(allocator, 'a'), '10.0.0.1')
    assert.is(allocator.subnetUsage('bad'), null)
  }
})

test('one CIDR may be shared inside a network by disjoint ranges, not between networks', () => {
  const allocator = allocatorOf(subnet('low', '10.0.0.0/24', { end: '10.0.0.99' }))
  allocator.setNetwork({ name: 'other' })
  assert.is(allocator.setSubnet(subnet('high', '10.0.0.0/24', { start: '10.0.0.100' })).refusal, null)
  assert.match(
    allocator.setSubnet(subnet('foreign', '10.0.0.0/24', { network: 'other' })).refusal ?? '',
    /used by subnet "low" of network "net", another network/,
  )
})

test('a refused subnet serves as soon as what stood in its way is gone', () => {
  const allocator = allocatorOf(subnet('a', '10.0.0.0/24'), subnet('b', '10.0.0.0/25'))
  allocator.setNetwork({ name: 'other' })
  allocator.setSubnet(subnet('c', '10.9.0.0/24', { network: 'late' }))
  assert.is(allocator.subnetUsage('b'), null)
  allocator.deleteSubnet('a')
  assert.is(allocator.subnetUsage('b')?.total, 126)
  allocator.setNetwork({ name: 'late' })
  assert.is(allocator.subnetUsage('c')?.total, 254)
  allocator.deleteNetwork('late')
  assert.match(allocator.subnet('c')?.refusal ?? '', /does not exist/)
})

test('what is held under a subnet that does not serve is never handed out by another', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/29'))
  allocator.observe(view('10.0.0.1', 'old', { subnet: 'deleted' }))
  assert.is(allocate(allocator, 'a'), '10.0.0.2')
  const taken = code(() =>
    allocator.assign({
      network: 'net',
      pod: pod('b'),
      family: 'IPv4Only',
      addresses: [{ address: parseAddress('10.0.0.1') }],
      force: true,
      mac: 0,
    }),
  )
  assert.is(taken, 'address-not-available')
  allocator.gone('deleted', parseAddress('10.0.0.1'), { namespace: 'default', uid: 'object-old' })
  for (const expected of ['10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.1']) {
    assert.is(allocate(allocator, `p${expected}`), expected)
  }
})

test('a subnet deleted and made again still knows who holds what', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/29'))
  allocate(allocator, 'a')
  allocator.deleteSubnet('s')
  allocator.setSubnet(subnet('s', '10.0.0.0/29'))
  assert.equal(allocator.subnetUsage('s'), { total: 6, used: 1, available: 5 })
  assert.is(allocate(allocator, 'b'), '10.0.0.2')
})

test('D27: the pointer stays on a subnet until it is full, skips private ones, and names wrap', () => {
  const allocator = allocatorOf(
    subnet('c', '10.0.3.0/30'),
    subnet('a', '10.0.1.0/30'),
    subnet('b', '10.0.2.0/30', { private: true }),
  )
  const taken = ['1', '2', '3', '4'].map((name) => allocate(allocator, name))
  assert.equal(taken, ['10.0.1.1', '10.0.1.2', '10.0.3.1', '10.0.3.2'])
  assert.is(allocator.networkUsage('net')?.lastSubnet4, 'c')
  assert.is(
    code(() => allocate(allocator, '5')),
    'no-available-subnet',
  )
  assert.is(allocator.networkUsage('net')?.lastSubnet4, 'c', 'unchanged by a failure')
  assert.is(allocate(allocator, '5', ['b']), '10.0.2.1', 'a private subnet serves by name')
  allocator.observe(view('10.0.1.1', '1', { subnet: 'a' }))
  allocator.gone('a', parseAddress('10.0.1.1'), { namespace: 'default', uid: 'object-1' })
  assert.is(allocate(allocator, '6'), '10.0.1.1', 'wrapped to the first name')
  assert.equal(allocator.networkUsage('net')?.open, { ipv4: 0, ipv6: 0, dualStack: 0 })
  assert.is(allocator.networkUsage('net')?.ipv4.available, 1, 'private addresses count in the statistics')
})

test('cursor and pointer start from the status', () => {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net', lastSubnet4: 'b' })
  allocator.setSubnet(subnet('a', '10.0.1.0/24'))
  allocator.setSubnet(subnet('b', '10.0.2.0/24', { last: '10.0.2.9' }))
  assert.is(allocate(allocator, 'p'), '10.0.2.10')
})

test('D5: dual stack takes both families or none', () => {
  const allocator = allocatorOf(subnet('four', '10.0.0.0/24'), subnet('six', 'fd00::/126'))
  const dual = (name: string) =>
    allocator
      .allocate({ network: 'net', pod: pod(name), family: 'DualStack', mac: 7 })
      .map((c) => formatAddress(c.address))
  assert.equal(dual('a'), ['10.0.0.1', 'fd00::1'])
  assert.equal(dual('b'), ['10.0.0.2', 'fd00::2'])
  assert.equal(dual('c'), ['10.0.0.3', 'fd00::3'])
  assert.is(
    code(() => dual('d')),
    'no-available-subnet',
  )
  assert.is(allocator.subnetUsage('four')?.used, 3)
  assert.equal(allocator.networkUsage('net')?.dualStack, { total: 0, used: 0, available: 0 })
  const half = code(() =>
    allocator.assign({
      network: 'net',
      pod: pod('e'),
      family: 'DualStack',
      addresses: [{ address: parseAddress('10.0.0.9') }, { address: parseAddress('fd00::1') }],
      force: true,
      mac: 0,
    }),
  )
  assert.is(half, 'address-not-available')
  assert.is(allocator.record('four', parseAddress('10.0.0.9')), null, 'the IPv4 address was not kept')
})

test('requests that cannot be meant are refused', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/24'), subnet('six', 'fd00::/120'))
  const ask = (fields: object) =>
    code(() => allocator.allocate({ network: 'net', pod: pod('a'), family: 'IPv4Only', mac: 0, ...fields }))
  assert.is(ask({ network: 'nowhere' }), 'network-not-found')
  assert.is(ask({ subnets: ['nowhere'] }), 'subnet-not-found')
  assert.is(ask({ subnets: ['six'] }), 'subnet-not-found')
  assert.is(ask({ subnets: ['s', 'six'] }), 'invalid-request')
  assert.is(ask({ family: 'DualStack', subnets: ['s'] }), 'invalid-request')
  assert.is(ask({ pod: { namespace: 'default', name: '', uid: 'x' } }), 'invalid-request')
})

test('D28: a subnet or network being deleted hands out nothing and still releases', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/29'))
  allocate(allocator, 'a')
  allocator.observe(view('10.0.0.1', 'a'))
  allocator.setSubnet({ ...subnet('s', '10.0.0.0/29'), draining: true })
  assert.is(
    code(() => allocate(allocator, 'b')),
    'no-available-subnet',
  )
  assert.is(
    code(() => allocate(allocator, 'b', ['s'])),
    'not-serving',
  )
  assert.ok(allocator.gone('s', parseAddress('10.0.0.1'), { namespace: 'default', uid: 'object-a' }))
  assert.is(allocator.subnetUsage('s')?.used, 0)
  allocator.setSubnet(subnet('s', '10.0.0.0/29'))
  allocator.setNetwork({ name: 'net', draining: true })
  assert.is(
    code(() => allocate(allocator, 'b')),
    'not-serving',
  )
})

test.run()
