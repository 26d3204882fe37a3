// Real daemons on nodes that reboot, are cut off, come and go: traffic is as it was afterwards.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Cluster } from '../../lib/standalone/index.ts'
import { eventually } from '../support/eventually.ts'
import { checkPairs, createPod, reported, runningPod, showLogs, startCluster } from './support.ts'

let cluster: Cluster
const pods = new Map<string, string[]>()
const limitMs = 60_000
let finished = 0

test.before(
  reported(async () => {
    cluster = await startCluster(2)
    for (const node of ['node1', 'node2']) await createPod(cluster, `pod-${node}`, { node })
    for (const node of ['node1', 'node2']) pods.set(`pod-${node}`, await runningPod(cluster, `pod-${node}`))
    assert.equal(await checkPairs(cluster, pods), [])
  }),
)
test.after(async () => {
  if (finished < 3) showLogs(cluster)
  await cluster.stop()
})

const allReached = (): Promise<unknown> =>
  eventually(async () => (await checkPairs(cluster, pods)).length === 0, limitMs, 250)

test('a rebooted node wires its pods again, with the addresses they had', async () => {
  const before = cluster.sandbox('pod-node2').containerId
  await cluster.node('node2').reboot()
  await eventually(() => cluster.sandbox('pod-node2').containerId !== before, limitMs)
  assert.equal(await runningPod(cluster, 'pod-node2', limitMs), pods.get('pod-node2'))
  await allReached()
  finished++
})

test('a node that was cut off, with its daemon killed meanwhile, goes on where it was', async () => {
  const node = cluster.node('node1')
  const { containerId } = cluster.sandbox('pod-node1')
  await cluster.partition('node1', true)
  assert.ok((await checkPairs(cluster, pods)).length > 0, 'nothing gets through')
  node.daemon?.kill('SIGKILL')
  await cluster.partition('node1', false)
  await allReached()
  assert.is(cluster.sandbox('pod-node1').containerId, containerId)
  finished++
})

test('a node that is added takes part; drained and removed, it leaves no trace with the others', async () => {
  await cluster.addNode('node3')
  await createPod(cluster, 'pod-node3', { node: 'node3' })
  pods.set('pod-node3', await runningPod(cluster, 'pod-node3', limitMs))
  await allReached()
  const neighbours = async (): Promise<string> => {
    const { stdout } = await cluster.node('node1').exec(['bridge', 'fdb', 'show', 'dev', 'eth0.vxlan4'])
    return stdout
  }
  await eventually(async () => (await neighbours()).includes('192.168.56.13'), limitMs)
  await cluster.removeNode('node3', { drain: true })
  pods.delete('pod-node3')
  await eventually(async () => !(await neighbours()).includes('192.168.56.13'), limitMs)
  await allReached()
  finished++
})

test.run()
