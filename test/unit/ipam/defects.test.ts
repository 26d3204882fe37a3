// Defects of the original's allocator (manager.md §7), by number: what must not happen here. Those of them that have their
// place elsewhere carry the number there: D3, D4, D9 in ownership, D5, D20, D27, D28 in examples.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Allocator, type Claim, type SubnetConfig } from '../../../lib/ipam/index.ts'
import { formatAddress, parseAddress } from '../../../lib/ip/index.ts'
import { present } from '../../support/present.ts'
import { allocate, allocatorOf, code, pod, subnet, view } from './words.ts'

const dual = (allocator: Allocator, name: string): readonly Claim[] =>
  allocator.allocate({ network: 'net', pod: pod(name), family: 'DualStack', mac: 0 })

const subnetsOf = (claims: readonly Claim[]): string[] => claims.map((claim) => claim.subnet)

test('D1: a change of the specs forgets no decision, and the round goes on where it was', () => {
  const changes: ((allocator: Allocator) => void)[] = [
    (allocator) => allocator.setSubnet(subnet('s', '10.0.0.0/24', { reserved: ['10.0.0.200'] })),
    (allocator) => allocator.setSubnet(subnet('s', '10.0.0.0/24', { end: '10.0.0.100' })),
    (allocator) => allocator.setSubnet(subnet('s', '10.0.0.0/25')),
    (allocator) => allocator.setNetwork({ name: 'net', netID: 7, lastSubnet4: 'other' }),
    (allocator) => allocator.setSubnet(subnet('another', '10.1.0.0/24')),
    (allocator) => allocator.setSubnet(subnet('s', '10.0.0.0/24', { last: '10.0.0.1' })),
  ]
  for (const change of changes) {
    const allocator = allocatorOf(subnet('s', '10.0.0.0/24'))
    // The first is acknowledged, the second in flight.
    allocate(allocator, 'a')
    allocator.observe(view('10.0.0.1', 'a'))
    allocate(allocator, 'b')
    change(allocator)
    assert.is(allocate(allocator, 'c'), '10.0.0.3')
    assert.is(allocator.subnetUsage('s')?.used, 3)
    assert.is(allocator.record('s', parseAddress('10.0.0.2'))?.phase, 'claimed')
  }
})

test('D7: what is retained is so at once, for the allocator too: its namespace may take it, and nobody else', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/24'))
  allocate(allocator, 'web-0')
  allocator.observe(view('10.0.0.1', 'web-0'))
  const take = (namespace: string): string =>
    code(() =>
      allocator.assign({
        network: 'net',
        pod: pod('db-0', namespace),
        family: 'IPv4Only',
        addresses: [{ address: parseAddress('10.0.0.1') }],
        force: true,
        mac: 0,
      }),
    )
  assert.is(take('default'), 'address-not-available', 'while its pod runs')
  allocator.observe(view('10.0.0.1', 'web-0', { version: 2, reserved: true, podUID: '' }))
  assert.is(take('elsewhere'), 'address-not-available', 'D9: no second object in another namespace')
  assert.is(take('default'), 'no error')
})

test('D8, D62: an object that goes is a release, whatever is left of its subnet and network', () => {
  for (const end of [
    (allocator: Allocator) => allocator.deleteSubnet('s'),
    (allocator: Allocator) => allocator.deleteNetwork('net'),
    () => undefined,
  ]) {
    const allocator = allocatorOf(subnet('s', '10.0.0.0/24'))
    allocate(allocator, 'a')
    const seen = view('10.0.0.1', 'a')
    allocator.observe(seen)
    end(allocator)
    assert.is(allocator.gone('s', seen.address, seen), true)
    assert.equal([...allocator.records()], [])
    allocator.setNetwork({ name: 'net' })
    allocator.setSubnet(subnet('s', '10.0.0.0/24'))
    assert.is(allocator.subnetUsage('s')?.used, 0)
  }
})

test('D13: private subnets count in the statistics, not in what an unspecified request can get', () => {
  const allocator = allocatorOf(subnet('s', '10.0.0.0/29', { private: true }), subnet('six', 'fd00::/120'))
  const usage = present(allocator.networkUsage('net'))
  assert.equal(usage.ipv4, { total: 6, used: 0, available: 6 })
  assert.equal(usage.open, { ipv4: 0, ipv6: 255, dualStack: 0 })
  assert.is(
    code(() => allocate(allocator, 'a')),
    'no-available-subnet',
  )
})

test('D17: reserved and excluded addresses are addresses, not texts', () => {
  const range = { reserved: ['fe20::0010', 'FE20::11'], excluded: ['fe20:0:0::12', 'fe20::0.0.0.19'] }
  const allocator = allocatorOf(subnet('s', 'fe20::/120', { start: 'fe20::10', end: 'fe20::14', ...range }))
  assert.is(allocator.subnetUsage('s')?.total, 1)
  const [claim] = allocator.allocate({ network: 'net', pod: pod('a'), family: 'IPv6Only', mac: 0 })
  assert.is(formatAddress(present(claim).address), 'fe20::14')
})

