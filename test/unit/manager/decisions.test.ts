// The small decisions: configuration, network choice, labels, subnets, duplicates, selectors, MACs, waiting.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Network, Subnet, Wishes } from '../../../lib/api/index.ts'
import { formatAddress } from '../../../lib/ip/index.ts'
import { handledConfiguration, ownConfiguration, type Surroundings } from '../../../lib/manager/decide/configuration.ts'
import { keeperOf, type Contender } from '../../../lib/manager/decide/duplicates.ts'
import { labelDifference, pictureOf, wantedLabels } from '../../../lib/manager/decide/node-labels.ts'
import { nodeListOf } from '../../../lib/manager/decide/statuses.ts'
import { readSubnet } from '../../../lib/manager/decide/subnet-config.ts'
import { drawMac } from '../../../lib/manager/macs.ts'
import { Waiters } from '../../../lib/manager/waiters.ts'
import { Allocator } from '../../../lib/ipam/index.ts'

const N = 'networking.alibaba.com/'
const defaults = { networkType: 'Underlay', ipFamily: 'IPv4Only' } as const
const wishes = (fields: Partial<Wishes> = {}): Wishes => ({ network: '', subnet: '', type: '', family: '', ...fields })

/** Networks under (the node's), far (Underlay elsewhere), over, bgp. */
const around = (bgpAttached = false): Surroundings => ({
  network: (name) => {
    const type = { under: 'Underlay', far: 'Underlay', over: 'Overlay', bgp: 'GlobalBGP' }[name]
    return type === undefined ? null : { name, type, hasNode: name !== 'far' }
  },
  subnet: (name) =>
    ({
      under4: { network: 'under', version: '4' },
      over4: { network: 'over', version: '4' },
      over6: { network: 'over', version: '6' },
    })[name] ?? null,
  networkOfType: (type) => ({ Underlay: 'under', Overlay: 'over', GlobalBGP: 'bgp' })[type],
  bgpAttached,
})

const own = (pod: Partial<Wishes>, namespace: Partial<Wishes> | null = null, bgp = false): unknown => {
  const result = ownConfiguration(wishes(pod), namespace && wishes(namespace), null, defaults, around(bgp))
  return result.value === null ? result.error : [result.value.network, result.value.family, ...result.value.subnets]
}

test('configuration: pod before namespace, all or nothing', () => {
  assert.equal(own({}), ['under', 'IPv4Only'])
  assert.equal(own({ type: 'oVerlay' }), ['over', 'IPv4Only'])
  assert.equal(own({ subnet: 'over4/over6', family: 'dualstack' }), ['over', 'DualStack', 'over4', 'over6'])
  assert.equal(own({}, { network: 'over', family: 'IPv6' }), ['over', 'IPv6Only'])
  assert.equal(own({ family: 'IPv6' }, { network: 'over' }), ['under', 'IPv6Only'], 'a pod with anything hides it')
  assert.equal(own({ type: 'GlobalBGP' }, null, true), ['bgp', 'IPv4Only'])
})

test('configuration: what contradicts itself is refused with the reason', () => {
  for (const [wish, reason] of [
    [{ network: 'nowhere' }, /network "nowhere" does not exist/],
    [{ network: 'far' }, /meant for network "far", but its node belongs to "under"/],
    [{ network: 'over', type: 'Underlay' }, /of type Overlay, not Underlay/],
    [{ network: 'under', subnet: 'over4' }, /in network "over", not in "under"/],
    [{ subnet: 'over6/over4' }, /IPv4 subnet first/],
    [{ subnet: 'under4/over6' }, /different networks/],
    [{ subnet: 'a/b/c' }, /at most 2/],
    [{ subnet: 'nowhere' }, /"nowhere" does not exist/],
    [{ family: 'IPv5' }, /ip-family "IPv5"/],
    [{ type: 'Sideways' }, /network-type "Sideways"/],
    [{ type: 'GlobalBGP' }, /not attached to a BGP network/],
  ] as const) {
    assert.match(String(own(wish)), reason)
  }
})

test('configuration: retained addresses decide alone', () => {
  const retained = { network: 'over', family: 'IPv6Only' } as const
  const result = ownConfiguration(wishes({ network: 'nowhere' }), null, retained, defaults, around())
  assert.equal(result.value, { network: 'over', subnets: [], family: 'IPv6Only' })
})

test('D48: configuration: the annotations of the webhook are the answer, and verified', () => {
  const handled = (fields: Partial<Wishes>): unknown => {
    const result = handledConfiguration(wishes(fields), defaults, around())
    return result.value === null ? result.error : result.value.network
  }
  assert.is(handled({ network: 'over' }), 'over')
  assert.is(handled({ type: 'Overlay' }), 'over')
  assert.match(String(handled({ network: 'nowhere' })), /does not exist/)
  assert.match(String(handled({ network: 'far' })), /does not belong/)
})

const network = (name: string, type: string, fields: object = {}): Network => ({
  metadata: { name },
  spec: { type, ...fields },
})

