// The shim against every kind of bad input and every kind of bad server: the right code, a message that names what is wrong,
// exactly one JSON document, and the deadlines kept.
import { readFileSync, statSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createNamespace, deleteNamespace } from '../../../lib/netlink/index.ts'
import { callShim, document, requireShim, shim, type ShimResult } from '../../support/cni-node.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
requireShim()
const folder = await mkdtemp(join(tmpdir(), 'hybridnet-shim-'))
const netns = join(folder, 'netns')
await createNamespace(netns)
test.after(async () => {
  await deleteNamespace(netns)
  await rm(folder, { recursive: true, force: true })
})

const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nginx;K8S_POD_UID=6d0c'
const addEnvironment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: '4f1c9e',
  CNI_NETNS: netns,
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS: args,
}

function without(key: keyof typeof addEnvironment): Record<string, string> {
  return Object.fromEntries(Object.entries(addEnvironment).filter(([name]) => name !== key))
}

function config(more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    cniVersion: '1.1.0',
    name: 'hybridnet',
    type: 'hybridnet',
    server_socket: join(folder, 'nobody.sock'),
    ...more,
  })
}

function assertError(result: ShimResult, code: number, message: RegExp): void {
  const error = document(result)
  assert.is(error['code'], code, result.stdout)
  assert.match(`${String(error['msg'])} ${String(error['details'])}`, message)
  assert.is(typeof error['cniVersion'], 'string')
  assert.is(result.status, 1)
}

/** One hostile or scripted server per test. */
async function serve(onConnection: (socket: Socket) => void, work: (path: string) => Promise<void>): Promise<void> {
  const path = join(folder, 'scripted.sock')
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    await work(path)
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Answers each request, once it is complete, with the next of these texts. */
function answering(...answers: string[]): { requests: string[]; onConnection: (socket: Socket) => void } {
  const requests: string[] = []
  return {
    requests,
    onConnection: (socket) => {
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        const head = text.indexOf('\r\n\r\n')
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
        if (head < 0 || Buffer.byteLength(text.slice(head + 4)) < length) return
        requests.push(text)
        socket.end(answers[Math.min(requests.length, answers.length) - 1] ?? '')
      })
    },
  }
}

function ok(body: unknown, status = '200 OK'): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

test('the executable is static, small, and says its version', async () => {
  assert.ok(statSync(shim).size < 1_000_000, `${statSync(shim).size} bytes`)
  // An ELF program header of type PT_INTERP (3) would mean that it needs a loader and libraries.
  const elf = readFileSync(shim)
  const [offset, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)]
  const types = Array.from({ length: count }, (_, i) => elf.readUInt32LE(offset + i * size))
  assert.ok(types.length > 0 && !types.includes(3))
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8')) as {
    version: string
  }
  const result = await callShim({}, '', { args: ['--version'] })
  assert.is(result.stdout, `hybridnet cni ${version}\n`)
  assert.is((await callShim({}, '', { args: ['--help'] })).status, 2)
})

test('called by hand it says what it is, on standard error', async () => {
  const result = await callShim({}, '')
  assert.is(result.status, 0)
  assert.is(result.stdout, '')
  assert.match(result.stderr, /^hybridnet cni .*\na CNI plugin/)
})

