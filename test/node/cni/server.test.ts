// The socket server against callers that are wrong, slow, huge or gone, and its life: taking the socket's path, leaving it.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CniServer } from '../../../lib/daemon/cni/index.ts'
import type { CniHandler } from '../../../lib/daemon/cni/server.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { CniNode, document, requireShim, type TestPod } from '../../support/cni-node.ts'
import { eventually } from '../../support/eventually.ts'

requireShim()
const node = await CniNode.start({ addTimeout: 5000 }, { requestTimeout: 1000, maxBody: 100_000 })
node.prepareHost()
test.after(() => node.stop())

interface Answer {
  readonly status: number
  readonly body: string
}

function send(method: string, path: string, body: string | Buffer, socketPath = node.socketPath): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { socketPath, method, path, headers: { 'content-type': 'application/json' } },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
        response.on('error', reject)
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** Raw bytes in; everything that comes back until the server closes. */
function raw(bytes: string | Buffer, end = false): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(node.socketPath, () => {
      socket.write(bytes)
      if (end) socket.end()
    })
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(text))
  })
}

function v2(more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    command: 'DEL',
    container_id: 'c1',
    ifname: 'eth0',
    netns: '',
    pod: { namespace: 'default', name: 'web' },
    config: { cniVersion: '1.1.0', name: 'hybridnet' },
    ...more,
  })
}

async function error(body: string): Promise<{ code: number; msg: string; details: string; status: number }> {
  const answer = await send('POST', '/api/v2/cni', body)
  const parsed = JSON.parse(answer.body) as { error?: { code: number; msg: string; details: string } }
  assert.ok(parsed.error, answer.body)
  return { ...parsed.error, status: answer.status }
}

/** Version 2 requests that are refused: what, code, message. */
const refused: readonly (readonly [string, number, RegExp])[] = [
  ['{', 6, /not valid JSON/],
  ['[]', 6, /invalid request: expected an object, found \[\]/],
  [v2({ command: 'FROB' }), 4, /invalid command: expected ADD, DEL, CHECK, STATUS or GC, found "FROB"/],
  [v2({ command: undefined }), 4, /invalid command/],
  [v2({ container_id: '' }), 4, /invalid container_id/],
  [v2({ container_id: '../../etc' }), 4, /invalid container_id.*found "\.\.\/\.\.\/etc"/],
  [v2({ container_id: 7 }), 4, /invalid container_id: expected a string, found 7/],
  [v2({ ifname: 'a b' }), 4, /invalid ifname/],
  [v2({ ifname: 'sixteen-bytes-xx' }), 4, /invalid ifname/],
  [v2({ netns: 'relative' }), 4, /invalid netns: expected an absolute path/],
  [v2({ netns: '/a\u0000b' }), 4, /invalid netns/],
  [v2({ command: 'ADD', netns: '' }), 4, /invalid netns/],
  [v2({ command: 'ADD', netns: '/x', pod: {} }), 4, /missing K8S_POD_NAMESPACE/],
  [v2({ command: 'ADD', netns: '/x', pod: { namespace: 'a' } }), 4, /missing K8S_POD_NAME/],
  [v2({ pod: 'web' }), 4, /invalid pod: expected an object, found "web"/],
  [v2({ config: null }), 7, /invalid config: expected an object/],
  [v2({ config: { cniVersion: '9.0.0' } }), 1, /incompatible CNI versions/],
  [v2({ config: { cniVersion: 7 } }), 7, /invalid cniVersion/],
  [v2({ config: { cniVersion: '1.0.0', prevResult: [] } }), 7, /invalid prevResult/],
  [v2({ command: 'CHECK', netns: '/x', config: { cniVersion: '0.3.1' } }), 1, /does not allow CHECK/],
  [v2({ command: 'STATUS', config: { cniVersion: '1.0.0' } }), 1, /does not allow STATUS/],
  [v2({ command: 'GC' }), 7, /missing cni\.dev\/attachments/],
  [v2({ command: 'GC', config: { cniVersion: '1.1.0', 'cni.dev/attachments': 1 } }), 7, /expected an array, found 1/],
  [
    v2({ command: 'GC', config: { cniVersion: '1.1.0', 'cni.dev/attachments': [{ ifname: 'eth0' }] } }),
    7,
    /cni\.dev\/attachments\[0\]: expected an object with containerID and ifname/,
  ],
]

for (const [body, code, message] of refused) {
  test(`refused: ${message.source}`, async () => {
    const answer = await error(body)
    assert.is(answer.code, code)
    assert.match(`${answer.msg} ${answer.details}`, message)
    assert.is(answer.status, 400)
  })
}

