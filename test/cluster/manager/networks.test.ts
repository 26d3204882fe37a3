// manager.md §5.2, §5.3, §5.4, §5.6 and §5.7, line by line: the allocator behind the statuses, statuses, node labels. One
// cluster; each test leaves it as it found it.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, NODES, SUBNETS, type Network } from '../../../lib/api/index.ts'
import type { SubnetReport } from '../../../lib/ipam/index.ts'
import { present } from '../../support/present.ts'
import { holds, SpecCluster, within } from './spec.ts'

let cluster: SpecCluster

test.before(async () => {
  cluster = await SpecCluster.start()
})
test.after(() => cluster.close())

const count = (total: number, used = 0) => ({ total, used, available: total - used })
const noDual = (available: number) => ({ total: 0, used: 0, available })

/** Waits for exactly these fields of a Network's status. */
const status = (name: string, expected: Partial<NonNullable<Network['status']>>): Promise<void> =>
  holds(async () => {
    const now = present((await cluster.network(name)).status)
    for (const [key, value] of Object.entries(expected)) assert.equal(now[key as keyof typeof now], value, key)
  })

/** Waits for exactly these fields of a Subnet's status. */
const subnetStatus = (name: string, expected: object): Promise<void> =>
  holds(async () => {
    const { total, used, available, lastAllocatedIP } = present((await cluster.subnet(name)).status)
    assert.equal(
      'lastAllocatedIP' in expected ? { total, used, available, lastAllocatedIP } : { total, used, available },
      expected,
    )
  })

const attachments = (...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [`${name}-network-attachment`, 'true']))

type Quota = 'nonempty' | 'empty'
const quotas = (ipv4: Quota, ipv6: Quota, dualstack: Quota): Record<string, string> => ({
  'ipv4-address-quota': ipv4,
  'ipv6-address-quota': ipv6,
  'dualstack-address-quota': dualstack,
})
const allQuotas = quotas('nonempty', 'nonempty', 'nonempty')

/** Waits until the labels of ours that end like this are exactly these. */
const labelled = (node: string, suffix: 'attachment' | 'quota', expected: Record<string, string>): Promise<void> =>
  holds(async () => {
    const all = Object.entries(await cluster.nodeLabels(node)).filter(([key]) => key.endsWith(suffix))
    assert.equal(Object.fromEntries(all.sort()), Object.fromEntries(Object.entries(expected).sort()), node)
  })

const relabel = (node: string, labels: Record<string, string>) =>
  cluster.client.patch('merge', NODES, { name: node }, { metadata: { labels } })
const select = (network: string, nodeSelector: Record<string, string | null>) =>
  cluster.client.patch('merge', NETWORKS, { name: network }, { spec: { nodeSelector } })
const range = (subnet: string, fields: object) =>
  cluster.client.patch('merge', SUBNETS, { name: subnet }, { spec: { range: fields } })

/** What the allocator knows of the subnets of a network. */
async function subnetsOf(network: string): Promise<readonly (Omit<SubnetReport, 'lastAllocated'> & object)[]> {
  return (await cluster.ipam()).subnets.filter((subnet) => subnet.network === network)
}
async function networkNamed(name: string) {
  return (await cluster.ipam()).networks.find((network) => network.name === name)
}

test('I-1, I-2 the allocator knows two networks with their types', () =>
  holds(async () => {
    const { networks } = await cluster.ipam()
    assert.equal(
      networks.map(({ name, type }) => [name, type]),
      [
        ['overlay-network', 'Overlay'],
        ['underlay-network', 'Underlay'],
      ],
    )
  }))

test('I-3 the underlay network has one IPv4 subnet', () =>
  holds(async () => {
    assert.equal(
      (await subnetsOf('underlay-network')).map(({ name, family }) => [name, family]),
      [['underlay-subnet', 4]],
    )
  }))

test('I-4 the overlay network has two subnets, the next of each family', () =>
  holds(async () => {
    assert.is((await subnetsOf('overlay-network')).length, 2)
    assert.equal(present(await networkNamed('overlay-network')).next, {
      ipv4: 'overlay-ipv4-subnet',
      ipv6: 'overlay-ipv6-subnet',
    })
  }))

