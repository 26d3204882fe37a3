// A StatefulSet on the overlay, by the controllers, kubelets, daemons and the manager of a standalone cluster: its pods keep
// their addresses over being deleted and over scaling, as `ip-retain` promises by default.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { PODS } from '../../lib/api/index.ts'
import type { KubeObject } from '../../lib/kube/index.ts'
import type { Cluster } from '../../lib/standalone/index.ts'
import { STATEFUL_SETS } from '../../lib/standalone/controllers/index.ts'
import { eventually } from '../support/eventually.ts'
import { checkPairs, reported, runningPod, showLogs, startCluster } from './support.ts'

const ref = { namespace: 'default', name: 'db' }
let cluster: Cluster
let failed = true

test.before(
  reported(async () => {
    cluster = await startCluster(2)
  }),
)
test.after(async () => {
  if (failed) showLogs(cluster)
  await cluster.stop()
})

async function scale(replicas: number): Promise<Map<string, string[]>> {
  await cluster.client.patch('merge', STATEFUL_SETS, ref, { spec: { replicas } }, { subresource: 'scale' })
  await eventually(
    async () => {
      const { status } = await cluster.client.get<KubeObject & { status?: Record<string, number> }>(STATEFUL_SETS, ref)
      return (status?.['replicas'] ?? 0) === replicas && (status?.['availableReplicas'] ?? 0) === replicas
    },
    60_000,
    50,
  )
  const pods = new Map<string, string[]>()
  for (let index = 0; index < replicas; index++) pods.set(`db-${index}`, await runningPod(cluster, `db-${index}`))
  return pods
}

test('0 → 3 → 1 → 3, and a pod deleted: every ordinal has its addresses back', async () => {
  await cluster.client.create(STATEFUL_SETS, {
    metadata: ref,
    spec: {
      replicas: 0,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' } },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'none' }] },
      },
    },
  })
  const first = await scale(3)
  assert.is(new Set([...first.values()].flat()).size, 6, 'an address of each family each')
  assert.equal(await checkPairs(cluster, first), [])
  const before = await cluster.client.get(PODS, { namespace: 'default', name: 'db-1' })
  await cluster.client.delete(PODS, { namespace: 'default', name: 'db-1' })
  await eventually(
    async () => {
      const now = await cluster.client.find(PODS, { namespace: 'default', name: 'db-1' })
      return now !== null && now.metadata.uid !== before.metadata.uid
    },
    30_000,
    50,
  )
  assert.equal(await scale(3), first, 'after a delete')
  const one = await scale(1)
  assert.equal(one.get('db-0'), first.get('db-0'))
  const again = await scale(3)
  assert.equal(again, first, 'after 3 → 1 → 3')
  assert.equal(await checkPairs(cluster, again), [])
  failed = false
})

test.run()
