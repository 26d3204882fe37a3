// manager.md §5.8: the original's unit tests of its allocator, numbered alike, against ours.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress, formatInterfaceAddress, parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import { Allocator, type Claim, type FamilyRequest, type SubnetConfig } from '../../../lib/ipam/index.ts'
import { present } from '../../support/present.ts'

function allocatorOf(subnets: readonly (Partial<SubnetConfig> & { name: string; text: string })[]): Allocator {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net', lastSubnet4: 'subnet1', lastSubnet6: 'subnet4' })
  for (const { text, ...config } of subnets) {
    allocator.setSubnet({ network: 'net', cidr: parsePrefix(text), reserved: [], excluded: [], ...config })
  }
  return allocator
}

function allocate(allocator: Allocator, name: string, family: FamilyRequest = 'IPv4Only'): readonly Claim[] {
  return allocator.allocate({ network: 'net', pod: { namespace: 'default', name, uid: name }, family, mac: 0 })
}

const texts = (claims: readonly Claim[]): string[] => claims.map(({ address }) => formatAddress(address))

test('U-1 100 allocations, cycling through the families', () => {
  const allocator = allocatorOf([
    { name: 'subnet1', text: '172.168.0.0/24', gateway: parseAddress('172.168.0.254'), netID: 60 },
    { name: 'subnet2', text: '192.168.0.0/24', gateway: parseAddress('192.168.0.254'), netID: 100 },
    { name: 'subnet3', text: '2048::/120', gateway: parseAddress('2048::1') },
    { name: 'subnet4', text: '2047::/120', gateway: parseAddress('2047::1') },
  ])
  const families: readonly FamilyRequest[] = ['IPv4Only', 'IPv6Only', 'DualStack']
  const taken = new Set<string>()
  for (let i = 0; i < 100; i++) {
    const family = families[i % 3] ?? 'IPv4Only'
    const claims = allocate(allocator, `pod-${i}`, family)
    assert.equal(
      claims.map(({ subnet }) => subnet),
      { IPv4Only: ['subnet1'], IPv6Only: ['subnet4'], DualStack: ['subnet1', 'subnet4'] }[family],
    )
    for (const text of texts(claims)) taken.add(text)
  }
  assert.is(taken.size, 34 + 33 + 66)
})

test('U-2 records are found, change hands, and are counted', () => {
  const allocator = allocatorOf([{ name: 's', text: '10.0.0.0/24' }])
  const claims = ['a', 'b', 'c'].map((name) => present(allocate(allocator, name)[0]))
  for (const { record } of claims) assert.is(allocator.record('s', record.address)?.pod, record.pod)
  const first = present(claims[0])
  const seen = { namespace: 'default', uid: 'object', network: 'net', subnet: 's', address: first.address, mac: 0 }
  allocator.observe({ ...seen, version: 1, pod: 'a', podUID: '', reserved: true, terminating: false })
  const pod = { namespace: 'default', name: 'z', uid: 'z' }
  allocator.assign({
    network: 'net',
    pod,
    family: 'IPv4Only',
    addresses: [{ address: first.address }],
    force: true,
    mac: 0,
  })
  assert.is(allocator.record('s', first.address)?.pod, 'z')
  assert.equal(allocator.ofPod('default', 'a'), [])
  assert.ok(allocator.gone('s', first.address, seen))
  assert.is(allocator.report().subnets[0]?.records, 2)
})

test('U-3 the round wraps: after the last candidate comes the first', () => {
  const end = { start: parseAddress('10.0.0.1'), end: parseAddress('10.0.0.4') }
  const allocator = allocatorOf([{ name: 's', text: '10.0.0.0/24', ...end, lastAllocated: end.end }])
  assert.equal([texts(allocate(allocator, 'a')), texts(allocate(allocator, 'b'))], [['10.0.0.1'], ['10.0.0.2']])
  assert.is(allocator.subnetUsage('s')?.lastAllocated, parseAddress('10.0.0.2'))
})

test('U-4 an allocated address names its network, subnet and prefix length', () => {
  const [claim] = allocate(allocatorOf([{ name: 's', text: '192.168.1.0/24' }]), 'a')
  const { network, subnet, address, prefixLength } = present(claim)
  const text = formatInterfaceAddress({ address, length: prefixLength })
  assert.is(`${network}/${subnet}/${text}`, 'net/s/192.168.1.1/24')
})

test('U-5 the pointer names the subnet it stands at, and nothing where there is none', () => {
  const allocator = allocatorOf([
    { name: 'abc', text: '10.0.0.0/30' },
    { name: 'def', text: '10.0.1.0/30' },
  ])
  for (const name of ['a', 'b', 'c']) allocate(allocator, name)
  assert.is(allocator.networkUsage('net')?.lastSubnet4, 'def')
  assert.is(allocator.networkUsage('net')?.lastSubnet6, '')
})

test('U-6 100 addresses of a /120 around its gateway', () => {
  const gateway = parseAddress('234e:0:4567::3d')
  const allocator = allocatorOf([{ name: 's', text: '234e:0:4567::/120', gateway }])
  const taken = Array.from({ length: 100 }, (_, i) => present(allocate(allocator, `pod-${i}`, 'IPv6Only')[0]).address)
  assert.is(new Set(taken).size, 100)
  assert.not.ok(taken.includes(gateway))
})

test('U-7 0.0.0.0/24 from .2 to .5', () => {
  const bounds = { gateway: 1, start: 2, end: 5 }
  const allocator = allocatorOf([{ name: 's', text: '0.0.0.0/24', ...bounds }])
  assert.is(allocator.subnetUsage('s')?.total, 4)
  assert.equal(texts(allocate(allocator, 'a')), ['0.0.0.2'])
})

test.run()