test('bytes that are not UTF-8 are code 6', async () => {
  const answer = await send('POST', '/api/v2/cni', Buffer.from([0x7b, 0xff, 0x7d]))
  assert.match(answer.body, /"code":6,"msg":"the request is not UTF-8"/)
})

test('bodies that are too long are refused with an answer, announced or not', async () => {
  const long = v2({ padding: 'x'.repeat(200_000) })
  assert.match((await send('POST', '/api/v2/cni', long)).body, /longer than 100000 bytes/)
  const chunk = `${(50_000).toString(16)}\r\n${'x'.repeat(50_000)}\r\n`
  const answer = await raw(
    `POST /api/v2/cni HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(4)}`,
  )
  assert.match(answer, /longer than 100000 bytes/)
})

test('requests that never end are cut off, and cost nobody else', async () => {
  const start = performance.now()
  const slow = [
    raw('POST /api/v2/cni HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{'),
    raw('POST /api/v2/cni HTTP/1.1\r\nHost: x\r\nX-'),
    raw('PO'),
    raw(''),
  ]
  assert.is((await send('POST', '/api/v2/cni', v2())).status, 200)
  assert.ok(performance.now() - start < 4000)
  for (const text of await Promise.all(slow)) assert.match(text, /^(|HTTP\/1\.1 408 [\s\S]*)$/)
  assert.ok(performance.now() - start < 30_000, `${performance.now() - start} ms`)
  await eventually(() => node.server.inFlight === 0)
})