test('VERSION answers alone and echoes the version it was asked with', async () => {
  const versions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
  for (const [input, cniVersion] of [
    ['', '1.1.0'],
    [' \n', '1.1.0'],
    ['{"cniVersion":"0.4.0"}', '0.4.0'],
    ['{}', '0.1.0'],
  ] as const) {
    const result = await callShim({ CNI_COMMAND: 'VERSION' }, input)
    assert.is(result.status, 0)
    assert.equal(document(result), { cniVersion, supportedVersions: versions })
  }
  assertError(await callShim({ CNI_COMMAND: 'VERSION' }, '{'), 6, /not valid JSON/)
  assertError(await callShim({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":1}'), 7, /cniVersion: expected a string/)
})

/** Environments that are refused before anything is read or sent. */
const environments: readonly (readonly [Record<string, string>, RegExp])[] = [
  [without('CNI_COMMAND'), /required env variables \[CNI_COMMAND\] missing/],
  [{ ...addEnvironment, CNI_COMMAND: 'add' }, /unknown CNI_COMMAND: 'add'.*expected ADD, DEL/],
  [without('CNI_CONTAINERID'), /\[CNI_CONTAINERID\] missing/],
  [without('CNI_NETNS'), /\[CNI_NETNS\] missing/],
  [without('CNI_IFNAME'), /\[CNI_IFNAME\] missing/],
  [without('CNI_ARGS'), /\[CNI_ARGS:K8S_POD_NAMESPACE, CNI_ARGS:K8S_POD_NAME\] missing/],
  [
    { CNI_COMMAND: 'ADD' },
    /\[CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS:K8S_POD_NAMESPACE, CNI_ARGS:K8S_POD_NAME\]/,
  ],
  [{ CNI_COMMAND: 'DEL' }, /\[CNI_CONTAINERID, CNI_IFNAME\] missing/],
  [{ CNI_COMMAND: 'GC' }, /\[CNI_PATH\] missing/],
  [{ ...addEnvironment, CNI_CONTAINERID: '../x' }, /invalid CNI_CONTAINERID: '\.\.\/x'/],
  [{ ...addEnvironment, CNI_CONTAINERID: '-x' }, /invalid CNI_CONTAINERID/],
  [{ ...addEnvironment, CNI_IFNAME: 'a/b' }, /invalid CNI_IFNAME: 'a\/b'/],
  [{ ...addEnvironment, CNI_IFNAME: '..' }, /invalid CNI_IFNAME/],
  [{ ...addEnvironment, CNI_IFNAME: 'sixteen-bytes-xx' }, /invalid CNI_IFNAME.*expected 1 to 15 bytes/],
  [{ ...addEnvironment, CNI_ARGS: `${args.replace('IgnoreUnknown=1;', '')};broken` }, /'broken' is not KEY=VALUE/],
  [{ ...addEnvironment, CNI_ARGS: 'K8S_POD_NAMESPACE=;K8S_POD_NAME=x' }, /\[CNI_ARGS:K8S_POD_NAMESPACE\] missing/],
]

for (const [environment, message] of environments) {
  test(`bad environment: ${message.source}`, async () => assertError(await callShim(environment, config()), 4, message))
}

/** Configurations that are refused, in the order of validation. */
const configs: readonly (readonly [string | Buffer, number, RegExp])[] = [
  ['', 6, /not valid JSON.*expected an object at byte 0/],
  ['[]', 6, /expected an object/],
  ['{"name":"x"', 6, /at byte 11/],
  ['{"name":"x"}x', 6, /unexpected text after the document at byte 12/],
  ['{"name":"x",}', 6, /expected a string/],
  ['{"name":"\\x"}', 6, /unknown escape/],
  ['{"name":"\\ud800"}', 6, /surrogate/],
  ['{"name":01}', 6, /expected ',' or '}'/],
  [`{"a":${'['.repeat(64)}${']'.repeat(64)}}`, 6, /nested too deeply/],
  [Buffer.from([0x7b, 0x22, 0xc0, 0x80, 0x22, 0x3a, 0x31, 0x7d]), 6, /not UTF-8 at byte 2/],
  ['\ufeff{}', 6, /expected an object/],
  ['{}', 7, /missing network name/],
  ['{"name":"a b","cniVersion":"9.9.9"}', 7, /invalid network name: 'a b'/],
  ['{"name":7}', 7, /name: expected a string, found a number/],
  [config({ cniVersion: '9.9.9', server_socket: 1 }), 1, /config is "9\.9\.9", plugin supports \["0\.1\.0"/],
  [config({ cniVersion: 1 }), 7, /cniVersion: expected a string/],
  [config({ server_socket: undefined }), 7, /missing server_socket/],
  [config({ server_socket: 'run/x.sock' }), 7, /'run\/x\.sock': expected an absolute path/],
  [config({ server_socket: `/${'x'.repeat(107)}` }), 7, /at most 107 bytes/],
  [config({ server_socket: '/a\u0000b' }), 7, /none of them NUL/],
  [config({ server_socket: 7 }), 7, /server_socket: expected a string, found a number/],
  [config({ request_timeout_seconds: 0 }), 7, /request_timeout_seconds: 0: expected a whole number from 1 to 3600/],
  [config({ request_timeout_seconds: 1.5 }), 7, /request_timeout_seconds: 1\.5/],
]

for (const [input, code, message] of configs) {
  test(`bad configuration: ${message.source}`, async () =>
    assertError(await callShim(addEnvironment, input), code, message))
}

test('a configuration longer than 8 MiB is an I/O failure, whatever it says', async () => {
  const long = config({ padding: 'x'.repeat(8 * 1024 * 1024) })
  assertError(await callShim(addEnvironment, long), 5, /longer than 8388608 bytes/)
})

test('commands newer than the configuration are error 1', async () => {
  const { CNI_PATH } = addEnvironment
  assertError(
    await callShim({ ...addEnvironment, CNI_COMMAND: 'CHECK' }, config({ cniVersion: '0.3.1' })),
    1,
    /0\.4\.0 or later/,
  )
  for (const CNI_COMMAND of ['STATUS', 'GC']) {
    assertError(await callShim({ CNI_COMMAND, CNI_PATH }, config({ cniVersion: '1.0.0' })), 1, /1\.1\.0 or later/)
  }
})

test('a namespace must be one, and not our own', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['/nowhere/x', /cannot open CNI_NETNS '\/nowhere\/x': No such file/],
    ['/dev/null', /not a network namespace/],
    ['/proc/self/ns/uts', /not a network namespace/],
    ['/proc/self/status', /not a network namespace/],
    ['/proc/self/ns/net', /is the network namespace of the plugin itself/],
  ]
  for (const [path, message] of cases) {
    assertError(await callShim({ ...addEnvironment, CNI_NETNS: path }, config()), 8, message)
  }
})

test('no daemon: ADD and DEL wait five seconds for it, STATUS says 50, the others 11 at once', async () => {
  const [add, del, check, gc, status] = await Promise.all([
    callShim(addEnvironment, config()),
    callShim({ ...addEnvironment, CNI_COMMAND: 'DEL', CNI_NETNS: '' }, config()),
    callShim({ ...addEnvironment, CNI_COMMAND: 'CHECK' }, config()),
    callShim({ CNI_COMMAND: 'GC', CNI_PATH: '/x' }, config()),
    callShim({ CNI_COMMAND: 'STATUS' }, config()),
  ])
  for (const result of [add, del]) {
    assertError(result, 11, /cannot connect .*nobody\.sock': No such file.*not running/)
    assert.ok(result.milliseconds > 4800 && result.milliseconds < 8000, `${result.milliseconds} ms`)
    assert.is(result.stderr.trim().split('\n').length, 1)
  }
  assertError(check, 11, /cannot connect/)
  assertError(gc, 11, /cannot connect/)
  assertError(status, 50, /cannot connect/)
  for (const result of [check, gc, status]) assert.ok(result.milliseconds < 2000)
})

test('a daemon that comes back within the five seconds is found', async () => {
  const pending = callShim(addEnvironment, config({ server_socket: join(folder, 'scripted.sock') }))
  await new Promise((resolve) => setTimeout(resolve, 700))
  const { onConnection } = answering(ok({ result: { cniVersion: '1.1.0' } }))
  await serve(onConnection, async () => assert.is((await pending).status, 0))
})

test('the request is what the protocol says; the configuration travels byte for byte', async () => {
  const { requests, onConnection } = answering(ok('{"result": {"a":1.50e+01, "b":"\\u00fc" } }'))
  await serve(onConnection, async (path) => {
    const odd = `{"n":1.50e+01,"n":1,"name":"hybridnet","cniVersion":"1.1.0","server_socket":"${path}",  "x":"\\u00fc"}`
    const result = await callShim(addEnvironment, `\n${odd}\n`)
    assert.is(result.stdout, '{"a":1.50e+01, "b":"\\u00fc" }\n', 'the raw text of the result')
    const [request = ''] = requests
    assert.match(request, /^POST \/api\/v2\/cni HTTP\/1\.1\r\nHost: /)
    assert.match(request, /\r\nConnection: close\r\n/)
    assert.not.match(request, /accept-encoding/i)
    const body = request.slice(request.indexOf('\r\n\r\n') + 4)
    assert.ok(body.endsWith(`"config":${odd}}`), body)
    const sent = JSON.parse(body) as Record<string, unknown>
    assert.equal(sent, {
      config: JSON.parse(odd) as unknown,
      command: 'ADD',
      container_id: '4f1c9e',
      netns,
      ifname: 'eth0',
      args: { IgnoreUnknown: '1', K8S_POD_NAMESPACE: 'default', K8S_POD_NAME: 'nginx', K8S_POD_UID: '6d0c' },
      pod: { namespace: 'default', name: 'nginx', uid: '6d0c' },
    })
  })
})

/** What a server may do wrong, and what the runtime hears. */
const answers: readonly (readonly [what: string, answer: string, code: number, message: RegExp])[] = [
  ['an error object', ok({ error: { code: 105, msg: 'taken', details: 'by 02:00' } }, '500 X'), 105, /taken by 02:00/],
  ['no error object', ok({}, '500 X'), 5, /malformed answer.*expected an object 'error' status 500/],
  ['an error without code', ok({ error: { msg: 'x' } }, '500 X'), 5, /error\.code/],
  ['text', ok('oops', '502 Bad'), 5, /malformed answer.*status 502: oops/],
  ['200 without result', ok({ result: null }), 5, /expected an object 'result'/],
  ['200 with an array', ok({ result: [] }), 5, /expected an object 'result'/],
  ['no HTTP', 'SSH-2.0-x\r\n', 5, /does not begin with an HTTP/],
  ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{', 5, /ended within the answer/],
  ['nothing', '', 11, /closed the connection unanswered/],
  ['gzip', 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx', 5, /compressed/],
  ['a bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 5, /chunk size/],
  ['5 MiB', ok('x'.repeat(5 << 20)), 5, /body is too long/],
  ['a long head', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70000)}\r\n\r\n`, 5, /head is too long/],
]

for (const [what, answer, code, message] of answers) {
  test(`the daemon answers ${what}`, async () => {
    await serve(answering(answer).onConnection, async (path) => {
      assertError(await callShim(addEnvironment, config({ server_socket: path })), code, message)
    })
  })
}

test('chunked answers, interim answers and answers without a length are understood', async () => {
  const result = '{"result":{"x":1}}'
  for (const answer of [
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n${result.slice(0, 5)}\r\nd\r\n${result.slice(5)}\r\n0\r\n\r\n`,
    `HTTP/1.1 100 Continue\r\n\r\n${ok(result)}`,
    `HTTP/1.0 200 OK\n\n${result}`,
  ]) {
    await serve(answering(answer).onConnection, async (path) => {
      assert.is((await callShim(addEnvironment, config({ server_socket: path }))).stdout, '{"x":1}\n')
    })
  }
})

test('a daemon that never answers costs the deadline, once', async () => {
  let connections = 0
  await serve(
    () => connections++,
    async (path) => {
      const timeout = { server_socket: path, request_timeout_seconds: 1 }
      const result = await callShim(addEnvironment, config(timeout))
      assertError(result, 11, /did not answer in time/)
      assert.ok(result.milliseconds > 900 && result.milliseconds < 3000, `${result.milliseconds} ms`)
      assert.is(connections, 1, 'a request is never sent twice')
      assertError(await callShim({ CNI_COMMAND: 'STATUS' }, config(timeout)), 50, /did not answer in time/)
    },
  )
})

test('SIGTERM ends the call with one error object', async () => {
  await serve(
    () => undefined,
    async (path) => {
      const child = spawn(shim, { env: addEnvironment, stdio: ['pipe', 'pipe', 'inherit'] })
      let out = ''
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.stdin.end(config({ server_socket: path }))
      setTimeout(() => child.kill('SIGTERM'), 300)
      const status = await new Promise((resolve) => child.on('close', resolve))
      assertError({ status: Number(status), stdout: out, stderr: '', milliseconds: 0 }, 11, /stopped by a signal/)
    },
  )
})

test('DEL, CHECK and STATUS print nothing on success', async () => {
  await serve(answering(ok({ result: null })).onConnection, async (path) => {
    const input = config({ server_socket: path })
    for (const environment of [
      { ...addEnvironment, CNI_COMMAND: 'DEL', CNI_NETNS: '/gone' },
      { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'x', CNI_IFNAME: 'eth0' },
      { ...addEnvironment, CNI_COMMAND: 'CHECK' },
      { CNI_COMMAND: 'STATUS' },
      { CNI_COMMAND: 'GC', CNI_PATH: '/x' },
    ]) {
      const result = await callShim(environment, input)
      assert.is(result.stdout + result.stderr, '')
      assert.is(result.status, 0)
    }
  })
})

const notFound = ok('404: Page Not Found', '404 Not Found')
const v1Answer = {
  address: [
    { ip: '10.0.0.7/24', mac: '02:12:34:00:00:07', gateway: '10.0.0.1', protocol: '4' },
    { ip: 'fd00::7/64', mac: '02:12:34:00:00:07', gateway: '', protocol: '6' },
  ],
  host_interface: 'hybrc440f455693',
  error: '',
}

test('a daemon of version 1: ADD builds the result, in the shape of each version', async () => {
  const script = answering(notFound, ok(v1Answer))
  await serve(script.onConnection, async (path) => {
    const result = await callShim(addEnvironment, config({ server_socket: path, cniVersion: '0.3.1' }))
    const [, request = ''] = script.requests
    assert.match(request, /^POST \/api\/v1\/add HTTP/)
    assert.equal(JSON.parse(request.slice(request.indexOf('\r\n\r\n') + 4)), {
      pod_name: 'nginx',
      pod_namespace: 'default',
      container_id: '4f1c9e',
      net_ns: netns,
    })
    assert.equal(document(result), {
      cniVersion: '0.3.1',
      interfaces: [
        { name: 'hybrc440f455693', mac: 'ee:ee:ee:ee:ee:ee' },
        { name: 'eth0', mac: '02:12:34:00:00:07', sandbox: netns },
      ],
      ips: [
        { version: '4', address: '10.0.0.7/24', gateway: '10.0.0.1', interface: 1 },
        { version: '6', address: 'fd00::7/64', interface: 1 },
      ],
      routes: [
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
        { dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' },
      ],
      dns: {},
    })
  })
  const old = answering(notFound, ok(v1Answer))
  await serve(old.onConnection, async (path) => {
    const result = await callShim(addEnvironment, config({ server_socket: path, cniVersion: '0.2.0' }))
    assert.equal(document(result), {
      cniVersion: '0.2.0',
      ip4: { ip: '10.0.0.7/24', gateway: '10.0.0.1', routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }] },
      ip6: { ip: 'fd00::7/64', routes: [{ dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' }] },
      dns: {},
    })
  })
})

test('a daemon of version 1: the other commands, refusals and nonsense', async () => {
  const once = async (environment: Record<string, string>, ...script: string[]): Promise<ShimResult> => {
    let result: ShimResult | null = null
    await serve(answering(...script).onConnection, async (path) => {
      result = await callShim(environment, config({ server_socket: path }))
    })
    return result as unknown as ShimResult
  }
  const del = { ...addEnvironment, CNI_COMMAND: 'DEL' }
  assert.is((await once(del, notFound, 'HTTP/1.1 204 No Content\r\n\r\n')).status, 0)
  const refusal = ok({ address: null, host_interface: '', error: 'no address yet' }, '400 Bad Request')
  assertError(await once(addEnvironment, notFound, refusal), 11, /no address yet status 400/)
  assertError(await once(del, notFound, refusal), 11, /no address yet/)
  const bad = { ...v1Answer, address: [{ ip: '10.0.0.300/24', mac: 'x' }] }
  assertError(await once(addEnvironment, notFound, ok(bad)), 5, /not an address: .*10\.0\.0\.300/)
  assertError(await once(addEnvironment, notFound, ok({ ...v1Answer, address: [] })), 5, /no address/)
  assertError(await once({ ...addEnvironment, CNI_IFNAME: 'net1' }, notFound), 4, /expected eth0/)
  assert.is((await once({ CNI_COMMAND: 'STATUS' }, notFound)).status, 0)
  assertError(await once({ ...addEnvironment, CNI_COMMAND: 'CHECK' }, notFound), 11, /too old for CHECK/)
})

// Inside of a user namespace there is only root to be.
const otherUsers = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2] !== '1'
if (!otherUsers) console.log('SKIPPED where it is needed: a user namespace has no other user than root')
const asOther = (name: string, run: () => Promise<void>): void => (otherUsers ? test(name, run) : test.skip(name, run))

asOther('a socket that somebody else than root serves is refused', async () => {
  const path = join(folder, 'other.sock')
  await chmod(folder, 0o777)
  const script = `require('net').createServer((s) => s.end('x')).listen(${JSON.stringify(path)}, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', script], { uid: 65534, stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const result = await callShim(addEnvironment, config({ server_socket: path }))
  child.kill()
  assertError(result, 5, /served by user 65534, not by root.*not sent/)
})

test.run()
