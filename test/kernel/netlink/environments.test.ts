// Workers: each environment has its own state, and ending one with calls in flight harms nobody.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NetworkNamespace, request, RouteSocket } from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { applyAll } from './support.ts'

requireSandbox()

const execute = promisify(execFile)
const root = new URL('../../..', import.meta.url).pathname
// Workers take the library as a bundle, which finds the addon above itself as dist/hybridnet.mjs does.
const folder = join(root, '.cache', `netlink-test-${process.pid}-${Date.now()}`)
const bundle = join(folder, 'netlink.mjs')
const library = new URL('../../../lib/netlink/index.ts', import.meta.url).href
const DEVICE = 70

test.before(async () => {
  const entryPoints = [join(root, 'lib/netlink/index.ts')]
  await build({ entryPoints, outfile: bundle, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
  const namespace = NetworkNamespace.current()
  const socket = RouteSocket.open(namespace)
  await applyAll(socket, [
    request.linkAdd({ kind: 'veth', name: 'e0', index: DEVICE, up: true, peer: { name: 'e1' } }),
    request.linkSet('e1', { up: true }),
  ])
  socket.close()
  namespace.close()
})

test.after(() => rm(folder, { recursive: true, force: true }))

/** A worker that runs `body` with the library's names in scope. */
function worker(body: string): Worker {
  const code = `
    const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(bundle)}).then(async (netlink) => {
      const { NetworkNamespace, RouteSocket, Monitor, NftMonitor, NeighbourResolver, ping, sysctlRead, connectTcp, runCommand, request, openPacketSocket } = netlink
      const namespace = NetworkNamespace.current()
      ${body}
    })`
  return new Worker(code, { eval: true })
}

test('workers and the main thread use the addon side by side', async () => {
  const workers = Array.from({ length: 3 }, () =>
    worker(`
      const socket = RouteSocket.open(namespace)
      const links = await socket.links()
      socket.close()
      namespace.close()
      parentPort.postMessage(links.map(({ name }) => name).sort())
    `),
  )
  const ended = workers.map((each) => once(each, 'exit') as Promise<[number]>)
  const names = await Promise.all(workers.map(async (each) => ((await once(each, 'message')) as unknown[])[0]))
  assert.equal(names, [
    ['e0', 'e1', 'lo'],
    ['e0', 'e1', 'lo'],
    ['e0', 'e1', 'lo'],
  ])
  const codes = await Promise.all(ended)
  assert.ok(codes.every(([code]) => code === 0))
})

test('a worker terminated with everything in flight ends, and this thread goes on', async () => {
  for (let round = 0; round < 3; round++) {
    const each = worker(`
      const nothing = () => {}
      const socket = RouteSocket.open(namespace)
      const monitor = Monitor.open(namespace, { groups: ['route', 'link'], onEvents: nothing, onOverrun: nothing, onError: nothing })
      const resolver = NeighbourResolver.open(namespace, { onMiss: nothing })
      resolver.setLink(${DEVICE})
      const packets = openPacketSocket(namespace, { index: ${DEVICE}, etherType: 3, onFrames: nothing })
      const routes = Array.from({ length: 50000 }, (_, i) =>
        request.routeReplace({ table: ${5000 + round}, dst: { address: 0x14000000 + i, length: 32 }, oif: ${DEVICE} }))
      socket.apply(routes).catch(nothing)
      socket.routes().catch(nothing)
      for (let i = 0; i < 100; i++) ping(namespace, 0x0a630001, 60000).catch(nothing)
      for (let i = 0; i < 100; i++) sysctlRead(namespace, 'net/ipv4/ip_forward').catch(nothing)
      parentPort.postMessage('busy')
    `)
    await once(each, 'message')
    const started = performance.now()
    await each.terminate()
    assert.ok(performance.now() - started < 30_000, 'a ping of a minute does not hold it up')
  }
  const namespace = NetworkNamespace.current()
  const socket = RouteSocket.open(namespace)
  assert.is((await socket.links()).length, 3)
  socket.close()
  namespace.close()
})

// Between terminate() and the end of its JavaScript a worker's calls still arrive, in an environment that can run none.
test('a worker terminated in the middle of any call ends', async () => {
  const calls = {
    batch: `socket.apply([request.linkSet('e0', { up: true })]).catch(nothing)`,
    refused: `socket.apply([request.linkSet('missing', { up: true })]).catch(nothing)`,
    query: `socket.links().catch(nothing)`,
    ping: `ping(namespace, 0x0a630001, 1).catch(nothing)`,
    sysctl: `sysctlRead(namespace, 'net/ipv4/ip_forward').catch(nothing)`,
    command: `runCommand(namespace, ['true']).catch(nothing)`,
    connect: `connectTcp(namespace, "127.0.0.1", 1, { md5: [{ peer: "127.0.0.1", prefixLength: 32, key: "k" }] }).catch(nothing)`,
    namespace: `NetworkNamespace.current().close()`,
    monitor: `Monitor.open(namespace, { groups: ['route'], onEvents: nothing, onOverrun: nothing, onError: nothing }).close()`,
    nft: `NftMonitor.open(namespace, { tables: ['a', 'b'], onCommits: nothing, onOverrun: nothing, onError: nothing }).close()`,
    resolver: `{ const resolver = NeighbourResolver.open(namespace, { onMiss: nothing }); resolver.setLink(1); resolver.stats(); resolver.close() }`,
  }
  for (const [name, call] of Object.entries(calls)) {
    for (let round = 0; round < 4; round++) {
      const each = worker(`
        const nothing = () => {}
        const socket = RouteSocket.open(namespace)
        ${call}
        parentPort.postMessage('looping')
        for (let i = 0; ; i++) {
          ${call}
          // Answers come too, so that one may be under way.
          if (i % 50 === 49) await new Promise((resolve) => setImmediate(resolve))
        }
      `)
      const failed = once(each, 'error').then(([error]) => error as Error)
      const first = await Promise.race([once(each, 'message'), failed])
      assert.equal(first, ['looping'], `${name}: ${String(first)}`)
      await new Promise((resolve) => setTimeout(resolve, 5 + round * 7))
      await each.terminate()
    }
  }
})

test('a process that exits with calls in flight does so quietly', async () => {
  const code = `
    import { NetworkNamespace, RouteSocket, Monitor, ping } from ${JSON.stringify(library)}
    const namespace = NetworkNamespace.current()
    const socket = RouteSocket.open(namespace)
    Monitor.open(namespace, { groups: ['link'], onEvents() {}, onOverrun() {}, onError() {} })
    void socket.routes()
    void ping(namespace, 0x0a630001, 10000)
    setImmediate(() => process.exit(7))
  `
  try {
    await execute(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code])
    assert.unreachable()
  } catch (error) {
    assert.equal({ ...(error as object) }, { ...(error as object), code: 7, stderr: '' })
  }
})

test('a socket nobody closed and nobody holds is collected', async () => {
  const code = `
    import { NetworkNamespace, RouteSocket } from ${JSON.stringify(library)}
    import { readdirSync } from 'node:fs'
    const namespace = NetworkNamespace.current()
    const descriptors = () => readdirSync('/proc/self/fd').length
    await RouteSocket.open(namespace).link('lo')
    const before = descriptors()
    for (let i = 0; i < 50; i++) await RouteSocket.open(namespace).link('lo')
    for (let i = 0; i < 50 && descriptors() > before + 2; i++) {
      gc()
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    console.log(descriptors() <= before + 2 ? 'collected' : descriptors() - before)
  `
  const { stdout } = await execute(process.execPath, [
    '--expose-gc',
    '--import',
    'tsx',
    '--input-type=module',
    '-e',
    code,
  ])
  assert.is(stdout, 'collected\n')
})

test('everything works as mapped root of a user namespace', async () => {
  const code = `
    import { NetworkNamespace, RouteSocket, Monitor, ping, request, sysctlWrite, createNamespace, deleteNamespace } from ${JSON.stringify(library)}
    const namespace = NetworkNamespace.current()
    const socket = RouteSocket.open(namespace)
    const monitor = Monitor.open(namespace, { groups: ['link'], onEvents() {}, onOverrun() {}, onError(e) { throw e } })
    await createNamespace('/run/mapped-root-ns')
    const other = NetworkNamespace.open('/run/mapped-root-ns')
    const results = await socket.apply([
      request.linkAdd({ kind: 'veth', name: 'a', index: 10, up: true, peer: { name: 'b', index: 10, namespace: other } }),
      request.addressAdd({ index: 10, address: 0x0a010001, prefixLength: 24 }),
    ])
    for (const error of results) if (error) throw error
    const there = RouteSocket.open(other)
    for (const error of await there.apply([
      request.linkSet(10, { up: true }),
      request.addressAdd({ index: 10, address: 0x0a010002, prefixLength: 24 }),
    ])) if (error) throw error
    await sysctlWrite(other, 'net/ipv4/conf/b/forwarding', 1)
    const rtt = await ping(namespace, 0x0a010002, 2000)
    monitor.close(); socket.close(); there.close(); other.close()
    await deleteNamespace('/run/mapped-root-ns')
    console.log(rtt === null ? 'no answer' : 'answered')
  `
  const { stdout } = await execute('unshare', [
    ...['--user', '--map-root-user', '--net', '--mount', '--pid', '--fork', '--mount-proc'],
    ...['sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh'],
    ...[process.execPath, '--import', 'tsx', '--input-type=module', '-e', code],
  ])
  assert.is(stdout, 'answered\n')
})

test.run()