test('D42: an object being deleted and a live one of the same pod: the live one counts, in either order', () => {
  const old = view('10.0.0.1', 'web-0', { uid: 'old', podUID: 'life-1', terminating: true })
  const now = view('10.0.0.2', 'web-0', { uid: 'now', podUID: 'life-2' })
  for (const order of [
    [old, now],
    [now, old],
  ]) {
    const allocator = allocatorOf(subnet('s', '10.0.0.0/24'))
    for (const one of order) allocator.observe(one)
    const phases = allocator.ofPod('default', 'web-0').map(({ podUID, phase }) => `${podUID} ${phase}`)
    assert.equal(phases.sort(), ['life-1 releasing', 'life-2 live'])
  }
})

test('D55, D56: a subnet of any size: at once, with numbers that saturate and never wrap', () => {
  const sizes: [SubnetConfig, 4 | 6][] = [
    [subnet('s', '0.0.0.0/0'), 4],
    [subnet('s', 'fd00::/8', { start: 'fd00::', excluded: ['fd00::1'] }), 6],
    [subnet('s', '::/0'), 6],
  ]
  for (const [config, family] of sizes) {
    const allocator = allocatorOf(config)
    const ask = (name: string) =>
      present(
        allocator.allocate({
          network: 'net',
          pod: pod(name),
          family: family === 4 ? 'IPv4Only' : 'IPv6Only',
          mac: 0,
        })[0],
      )
    const taken = Array.from({ length: 100 }, (_, index) => ask(`p${index}`).address)
    assert.is(new Set(taken).size, 100)
    const { total, used, available } = present(allocator.subnetUsage('s'))
    assert.equal([total, used, available], [2147483647, 100, 2147483647])
    assert.is(allocator.networkUsage('net')?.[family === 4 ? 'ipv4' : 'ipv6'].available, 2147483647)
  }
})

test('D63: to look is not to move: usage and reports leave the pointer and the cursor where they are', () => {
  const allocator = allocatorOf(subnet('a', '10.0.0.0/30'), subnet('b', '10.1.0.0/30'))
  for (const name of ['p', 'q']) allocate(allocator, name)
  assert.equal(allocator.report().networks[0]?.next, { ipv4: 'b', ipv6: null })
  assert.is(allocator.networkUsage('net')?.lastSubnet4, 'a', 'nothing came from b yet')
  assert.is(allocator.report().subnets[1]?.lastAllocated, null)
})

test('D66: both families of a pod are on one VLAN where that is possible, and are not refused where it is not', () => {
  const allocator = allocatorOf(
    subnet('a4', '10.0.0.0/24', { netID: 10 }),
    subnet('b4', '10.1.0.0/24', { netID: 20 }),
    subnet('c4', '10.2.0.0/30', { netID: 30 }),
    subnet('a6', 'fd00:a::/126', { netID: 30 }),
    subnet('b6', 'fd00:b::/126', { netID: 20 }),
    subnet('z6', 'fd00:f::/120', { netID: 99 }),
  )
  // b4 is the first IPv4 subnet an IPv6 one agrees with; the pair is used until it is full (b6 has three).
  for (const name of ['p1', 'p2', 'p3']) assert.equal(subnetsOf(dual(allocator, name)), ['b4', 'b6'], name)
  for (const name of ['q1', 'q2']) assert.equal(subnetsOf(dual(allocator, name)), ['c4', 'a6'], name)
  // c4 is full: no pair is left, and nobody is refused for that.
  const [four, six] = dual(allocator, 'r1')
  assert.equal([four?.subnet, six?.subnet], ['a4', 'a6'])
  for (const name of ['r2', 'r3']) assert.equal(subnetsOf(dual(allocator, name)), ['a4', 'z6'], name)
})

test('D66: a netID of the network is one like any other, and a private or full subnet makes no pair', () => {
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'net', netID: 5 })
  for (const config of [
    subnet('a4', '10.0.0.0/24', { netID: 10 }),
    subnet('b4', '10.1.0.0/24'),
    subnet('a6', 'fd00:a::/120', { netID: 10, private: true }),
    subnet('b6', 'fd00:b::/120', { netID: 5 }),
  ])
    allocator.setSubnet(config)
  assert.equal(subnetsOf(dual(allocator, 'p')), ['b4', 'b6'])
})

test('D66: the half a pod lacks after a crash comes from the VLAN of the half it has', () => {
  const allocator = allocatorOf(
    subnet('a4', '10.0.0.0/24', { netID: 10 }),
    subnet('a6', 'fd00:a::/120', { netID: 99 }),
    subnet('b6', 'fd00:b::/120', { netID: 10 }),
  )
  allocator.observe(view('10.0.0.9', 'p', { subnet: 'a4' }))
  const six = (name: string): string | undefined =>
    allocator.allocate({ network: 'net', pod: pod(name), family: 'IPv6Only', mac: 0 })[0]?.subnet
  assert.is(six('p'), 'b6')
  assert.is(six('someone-else'), 'b6', 'the pointer stays where it was put')
})

test.run()
