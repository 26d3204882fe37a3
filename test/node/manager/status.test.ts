// Statuses, finalizers, node labels and metrics (manager.md §3.3 to §3.6; N-1 to N-8, O-1 to O-7, Q-1 to Q-8).
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, NODES, SUBNETS, type Network, type Node, type Subnet } from '../../../lib/api/index.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { fixture, withRig, type Rig } from './rig.ts'

const N = 'networking.alibaba.com/'

/** Our labels of a node, short: "underlay overlay ipv4=nonempty". */
async function labels(rig: Rig, name: string): Promise<string> {
  const node = await rig.client.get<Node>(NODES, { name })
  return Object.entries(node.metadata.labels ?? {})
    .filter(([key]) => key.startsWith(N))
    .map(([key, value]) =>
      key.slice(N.length).replace('-network-attachment', '').replace('-address-quota', `=${value}`),
    )
    .sort()
    .join(' ')
}

async function labelled(rig: Rig, node: string, expected: string): Promise<void> {
  await eventually(async () => {
    assert.is(await labels(rig, node), expected, node)
    return true
  }, 8000)
}

async function status(rig: Rig, name: string, check: (status: NonNullable<Network['status']>) => void): Promise<void> {
  await eventually(async () => {
    const network = await rig.client.get<Network>(NETWORKS, { name })
    check(network.status ?? {})
    return true
  }, 8000)
}

const count = (total: number, used = 0) => ({ total, used, available: total - used })

test('networks and subnets show their numbers, nodes and subnets, in the status and as series', () =>
  withRig(async (rig) => {
    const registry = new Registry()
    await rig.manager({ registry }).leading
    await fixture(rig)
    await status(rig, 'underlay-network', (now) => {
      assert.equal(now.nodeList, ['node1', 'node2'])
      assert.equal(now.subnetList, ['underlay-subnet'])
      assert.equal(now.statistics, count(253))
    })
    await status(rig, 'overlay-network', (now) => {
      assert.equal(now.nodeList, ['node1', 'node2', 'node3'])
      assert.equal(now.statistics, count(254))
      assert.equal(now.ipv6Statistics, count(255))
      assert.equal(now.dualStackStatistics, { total: 0, used: 0, available: 254 })
      assert.is(now.lastAllocatedSubnet, 'overlay-ipv4-subnet')
    })
    await rig.pod('one', { annotations: { 'network-type': 'Overlay', 'ip-family': 'DualStack' } })
    await status(rig, 'overlay-network', (now) => {
      assert.equal(now.statistics, count(254, 1))
      assert.equal(now.ipv6Statistics, count(255, 1))
    })
    await eventually(async () => {
      const subnet = await rig.client.get<Subnet>(SUBNETS, { name: 'overlay-ipv4-subnet' })
      assert.equal(subnet.status, { ...count(254, 1), lastAllocatedIP: '100.10.0.1' })
      assert.equal(subnet.metadata.finalizers, [`${N}metrics-registered`])
      return true
    })
    const series = await registry.metrics()
    assert.match(series, /^ip_usage\{networkName="overlay-network",ipFamily="ipv4",usageType="used"\} 1$/m)
    assert.match(
      series,
      /^subnet_ip_usage\{subnetName="overlay-ipv4-subnet",networkName="overlay-network",usageType="available"\} 253$/m,
    )
    assert.match(series, /^ip_allocation_period_count\{allocateType="normal",success="true"\} 1$/m)

    await rig.client.delete(SUBNETS, { name: 'underlay-subnet' })
    await rig.client.delete(NETWORKS, { name: 'underlay-network' })
    await eventually(async () => (await rig.client.find(NETWORKS, { name: 'underlay-network' })) === null, 8000)
    await eventually(async () => !(await registry.metrics()).includes('underlay'), 8000)
  }))

test('node labels follow networks, selectors and what is left', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await fixture(rig)
    await labelled(rig, 'node1', 'dualstack=empty ipv4=nonempty ipv6=empty overlay underlay')
    await labelled(rig, 'node3', 'overlay')
    await rig.client.patch('merge', NODES, { name: 'node2' }, { metadata: { labels: { network: 'unexpected' } } })
    await labelled(rig, 'node2', 'overlay')
    await rig.client.patch('merge', NODES, { name: 'node2' }, { metadata: { labels: { network: 'underlay-network' } } })
    await labelled(rig, 'node2', 'dualstack=empty ipv4=nonempty ipv6=empty overlay underlay')
    await rig.subnet('six', 'underlay-network', 'fe92::0/120', {}, { netID: 100 })
    await labelled(rig, 'node1', 'dualstack=nonempty ipv4=nonempty ipv6=nonempty overlay underlay')
    await rig.client.delete(SUBNETS, { name: 'underlay-subnet' })
    await labelled(rig, 'node1', 'dualstack=empty ipv4=empty ipv6=nonempty overlay underlay')
    await rig.network('bgp', { type: 'Underlay', mode: 'BGP', netID: 65000, nodeSelector: { rack: '1' } })
    await rig.network('global', { type: 'GlobalBGP' })
    await rig.node('node4', { rack: '1' })
    await labelled(rig, 'node4', 'bgp dualstack=empty ipv4=empty ipv6=empty overlay underlay')
    await status(rig, 'global', (now) => assert.equal(now.nodeList, ['node4']))
    await rig.client.delete(NETWORKS, { name: 'global' })
    await labelled(rig, 'node4', 'dualstack=empty ipv4=empty ipv6=empty overlay underlay')
  }))

test('D33: at rest nothing is written', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await fixture(rig)
    await labelled(rig, 'node1', 'dualstack=empty ipv4=nonempty ipv6=empty overlay underlay')
    await rig.pod('one')
    await rig.served('one')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const versions = async (): Promise<string[]> => {
      const kinds = [NETWORKS, SUBNETS, NODES]
      const lists = await Promise.all(kinds.map((kind) => rig.client.list<Node>(kind as never)))
      return [...lists.flatMap((list) => list.items), ...(await rig.instances())].map(
        ({ metadata }) => `${metadata.name} ${metadata.resourceVersion ?? ''}`,
      )
    }
    const before = await versions()
    // A touch that changes nothing of interest, and a new leader.
    await rig.client.patch('merge', NODES, { name: 'node1' }, { metadata: { annotations: { touched: 'yes' } } })
    const after = await versions()
    await new Promise((resolve) => setTimeout(resolve, 800))
    assert.equal(await versions(), after)
    assert.equal(
      after.filter((version) => !before.includes(version)).map((version) => version.split(' ')[0]),
      ['node1'],
    )
  }))

test.run()
