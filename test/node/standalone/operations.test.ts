// Nodes that come, go, reboot and are cut off while the cluster runs.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NODES, PODS } from '../../../lib/api/index.ts'
import { formatMac } from '../../../lib/ip/index.ts'
import { leaseResource } from '../../../lib/kube/index.ts'
import { NetworkNamespace, RouteSocket } from '../../../lib/netlink/index.ts'
import { startCluster } from '../../../lib/standalone/cluster.ts'
import { execInNamespace } from '../../../lib/standalone/exec.ts'
import { echoPort } from '../../../lib/standalone/nodes/echo.ts'
import type { Pod } from '../../../lib/standalone/nodes/pod-status.ts'
import { probe } from '../../../lib/standalone/probe.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { TestPlugin } from '../../support/cni-plugin.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const limitMs = 30_000
const cluster = await startCluster({ nodes: 2, programs: false, log: silentLogger() })
const { client } = cluster
const plugin = new TestPlugin(join(cluster.directory, 'cni-bin'))
for (const [i, node] of cluster.nodes.entries()) {
  node.installConfig('10-test.conflist', plugin.conflist(`10.9.${i + 1}`, `192.168.56.${11 + i}`))
  await node.kubelet.refreshNode()
}
test.after(() => cluster.stop())

const namespace = 'default'
const createPod = (name: string, nodeName: string): Promise<unknown> =>
  client.create(PODS, {
    metadata: { name, namespace },
    spec: { nodeName, containers: [{ name: 'main', image: 'none' }], terminationGracePeriodSeconds: 1 },
  })
const running = (name: string): Promise<Pod> =>
  eventually(async () => {
    const pod = await client.get<Pod>(PODS, { namespace, name })
    return pod.status?.phase === 'Running' && pod
  }, limitMs)

interface NodeObject {
  status: { nodeInfo: { bootID: string; machineID: string } }
}
const nodeInfo = async (name: string): Promise<NodeObject['status']['nodeInfo']> =>
  (await client.get<NodeObject>(NODES, { name })).status.nodeInfo

/** Whether a node gets an answer from an address. */
async function reaches(from: string, address: string): Promise<boolean> {
  const { code } = await cluster.node(from).exec(['ping', '-n', '-c1', '-W1', address])
  return code === 0
}

/** Sends 300 kB to the responder and compares what comes back. */
const echoProgram = `
const data = require('node:crypto').randomBytes(300000)
const socket = require('node:net').connect(${echoPort}, process.argv[1])
const got = []
socket.on('data', (chunk) => got.push(chunk)).on('error', (error) => console.error(error))
socket.end(data)
socket.on('close', () => {
  const all = Buffer.concat(got)
  process.stdout.write(all.subarray(all.indexOf(10) + 1).equals(data) ? 'same' : 'other: ' + all.length)
})
`

async function macOf(node: string): Promise<string> {
  const namespace = NetworkNamespace.open(cluster.node(node).host.path)
  const socket = RouteSocket.open(namespace)
  try {
    return formatMac(present(present(await socket.link('eth0')).mac))
  } finally {
    socket.close()
    namespace.close()
  }
}

test('a rebooted node has the same name, addresses and MAC, another boot id, and nothing in its kernel', async () => {
  await createPod('a', 'node1')
  const before = await running('a')
  const sandbox = cluster.sandbox('a').attachment
  const [info, mac] = [await nodeInfo('node1'), await macOf('node1')]
  const node = cluster.node('node1')
  await node.exec(['ip', 'link', 'add', 'mine', 'type', 'bridge'])
  // Somebody at work in the node does not survive it either, nor keep the old namespace alive.
  const sleeper = node.exec(['sleep', '600'], { timeoutMs: 120_000 }).catch((error: unknown) => error)
  const calls = plugin.calls().length
  await node.reboot()
  await sleeper
  assert.not(existsSync(sandbox.netns))
  assert.is.not((await node.exec(['ip', 'link', 'show', 'mine'])).code, 0)
  assert.is(await macOf('node1'), mac)
  const after = await nodeInfo('node1')
  assert.is.not(after.bootID, info.bootID)
  assert.is(after.bootID, node.bootId)
  assert.is(after.machineID, info.machineID)
  // The same pod, wired anew: the dead attempt is DELeted, the new one has a container id of its own.
  const again = await eventually(() => cluster.sandbox('a'), limitMs)
  assert.is((await running('a')).metadata.uid, before.metadata.uid)
  const made = plugin.calls().slice(calls)
  assert.equal(
    made.map(({ command }) => command),
    ['DEL', 'ADD'],
  )
  assert.is(made[0]?.container, sandbox.containerId)
  assert.is(made[1]?.container, again.containerId)
  await eventually(async () => {
    const { status } = await client.get<Pod>(PODS, { namespace, name: 'a' })
    const { greeting } = await probe(node.host.namespace, { address: status?.podIP ?? '', port: echoPort })
    return greeting !== null
  }, limitMs)
})

