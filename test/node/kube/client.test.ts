// Requests, errors, retries, deadlines, rate limit and fencing, over real HTTP against a server in trouble.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type ApiError,
  FencedError,
  KubeClient,
  RequestError,
  isNotFound,
  sleep,
  type ClientOptions,
  type Fence,
} from '../../../lib/kube/index.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultServer, hangUp, json, silence, status } from '../../support/fault-server.ts'

const things = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true }
const path = '/apis/test/v1/namespaces/n/things'
const ref = { namespace: 'n', name: 'a' }
const object = { apiVersion: 'test/v1', kind: 'Thing', metadata: { ...ref, resourceVersion: '1' } }

async function withServer(
  body: (server: FaultServer, client: KubeClient) => Promise<void>,
  options: ClientOptions = {},
): Promise<void> {
  const server = await FaultServer.start()
  const client = KubeClient.connect({ server: server.url, token: 'secret', ...options })
  try {
    await body(server, client)
  } finally {
    client.close()
    await server.close()
  }
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it succeeded, expected an error')
}

test('verbs, paths, media types and parameters', () =>
  withServer(async (server, client) => {
    const one = `${path}/a`
    for (const verb of ['GET', 'PUT', 'PATCH', 'DELETE']) server.on(`${verb} ${one}`, json(object))
    server
      .on(`PATCH ${one}/status`, json(object))
      .on(`PUT ${one}/status`, json(object))
      .on(`POST ${path}`, json(object, 201))
    await client.get(things, ref)
    await client.create(things, { metadata: { namespace: 'n', generateName: 'a-' } }, { dryRun: true })
    await client.update(things, object, { fieldManager: 'me' })
    await client.updateStatus(things, object)
    await client.patch('merge', things, ref, { a: 1 })
    await client.patch('strategic', things, ref, { a: 1 })
    await client.patch('json', things, ref, [{ op: 'remove', path: '/a' }])
    await client.patchStatus('merge', things, ref, { status: { b: 2 } })
    await client.apply(things, { metadata: ref }, { fieldManager: 'me', force: true })
    await client.delete(things, ref, { propagationPolicy: 'Foreground', preconditions: { uid: 'u' }, dryRun: true })
    const seen = server.seen.map(({ method, path: at, query, headers, body }) => [
      `${method} ${at}${query.size > 0 ? `?${query.toString()}` : ''}`,
      headers['content-type'] ?? '-',
      body === '' ? null : (JSON.parse(body) as unknown),
    ])
    const head = { apiVersion: 'test/v1', kind: 'Thing' }
    assert.equal(seen, [
      [`GET ${one}`, '-', null],
      [`POST ${path}?dryRun=All`, 'application/json', { ...head, metadata: { namespace: 'n', generateName: 'a-' } }],
      [`PUT ${one}?fieldManager=me`, 'application/json', object],
      [`PUT ${one}/status`, 'application/json', object],
      [`PATCH ${one}`, 'application/merge-patch+json', { a: 1 }],
      [`PATCH ${one}`, 'application/strategic-merge-patch+json', { a: 1 }],
      [`PATCH ${one}`, 'application/json-patch+json', [{ op: 'remove', path: '/a' }]],
      [`PATCH ${one}/status`, 'application/merge-patch+json', { status: { b: 2 } }],
      [`PATCH ${one}?fieldManager=me&force=true`, 'application/apply-patch+yaml', { ...head, metadata: ref }],
      [
        `DELETE ${one}`,
        'application/json',
        {
          apiVersion: 'v1',
          kind: 'DeleteOptions',
          propagationPolicy: 'Foreground',
          preconditions: { uid: 'u' },
          dryRun: ['All'],
        },
      ],
    ])
    assert.ok(server.seen.every((request) => request.headers.authorization === 'Bearer secret'))
    assert.is(server.connections, 1, 'one connection is kept alive')
  }))

