// Paged lists: snapshots, expiry in the middle, projection, and what 50,000 objects cost the event loop.
import { spawn } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KubeClient, RequestError, isGone, type KubeObject } from '../../../lib/kube/index.ts'
import { bringUpLoopback } from '../../support/loopback.ts'
import { FaultServer, hangUp, list, silence, status } from '../../support/fault-server.ts'

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

/** A server in a process of its own, so that only the client's work is measured. */
const crowd = (count: number): string => `
  const { createServer } = require('node:http')
  const filler = 'x'.repeat(60)
  const item = (n) => ({
    metadata: { namespace: 'n' + (n % 20), name: 'pod-' + n, uid: 'u' + n, resourceVersion: String(n), labels: { hash: filler },
      managedFields: Array.from({ length: 8 }, (_, at) => ({ at, f: { a: filler, b: filler } })) },
    spec: { nodeName: 'node-' + (n % 500), containers: [{ name: 'c', image: filler, env: [filler, filler, filler] }] },
    status: { podIP: '10.0.0.1', conditions: Array(6).fill(filler) },
  })
  const server = createServer((request, response) => {
    const query = new URL(request.url, 'http://s').searchParams
    const from = Number(query.get('continue') ?? 0)
    const limit = Number(query.get('limit') ?? ${count})
    const metadata = { resourceVersion: '9', ...(from + limit < ${count} ? { continue: String(from + limit) } : {}) }
    response.end(JSON.stringify({ kind: 'PodList', metadata, items: Array.from({ length: limit }, (_, at) => item(from + at)) }))
  })
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))`

for (const [count, pageSize] of [
  [50_000, 500],
  [15_000, 0],
] as const) {
  test(`${count} objects, ${pageSize || 'unlimited'} a page: projected at the edge, the event loop goes on`, async () => {
    bringUpLoopback()
    const child = spawn(process.execPath, ['-e', crowd(count)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const port = await new Promise<number>((resolve) => child.stdout.once('data', (text) => resolve(Number(text))))
    const client = KubeClient.connect({ server: `http://127.0.0.1:${port}` })
    // CPU time of each turn of the loop; elapsed time would measure what else runs on this machine.
    const turns: number[] = []
    let running = true
    let last = process.cpuUsage()
    const turn = (): void => {
      const spent = process.cpuUsage(last)
      last = process.cpuUsage()
      turns.push((spent.user + spent.system) / 1000)
      if (running) setTimeout(turn, 1)
    }
    try {
      setTimeout(turn, 1)
      const { items } = await client.list(things, {
        pageSize,
        project: (raw) => ({ name: raw.metadata.name, node: (raw['spec'] as { nodeName: string }).nodeName }),
      })
      running = false
      const slow = turns.filter((ms) => ms > 30).length
      const worst = Math.max(...turns.slice(1))
      console.log(`${turns.length} turns, the longest ${worst.toFixed(1)} ms, ${slow} over 30 ms`)
      assert.is(items.length, count)
      assert.equal(items.at(-1), { name: `pod-${count - 1}`, node: 'node-499' })
      // A page of 500 parsed in one go takes 15 ms, all objects up to a second; a garbage collection may add to a turn.
      assert.ok(slow <= 2 && worst < 100, `${slow} turns over 30 ms, the longest ${worst} ms`)
    } finally {
      running = false
      client.close()
      child.kill()
    }
  })
}

test('waiting for the rate limit or for a retry is no silence; a server that says nothing is', async () => {
  const server = await FaultServer.start()
  server.on(
    `LIST ${path}`,
    list([], '1'),
    status(429, 'TooManyRequests', 'later', { 'retry-after': '3' }),
    list([], '1'),
    silence,
  )
  const client = KubeClient.connect({ server: server.url, qps: 0.5, burst: 1 })
  try {
    await client.list(things, { inactivityMs: 1500 })
    // Two seconds for the rate limit, three that the server asks for.
    await client.list(things, { inactivityMs: 1500 })
    let failure: unknown = null
    await client.list(things, { inactivityMs: 1500 }).catch((error: unknown) => (failure = error))
    assert.is((failure as RequestError).code, 'STALLED')
  } finally {
    client.close()
    await server.close()
  }
})

test.run()