test('I-5 to I-9 a network and its subnets come and go', async () => {
  const network = 'ipam-overlay-network'
  await cluster.rig.network(network, { type: 'Overlay', mode: 'VXLAN', netID: 100 })
  await holds(async () => {
    assert.is((await cluster.ipam()).networks.length, 3)
    assert.is((await networkNamed(network))?.type, 'Overlay')
    assert.is((await subnetsOf(network)).length, 0)
  })
  const four = { name: 'ipam-overlay-subnet1', family: 4, available: true, candidates: 253, records: 0 }
  const six = { name: 'ipam-overlay-subnet2', family: 6, available: true, candidates: 255, records: 0 }
  const known = (...expected: object[]): Promise<void> =>
    holds(async () => {
      assert.equal(
        (await subnetsOf(network)).map(({ name, family, available, candidates, records }) => ({
          name,
          family,
          available,
          candidates,
          records,
        })),
        expected,
      )
    })
  await cluster.rig.subnet(four.name, network, '192.167.56.0/24', { gateway: '192.167.56.1' })
  await known(four)
  await cluster.rig.subnet(six.name, network, 'fe90::0/120')
  await known(four, six)
  await cluster.remove(SUBNETS, four.name, six.name)
  await known()
  await cluster.remove(NETWORKS, network)
  await holds(async () => {
    assert.equal(
      (await cluster.ipam()).networks.map(({ name }) => name),
      ['overlay-network', 'underlay-network'],
    )
  })
})

test('I-10, I-11 the count has fallen when the object is seen, and is back when it is gone', async () => {
  const available = async (): Promise<number> => present(await networkNamed('underlay-network')).usage.ipv4.available
  const before = await available()
  for (let round = 0; round < 5; round++) {
    await cluster.rig.pod('ipam-pod')
    await within(async () => (await cluster.live('ipam-pod')).length === 1)
    assert.is(await available(), before - 1)
    await cluster.rig.deletePod('ipam-pod')
    await cluster.deleteInstances('ipam-pod')
    await within(async () => (await cluster.live('ipam-pod')).length === 0)
    await within(async () => (await cluster.rig.instances('ipam-pod')).length === 0)
    assert.is(await available(), before)
  }
})

test('N-1, N-2, S-1, O-1, Q-1 the fixture: statuses and labels', async () => {
  await status('underlay-network', {
    nodeList: ['node1', 'node2'],
    subnetList: ['underlay-subnet'],
    statistics: count(253),
  })
  await status('overlay-network', {
    nodeList: ['node1', 'node2', 'node3'],
    subnetList: ['overlay-ipv4-subnet', 'overlay-ipv6-subnet'],
    statistics: count(254),
    ipv6Statistics: count(255),
    dualStackStatistics: noDual(254),
  })
  await subnetStatus('underlay-subnet', count(253))
  await subnetStatus('overlay-ipv4-subnet', count(254))
  await subnetStatus('overlay-ipv6-subnet', count(255))
  for (const node of ['node1', 'node2']) {
    await labelled(node, 'attachment', attachments('underlay', 'overlay'))
    await labelled(node, 'quota', quotas('nonempty', 'empty', 'empty'))
  }
  await labelled('node3', 'attachment', attachments('overlay'))
  await labelled('node3', 'quota', {})
})

test('N-3 to N-8 a network of its own: nodes, subnets, a dual-stack pod, its end', async () => {
  const network = 'underlay-network-for-status'
  const nodes = ['status-node1', 'status-node2', 'status-node3']
  await cluster.rig.network(network, { type: 'Underlay', netID: 30, nodeSelector: { network } })
  for (const node of nodes) await cluster.rig.node(node, { network })
  await status(network, { nodeList: nodes })

  const subnets = ['status-subnet1', 'status-subnet2', 'status-subnet3']
  await cluster.rig.subnet(subnets[0] ?? '', network, '192.168.57.0/24', { gateway: '192.168.57.1' }, { netID: 57 })
  await cluster.rig.subnet(subnets[1] ?? '', network, '192.168.58.0/24', { gateway: '192.168.58.1' }, { netID: 58 })
  await cluster.rig.subnet(subnets[2] ?? '', network, 'fe81::0/120', {}, { netID: 59 })
  await status(network, {
    subnetList: subnets,
    statistics: count(506),
    ipv6Statistics: count(255),
    dualStackStatistics: noDual(255),
  })

  await cluster.remove(NODES, ...nodes)
  await cluster.remove(SUBNETS, ...subnets)
  await cluster.rig.node('status-node', { network })
  await cluster.rig.subnet('status-ipv4-subnet', network, '192.168.60.0/24', { gateway: '192.168.60.1' })
  await cluster.rig.subnet('status-ipv6-subnet', network, 'fe85::0/120', { gateway: 'fe85::1' })
  const empty = {
    nodeList: ['status-node'],
    subnetList: ['status-ipv4-subnet', 'status-ipv6-subnet'],
    statistics: count(253),
    ipv6Statistics: count(254),
  }
  await status(network, empty)

  await cluster.rig.pod('status-pod', { node: 'status-node', annotations: { 'ip-family': 'DualStack' } })
  await within(async () => (await cluster.live('status-pod')).length === 2)
  await status(network, { statistics: count(253, 1), ipv6Statistics: count(254, 1) })
  await cluster.cleanUp('status-pod')
  await status(network, empty)

  await cluster.remove(SUBNETS, 'status-ipv4-subnet', 'status-ipv6-subnet')
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'status-node')
})

