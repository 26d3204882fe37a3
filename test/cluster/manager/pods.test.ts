// manager.md §5.5, line by line: what pods get, keep and lose. Field values are the exact ones.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, NODES, PODS, SUBNETS, type IPInstance, type Pod } from '../../../lib/api/index.ts'
import type { PodOptions } from '../../node/manager/rig.ts'
import { present } from '../../support/present.ts'
import { holds, N, SpecCluster, within } from './spec.ts'

let cluster: SpecCluster
/** Statefulset pods sampled for 30 s while the other tests run (P-9). */
let watched: Promise<readonly string[]>

const spec = (instance: IPInstance) => present(instance.spec)
const binding = (instance: IPInstance) => present(spec(instance).binding)

/** Waits for exactly `count` IPInstances of the pod, bound. */
const bound = (pod: string, count = 1, namespace = 'default'): Promise<IPInstance[]> =>
  within(async () => {
    const found = await cluster.live(pod, namespace)
    return found.length === count && found.every((instance) => Boolean(binding(instance).nodeName)) ? found : null
  })

/** Waits for exactly `count` IPInstances of the pod, reserved, with the fields of P-5 against what they were. */
async function reservedAs(before: readonly IPInstance[], pod: string): Promise<void> {
  await holds(async () => {
    const now = await cluster.live(pod)
    assert.equal(now.map(nameOf), before.map(nameOf))
    for (const [index, instance] of now.entries()) {
      const was = present(before[index])
      const { nodeName = '', podUID = '' } = binding(instance)
      assert.is(nodeName, '', 'nodeName')
      assert.is(podUID, '', 'podUID')
      assert.equal(kept(instance), kept(was))
      assert.is(spec(instance).network, spec(was).network)
      assert.is(spec(instance).subnet, spec(was).subnet)
      assert.equal(spec(instance).address, spec(was).address)
    }
  })
}

/** What reserving an address leaves of its binding. */
function kept(instance: IPInstance): object {
  const { podName, referredObject, stateful } = binding(instance)
  return { podName, referredObject, stateful }
}
const nameOf = ({ metadata }: IPInstance): string => metadata.name
const macs = (instances: readonly IPInstance[]): number => new Set(instances.map((i) => spec(i).address.mac)).size

function assertPlain(pod: Pod, instances: readonly IPInstance[], where: readonly [string, string, string][]): void {
  assert.equal(
    instances.map((instance) => [spec(instance).address.version, spec(instance).network, spec(instance).subnet]),
    where,
  )
  for (const instance of instances) {
    const { podUID, podName, referredObject } = binding(instance)
    assert.is(podUID, pod.metadata.uid)
    assert.is(podName, pod.metadata.name)
    assert.equal(referredObject, { kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid })
  }
}

async function assertStateful(pod: Pod, instances: readonly IPInstance[], node: string, index: number): Promise<void> {
  for (const instance of instances) {
    const { podUID, nodeName, referredObject, stateful } = binding(instance)
    assert.is(podUID, pod.metadata.uid)
    assert.is(nodeName, node)
    assert.equal(referredObject, {
      kind: 'StatefulSet',
      name: 'fake',
      uid: await cluster.rig.statefulSet('fake', 'default'),
    })
    assert.equal(stateful, { index })
  }
}

const underlay = ['4', 'underlay-network', 'underlay-subnet'] as const
const overlay4 = ['4', 'overlay-network', 'overlay-ipv4-subnet'] as const
const overlay6 = ['6', 'overlay-network', 'overlay-ipv6-subnet'] as const

const containerStatus = (running: boolean) => ({
  status: {
    containerStatuses: [{ name: 'test', state: running ? { running: {} } : { terminated: { exitCode: 0 } } }],
  },
})

test.before(async () => {
  cluster = await SpecCluster.start()
  const pod = await cluster.stateful('pod-running-0')
  await bound('pod-running-0')
  await cluster.client.patchStatus('merge', PODS, pod.metadata, containerStatus(true))
  await cluster.rig.deletePod('pod-running-0')
  watched = (async () => {
    const seen: string[] = []
    for (let second = 0; second <= 30; second += 5) {
      const instances = await cluster.rig.instances('pod-running-0')
      seen.push(instances.map((instance) => binding(instance).nodeName ?? '').join())
      if (second < 30) await new Promise((resolve) => setTimeout(resolve, 5000))
    }
    return seen
  })()
  // Looked at by P-9; a failure before that must not end the process.
  watched.catch(() => undefined)
})
test.after(() => cluster.close())

