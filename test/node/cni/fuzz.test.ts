// The whole shim and the whole socket server under deterministic mutation. Whatever the shim is given, it ends by itself with
// exit status 0 or 1 and at most one JSON document; whatever the server is given, it still serves the next caller, and has
// wired nothing. The shim is built with AddressSanitizer and UBSan (scripts/fuzz-cni) where the compiler has them.
//
//   HYBRIDNET_FUZZ_RUNS=100000 HYBRIDNET_FUZZ_SEED=2 npm test -- cni/fuzz
import { spawnSync } from 'node:child_process'
import { createServer, connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { callShim, CniNode, requireShim, sh, shim } from '../../support/cni-node.ts'

requireShim()
const runs = Number(process.env['HYBRIDNET_FUZZ_RUNS'] ?? 100)
const seed = Number(process.env['HYBRIDNET_FUZZ_SEED'] ?? 1)
const root = join(import.meta.dirname, '../../..')

/** mulberry32: small, and the same everywhere. */
function generator(start: number): (limit: number) => number {
  let state = start >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) % limit
  }
}

const tokens = [
  '{',
  '}',
  '"',
  ':',
  ',',
  '\\u',
  '\\ud800',
  '\0',
  '\r\n',
  '\r\n\r\n',
  'null',
  '1e9',
  '[[[[',
  '\xff',
  '\xc0\x80',
]

function mutate(bytes: Buffer, below: (limit: number) => number): Buffer {
  let result = bytes
  for (let rounds = below(5); rounds > 0; rounds--) {
    const at = below(result.length + 1)
    const rest = result.subarray(Math.min(result.length, at + below(12)))
    const head = result.subarray(0, at)
    switch (below(5)) {
      case 0:
        result = Buffer.concat([head, Buffer.from([below(256)]), result.subarray(Math.min(result.length, at + 1))])
        break
      case 1:
        result = Buffer.concat([head, rest])
        break
      case 2:
        result = Buffer.concat([head, Buffer.from(tokens[below(tokens.length)] ?? '', 'latin1'), result.subarray(at)])
        break
      case 3:
        result = Buffer.concat([head, result.subarray(below(result.length + 1)), rest])
        break
      default:
        result = head
    }
  }
  return result
}

/** The sanitized shim, or the ordinary one where the compiler has no sanitizers. */
function fuzzedShim(): string {
  const build = spawnSync(join(root, 'scripts/fuzz-cni'), ['--build'], { encoding: 'utf8' })
  if (build.status === 0) return join(root, '.cache/cni-fuzz/hybridnet-cni')
  console.log(`no sanitized build, fuzzing the ordinary one: ${build.stderr}`)
  return shim
}

const executable = fuzzedShim()
const node = await CniNode.start({ addTimeout: 50 }, { requestTimeout: 500, maxBody: 100_000 })
test.after(() => node.stop())

function assertOneOutcome(result: { status: number; stdout: string; stderr: string }, input: unknown): void {
  const context = `${JSON.stringify(input)} -> ${JSON.stringify(result)}`
  assert.not.match(result.stderr, /Sanitizer|runtime error|killed by/, context)
  assert.ok(result.status === 0 || result.status === 1, context)
  if (result.status === 0 && result.stdout === '') return
  const document = JSON.parse(result.stdout) as Record<string, unknown>
  if (result.status === 1) {
    assert.ok(Number.isInteger(document['code']) && String(document['msg']).length > 0, context)
    assert.is(typeof document['cniVersion'], 'string', context)
  } else {
    assert.not.ok('code' in document, context)
  }
}

test(`the parsers of the shim in one process: ${runs * 20} rounds`, () => {
  const fuzz = join(root, '.cache/cni-fuzz/fuzz')
  const result = spawnSync(fuzz, [String(runs * 20), String(seed)], { encoding: 'utf8' })
  assert.is(result.status, 0, result.stderr)
})