test('O-2, O-3 attachment follows the selector and the label', async () => {
  const network = 'underlay-network-for-node'
  const select2 = (node: string) => select(network, { network: node })
  await cluster.rig.network(network, { type: 'Underlay', netID: 200, nodeSelector: { network: 'node-a' } })
  await cluster.rig.node('node-a', { network: 'node-a' })
  await cluster.rig.node('node-b', { network: 'node-b' })
  const [attached, not] = [attachments('underlay', 'overlay'), attachments('overlay')]
  for (const [chosen, other] of [
    ['node-a', 'node-b'],
    ['node-b', 'node-a'],
    ['node-a', 'node-b'],
  ] as const) {
    await select2(chosen)
    await labelled(chosen, 'attachment', attached)
    await labelled(other, 'attachment', not)
  }
  await relabel('node-a', { network: 'unexpected' })
  await labelled('node-a', 'attachment', not)
  await relabel('node-a', { network: 'node-a' })
  await labelled('node-a', 'attachment', attached)
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'node-a', 'node-b')
})

test('O-4 to O-7 the BGP label needs both networks', async () => {
  const network = 'underlay-bgp-network'
  await cluster.rig.network(network, { type: 'Underlay', mode: 'BGP', netID: 123, nodeSelector: { network } })
  await cluster.rig.node('bgp-node', { network })
  await labelled('bgp-node', 'attachment', attachments('underlay', 'overlay'))
  await cluster.rig.network('global-bgp-network', { type: 'GlobalBGP', mode: 'BGP', netID: 210 })
  await labelled('bgp-node', 'attachment', attachments('underlay', 'overlay', 'bgp'))
  await cluster.remove(NETWORKS, 'global-bgp-network')
  await labelled('bgp-node', 'attachment', attachments('underlay', 'overlay'))
  await cluster.remove(NETWORKS, network)
  await labelled('bgp-node', 'attachment', attachments('overlay'))
  await cluster.remove(NODES, 'bgp-node')
})

test('Q-2 quota labels follow the selector', async () => {
  const network = 'network-for-quota'
  await cluster.rig.network(network, { type: 'Underlay', netID: 200, nodeSelector: { network: 'quota-a' } })
  await cluster.rig.subnet('quota-ipv4-subnet', network, '192.168.123.0/24', { gateway: '192.168.123.1' })
  await cluster.rig.subnet('quota-ipv6-subnet', network, 'fe92::0/120', {}, { netID: 92 })
  await cluster.rig.node('quota-a', { network: 'quota-a' })
  await cluster.rig.node('quota-b', { network: 'quota-b' })
  for (const [chosen, other] of [
    ['quota-a', 'quota-b'],
    ['quota-b', 'quota-a'],
    ['quota-a', 'quota-b'],
  ] as const) {
    await select(network, { network: chosen })
    await labelled(chosen, 'quota', allQuotas)
    await labelled(other, 'quota', {})
  }
  await cluster.remove(SUBNETS, 'quota-ipv4-subnet', 'quota-ipv6-subnet')
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'quota-a', 'quota-b')
})

test('Q-3 quota labels follow the label of the node', async () => {
  const network = 'network-for-quota-label'
  await cluster.rig.network(network, { type: 'Underlay', netID: 500, nodeSelector: { network } })
  await cluster.rig.subnet('quota-ipv4-subnet', network, '192.168.124.0/24', { gateway: '192.168.124.1' })
  await cluster.rig.subnet('quota-ipv6-subnet', network, 'fe93::0/120')
  await cluster.rig.node('quota-node', { network })
  await labelled('quota-node', 'quota', allQuotas)
  await relabel('quota-node', { network: 'unexpected' })
  await labelled('quota-node', 'quota', {})
  await relabel('quota-node', { network })
  await labelled('quota-node', 'quota', allQuotas)
  await cluster.remove(SUBNETS, 'quota-ipv4-subnet', 'quota-ipv6-subnet')
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'quota-node')
})