test('D33: node labels: attachment by selector, quota by the network that lists the node, no patch without a difference', () => {
  const picture = pictureOf([
    network('u', 'Underlay', { nodeSelector: { rack: '1' }, mode: 'BGP' }),
    network('o', 'Overlay'),
    network('g', 'GlobalBGP'),
    network('everywhere', 'Underlay'),
  ])
  const left = () => ({ ipv4: 3, ipv6: 0, dualStack: 0 })
  const attached = wantedLabels({ rack: '1' }, picture, 'u', left)
  assert.equal(attached, {
    [`${N}underlay-network-attachment`]: 'true',
    [`${N}overlay-network-attachment`]: 'true',
    [`${N}bgp-network-attachment`]: 'true',
    [`${N}ipv4-address-quota`]: 'nonempty',
    [`${N}ipv6-address-quota`]: 'empty',
    [`${N}dualstack-address-quota`]: 'empty',
  })
  const away = wantedLabels({ rack: '2' }, picture, null, left)
  assert.is(away[`${N}underlay-network-attachment`], null, 'a network without selector attaches nothing')
  assert.is(away[`${N}bgp-network-attachment`], null)
  assert.is(away[`${N}ipv4-address-quota`], null)
  assert.is(labelDifference(attached as Record<string, string>, attached), null)
  assert.equal(labelDifference({ a: 'b', [`${N}ipv4-address-quota`]: 'empty' }, away), {
    [`${N}overlay-network-attachment`]: 'true',
    [`${N}ipv4-address-quota`]: null,
  })
})

test('D26: node lists are sorted and hold no terminating node', () => {
  const node = (name: string, labels: Record<string, string> = {}, terminating = false) => ({
    name,
    labels,
    terminating,
    ready: true,
    outOfService: false,
  })
  const nodes = [
    node('b', { x: '1' }),
    node('a'),
    node('c', { x: '1' }, true),
    node('d', { [`${N}bgp-network-attachment`]: 'true' }),
  ]
  assert.equal(nodeListOf(network('o', 'Overlay'), nodes), ['a', 'b', 'd'])
  assert.equal(nodeListOf(network('u', 'Underlay', { nodeSelector: { x: '1' } }), nodes), ['b'])
  assert.equal(nodeListOf(network('u', 'Underlay'), nodes), [])
  assert.equal(nodeListOf(network('g', 'GlobalBGP'), nodes), ['d'])
})

test('subnets: what can only be meant one way is served, what cannot be read without doubt is not', () => {
  const read = (range: object) =>
    readSubnet({ metadata: { name: 's' }, spec: { network: 'n', range: { version: '4', ...range } } } as Subnet)
  const hostBits = read({ cidr: '10.0.0.7/24' })
  assert.is(formatAddress(hostBits.config?.cidr.address ?? 0), '10.0.0.0')
  const empty = read({ cidr: '10.0.0.0/24', start: '10.0.0.9', end: '10.0.0.3' })
  assert.ok(empty.config !== null && (empty.config.start ?? 0) > (empty.config.end ?? 0), 'holds nothing')
  const allocator = new Allocator()
  allocator.setNetwork({ name: 'n' })
  if (empty.config !== null) allocator.setSubnet(empty.config)
  assert.equal(allocator.subnetUsage('s'), { total: 0, used: 0, available: 0 })
  for (const range of [
    { cidr: '10.0.0.0/31' },
    { cidr: 'x' },
    { cidr: '10.0.0.0/24', excludeIPs: ['10.0.0.300'] },
    { cidr: '10.0.0.0/24', reservedIPs: ['::1'] },
    { cidr: '10.0.0.0/24', start: '010.0.0.1' },
  ]) {
    assert.ok(read(range).problem, JSON.stringify(range))
  }
})

test('D9: duplicates: alive before dead, running before waiting, older before younger', () => {
  const one = (key: string, fields: Partial<Contender> = {}): Contender => ({
    key,
    uid: key,
    created: '2026-01-01T00:00:00Z',
    alive: true,
    inUse: false,
    terminating: false,
    ...fields,
  })
  assert.is(keeperOf([one('young', { created: '2026-02-01T00:00:00Z' }), one('old')])?.key, 'old')
  assert.is(keeperOf([one('dead', { alive: false, created: '2020-01-01T00:00:00Z' }), one('alive')])?.key, 'alive')
  assert.is(keeperOf([one('old'), one('runs', { inUse: true, created: '2026-02-01T00:00:00Z' })])?.key, 'runs')
  assert.is(keeperOf([one('b'), one('a')])?.key, 'a', 'the same whatever the order')
  assert.is(keeperOf([one('gone', { terminating: true })]), null)
})

test('D16: MACs are drawn until one is free', () => {
  const draws = [1, 2, 3]
  assert.is(
    drawMac({ macInUse: (mac) => mac < 3 }, () => draws.shift() ?? 0),
    3,
  )
  assert.throws(() => drawMac({ macInUse: () => true }, () => 7), /no free MAC/)
})

test('waiting pods are woken together, once, and only for their network', async () => {
  const woken: string[] = []
  const waiters = new Waiters((pod) => woken.push(pod))
  waiters.forAddress('net', 'a')
  waiters.forAddress('net', 'b')
  waiters.forAddress('other', 'c')
  waiters.forConfiguration('d')
  waiters.forget('b')
  assert.is(waiters.size, 2)
  waiters.addressFreed('net')
  waiters.addressFreed('net')
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(woken, ['a'])
  waiters.configurationChanged()
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(woken, ['a', 'd'])
  assert.is(waiters.size, 1)
  waiters.stop()
})

test.run()