test(`the shim: ${runs} mutated environments, configurations and answers`, async () => {
  const below = generator(seed)
  let answer: Buffer = Buffer.alloc(0)
  const path = join(node.folder, 'hostile.sock')
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', () => socket.end(answer))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const netns = await node.namespace('fuzz')
  const commands = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION', 'ADD', 'ADD']
  const body = Buffer.from(
    '{"result":{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.1/24"}]},"error":{"code":11,"msg":"x"}}',
  )
  const statuses = ['200 OK', '500 X', '404 Not Found', '204 No Content']
  for (let i = 0; i < runs; i++) {
    const config = Buffer.from(
      JSON.stringify({
        cniVersion: ['0.2.0', '0.3.1', '0.4.0', '1.1.0'][below(4)],
        name: 'hybridnet',
        server_socket: path,
        request_timeout_seconds: 2,
        prevResult: { ips: [1.5e3, 'ü', null] },
      }),
    )
    const mutated = mutate(body, below)
    const head = `HTTP/1.1 ${statuses[below(4)]}\r\nContent-Length: ${mutated.length}\r\n\r\n`
    answer =
      below(2) === 0
        ? Buffer.concat([Buffer.from(head), mutated])
        : mutate(Buffer.concat([Buffer.from(head), body]), below)
    const text = (plain: string): string =>
      below(4) > 0 ? plain : mutate(Buffer.from(plain), below).toString('latin1').replaceAll('\0', '')
    const environment = {
      CNI_COMMAND: below(10) > 0 ? (commands[below(commands.length)] ?? '') : text('ADD'),
      CNI_CONTAINERID: text('4f1c9e'),
      CNI_NETNS: text(netns),
      CNI_IFNAME: text('eth0'),
      CNI_PATH: '/opt/cni/bin',
      CNI_ARGS: text('IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web'),
    }
    const input = below(2) === 0 ? config : mutate(config, below)
    // A socket path that was mutated has nobody behind it; waiting five seconds for somebody proves nothing more.
    const reachable = !['ADD', 'DEL'].includes(environment.CNI_COMMAND) || input === config
    if (!reachable && input.includes('server_socket') && !input.includes(path)) continue
    const result = await callShim(environment, input, { executable })
    assertOneOutcome(result, { environment, input: input.toString('latin1'), answer: answer.toString('latin1') })
  }
  await new Promise((resolve) => server.close(resolve))
})

/** Send bytes, perhaps in two parts, perhaps cut off; resolves when the server closes or a moment has passed. */
function attack(bytes: Buffer, cut: number, hangUp: boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(node.socketPath, () => {
      socket.write(bytes.subarray(0, cut))
      setImmediate(() => (hangUp ? socket.destroy() : socket.end(bytes.subarray(cut))))
    })
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(text))
  })
}

test(`the server: ${runs * 4} mutated requests`, async () => {
  const below = generator(seed + 1)
  const body = JSON.stringify({
    command: 'ADD',
    container_id: 'c1',
    ifname: 'eth0',
    netns: '/nowhere',
    pod: { namespace: 'default', name: 'web', uid: 'u' },
    config: { cniVersion: '1.1.0', name: 'x', prevResult: { interfaces: [], ips: [] }, 'cni.dev/attachments': [] },
  })
  const paths = ['/api/v2/cni', '/api/v1/add', '/api/v1/del', '/healthz', '/']
  for (let i = 0; i < runs * 4; i += 8) {
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const mutated = mutate(Buffer.from(body.replace('ADD', ['ADD', 'DEL', 'CHECK', 'GC'][below(4)] ?? '')), below)
        const head = `POST ${paths[below(5)]} HTTP/1.1\r\nHost: x\r\nContent-Length: ${mutated.length}\r\n\r\n`
        const plain = Buffer.concat([Buffer.from(head), mutated])
        const bytes = below(3) === 0 ? mutate(plain, below) : plain
        const answer = await attack(bytes, below(bytes.length + 1), below(4) === 0)
        assert.match(answer, /^(|HTTP\/1\.1 [1-5]\d\d [\s\S]*)$/, bytes.toString('latin1'))
        assert.not.match(answer, /"code":999/, bytes.toString('latin1'))
      }),
    )
  }
  const status = await node.call({ command: 'STATUS' })
  assert.is(status.status, 0, status.stdout)
  assert.is(node.service.attachments().length, 0)
  assert.not.match(sh('ip', '-o', 'link'), /hybr/)
})

test.run()