const plainCases: readonly [string, PodOptions, (readonly [string, string, string])[]][] = [
  ['P-1 no annotations', {}, [underlay]],
  [
    'P-2 network-type Overlay, ip-family IPv6',
    { node: 'node3', annotations: { 'network-type': 'Overlay', 'ip-family': 'IPv6' } },
    [overlay6],
  ],
  [
    'P-3 Overlay, DualStack',
    { node: 'node3', annotations: { 'network-type': 'Overlay', 'ip-family': 'DualStack' } },
    [overlay4, overlay6],
  ],
  ['P-11 specified-network annotation', { annotations: { 'specified-network': 'underlay-network' } }, [underlay]],
  ['P-12 specified-network label', { labels: { 'specified-network': 'overlay-network' } }, [overlay4]],
  ['P-16 network-type Underlay annotation', { annotations: { 'network-type': 'Underlay' } }, [underlay]],
  ['P-17 network-type Overlay label', { labels: { 'network-type': 'Overlay' } }, [overlay4]],
  ['P-19 ip-family ipv4', { annotations: { 'ip-family': 'ipv4', 'network-type': 'overlay' } }, [overlay4]],
  ['P-20 ip-family IPv6Only', { annotations: { 'ip-family': 'IPv6Only', 'network-type': 'overlay' } }, [overlay6]],
  [
    'P-21 ip-family dualStack',
    { annotations: { 'ip-family': 'dualStack', 'network-type': 'overlay' } },
    [overlay4, overlay6],
  ],
]
for (const [title, options, where] of plainCases) {
  test(title, async () => {
    const name = `pod-${title.split(' ')[0]?.toLowerCase() ?? ''}`
    const pod = await cluster.rig.pod(name, options)
    const instances = await bound(name, where.length)
    assertPlain(pod, instances, where as [string, string, string][])
    assert.is(macs(instances), 1)
    await cluster.cleanUp(name)
  })
}

const namespaceCases: readonly [string, Record<string, string>, (readonly [string, string, string])[]][] = [
  ['P-13 namespace specified-network', { 'specified-network': 'overlay-network' }, [overlay4]],
  ['P-18 namespace network-type in lower case', { 'network-type': 'overlay' }, [overlay4]],
  [
    'P-22 namespace network-type and ip-family',
    { 'network-type': 'overlay', 'ip-family': 'dualstack' },
    [overlay4, overlay6],
  ],
]
for (const [title, annotations, where] of namespaceCases) {
  test(title, async () => {
    const namespace = `test-${title.split(' ')[0]?.toLowerCase() ?? ''}`
    await cluster.rig.namespace(namespace, annotations)
    const pod = await cluster.rig.pod('bare', { namespace })
    assertPlain(pod, await bound('bare', where.length, namespace), where as [string, string, string][])
    await cluster.cleanUp('bare', namespace)
  })
}

test('P-14, P-15 specified-subnet of a pod and of a namespace', async () => {
  const network = 'specified-network-for-pod'
  await cluster.rig.network(network, { type: 'Underlay', netID: 33, nodeSelector: { network } })
  for (const k of [0, 1, 2]) {
    await cluster.rig.subnet(`specified-subnet-${k + 1}`, network, `200.200.${k}.0/24`, { gateway: `200.200.${k}.1` })
  }
  await cluster.rig.node('specified-node', { network })
  for (const k of [1, 2, 3]) {
    const subnet = `specified-subnet-${k}`
    const annotations = { 'specified-network': network, 'specified-subnet': subnet }
    const pod = await cluster.rig.pod(`in-${subnet}`, { node: 'specified-node', annotations })
    assertPlain(pod, await bound(`in-${subnet}`), [['4', network, subnet]])
    await cluster.cleanUp(`in-${subnet}`)
  }
  const annotations = { 'specified-network': network, 'specified-subnet': 'specified-subnet-2' }
  await cluster.rig.namespace('test-p-15', annotations)
  const pod = await cluster.rig.pod('bare', { node: 'specified-node', namespace: 'test-p-15' })
  assertPlain(pod, await bound('bare', 1, 'test-p-15'), [['4', network, 'specified-subnet-2']])
  await cluster.cleanUp('bare', 'test-p-15')
  await cluster.remove(SUBNETS, 'specified-subnet-1', 'specified-subnet-2', 'specified-subnet-3')
  await cluster.remove(NETWORKS, network)
  await cluster.remove(NODES, 'specified-node')
})

