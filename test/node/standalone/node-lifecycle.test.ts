// A node that falls silent, comes back, and one that never does: what becomes of it and of its pods.
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODES, PODS } from '../../../lib/api/index.ts'
import { eventResource, leaseResource } from '../../../lib/kube/index.ts'
import { startCluster } from '../../../lib/standalone/cluster.ts'
import type { Condition, Pod } from '../../../lib/standalone/nodes/pod-status.ts'
import type { Taint } from '../../../lib/standalone/taints.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { TestPlugin } from '../../support/cni-plugin.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const limitMs = 60_000
const cluster = await startCluster({
  nodes: 2,
  programs: false,
  // Long enough for a loaded machine not to take a busy kubelet for a dead one.
  nodeTiming: { graceMs: 8000, orphanMs: 1000 },
  log: silentLogger(),
})
const { client } = cluster
const plugin = new TestPlugin(join(cluster.directory, 'cni-bin'))
for (const [i, node] of cluster.nodes.entries()) {
  node.installConfig('10-test.conflist', plugin.conflist(`10.9.${i + 1}`, `192.168.56.${11 + i}`))
  await node.kubelet.refreshNode()
}
test.after(() => cluster.stop())

const namespace = 'default'
interface NodeObject {
  metadata: { uid: string }
  spec: { taints?: Taint[]; unschedulable?: boolean }
  status: { conditions: Condition[] }
}
const getNode = (name: string): Promise<NodeObject> => client.get<NodeObject>(NODES, { name })
const getPod = (name: string): Promise<Pod | null> => client.find<Pod>(PODS, { namespace, name })
const statusOf = (object: { status?: { conditions?: readonly Condition[] } } | null, type = 'Ready'): string =>
  object?.status?.conditions?.find((condition) => condition.type === type)?.status ?? 'none'
const taintsOf = (node: NodeObject): string[] =>
  (node.spec.taints ?? []).map(({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`).sort()
const createPod = (name: string, spec: object): Promise<unknown> =>
  client.create(PODS, {
    metadata: { name, namespace },
    spec: { containers: [{ name: 'main', image: 'none' }], ...spec },
  })
const running = (name: string): Promise<unknown> =>
  eventually(async () => {
    const pod = await getPod(name)
    return pod?.status?.phase === 'Running' && pod
  }, limitMs)

test('a node that is ready has no taints, heartbeats, and a lease that belongs to it', async () => {
  const node = await eventually(async () => {
    const node = await getNode('node1')
    return taintsOf(node).length === 0 && node
  }, limitMs)
  for (const { type, lastHeartbeatTime } of node.status.conditions) assert.ok(lastHeartbeatTime, type)
  interface Lease {
    metadata: { ownerReferences: { uid: string }[] }
    spec: { renewTime: string }
  }
  const lease = (): Promise<Lease> => client.get<Lease>(leaseResource, { namespace: 'kube-node-lease', name: 'node1' })
  const before = await lease()
  assert.is(before.metadata.ownerReferences[0]?.uid, node.metadata.uid)
  await eventually(async () => (await lease()).spec.renewTime > before.spec.renewTime, limitMs)
})

test('a cordoned node takes no pods until it is uncordoned', async () => {
  await client.patch('merge', NODES, { name: 'node1' }, { spec: { unschedulable: true } })
  await eventually(async () => taintsOf(await getNode('node1')).includes('unschedulable:NoSchedule'), limitMs)
  await createPod('cordoned', { nodeSelector: { 'kubernetes.io/hostname': 'node1' } })
  const why = await eventually(async () => {
    const pod = await getPod('cordoned')
    return pod?.status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message ?? null
  }, limitMs)
  assert.match(why, /1 node\(s\) were unschedulable/)
  await client.patch('merge', NODES, { name: 'node1' }, { spec: { unschedulable: null } })
  await running('cordoned')
  assert.equal(taintsOf(await getNode('node1')), [])
})

test('a silent node is unreachable; its pods are not ready and leave when their time is over', async () => {
  const tolerations = (tolerationSeconds: number | undefined): object => ({
    nodeName: 'node2',
    tolerations: [
      { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds },
    ],
  })
  await createPod('patient', tolerations(undefined))
  await createPod('hasty', tolerations(1))
  await Promise.all([running('patient'), running('hasty')])
  await cluster.partition('node2', true)
  const node = await eventually(async () => {
    const node = await getNode('node2')
    return statusOf(node) === 'Unknown' && taintsOf(node).length === 2 && node
  }, limitMs)
  assert.equal(taintsOf(node), ['unreachable:NoExecute', 'unreachable:NoSchedule'])
  assert.is(statusOf(node, 'MemoryPressure'), 'Unknown')
  await eventually(async () => statusOf(await getPod('patient')) === 'False', limitMs)
  await eventually(async () => (await getPod('hasty'))?.metadata.deletionTimestamp !== undefined, limitMs)
  assert.is((await getPod('patient'))?.metadata.deletionTimestamp, undefined)
  assert.is(statusOf(await getNode('node1')), 'True')
  const { items } = await client.list<{ reason: string; involvedObject: { name: string } }>(eventResource, {
    namespace,
  })
  assert.ok(
    items.some(({ reason, involvedObject }) => reason === 'TaintManagerEviction' && involvedObject.name === 'hasty'),
  )
})

test('it comes back: the taints go, the evicted pod ends, the other goes on as it was', async () => {
  const { containerId } = cluster.sandbox('patient')
  await cluster.partition('node2', false)
  await eventually(async () => {
    const node = await getNode('node2')
    return statusOf(node) === 'True' && taintsOf(node).length === 0
  }, limitMs)
  await eventually(async () => statusOf(await getPod('patient')) === 'True', limitMs)
  await eventually(async () => (await getPod('hasty')) === null, limitMs)
  assert.is(cluster.sandbox('patient').containerId, containerId)
})

test('pods of a node that is gone for good go, too', async () => {
  assert.ok(present(await getPod('patient')))
  await cluster.removeNode('node2')
  await eventually(async () => (await getPod('patient')) === null, limitMs)
  assert.ok(await getPod('cordoned'), 'those of other nodes stay')
})

test.run()