test('errors carry what the server said; find turns 404 into null', () =>
  withServer(async (server, client) => {
    server.on(`GET ${path}/a`, status(404, 'NotFound', 'things "a" not found'))
    const error = await failure(client.get(things, ref))
    assert.ok(isNotFound(error))
    assert.is(error.message, `GET ${path}/a: 404 NotFound: things "a" not found`)
    assert.is(await client.find(things, ref), null)
    server.on(`GET ${path}/a`, (response) => response.end('<html>'))
    const bad = (await failure(client.get(things, ref))) as RequestError
    assert.is(bad.code, 'BADBODY')
    assert.match(bad.message, /not JSON: "<html>"/)
  }))

test('429 and 503 with Retry-After are sent again, any verb; 500 and bare 503 are not', () =>
  withServer(async (server, client) => {
    server.on(`POST ${path}`, status(429, 'TooManyRequests', 'wait', { 'retry-after': '0' }), json(object, 201))
    await client.create(things, object)
    assert.is(server.requests(`POST ${path}`).length, 2)
    server.on(`PUT ${path}/a`, status(503, 'ServiceUnavailable', 'wait', { 'retry-after': '0' }), json(object))
    await client.update(things, object)
    assert.is(server.requests(`PUT ${path}/a`).length, 2)
    for (const code of [500, 503]) {
      const from = server.seen.length
      server.on(`GET ${path}/a`, status(code, 'Sad', 'no'))
      assert.is(((await failure(client.get(things, ref))) as ApiError).status, code)
      assert.is(server.seen.length - from, 1)
    }
  }))

test('429 for ever ends after a bounded number of attempts, a far Retry-After at the deadline', () =>
  withServer(async (server, client) => {
    server.on(`GET ${path}/a`, status(429, 'TooManyRequests', 'wait', { 'retry-after': '0' }))
    assert.is(((await failure(client.get(things, ref))) as ApiError).status, 429)
    assert.is(server.seen.length, 5)
    server.on(`GET ${path}/a`, status(429, 'TooManyRequests', 'wait', { 'retry-after': '3600' }))
    const started = performance.now()
    await failure(client.get(things, ref, { timeoutMs: 30_000 }))
    assert.ok(performance.now() - started < 20_000, 'no use in waiting for the deadline')
  }))

test('a cut connection: idempotent requests again, a create never', () =>
  withServer(async (server, client) => {
    server
      .on(`GET ${path}/a`, hangUp, json(object))
      .on(`DELETE ${path}/a`, hangUp, json(object))
      .on(`POST ${path}`, hangUp)
    await client.get(things, ref)
    await client.delete(things, ref)
    const error = (await failure(client.create(things, object))) as RequestError
    assert.is(server.requests(`POST ${path}`).length, 1)
    assert.ok(error instanceof RequestError && error.outcomeUnknown, error.message)
    server.on(`PATCH ${path}/a`, hangUp, json(object))
    assert.ok((await failure(client.patch('json', things, ref, []))) instanceof RequestError)
    server.on(`PATCH ${path}/a`, hangUp, json(object))
    await client.patch('merge', things, ref, {})
  }))

test('a body cut in the middle is no answer', () =>
  withServer(async (server, client) => {
    server.on(`GET ${path}/a`, (response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"half":', () => response.socket?.destroy())
    })
    const error = (await failure(client.get(things, ref, { retries: 0 }))) as RequestError
    assert.ok(error instanceof RequestError && error.outcomeUnknown)
  }))

test('nobody listens: said so, certainly not received, bounded', async () => {
  const server = await FaultServer.start()
  const client = KubeClient.connect({ server: server.url })
  await server.close()
  const error = (await failure(client.create(things, object, { retries: 2 }))) as RequestError
  assert.is(error.code, 'ECONNREFUSED')
  assert.not(error.outcomeUnknown)
  client.close()
})

