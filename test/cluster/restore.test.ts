// An API server that comes back after a time, with an older state, and with none, while pods talk: what runs goes on, nothing of
// any kernel is taken away, and no address is given twice.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CONFIG_MAPS } from '../../lib/api/index.ts'
import { createOverlay } from '../../lib/standalone/index.ts'
import { checkPairs, createPod, reported, runningPod, showLogs } from './support.ts'
import { kernels, lost, startProbes, startWork, type Work } from './trouble.ts'

let work: Work
let finished = 0

test.before(reported(async () => void (work = await startWork())))
test.after(async () => {
  if (finished < 3) showLogs(work.cluster, 30)
  await work.cluster.stop()
})

test('a server that is down for seconds, and has forgotten its history', async () => {
  const { cluster } = work
  const before = await kernels(work)
  const probes = startProbes(work)
  await cluster.apiServer.restart({ downMs: 3000, compact: true })
  await createPod(cluster, 'after-restart')
  await runningPod(cluster, 'after-restart', 90_000)
  for (const { lost: missing } of await Promise.all(probes.map((probe) => probe.stop()))) assert.is(missing, 0)
  assert.equal(lost(before, await kernels(work)), [])
  finished++
})

test('a server that comes back as it was before the last pods: what runs goes on, no address is given twice', async () => {
  const { cluster, pods } = work
  const { version } = cluster.apiServer
  // A backup is older than a moment: what is written again after it must not soon come past what was seen.
  const marker = { metadata: { name: 'marker', namespace: 'default' } }
  await cluster.client.create(CONFIG_MAPS, marker)
  for (let index = 0; index < 1000; index++) {
    await cluster.client.patch(
      'merge',
      CONFIG_MAPS,
      marker.metadata,
      { data: { index: String(index) } },
      { unlimited: true },
    )
  }
  await createPod(cluster, 'forgotten', { node: 'node2' })
  const forgotten = await runningPod(cluster, 'forgotten', 90_000)
  pods.set('forgotten', forgotten)
  const before = await kernels(work)
  const probes = startProbes(work)
  await cluster.apiServer.restart({ downMs: 500, state: version })
  await createPod(cluster, 'after-restore', { node: 'node1' })
  const addresses = await runningPod(cluster, 'after-restore', 90_000)
  for (const used of pods.values()) assert.not(addresses.some((address) => used.includes(address)))
  for (const { lost: missing } of await Promise.all(probes.map((probe) => probe.stop()))) assert.is(missing, 0)
  assert.equal(lost(before, await kernels(work)), [], 'the pod nobody knows any more included')
  const sample = new Map([...pods].slice(-4))
  assert.equal(await checkPairs(cluster, sample.set('after-restore', addresses)), [])
  finished++
})

test('a server that has forgotten everything: pods go on; with the networks made again new pods run', async () => {
  const { cluster, pods } = work
  const before = await kernels(work)
  const probes = startProbes(work)
  await cluster.apiServer.restart({ downMs: 500, state: 'lost' })
  await createOverlay(cluster.client)
  await createPod(cluster, 'after-loss', { node: 'node1' })
  const addresses = await runningPod(cluster, 'after-loss', 90_000)
  for (const used of pods.values())
    assert.not(
      addresses.some((address) => used.includes(address)),
      'given twice',
    )
  for (const { lost: missing } of await Promise.all(probes.map((probe) => probe.stop()))) assert.is(missing, 0)
  assert.equal(lost(before, await kernels(work)), [])
  assert.equal(await checkPairs(cluster, new Map([...pods].slice(0, 3)).set('after-loss', addresses)), [])
  finished++
})

test.run()