test('a partition drops everything of a node, a partial one only what it says', async () => {
  assert.ok(await reaches('node1', '192.168.56.12'))
  await cluster.partition(['node1', 'node2'], true)
  assert.not(await reaches('node1', '192.168.56.12'))
  assert.not(await reaches('node2', 'fd56::b'))
  assert.ok(await reaches('node1', '192.168.56.254'), 'the API is still there')
  await cluster.partition(['node2', 'node1'], false)
  assert.ok(await reaches('node1', '192.168.56.12'), 'the order of a pair does not matter')
  await cluster.partition('node1', true, 'api')
  assert.not(await reaches('node1', '192.168.56.254'))
  assert.ok(await reaches('node1', '192.168.56.12'))
  await cluster.partition('node1', true)
  assert.not(await reaches('node1', '192.168.56.12'))
  const { stdout } = await cluster.node('node1').exec(['ip', '-br', 'link', 'show', 'eth0'])
  assert.match(stdout, / UP /, 'its device sees nothing')
  await cluster.partition('node1', false)
  await cluster.partition('node1', false, 'api')
  assert.ok(await reaches('node1', '192.168.56.254'))
  assert.equal(cluster.fabric.cuts, [])
  await cluster
    .partition('node9', true)
    .then(() => assert.unreachable())
    .catch((error: Error) => assert.match(error.message, /no host 'node9' on the fabric/))
})

test('a slow cable delays and loses frames each way, through a reboot, and carries TCP over a tunnel', async () => {
  const roundTrip = async (): Promise<number> => {
    const { stdout } = await cluster.node('node1').exec(['ping', '-n', '-c3', '-i0.2', '-W5', '192.168.56.12'])
    return Number(present(/ = ([\d.]+)\//.exec(stdout), stdout)[1])
  }
  await cluster.delay('node2', 60)
  assert.ok((await roundTrip()) >= 120, 'twice the delay at least')
  const node = cluster.node('node2')
  const { greeting, error } = await probe(cluster.node('node1').host.namespace, {
    address: 'fd56::c',
    port: echoPort,
  })
  assert.is(greeting?.source, 'fd56::b', error ?? '')
  // Cuts hold on a slow cable, too.
  await cluster.partition(['node1', 'node2'], true)
  assert.not(await reaches('node1', '192.168.56.12'))
  await cluster.partition(['node1', 'node2'], false)
  await node.reboot()
  assert.ok((await roundTrip()) >= 120, 'still, after a reboot')
  // Segments and checksums that are left to hardware would not survive the copy: much data, plain and in a tunnel.
  const end = ['link', 'add', 'vx', 'type', 'vxlan', 'id', '7', 'dstport', '4789', 'dev', 'eth0']
  for (const [name, remote, own] of [
    ['node1', '192.168.56.12', '10.77.0.1/24'],
    ['node2', '192.168.56.11', '10.77.0.2/24'],
  ] as const) {
    const run = cluster.node(name)
    for (const words of [
      [...end, 'remote', remote],
      ['addr', 'add', own, 'dev', 'vx'],
      ['link', 'set', 'vx', 'up'],
    ]) {
      const { code, stderr } = await run.exec(['ip', ...words])
      assert.is(code, 0, stderr)
    }
  }
  await cluster.delay('node2', 1)
  for (const address of ['192.168.56.12', '10.77.0.2']) {
    const { stdout, stderr } = await cluster.node('node1').exec([process.execPath, '-e', echoProgram, address])
    assert.is(stdout, 'same', `${address}: ${stderr}`)
  }
  await cluster.delay('node2', 0, 100)
  assert.not(await reaches('node1', '192.168.56.12'))
  await cluster.delay('node2', 0)
  await eventually(() => reaches('node1', '192.168.56.12'), limitMs)
  const { stdout: links } = await execInNamespace('/proc/self/ns/net', ['ip', '-br', 'link'])
  assert.not.match(links, /[~^]node2/, 'the relay is gone')
})

test('a kubelet that is cut off from the API renews no lease, and goes on when it is back', async () => {
  const renewed = async (): Promise<string> => {
    const lease = await client.get<{ spec: { renewTime: string } }>(leaseResource, {
      namespace: 'kube-node-lease',
      name: 'node2',
    })
    return lease.spec.renewTime
  }
  await cluster.partition('node2', true, 'api')
  await createPod('b', 'node2')
  const before = await renewed()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  assert.is((await client.get<Pod>(PODS, { namespace, name: 'b' })).status?.phase, 'Pending')
  assert.is(await renewed(), before)
  await cluster.partition('node2', false, 'api')
  await running('b')
})

test('a node is added under a name of choice, and removed with its object, namespace and files', async () => {
  const node = await cluster.addNode('extra')
  assert.equal(
    cluster.nodes.map(({ name }) => name),
    ['extra', 'node1', 'node2'],
  )
  node.installConfig('10-test.conflist', plugin.conflist('10.9.3', '192.168.56.13'))
  await node.kubelet.refreshNode()
  await createPod('c', 'extra')
  await running('c')
  const { netns } = cluster.sandbox('c').attachment
  await cluster.removeNode('extra')
  assert.is(await client.find(NODES, { name: 'extra' }), null)
  for (const path of [netns, node.host.path, node.directory]) assert.not(existsSync(path), path)
  assert.throws(() => cluster.node('extra'), /no node 'extra'/)
})

test('a drained node goes after its pods', async () => {
  const node = await cluster.addNode('leaving')
  node.installConfig('10-test.conflist', plugin.conflist('10.9.4', '192.168.56.14'))
  await node.kubelet.refreshNode()
  await createPod('d', 'leaving')
  await running('d')
  const { containerId } = cluster.sandbox('d').attachment
  await cluster.removeNode('leaving', { drain: true })
  assert.is(await client.find(PODS, { namespace, name: 'd' }), null)
  assert.ok(
    plugin.calls().some(({ command, container }) => command === 'DEL' && container === containerId),
    'DEL ran',
  )
})

test('names are checked', async () => {
  for (const name of ['Node', 'a-name-too-long-for-it', 'node1', 'router', 'fabric0', '']) {
    await cluster
      .addNode(name)
      .then(() => assert.unreachable(name))
      .catch((error: Error) => assert.match(error.message, /^fabric: /))
  }
})

test.run()
