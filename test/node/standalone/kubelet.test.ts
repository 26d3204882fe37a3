// Nodes, kubelets and the scheduler against the embedded API server and a plugin that wires real namespaces.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODES, PODS } from '../../../lib/api/index.ts'
import { eventResource, leaseResource } from '../../../lib/kube/index.ts'
import { startCluster } from '../../../lib/standalone/cluster.ts'
import { echoPort, type Greeting } from '../../../lib/standalone/nodes/echo.ts'
import type { Pod } from '../../../lib/standalone/nodes/pod-status.ts'
import { probe } from '../../../lib/standalone/probe.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { TestPlugin } from '../../support/cni-plugin.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const cluster = await startCluster({ nodes: 2, programs: false, log: silentLogger() })
const { client } = cluster
const plugin = new TestPlugin(join(cluster.directory, 'cni-bin'))
test.after(() => cluster.stop())

const namespace = 'default'
type FullPod = Pod & { status: { phase: string; hostIP?: string; podIP?: string; containerStatuses: unknown[] } }

async function createPod(name: string, spec: object = {}, metadata: object = {}): Promise<void> {
  const containers = [{ name: 'main', image: 'none' }]
  await client.create(PODS, { metadata: { name, namespace, ...metadata }, spec: { containers, ...spec } })
}
const getPod = (name: string): Promise<FullPod> => client.get<FullPod>(PODS, { namespace, name })
const running = (name: string): Promise<FullPod> =>
  eventually(async () => {
    const pod = await getPod(name)
    return pod.status.phase === 'Running' && pod
  })
const gone = (name: string): Promise<boolean> =>
  eventually(async () => (await client.find(PODS, { namespace, name })) === null)
const deletePod = (name: string): Promise<void> => client.delete(PODS, { namespace, name })

/** What a pod's responder says to a node. */
async function greetingFrom(node: string, address: string): Promise<Greeting | null> {
  const { greeting } = await probe(cluster.node(node).host.namespace, { address, port: echoPort })
  return greeting
}

interface NodeObject {
  metadata: { labels: Record<string, string> }
  status: {
    addresses: { type: string; address: string }[]
    conditions: { type: string; status: string; message: string }[]
  }
}
const nodeReady = async (name: string): Promise<string> => {
  const node = await client.get<NodeObject>(NODES, { name })
  const ready = node.status.conditions.find(({ type }) => type === 'Ready')
  return `${ready?.status} ${ready?.message}`
}

test('a node without CNI configuration registers as not ready, and says why', async () => {
  assert.match(await nodeReady('node1'), /^False container runtime network not ready: cni plugin not initialized/)
  const node = await client.get<NodeObject>(NODES, { name: 'node1' })
  assert.equal(
    node.status.addresses.map(({ address }) => address),
    ['192.168.56.11', 'fd56::b', 'node1'],
  )
  assert.is(node.metadata.labels['kubernetes.io/hostname'], 'node1')
  const lease = await client.get<{ spec: { holderIdentity: string } }>(leaseResource, {
    namespace: 'kube-node-lease',
    name: 'node2',
  })
  assert.is(lease.spec.holderIdentity, 'node2')
})

test('pods wait for a ready node, and are spread over those there are', async () => {
  await createPod('a')
  const waiting = await eventually(async () => {
    const condition = (await getPod('a')).status.conditions?.find(({ type }) => type === 'PodScheduled')
    return condition?.message ?? null
  })
  assert.is(waiting, '0/2 nodes are available: 2 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.')
  for (const [i, node] of cluster.nodes.entries()) {
    node.installConfig('10-test.conflist', plugin.conflist(`10.9.${i + 1}`, `192.168.56.${11 + i}`))
    await node.kubelet.refreshNode()
    assert.match(await nodeReady(node.name), /^True /)
  }
  const a = await running('a')
  await createPod('b')
  const b = await running('b')
  assert.equal([a.spec.nodeName, b.spec.nodeName].sort(), ['node1', 'node2'])
  const node = cluster.node(a.spec.nodeName ?? '')
  assert.is(a.status.hostIP, node.name === 'node1' ? '192.168.56.11' : '192.168.56.12')
  assert.match(a.status.podIP ?? '', /^10\.9\.[12]\.2$/)
  assert.equal(
    a.status.conditions?.filter(({ status }) => status !== 'True'),
    [],
  )
  assert.is(a.status.containerStatuses.length, 1)
})

