// The main job, end to end: pods get an overlay address, are wired by the real CNI plugin, reach each other on and across
// nodes, and leave nothing behind.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, NODEINFOS, type IPInstance, type NodeInfo } from '../../lib/api/index.ts'
import type { Cluster } from '../../lib/standalone/index.ts'
import { eventually } from '../support/eventually.ts'
import { checkPairs, createPod, deletePod, reported, runningPod, showLogs, startCluster } from './support.ts'

let cluster: Cluster
const pods = new Map<string, string[]>()
let failed = true

test.before(
  reported(async () => {
    cluster = await startCluster(3)
  }),
)
test.after(async () => {
  if (failed) showLogs(cluster)
  await cluster.stop()
})

/** Kernel state of a node that pods leave traces in. */
async function traces(node: string): Promise<string> {
  const commands = [
    'ip -o link show | grep -c hybr || true',
    'ip route show table 39999; ip -6 route show table 39999',
    'ip neigh show proxy; ip -6 neigh show proxy',
    'nft list set inet hybridnet local_pod4 | grep -c elements || true',
  ]
  return (await cluster.node(node).exec(['sh', '-c', commands.join('; ')])).stdout
}

test('every node publishes its tunnel endpoint', async () => {
  const infos = await eventually(async () => {
    const { items } = await cluster.client.list<NodeInfo>(NODEINFOS)
    return items.length === 3 ? items : null
  }, 30_000)
  for (const info of infos) {
    assert.match(info.spec?.vtepInfo?.ip ?? '', /^192\.168\.56\.1[123]$/)
    assert.match(info.spec?.vtepInfo?.mac ?? '', /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)
    assert.is(info.metadata.ownerReferences?.[0]?.name, info.metadata.name)
  }
})

test('pods of each family come up on each node', async () => {
  for (const node of ['node1', 'node2', 'node3']) {
    await createPod(cluster, `dual-${node}`, { node })
    await createPod(cluster, `four-${node}`, { node, family: 'IPv4Only' })
    await createPod(cluster, `six-${node}`, { node, family: 'IPv6Only' })
  }
  for (const node of ['node1', 'node2', 'node3']) {
    for (const [kind, count] of [
      ['dual', 2],
      ['four', 1],
      ['six', 1],
    ] as const) {
      const addresses = await runningPod(cluster, `${kind}-${node}`)
      assert.is(addresses.length, count, `${kind}-${node} has ${addresses.join(' ')}`)
      pods.set(`${kind}-${node}`, addresses)
    }
  }
  assert.is(new Set([...pods.values()].flat()).size, 12, 'no address twice')
})

test('every pod reaches every other, seen with its own address', async () => {
  assert.equal(await checkPairs(cluster, pods), [])
})

test('a deleted pod leaves no veth, route, neighbour, set element or address behind', async () => {
  const before = await traces('node2')
  await createPod(cluster, 'gone', { node: 'node2' })
  await runningPod(cluster, 'gone')
  assert.is.not(await traces('node2'), before, 'the pod is visible in the kernel')
  await deletePod(cluster, 'gone')
  await eventually(async () => assert.is(await traces('node2'), before), 30_000, 100)
  await eventually(
    async () => {
      const { items } = await cluster.client.list<IPInstance>(IPINSTANCES)
      assert.equal(
        items.filter((item) => item.spec?.binding?.podName === 'gone'),
        [],
      )
    },
    30_000,
    100,
  )
})

test('the addresses of deleted pods are given out again, and to nobody twice', async () => {
  for (let round = 0; round < 3; round++) {
    const names = Array.from({ length: 6 }, (_, n) => `r${round}-${n}`)
    await Promise.all(names.map((name) => createPod(cluster, name)))
    const addresses = (await Promise.all(names.map((name) => runningPod(cluster, name)))).flat()
    assert.is(new Set([...addresses, ...[...pods.values()].flat()]).size, addresses.length + 12)
    await Promise.all(names.map((name) => deletePod(cluster, name)))
  }
  failed = false
})

test.run()