test('the deadline covers head and body; abort is immediate; neither leaves a connection', () =>
  withServer(async (server, client) => {
    server.on(`GET ${path}/a`, silence)
    const started = performance.now()
    const late = (await failure(client.get(things, ref, { timeoutMs: 80 }))) as RequestError
    assert.is(late.code, 'TIMEOUT')
    assert.match(late.message, /no complete response from 127\.0\.0\.1:\d+ within \d+ ms/)
    assert.ok(performance.now() - started < 20_000)
    server.on(`GET ${path}/a`, (response) => {
      response.writeHead(200)
      response.write('{"slow":')
    })
    assert.is(((await failure(client.get(things, ref, { timeoutMs: 80 }))) as RequestError).code, 'TIMEOUT')
    const controller = new AbortController()
    const running = failure(client.get(things, ref, { signal: controller.signal }))
    await server.arrived(`GET ${path}/a`, 3)
    controller.abort(new Error('enough'))
    assert.is((await running).message, 'enough')
    assert.is((await failure(client.get(things, ref, { signal: controller.signal }))).message, 'enough')
    await eventually(() => assert.is(server.open, 0))
  }))

test('the rate limit bounds requests; unlimited ones pass', () =>
  withServer(
    async (server, client) => {
      server.on(`GET ${path}/a`, json(object))
      const started = performance.now()
      await Promise.all(Array.from({ length: 12 }, () => client.get(things, ref)))
      const took = performance.now() - started
      assert.ok(took >= 180, `10 beyond the burst of 2 at 50/s took ${took} ms`)
      const direct = performance.now()
      await client.get(things, ref, { unlimited: true })
      assert.ok(performance.now() - direct < took)
    },
    { qps: 50, burst: 2 },
  ))

test('a deadline that the rate limit cannot keep is refused at once', () =>
  withServer(
    async (server, client) => {
      server.on(`GET ${path}/a`, json(object))
      await client.get(things, ref)
      const started = performance.now()
      const error = (await failure(client.get(things, ref, { timeoutMs: 20_000 }))) as RequestError
      assert.is(error.code, 'LIMITED')
      assert.ok(performance.now() - started < 15_000)
      assert.is(server.seen.length, 1)
    },
    { qps: 0.01, burst: 1 },
  ))

test('a fenced client: no write without leadership, none outlives it, reads go on', () =>
  withServer(async (server, client) => {
    const controller = new AbortController()
    let leading = true
    const fence: Fence = { isLeader: () => leading, signal: controller.signal, writeTimeoutMs: 100 }
    const fenced = client.fenced(fence)
    server.on(`GET ${path}/a`, json(object)).on(`PUT ${path}/a`, json(object)).on(`POST ${path}`, silence)
    await fenced.update(things, object)
    const slow = (await failure(fenced.create(things, object))) as RequestError
    assert.is(slow.code, 'TIMEOUT', 'a write is bounded by the fence')
    const before = server.seen.length
    leading = false
    assert.instance(await failure(fenced.update(things, object)), FencedError)
    assert.is(server.seen.length, before, 'nothing was sent')
    leading = true
    const running = failure(fenced.create(things, object))
    await server.arrived(`POST ${path}`, 2)
    controller.abort(new Error('lost'))
    assert.is((await running).message, 'lost')
    await fenced.get(things, ref)
    await client.update(things, object)
  }))

test('a retry asks the fence again', () =>
  withServer(async (server, client) => {
    let leading = true
    const fence: Fence = { isLeader: () => leading, signal: new AbortController().signal, writeTimeoutMs: 1000 }
    server.on(`PUT ${path}/a`, (response, seen) => {
      leading = false
      return status(429, 'TooManyRequests', 'wait', { 'retry-after': '0' })(response, seen)
    })
    assert.instance(await failure(client.fenced(fence).update(things, object)), FencedError)
    assert.is(server.seen.length, 1)
  }))

test('a closed client refuses', () =>
  withServer(async (server, client) => {
    server.on(`GET ${path}/a`, silence)
    const running = failure(client.get(things, ref, { retries: 0 }))
    await server.arrived(`GET ${path}/a`)
    client.close()
    assert.instance(await running, RequestError, 'running calls end')
    assert.is(((await failure(client.get(things, ref))) as RequestError).code, 'CLOSED')
    await sleep(1)
  }))

test.run()
