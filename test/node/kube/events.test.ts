// Event recording: aggregation, budgets, and never disturbing the caller.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { EventRecorder, KubeClient, eventResource, involvedObject, type KubeObject } from '../../../lib/kube/index.ts'
import { startApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { FaultServer, json, silence, status } from '../../support/fault-server.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true }
const networks = {
  group: 'networking.alibaba.com',
  version: 'v1',
  plural: 'networks',
  kind: 'Network',
  namespaced: false,
}
const pod = involvedObject(pods, { namespace: 'default', name: 'web-0', uid: 'u1', resourceVersion: '5' })
const network = involvedObject(networks, { name: 'underlay', uid: 'u2' })

interface StoredEvent extends KubeObject {
  count: number
  message: string
  reason: string
  type: string
  involvedObject: unknown
  source: unknown
}

test('against an API server: created once, then counted; combined when similar; cluster-scoped ones in default', async () => {
  bringUpLoopback()
  const server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }] })
  const client = KubeClient.connect({ server: server.url })
  const recorder = new EventRecorder(client, { component: 'PodController', host: 'node-1', burst: 100 })
  try {
    recorder.event(pod, 'Normal', 'IPAllocationSucceed', 'got 10.0.0.1')
    await recorder.flush()
    for (let n = 0; n < 3; n++) recorder.event(pod, 'Normal', 'IPAllocationSucceed', 'got 10.0.0.1')
    recorder.event(network, 'Warning', 'UpdateStatusFail', 'x'.repeat(2000))
    for (let n = 0; n < 15; n++) recorder.event(pod, 'Warning', 'IPAllocationFail', `attempt ${n}`)
    await recorder.flush()
    const { items } = await client.list<StoredEvent>(eventResource, { namespace: 'default' })
    const of = (reason: string): StoredEvent[] => items.filter((event) => event.reason === reason)
    const [allocated, ...more] = of('IPAllocationSucceed')
    assert.is(more.length, 0)
    assert.is(allocated?.count, 4)
    assert.is(allocated?.type, 'Normal')
    assert.equal(allocated?.source, { component: 'PodController', host: 'node-1' })
    assert.equal(allocated?.involvedObject, {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace: 'default',
      name: 'web-0',
      uid: 'u1',
      resourceVersion: '5',
    })
    assert.is(of('UpdateStatusFail')[0]?.message.length, 1024)
    const failed = of('IPAllocationFail')
    assert.is(failed.length, 11, 'ten messages and one for the rest')
    const combined = failed.find((event) => event.message.startsWith('(combined'))
    assert.is(combined?.message, '(combined from similar events): attempt 14')
    assert.is(combined?.count, 5)
    const waiting = recorder.health().waiting
    assert.is(waiting, 0)
    assert.is(recorder.health().dropped, 0)
    // A stored event that expired is written anew.
    for (const event of items) await client.delete(eventResource, event.metadata)
    recorder.event(pod, 'Normal', 'IPAllocationSucceed', 'got 10.0.0.1')
    await recorder.flush()
    const again = await client.list<StoredEvent>(eventResource)
    assert.equal(
      again.items.map((event) => event.count),
      [5],
    )
  } finally {
    await recorder.stop()
    client.close()
    await server.close()
  }
})

test('an object has a budget, refilled slowly; others are not affected', async () => {
  const server = await FaultServer.start()
  server.on('POST /api/v1/namespaces/default/events', json({}, 201))
  const client = KubeClient.connect({ server: server.url })
  const recorder = new EventRecorder(client, { component: 'test', burst: 3, refillMs: 50 })
  for (let n = 0; n < 10; n++) recorder.event(pod, 'Normal', `Reason${n}`, 'm')
  recorder.event(network, 'Normal', 'Other', 'm')
  await recorder.flush()
  assert.is(recorder.health().dropped, 7)
  assert.is(server.seen.length, 4)
  await new Promise((resolve) => setTimeout(resolve, 60))
  recorder.event(pod, 'Normal', 'Later', 'm')
  await recorder.flush()
  assert.is(server.seen.length, 5)
  await recorder.stop()
  client.close()
  await server.close()
})

test('a server that refuses or is silent costs the caller nothing', async () => {
  const server = await FaultServer.start()
  const events = 'POST /api/v1/namespaces/default/events'
  server.on(events, status(403, 'Forbidden', 'no'))
  const client = KubeClient.connect({ server: server.url })
  const recorder = new EventRecorder(client, { component: 'test', queueSize: 2, burst: 100 })
  recorder.event(pod, 'Normal', 'Refused', 'm')
  await recorder.flush()
  assert.equal(recorder.health(), { waiting: 0, sent: 0, dropped: 1 })
  server.on(events, silence)
  recorder.event(pod, 'Normal', 'First', 'm')
  await server.arrived(events, 2)
  const started = performance.now()
  for (let n = 0; n < 5; n++) recorder.event(pod, 'Normal', `More${n}`, 'm')
  assert.ok(performance.now() - started < 5000)
  assert.equal(recorder.health(), { waiting: 2, sent: 0, dropped: 4 })
  await recorder.stop(50)
  assert.ok(performance.now() - started < 20_000, 'stop is bounded')
  recorder.event(pod, 'Normal', 'Late', 'm')
  assert.equal(recorder.health(), { waiting: 0, sent: 0, dropped: 8 })
  client.close()
  await server.close()
})

test.run()
