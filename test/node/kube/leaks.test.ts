// Long-lived signals: whatever becomes of requests, waits and sleeps, nothing of them stays on the signals they listened to.
//
// KUBE_REQUESTS=100000 makes it a long run.
import { getEventListeners } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KubeClient, longLivedAbort, sleep } from '../../../lib/kube/index.ts'
import {
  FaultServer,
  WatchScript,
  hangUp,
  json,
  list,
  silence,
  status,
  type Answer,
} from '../../support/fault-server.ts'

const things = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true }
const ref = { namespace: 'n', name: 'a' }
const total = Number(process.env['KUBE_REQUESTS'] ?? 2000)

test(`${total} requests of all fates leave no listener on a long-lived signal`, async () => {
  const server = await FaultServer.start()
  const client = KubeClient.connect({ server: server.url, qps: 1e6, burst: 4 })
  const life = longLivedAbort()
  const fence = longLivedAbort()
  const fenced = client.fenced({ isLeader: () => true, signal: fence.signal, writeTimeoutMs: 60_000 })
  const object = { metadata: ref }
  const one = '/apis/test/v1/namespaces/n/things'
  const turns: Answer[] = [json(object), json(object), status(404, 'NotFound', 'no'), json(object), hangUp]
  let turn = 0
  const next: Answer = (response, seen) => turns[turn++ % turns.length]?.(response, seen)
  const watch = new WatchScript()
  server
    .on(`GET ${one}/a`, next)
    .on(`PUT ${one}/a`, next)
    .on(`GET ${one}/silent`, silence)
    .on('LIST /apis/test/v1/things', list([object], '1'))
    .on('WATCH /apis/test/v1/things', watch.answer)
  const call = { signal: life.signal, retries: 0 }
  const failures = { failed: 0, fine: 0 }
  const settle = async (work: Promise<unknown>): Promise<void> => {
    try {
      await work
      failures.fine++
    } catch {
      failures.failed++
    }
  }
  let sent = 0
  const worker = async (): Promise<void> => {
    while (sent < total) {
      const kind = sent++ % 8
      // The script forgets nothing by itself.
      if (server.seen.length > 1000) server.seen.length = 0
      if (kind < 3) await settle(client.get(things, ref, call))
      else if (kind < 5) await settle(fenced.update(things, object, call))
      else if (kind === 5) await settle(client.list(things, call))
      else if (kind === 6) await settle(sleep(0, life.signal))
      else await settle(client.get(things, { namespace: 'n', name: 'silent' }, { ...call, timeoutMs: 1 }))
    }
  }
  try {
    await Promise.all(Array.from({ length: 8 }, worker))
    assert.is(getEventListeners(life.signal, 'abort').length, 0)
    assert.is(getEventListeners(fence.signal, 'abort').length, 0)
    assert.ok(failures.failed > total / 10 && failures.fine > total / 10, JSON.stringify(failures))
    // And while they run, one each.
    const running = client.watch(
      things,
      { resourceVersion: '1', timeoutSeconds: 60, inactivityMs: 60_000, signal: life.signal },
      { onEvent: () => undefined },
    )
    await watch.opened()
    assert.is(getEventListeners(life.signal, 'abort').length, 1)
    await watch.end()
    await running
    assert.is(getEventListeners(life.signal, 'abort').length, 0)
    console.log(JSON.stringify({ ...failures, heapMiB: Math.round(process.memoryUsage().heapUsed / 2 ** 20) }))
  } finally {
    client.close()
    await server.close()
  }
})

test('closing the client ends what runs, and says so', async () => {
  const server = await FaultServer.start()
  const watch = new WatchScript()
  server.on('WATCH /apis/test/v1/things', watch.answer)
  const client = KubeClient.connect({ server: server.url })
  const running = client
    .watch(things, { resourceVersion: '1', timeoutSeconds: 60, inactivityMs: 60_000 }, { onEvent: () => undefined })
    .catch((error: unknown) => error as { code: string })
  try {
    await watch.opened()
    client.close()
    assert.is((await running)?.code, 'CLOSED')
  } finally {
    client.close()
    await server.close()
  }
})

test.run()