test('what is not HTTP, not served, or half a request', async () => {
  assert.match(await raw('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), /^HTTP\/1\.1 400/)
  assert.match(await raw('GET / HTTP/9.9\r\n\r\n'), /^HTTP\/1\.1 (400|505)/)
  assert.match(
    await raw('POST /api/v2/cni HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{', true),
    /^HTTP\/1\.1 400/,
  )
  await eventually(() => node.server.inFlight === 0)
  assert.is((await send('POST', '/api/v3', '{}')).status, 404)
  assert.is((await send('PUT', '/api/v2/cni', '{}')).status, 405)
  assert.is((await send('GET', '/api/v1/add', '')).status, 405)
  assert.is((await send('POST', '/api/v2/cni', v2())).status, 200)
})

test('version 1 is the contract of the original, byte for byte in its member names', async () => {
  const netns = await node.namespace('v1')
  const pod: TestPod = { name: 'v1', addresses: ['10.1.0.7/24', 'fd01::7/64'], gateways: ['10.1.0.1', null] }
  node.networking.assign(pod)
  const body = JSON.stringify({ pod_name: 'v1', pod_namespace: 'default', container_id: 'v1', net_ns: netns })
  const added = await send('POST', '/api/v1/add', body)
  assert.is(added.status, 200)
  assert.equal(JSON.parse(added.body), {
    address: [
      { ip: '10.1.0.7/24', mac: '02:12:34:00:00:07', gateway: '10.1.0.1', protocol: '4' },
      { ip: 'fd01::7/64', mac: '02:12:34:00:00:07', gateway: '', protocol: '6' },
    ],
    host_interface: node.service.attachments()[0]?.hostInterface,
    error: '',
  })
  const again = await send('POST', '/api/v1/add', body)
  assert.is(again.status, 500)
  assert.match(String((JSON.parse(again.body) as { error: string }).error), /already exists/)
  for (let i = 0; i < 2; i++) assert.equal(await send('POST', '/api/v1/del', body), { status: 204, body: '' })
  const gone = JSON.stringify({ pod_name: 'v1', pod_namespace: 'default', container_id: 'v1', net_ns: '/gone' })
  assert.equal(await send('POST', '/api/v1/del', gone), { status: 204, body: '' })
  for (const [text, message] of [
    ['{', /not valid JSON/],
    ['{}', /container_id/],
    [JSON.stringify({ container_id: 'x', net_ns: '/x' }), /K8S_POD_NAMESPACE/],
  ] as const) {
    const answer = await send('POST', '/api/v1/add', text)
    assert.is(answer.status, 400)
    const parsed = JSON.parse(answer.body) as { address: unknown; host_interface: unknown; error: string }
    assert.is(parsed.address, null)
    assert.is(parsed.host_interface, '')
    assert.match(parsed.error, message)
  }
})

test('STATUS and /healthz say what the daemon says', async () => {
  assert.is((await node.call({ command: 'STATUS' })).stdout, '')
  assert.is((await send('GET', '/healthz', '')).status, 200)
  node.networking.current = { ready: false, existingPodsAffected: false, reasons: ['caches are not synced'] }
  const waiting = document(await node.call({ command: 'STATUS' }))
  assert.is(waiting['code'], 50)
  assert.is(waiting['details'], 'caches are not synced')
  assert.is((await send('GET', '/healthz', '')).status, 503)
  node.networking.current = { ready: true, existingPodsAffected: true, reasons: ['routes fail for 61 s'] }
  assert.is(document(await node.call({ command: 'STATUS' }))['code'], 51)
  node.networking.current = { ready: true, existingPodsAffected: false, reasons: [] }
})

const idle: CniHandler = {
  handle: () => Promise.resolve(null),
  handleV1: () => Promise.resolve(null),
  status: () => ({ ready: true, existingPodsAffected: false, reasons: [] }),
}

function serverAt(socketPath: string): CniServer {
  return new CniServer({ socketPath, handler: idle, log: silentLogger() })
}

async function refusesToStart(socketPath: string, message: RegExp): Promise<void> {
  const server = serverAt(socketPath)
  const outcome = await server.start().then(
    () => 'started',
    (reason: unknown) => String(reason),
  )
  await server.stop(0)
  assert.match(outcome, message)
}

test('a stale socket is replaced; one that is served, and a file that is none, are not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hybridnet-stale-'))
  const socketPath = join(folder, 'x.sock')
  // A process that was killed leaves its socket's file behind.
  const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 9))`
  assert.is(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL')
  assert.ok(existsSync(socketPath))
  const first = serverAt(socketPath)
  await first.start()
  assert.is(statSync(socketPath).mode & 0o777, 0o600)
  assert.is((await send('POST', '/api/v2/cni', v2(), socketPath)).status, 200)
  await refusesToStart(socketPath, /another process accepts connections on/)
  assert.is((await send('POST', '/api/v2/cni', v2(), socketPath)).status, 200)
  await first.stop()
  assert.not.ok(existsSync(socketPath))
  await writeFile(socketPath, 'precious')
  await refusesToStart(socketPath, /exists and is not a socket/)
  assert.is(readFileSync(socketPath, 'utf8'), 'precious')
  await refusesToStart('relative.sock', /expected an absolute path/)
  await refusesToStart(join(folder, 'x'.repeat(90)), /of at most 98 bytes/)
  await refusesToStart(join(socketPath, 'y.sock'), /ENOTDIR|EEXIST/)
  await rm(folder, { recursive: true })
})

test("stopping removes our socket, not a successor's", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hybridnet-successor-'))
  const socketPath = join(folder, 'x.sock')
  const [old, young] = [serverAt(socketPath), serverAt(socketPath)]
  await old.start()
  await rm(socketPath)
  await young.start()
  await old.stop()
  assert.is((await send('POST', '/api/v2/cni', v2(), socketPath)).status, 200)
  await young.stop()
  assert.equal(readdirSync(folder), [])
  await rm(folder, { recursive: true })
})

test('stopping lets running calls finish and accepts no new ones', async () => {
  const netns = await node.namespace('graceful')
  const pod: TestPod = { name: 'graceful', addresses: ['10.1.0.20/24'] }
  const adding = node.call({ command: 'ADD', pod, netns, containerId: 'graceful' })
  await eventually(() => node.server.inFlight === 1)
  const stopping = node.server.stop(5000)
  await eventually(() => !existsSync(node.socketPath))
  assert.match(await send('POST', '/api/v2/cni', v2()).then(String, String), /ENOENT|ECONNREFUSED/)
  node.networking.assign(pod)
  assert.is((await adding).status, 0)
  await stopping
  await node.restart()
})

test('calls that outlast the grace are ended with code 11', async () => {
  const netns = await node.namespace('cut')
  const adding = node.call({ command: 'ADD', pod: { name: 'cut', addresses: [] }, netns, containerId: 'cut' })
  await eventually(() => node.server.inFlight === 1)
  const start = performance.now()
  await node.server.stop(200)
  assert.ok(performance.now() - start < 20_000)
  assert.is(document(await adding)['code'], 11)
  await node.restart()
})

test('a request that is still arriving does not hold up the stop', async () => {
  const slow = raw('POST /api/v2/cni HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{')
  await eventually(() => node.server.inFlight === 1)
  const start = performance.now()
  await node.server.stop(100)
  assert.ok(performance.now() - start < 20_000)
  await slow
  await node.restart()
})

test('a daemon restart in the middle of ADDs costs no pod', async () => {
  const pods = await Promise.all(
    Array.from({ length: 6 }, async (_, i) => {
      const pod: TestPod = { name: `restart-${i}`, addresses: [`10.1.1.${i + 1}/16`] }
      node.networking.assign(pod)
      return { pod, netns: await node.namespace(pod.name), containerId: `restart-${i}` }
    }),
  )
  const adding = Promise.all(pods.map((call) => node.call({ command: 'ADD', ...call })))
  await node.restart()
  for (const result of await adding) assert.is(result.status, 0, result.stdout)
})

test.run()