test('P-4, P-5, P-6 stateful pods 0 to 9: bound, reserved when deleted, the same when they come back', async () => {
  await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const name = `pod-${index}`
      const first = await cluster.stateful(name)
      const before = await bound(name)
      assert.equal([spec(present(before[0])).network, spec(present(before[0])).subnet], underlay.slice(1))
      assert.is(spec(present(before[0])).address.version, '4')
      await assertStateful(first, before, 'node1', index)

      await cluster.deletePod(name)
      await reservedAs(before, name)

      const second = await cluster.stateful(name)
      const after = await bound(name)
      assert.equal(after.map(nameOf), before.map(nameOf))
      assert.is.not(second.metadata.uid, first.metadata.uid)
      await assertStateful(second, after, 'node1', index)
      await cluster.cleanUp(name)
    }),
  )
})

for (const [title, family, count] of [
  ['P-7 the same on the overlay in IPv6, from node3 to node1', 'IPv6', 1],
  ['P-8 the same in both families, with one MAC at every stage', 'DualStack', 2],
] as const) {
  test(title, async () => {
    const name = `pod-${family.toLowerCase()}-4`
    const annotations = { 'network-type': 'Overlay', 'ip-family': family }
    const first = await cluster.stateful(name, { node: 'node3', annotations })
    const before = await bound(name, count)
    await assertStateful(first, before, 'node3', 4)
    assert.is(macs(before), 1)
    await cluster.deletePod(name)
    await reservedAs(before, name)
    assert.is(macs(await cluster.live(name)), 1)
    const second = await cluster.stateful(name, { node: 'node1', annotations })
    const after = await bound(name, count)
    assert.equal(after.map(nameOf), before.map(nameOf))
    assert.is(macs(after), 1)
    await assertStateful(second, after, 'node1', 4)
    await cluster.cleanUp(name)
  })
}

test('P-23 what is kept decides network and family of a pod that comes back without annotations', async () => {
  const name = 'pod-kept-7'
  const annotations = { 'specified-network': 'overlay-network', 'ip-family': 'DualStack' }
  const first = await cluster.stateful(name, { node: 'node3', annotations })
  const before = await bound(name, 2)
  await assertStateful(first, before, 'node3', 7)
  assert.is(macs(before), 1)
  await cluster.deletePod(name)
  await reservedAs(before, name)
  assert.is(macs(await cluster.live(name)), 1)
  const second = await cluster.stateful(name, { node: 'node1' })
  const after = await bound(name, 2)
  assert.equal(after.map(nameOf), before.map(nameOf))
  assert.is(macs(after), 1)
  await assertStateful(second, after, 'node1', 7)
  // And stays so however often the pod is looked at: also by the next manager, which was not there when it came back.
  await cluster.restart()
  await cluster.client.patch('merge', PODS, second.metadata, { metadata: { annotations: { touched: 'yes' } } })
  await cluster.rig.pod('pod-after')
  await bound('pod-after')
  await cluster.cleanUp('pod-after')
  assert.equal((await cluster.live(name)).map(nameOf), before.map(nameOf))
  await cluster.cleanUp(name)
})

test('P-24 ip-pool: each ordinal gets its element', async () => {
  const pool = ['100.10.0.150', '100.10.0.160', '100.10.0.170']
  const annotations = { 'specified-network': 'overlay-network', 'ip-pool': pool.join() }
  for (const [index, address] of pool.entries()) {
    const pod = await cluster.stateful(`pod-sts-${index}`, { annotations })
    const instances = await bound(`pod-sts-${index}`)
    assert.is(spec(present(instances[0])).address.ip, `${address}/24`)
    assert.is(spec(present(instances[0])).subnet, 'overlay-ipv4-subnet')
    await assertStateful(pod, instances, 'node1', index)
  }
  await Promise.all(pool.map((_, index) => cluster.cleanUp(`pod-sts-${index}`)))
})

test('P-25 another ip-pool at the next life: the new element, and the old address is gone', async () => {
  const pool = (text: string) => ({
    annotations: { 'specified-network': 'overlay-network', 'ip-pool': text },
  })
  await cluster.stateful('pod-sts-0', pool('100.10.0.151,100.10.0.161'))
  assert.is(spec(present((await bound('pod-sts-0'))[0])).address.ip, '100.10.0.151/24')
  await cluster.deletePod('pod-sts-0')
  await cluster.stateful('pod-sts-0', pool('100.10.0.152,100.10.0.161'))
  await holds(async () => {
    assert.equal(
      (await cluster.live('pod-sts-0')).map((instance) => spec(instance).address.ip),
      ['100.10.0.152/24'],
    )
  })
  await cluster.cleanUp('pod-sts-0')
})

const macPool = ['00:16:ea:ae:3c:40', '08:00:20:0a:8c:6d', '08:00:20:0a:0a:40']

