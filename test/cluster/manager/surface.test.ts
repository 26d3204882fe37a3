// What people and other programs see of the manager, against lists written from the specification: series with their types and
// labels (manager.md Appendix C, api.md §6), events (Appendix B, api.md §2.4), columns (api.md §1), and the keys of labels,
// annotations and finalizers (§0.4). Those of multicluster belong to it.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODES, PODS, type IPInstance, type Network, type Pod } from '../../../lib/api/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'
import { present } from '../../support/present.ts'
import { N, SpecCluster, holds, within } from './spec.ts'

let cluster: SpecCluster
test.before(async () => {
  cluster = await SpecCluster.start()
  // Before, pods of these nodes are told that their nodes have no network.
  await holds(async () => assert.is((await cluster.network('underlay-network')).status?.nodeList?.length, 2))
})
test.after(async () => {
  await cluster.close()
})

interface Event extends KubeObject {
  readonly type: string
  readonly reason: string
  readonly involvedObject: { readonly kind: string; readonly name: string }
  readonly source?: { readonly component?: string }
}

const EVENTS = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true }

/** "component kind name: type reason", sorted, each once. */
async function told(): Promise<string[]> {
  const { items } = await cluster.client.list<Event>(EVENTS)
  const lines = items.map(
    ({ type, reason, involvedObject: { kind, name }, source }) =>
      `${source?.component ?? ''} ${kind} ${name}: ${type} ${reason}`,
  )
  return [...new Set(lines)].sort()
}

const containers = { containerStatuses: [{ name: 'test', state: { terminated: { exitCode: 0 } } }] }

test('every event, from its component, with its type and reason', async () => {
  await cluster.rig.pod('well')
  await cluster.live('well')
  await cluster.stateful('set-0')
  await cluster.rig.pod('lost', { annotations: { 'specified-network': 'nowhere' } })
  const done = await cluster.rig.pod('done')
  for (const name of ['well', 'set-0', 'done']) await within(async () => (await cluster.live(name)).length === 1)
  await cluster.client.patchStatus('merge', PODS, done.metadata, { status: { phase: 'Succeeded', ...containers } })
  await cluster.deletePod('set-0')
  const faults = ['networks/status', 'subnets/status'].map((resource) =>
    cluster.rig.server.faults.add({ verb: 'patch', resource, agent: 'hybridnet-manager', status: 500, times: 40 }),
  )
  await cluster.rig.pod('more')
  const expected = [
    'NetworkStatusController Network underlay-network: Warning UpdateStatusFail',
    'PodController Pod done: Normal IPAllocationSucceed',
    'PodController Pod done: Normal IPReleaseSucceed',
    'PodController Pod lost: Warning IPAllocationFail',
    'PodController Pod more: Normal IPAllocationSucceed',
    'PodController Pod set-0: Normal IPAllocationSucceed',
    'PodController Pod set-0: Normal IPReserveSucceed',
    'PodController Pod well: Normal IPAllocationSucceed',
    'SubnetStatusController Subnet underlay-subnet: Warning UpdateStatusFail',
  ]
  await holds(async () => {
    const all = await told()
    assert.equal(
      expected.filter((line) => !all.includes(line)),
      [],
    )
  })
  for (const fault of faults) fault.remove()
  assert.equal(
    (await told()).filter((line) => !expected.includes(line)),
    [],
    'and no others',
  )
})