test('a running pod answers its node and tells what it sees', async () => {
  const pod = await running('a')
  const greeting = await greetingFrom(pod.spec.nodeName ?? '', pod.status.podIP ?? '')
  assert.is(greeting?.source, pod.status.hostIP)
  assert.is(greeting?.destination, pod.status.podIP)
  const { stdout, code } = await cluster.exec('a', ['ip', '-br', 'addr', 'show', 'eth0'])
  assert.is(code, 0)
  assert.match(stdout, pod.status.podIP ?? 'none')
})

test('CNI_ARGS name the pod and its uid', async () => {
  const pod = await running('a')
  const call = plugin.calls().find(({ args }) => args.includes('K8S_POD_NAME=a;'))
  assert.ok(call)
  const { args, container } = call
  assert.is(
    args,
    `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=a;K8S_POD_INFRA_CONTAINER_ID=${container};K8S_POD_UID=${pod.metadata.uid}`,
  )
  assert.match(container, /^[0-9a-f]{64}$/)
})

test('a deleted pod disappears after its DEL, with its namespace', async () => {
  const { netns, containerId } = cluster.sandbox('b').attachment
  assert.ok(existsSync(netns))
  plugin.refuse('DEL', true)
  await deletePod('b')
  await eventually(() => plugin.calls().filter(({ command }) => command === 'DEL').length >= 2)
  assert.ok((await getPod('b')).metadata.deletionTimestamp, 'it stays while DEL fails')
  plugin.refuse('DEL', false)
  await gone('b')
  assert.not(existsSync(netns))
  assert.ok(plugin.calls().every(({ command, container }) => command !== 'DEL' || container === containerId))
})

test('a refused ADD is undone and tried again with another container', async () => {
  plugin.refuse('ADD', true)
  const before = plugin.calls().length
  await createPod('late')
  await eventually(() => plugin.calls().length >= before + 4)
  const pending = await eventually(async () => {
    const pod = await getPod('late')
    const condition = pod.status.conditions?.find(({ type }) => type === 'Ready')
    return condition?.message?.includes('told to refuse') === true && pod
  })
  assert.is(pending.status.phase, 'Pending')
  plugin.refuse('ADD', false)
  await running('late')
  const calls = plugin.calls().slice(before)
  const [first, undo, second] = calls
  assert.equal([first?.command, undo?.command, second?.command], ['ADD', 'DEL', 'ADD'])
  assert.is(first?.container, undo?.container)
  assert.is.not(first?.container, second?.container)
  const events = await client.list<{ reason: string; involvedObject: { name: string } }>(eventResource, { namespace })
  const reasons = events.items.filter((event) => event.involvedObject.name === 'late').map(({ reason }) => reason)
  assert.ok(reasons.includes('FailedCreatePodSandBox'), reasons.join())
  assert.ok(reasons.includes('Scheduled'), reasons.join())
})

test('a pod in the host network has the addresses of its node and no sandbox', async () => {
  const before = plugin.calls().length
  await createPod('host', { hostNetwork: true, nodeName: 'node2' })
  const pod = await running('host')
  assert.equal(pod.status.podIPs, [{ ip: '192.168.56.12' }, { ip: 'fd56::c' }])
  assert.is(plugin.calls().length, before)
  await deletePod('host')
  await gone('host')
})

