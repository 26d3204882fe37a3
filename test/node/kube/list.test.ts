// Paged lists: snapshots, expiry in the middle, projection, and what 50,000 objects cost the event loop.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KubeClient, RequestError, isGone, type KubeObject } from '../../../lib/kube/index.ts'
import { FaultServer, hangUp, list, status } from '../../support/fault-server.ts'

const things = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true }
const path = '/apis/test/v1/things'
const expired = status(410, 'Expired', 'The provided continue parameter is too old')
const named = (...names: string[]): KubeObject[] => names.map((name) => ({ metadata: { namespace: 'n', name } }))
const restartBackoff = { baseMs: 5, maxMs: 10 }

async function withServer(body: (server: FaultServer, client: KubeClient) => Promise<void>): Promise<void> {
  const server = await FaultServer.start()
  const client = KubeClient.connect({ server: server.url })
  try {
    await body(server, client)
  } finally {
    client.close()
    await server.close()
  }
}

test('410 in the middle begins again and keeps nothing of the first attempt', () =>
  withServer(async (server, client) => {
    server.on(
      `LIST ${path}`,
      list(named('a', 'b'), '10', 't1'),
      expired,
      list(named('a', 'c'), '20', 't2'),
      list(named('d'), '20'),
    )
    const { items, resourceVersion } = await client.list(things, { pageSize: 2, labelSelector: 'x=y', restartBackoff })
    assert.equal(
      items.map((item) => item.metadata.name),
      ['a', 'c', 'd'],
    )
    assert.is(resourceVersion, '20')
    assert.equal(
      server.seen.map((seen) => seen.query.get('continue')),
      [null, 't1', null, 't2'],
    )
    assert.ok(server.seen.every((seen) => seen.query.get('labelSelector') === 'x=y' && seen.query.get('limit') === '2'))
  }))

test('when the token always expires, the list is asked for in one piece', () =>
  withServer(async (server, client) => {
    server.on(`LIST ${path}`, (response, seen) => {
      if (!seen.query.has('limit')) return list(named('a', 'b', 'c'), '30')(response, seen)
      return (seen.query.has('continue') ? expired : list(named('a'), '10', 't'))(response, seen)
    })
    const restarts: boolean[] = []
    let names: string[] = []
    for await (const page of client.listPages(things, { pageSize: 1, maxRestarts: 2, restartBackoff })) {
      restarts.push(page.restarted)
      if (page.restarted) names = []
      names.push(...page.items.map((item) => item.metadata.name ?? ''))
    }
    assert.equal(restarts, [false, true, true, true])
    assert.equal(names, ['a', 'b', 'c'])
  }))

test('410 without a token is the caller’s: the version asked for is gone', () =>
  withServer(async (server, client) => {
    server.on(`LIST ${path}`, expired)
    let caught: unknown
    await client.list(things, { resourceVersion: '5' }).catch((error: unknown) => (caught = error))
    assert.ok(isGone(caught))
    assert.is(server.seen.length, 1)
  }))

test('a page cut in the middle is asked for again, and counted once', () =>
  withServer(async (server, client) => {
    const half = JSON.stringify({ items: named('a', 'b', 'c'), metadata: { resourceVersion: '1' } }).slice(0, 70)
    server.on(
      `LIST ${path}`,
      (response) => {
        response.writeHead(200, { 'content-length': '5000' })
        response.write(half, () => response.socket?.destroy())
      },
      hangUp,
      list(named('a', 'b', 'c'), '1'),
    )
    let projected = 0
    const { items } = await client.list(things, { project: (raw) => (projected++, raw.metadata.name ?? null) })
    assert.equal(items, ['a', 'b', 'c'])
    assert.ok(projected > 3, 'the cut page had been read in part')
  }))

test('a body that is no list is an error, not an empty list', () =>
  withServer(async (server, client) => {
    for (const body of ['', '{"items":[{"metadata":{}}', 'null}', '<html>']) {
      server.on(`LIST ${path}`, (response) => response.end(body))
      let caught: unknown
      await client.list(things).catch((error: unknown) => (caught = error))
      assert.ok(caught instanceof RequestError && caught.code === 'BADBODY', `${body}: ${String(caught)}`)
    }
  }))

test('50,000 objects: projected at the edge, no long stop of the event loop', async () => {
  // The server runs in a thread of its own, so that only the client's work is measured.
  const worker = new Worker(
    `const { createServer } = require('node:http')
     const { parentPort } = require('node:worker_threads')
     const filler = 'x'.repeat(60)
     const page = (from, count) => Array.from({ length: count }, (_, i) => ({
       metadata: { namespace: 'n' + (from + i) % 20, name: 'pod-' + (from + i), uid: 'u' + (from + i), resourceVersion: String(from + i),
         labels: { app: 'web', hash: filler }, managedFields: Array.from({ length: 8 }, (_, n) => ({ n, f: { a: filler, b: filler } })) },
       spec: { nodeName: 'node-' + (from + i) % 500, containers: [{ name: 'c', image: filler, env: [filler, filler, filler] }] },
       status: { podIP: '10.0.0.1', conditions: [filler, filler, filler, filler, filler, filler] },
     }))
     const server = createServer((request, response) => {
       const query = new URL(request.url, 'http://s').searchParams
       const from = Number(query.get('continue') ?? 0), limit = Number(query.get('limit'))
       const next = from + limit
       const metadata = { resourceVersion: '9', ...(next < 50000 ? { continue: String(next) } : {}) }
       response.end(JSON.stringify({ kind: 'PodList', metadata, items: page(from, limit) }))
     })
     server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`,
    { eval: true },
  )
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  const client = KubeClient.connect({ server: `http://127.0.0.1:${port}` })
  try {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const started = performance.now()
    const { items } = await client.list(things, {
      project: (raw) => ({ name: raw.metadata.name, node: (raw['spec'] as { nodeName: string }).nodeName }),
    })
    delay.disable()
    const worst = delay.max / 1e6
    const p99 = delay.percentile(99) / 1e6
    console.log(
      `50,000 objects in ${Math.round(performance.now() - started)} ms, loop delay p99 ${p99.toFixed(1)} ms, worst ${worst.toFixed(1)} ms`,
    )
    assert.is(items.length, 50_000)
    assert.equal(items[49_999], { name: 'pod-49999', node: 'node-499' })
    // A page parsed at once blocks for 15 ms and more each time; a busy machine may stop us once.
    assert.ok(p99 < 30, `p99 ${p99} ms`)
  } finally {
    client.close()
    await worker.terminate()
  }
})

test.run()