test('P-26, P-27 mac-pool: each ordinal gets its element, and keeps it without the annotation', async () => {
  for (const [index, mac] of macPool.entries()) {
    const name = `pod-${index}`
    await cluster.stateful(name, { annotations: { 'mac-pool': macPool.join() } })
    const before = await bound(name)
    assert.is(spec(present(before[0])).address.mac, mac)
    await cluster.deletePod(name)
    await cluster.stateful(name)
    const after = await bound(name)
    assert.equal(after.map(nameOf), before.map(nameOf))
    assert.is(spec(present(after[0])).address.mac, mac)
    await cluster.cleanUp(name)
  }
})

test('P-28 mac-pool does nothing for a plain pod', async () => {
  await cluster.rig.pod('pod-0', { annotations: { 'mac-pool': macPool.join() } })
  const [instance] = await bound('pod-0')
  assert.not.ok(macPool.includes(spec(present(instance)).address.mac))
  assert.match(spec(present(instance)).address.mac, /^02:12:34(:[0-9a-f]{2}){3}$/)
  await cluster.cleanUp('pod-0')
})

test('the table of IPInstances tells why each address is held and until when', async () => {
  const list = '/apis/networking.alibaba.com/v1/namespaces/default/ipinstances'
  // As kubectl asks for it.
  const table = async (): Promise<Record<string, string>> => {
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const { columnDefinitions, rows } = (await (await fetch(cluster.rig.server.url + list, { headers })).json()) as {
      columnDefinitions: { name: string }[]
      rows: { cells: unknown[] }[]
    }
    const names = columnDefinitions.map(({ name }) => name)
    assert.equal(names.slice(0, 8), ['Name', 'IP', 'Gateway', 'PodName', 'Node', 'Subnet', 'Network', 'Held'])
    return Object.fromEntries(rows.map(({ cells }) => [String(cells[3]), `${String(cells[4])}: ${String(cells[7])}`]))
  }
  const off = { 'ip-retain': 'false' }
  await cluster.rig.pod('held-plain')
  await cluster.stateful('held-1')
  await cluster.stateful('held-2')
  await cluster.stateful('held-3', { annotations: off })
  for (const name of ['held-plain', 'held-1', 'held-2', 'held-3']) await bound(name)
  await cluster.deletePod('held-2')
  assert.equal(await table(), {
    'pod-running-0': 'node1: until StatefulSet fake is deleted',
    'held-plain': 'node1: until the pod ends',
    'held-1': 'node1: until StatefulSet fake is deleted',
    'held-2': ': for the pod to come back, until StatefulSet fake is deleted',
    'held-3': 'node1: until the pod ends',
  })
  await cluster.stateful('held-2', { annotations: off })
  await within(async () => (await table())['held-2'] === 'node1: until the pod ends')
  for (const name of ['held-plain', 'held-1', 'held-2', 'held-3']) await cluster.cleanUp(name)
})

test('P-9, P-10 a running container keeps the address bound for 30 s; stopped, it is reserved, and used again', async () => {
  assert.equal(
    await watched,
    Array.from({ length: 7 }, () => 'node1'),
  )
  const before = await cluster.live('pod-running-0')
  await cluster.client.patchStatus(
    'merge',
    PODS,
    { namespace: 'default', name: 'pod-running-0' },
    containerStatus(false),
  )
  await reservedAs(before, 'pod-running-0')
  await cluster.podGone('pod-running-0')
  const second = await cluster.stateful('pod-running-0')
  const after = await bound('pod-running-0')
  assert.equal(after.map(nameOf), before.map(nameOf))
  await assertStateful(second, after, 'node1', 0)
  await cluster.cleanUp('pod-running-0')
})

test('P-29 nothing is left of any case: no pod, no IPInstance, no address', async () => {
  // The pod is held by our finalizer when its IPInstances are deleted beneath it.
  const pod = await cluster.stateful('pod-last-1', {
    annotations: { 'network-type': 'Overlay', 'ip-family': 'DualStack' },
  })
  await bound('pod-last-1', 2)
  await cluster.client.patchStatus('merge', PODS, pod.metadata, containerStatus(true))
  await cluster.rig.deletePod('pod-last-1')
  await cluster.deleteInstances('pod-last-1')
  assert.equal((await cluster.client.get<Pod>(PODS, pod.metadata)).metadata.finalizers, [`${N}ip-allocated`])
  await cluster.client.patchStatus('merge', PODS, pod.metadata, containerStatus(false))
  await cluster.podGone('pod-last-1')
  await within(async () => (await cluster.rig.instances()).length === 0)
  await holds(async () => {
    for (const { name, used, records } of (await cluster.ipam()).subnets) assert.equal([used, records], [0, 0], name)
  })
})

test.run()