test('a report of the node that fails is an error once, and does not spoil the next', async () => {
  const { kubelet } = cluster.node('node1')
  const fault = cluster.apiServer.faults.add({ verb: 'get', resource: 'nodes', name: 'node1', status: 403 })
  const refusal = await kubelet.refreshNode().then(
    () => 'none',
    (error: Error) => error.message,
  )
  assert.match(refusal, /403|forbidden/i)
  fault.remove()
  await kubelet.refreshNode()
})

test('a pod that selects a label waits for a node that has it', async () => {
  await createPod('picky', { nodeSelector: { disk: 'ssd' } })
  await eventually(async () => (await getPod('picky')).status.conditions?.some(({ type }) => type === 'PodScheduled'))
  assert.is((await getPod('picky')).spec.nodeName, undefined)
  await client.patch('merge', NODES, { name: 'node2' }, { metadata: { labels: { disk: 'ssd' } } })
  assert.is((await running('picky')).spec.nodeName, 'node2')
})

test('a restarted kubelet takes over what runs and removes what was deleted meanwhile', async () => {
  const node = cluster.node('node2')
  await createPod('kept', { nodeName: 'node2' })
  await createPod('lost', { nodeName: 'node2' })
  const kept = await running('kept')
  await running('lost')
  const lost = cluster.sandbox('lost').attachment
  const sandbox = cluster.sandbox('kept').attachment
  await node.stopKubelet()
  await client.delete(PODS, { namespace, name: 'lost' }, { gracePeriodSeconds: 0 })
  const before = plugin.calls().length
  await node.startKubelet()
  await eventually(() => !existsSync(lost.netns))
  const calls = plugin.calls().slice(before)
  assert.equal(
    calls.map(({ command, container }) => [command, container]),
    [['DEL', lost.containerId]],
  )
  assert.equal(cluster.sandbox('kept').attachment, sandbox)
  assert.ok(await greetingFrom('node2', kept.status.podIP ?? ''), 'its responder answers again')
})

test('a restarted kubelet begins although a leftover cannot be removed yet', async () => {
  const node = cluster.node('node2')
  await createPod('stuck', { nodeName: 'node2' })
  await running('stuck')
  const { netns } = cluster.sandbox('stuck').attachment
  await node.stopKubelet()
  await client.delete(PODS, { namespace, name: 'stuck' }, { gracePeriodSeconds: 0 })
  plugin.refuse('DEL', true)
  await node.startKubelet()
  await createPod('next', { nodeName: 'node2' })
  await running('next')
  assert.ok(existsSync(netns))
  plugin.refuse('DEL', false)
  await eventually(() => !existsSync(netns), 60_000)
})

test('a kubelet stops in the middle of an ADD, and its successor clears up', async () => {
  const node = cluster.node('node1')
  const before = plugin.calls().length
  plugin.hang('ADD', true)
  await createPod('half', { nodeName: 'node1' })
  const [first] = await eventually(() => plugin.calls().length > before && plugin.calls().slice(before))
  const started = performance.now()
  await node.stopKubelet()
  assert.ok(performance.now() - started < 20_000, 'it does not wait for the plugin')
  assert.ok(existsSync(first?.netns ?? ''))
  plugin.hang('ADD', false)
  await node.startKubelet()
  await running('half')
  assert.not(existsSync(first?.netns ?? ''))
  const calls = plugin.calls().slice(before)
  assert.equal([calls[1]?.command, calls[1]?.container], ['DEL', first?.container])
  assert.is.not(calls[2]?.container, first?.container)
})

test('a finalizer keeps the object, not the sandbox', async () => {
  await createPod('held', {}, { finalizers: ['example.com/hold'] })
  await running('held')
  const { netns } = cluster.sandbox('held').attachment
  await deletePod('held')
  await eventually(() => !existsSync(netns))
  const pod = await eventually(async () => {
    const held = await getPod('held')
    return held.status.phase === 'Succeeded' && held
  })
  assert.ok(pod.metadata.deletionTimestamp)
  await client.patch('merge', PODS, { namespace, name: 'held' }, { metadata: { finalizers: null } })
  await gone('held')
})

test.run()