test('Q-4 to Q-8 quota labels follow what the network has', async () => {
  const network = 'network-for-quota-subnets'
  await cluster.rig.network(network, { type: 'Underlay', netID: 501, nodeSelector: { network } })
  await cluster.rig.node('quota-node', { network })
  await labelled('quota-node', 'quota', quotas('empty', 'empty', 'empty'))
  await cluster.rig.subnet('quota-ipv4-subnet', network, '192.168.125.0/24', { gateway: '192.168.125.1' })
  await labelled('quota-node', 'quota', quotas('nonempty', 'empty', 'empty'))
  await cluster.rig.subnet('quota-ipv6-subnet', network, 'fe94::0/120')
  await labelled('quota-node', 'quota', allQuotas)
  await cluster.remove(SUBNETS, 'quota-ipv4-subnet')
  await labelled('quota-node', 'quota', quotas('empty', 'nonempty', 'empty'))
  await cluster.remove(SUBNETS, 'quota-ipv6-subnet')
  await labelled('quota-node', 'quota', quotas('empty', 'empty', 'empty'))
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'quota-node')
})

test('S-2 to S-5 totals follow the range, what is reserved and what is excluded', async () => {
  const network = 'network-for-subnet-status'
  await cluster.rig.network(network, { type: 'Underlay', netID: 345, nodeSelector: { network } })
  await cluster.rig.subnet('range-ipv4-subnet', network, '170.16.0.0/24', { gateway: '170.16.0.1' })
  await cluster.rig.subnet('range-ipv6-subnet', network, 'fe20::0/120')
  await subnetStatus('range-ipv4-subnet', count(253))
  await subnetStatus('range-ipv6-subnet', count(255))
  await range('range-ipv4-subnet', { start: '170.16.0.21', end: '170.16.0.50' })
  await subnetStatus('range-ipv4-subnet', count(30))
  const five = (first: number) => [0, 1, 2, 3, 4].map((offset) => `fe20::${(first + offset).toString(16)}`)
  await range('range-ipv6-subnet', { reservedIPs: five(0x10) })
  await subnetStatus('range-ipv6-subnet', count(250))
  await range('range-ipv6-subnet', { excludeIPs: five(0x64) })
  await subnetStatus('range-ipv6-subnet', count(245))
  await cluster.remove(SUBNETS, 'range-ipv4-subnet', 'range-ipv6-subnet')
  await cluster.remove(NETWORKS, network)
})

test('S-6, S-7 the same CIDRs under new names: what a dual-stack pod takes and gives back', async () => {
  const network = 'network-for-subnet-pod'
  await cluster.rig.network(network, { type: 'Underlay', netID: 345, nodeSelector: { network } })
  await cluster.rig.subnet('pod-ipv4-subnet', network, '170.16.0.0/24', { gateway: '170.16.0.1' })
  await cluster.rig.subnet('pod-ipv6-subnet', network, 'fe20::0/120')
  await cluster.rig.node('subnet-node', { network })
  await subnetStatus('pod-ipv4-subnet', { ...count(253), lastAllocatedIP: '' })
  await cluster.rig.pod('subnet-pod', { node: 'subnet-node', annotations: { 'ip-family': 'DualStack' } })
  await within(async () => (await cluster.live('subnet-pod')).length === 2)
  await subnetStatus('pod-ipv4-subnet', { ...count(253, 1), lastAllocatedIP: '170.16.0.2' })
  await subnetStatus('pod-ipv6-subnet', { ...count(255, 1), lastAllocatedIP: 'fe20::1' })
  await cluster.cleanUp('subnet-pod')
  await subnetStatus('pod-ipv4-subnet', count(253))
  await subnetStatus('pod-ipv6-subnet', count(255))
  await cluster.remove(SUBNETS, 'pod-ipv4-subnet', 'pod-ipv6-subnet')
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'subnet-node')
})

test('at the end everything is as at the beginning', async () => {
  await status('underlay-network', { nodeList: ['node1', 'node2'], statistics: count(253) })
  await status('overlay-network', { nodeList: ['node1', 'node2', 'node3'], statistics: count(254) })
  const series = await cluster.metrics()
  for (const line of [
    'ip_usage{networkName="underlay-network",ipFamily="ipv4",usageType="total"} 253',
    'ip_usage{networkName="overlay-network",ipFamily="dualstack",usageType="available"} 254',
    'subnet_ip_usage{subnetName="overlay-ipv6-subnet",networkName="overlay-network",usageType="available"} 255',
  ]) {
    assert.ok(series.includes(`${line}\n`), line)
  }
  const names = new Set([...series.matchAll(/(?:networkName|subnetName)="([^"]+)"/g)].map(([, name]) => name))
  assert.equal([...names].sort(), [
    'overlay-ipv4-subnet',
    'overlay-ipv6-subnet',
    'overlay-network',
    'underlay-network',
    'underlay-subnet',
  ])
})

test.run()