test('every series, with its type and labels', async () => {
  const series: Record<string, [string, string[]]> = {
    ip_usage: ['gauge', ['networkName', 'ipFamily', 'usageType']],
    subnet_ip_usage: ['gauge', ['subnetName', 'networkName', 'usageType']],
    ip_allocation_period: ['summary', ['quantile', 'allocateType', 'success']],
  }
  const text = await cluster.metrics()
  for (const [name, [type, labels]] of Object.entries(series)) {
    assert.match(text, new RegExp(`^# TYPE ${name} ${type}$`, 'm'))
    const [, found] = new RegExp(`^${name}\\{(.*)\\} `, 'm').exec(text) ?? []
    const keys = [...(found ?? '').matchAll(/(\w+)="/g)].map(([, key]) => present(key))
    assert.equal(keys.sort(), [...labels].sort(), name)
  }
  const values = (name: string, label: string): string[] =>
    [
      ...new Set(
        [...text.matchAll(new RegExp(`^${name}\\{.*\\b${label}="([^"]*)"`, 'gm'))].map(([, value]) => present(value)),
      ),
    ].sort()
  assert.equal(values('ip_usage', 'ipFamily'), ['dualstack', 'ipv4', 'ipv6'])
  assert.equal(values('ip_usage', 'usageType'), ['available', 'total', 'used'])
  assert.equal(
    [...text.matchAll(/^ip_usage\{.*ipFamily="dualstack".*usageType="(\w+)"/gm)].map(([, value]) => value),
    ['available', 'available'],
    'the pair has availability only, once per network',
  )
  assert.equal(values('subnet_ip_usage', 'usageType'), ['available', 'total', 'used'])
  assert.equal(values('ip_allocation_period', 'quantile'), ['0.5', '0.9', '0.99'])
  assert.equal(values('ip_allocation_period', 'allocateType'), ['normal'])
  const sum = /^ip_allocation_period_sum\{allocateType="normal",success="true"\} (\S+)$/m.exec(text)?.[1]
  assert.ok(Number(sum) > 100_000, `in nanoseconds: ${sum ?? 'nothing'}`)
})

test('every column of every kind, in order', async () => {
  const columns: Record<string, string[]> = {
    networks: [
      'NetID integer',
      'Type string',
      'Mode string',
      'V4Total integer',
      'V4Used integer',
      'V4Available integer',
      'LastAllocatedV4Subnet string',
      'V6Total integer',
      'V6Used integer',
      'V6Available integer',
      'LastAllocatedV6Subnet string',
    ],
    subnets: [
      'Version string',
      'CIDR string',
      'Start string',
      'End string',
      'Gateway string',
      'Total integer',
      'Used integer',
      'Available integer',
      'NetID integer',
      'Network string',
    ],
    // The last one is ours.
    ipinstances: [
      'IP string',
      'Gateway string',
      'PodName string',
      'Node string',
      'Subnet string',
      'Network string',
      'Held string',
    ],
    nodeinfoes: ['VTEPIP string', 'VTEPMAC string', 'VTEPLOCALIPS string'],
  }
  for (const [kind, expected] of Object.entries(columns)) {
    const answer: unknown = await cluster.client.raw('GET', `/apis/networking.alibaba.com/v1/${kind}`, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    })
    const { columnDefinitions, rows } = answer as {
      columnDefinitions: { name: string; type: string }[]
      rows: { cells: unknown[] }[]
    }
    const own = columnDefinitions.filter(({ name }) => name !== 'Name' && name !== 'Age')
    assert.equal(
      own.map(({ name, type }) => `${name} ${type}`),
      expected,
      kind,
    )
    for (const { cells } of rows) assert.is(cells.length, columnDefinitions.length, kind)
  }
})

test('every label, annotation and finalizer that the manager writes, and no other key of ours', async () => {
  await cluster.stateful('keys-0')
  await within(async () => (await cluster.live('keys-0')).length === 1)
  const keys = (object: { readonly metadata: KubeObject['metadata'] }): object => {
    const own = (map: Readonly<Record<string, string>> | undefined): string[] =>
      Object.keys(map ?? {})
        .filter((key) => key.startsWith(N))
        .sort()
    const { labels, annotations, finalizers } = object.metadata
    return { labels: own(labels), annotations: own(annotations), finalizers: finalizers ?? [] }
  }
  const [instance] = await cluster.live('keys-0')
  assert.equal(keys(present(instance) as IPInstance & { metadata: KubeObject['metadata'] }), {
    labels: ['network', 'node', 'pod', 'pod-uid', 'subnet', 'version'].map((key) => N + key),
    annotations: [],
    finalizers: [`${N}ip-allocated`],
  })
  const pod = await cluster.client.get<KubeObject>(PODS, { namespace: 'default', name: 'keys-0' })
  assert.equal(keys(pod), { labels: [], annotations: [], finalizers: [`${N}ip-allocated`] })
  for (const name of ['underlay-network', 'overlay-network']) {
    const network = (await cluster.network(name)) as Network & { metadata: KubeObject['metadata'] }
    assert.equal(keys(network), { labels: [], annotations: [], finalizers: [`${N}metrics-registered`] })
  }
  await holds(async () => {
    assert.equal(keys(await cluster.client.get<KubeObject>(NODES, { name: 'node1' })), {
      labels: [
        'dualstack-address-quota',
        'ipv4-address-quota',
        'ipv6-address-quota',
        'overlay-network-attachment',
        'underlay-network-attachment',
      ].map((key) => N + key),
      annotations: [],
      finalizers: [],
    })
  })
  const stored = await cluster.client.get<Pod>(PODS, { namespace: 'default', name: 'well' })
  assert.equal(stored.metadata.finalizers ?? [], [], 'a plain pod is left as it is')
})

test.run()
