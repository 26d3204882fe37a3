// Jobs inside a namespace: the namespace itself, sysctls, TCP, frames, echoes.
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import {
  connectTcp,
  createNamespace,
  deleteNamespace,
  IFA_F_NODAD,
  isAlreadyExists,
  listenTcp,
  NetlinkError,
  NetworkNamespace,
  openPacketSocket,
  ping,
  request,
  RouteSocket,
  setTcpOptions,
  sysctlRead,
  sysctlReadAll,
  sysctlWrite,
  sysctlWriteAll,
} from '../../../lib/netlink/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { applyAll, newPlace, until, type Place } from './support.ts'

requireSandbox()

const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
let pod: Place
const NEAR = 200
const FAR = 201
const address = (text: string) => parseAddress(text)

async function refusal(call: Promise<unknown>): Promise<NetlinkError> {
  try {
    await call
  } catch (error) {
    assert.instance(error, NetlinkError)
    return error as NetlinkError
  }
  throw new Error('was not refused')
}

test.before(async () => {
  pod = await newPlace()
  await socket.run(request.linkSet('lo', { up: true }))
  await socket.run(
    request.linkAdd({
      kind: 'veth',
      name: 'near',
      index: NEAR,
      mac: 0x020000000001,
      up: true,
      peer: { name: 'far', index: FAR, mac: 0x020000000002, namespace: pod.namespace },
    }),
  )
  const near = { index: NEAR, flags: IFA_F_NODAD }
  const far = { index: FAR, flags: IFA_F_NODAD }
  await applyAll(socket, [
    request.addressAdd({ ...near, address: address('10.3.0.1'), prefixLength: 24 }),
    request.addressAdd({ ...near, address: address('fd03::1'), prefixLength: 64 }),
  ])
  await applyAll(pod.socket, [
    request.linkSet(FAR, { up: true }),
    request.addressAdd({ ...far, address: address('10.3.0.2'), prefixLength: 24 }),
    request.addressAdd({ ...far, address: address('fd03::2'), prefixLength: 64 }),
  ])
})

test.after(async () => {
  await pod.close()
  socket.close()
  namespace.close()
})

test('a namespace is made with lo up, opened, and deleted twice', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'netns-'))
  const path = join(folder, 'one')
  await createNamespace(path)
  assert.ok(isAlreadyExists(await refusal(createNamespace(path))))
  const opened = NetworkNamespace.open(path)
  assert.is(opened.inode, (await stat(path)).ino)
  assert.is.not(opened.inode, namespace.inode)
  const inside = RouteSocket.open(opened)
  assert.equal(
    (await inside.links()).map(({ name, flags }) => [name, flags & 1]),
    [['lo', 1]],
  )
  // The socket keeps what the descriptor no longer does.
  opened.close()
  opened.close()
  assert.throws(() => opened.fd, /is closed/)
  await deleteNamespace(path)
  await deleteNamespace(path)
  assert.is((await inside.links()).length, 1)
  inside.close()
  await rm(folder, { recursive: true })
})

test('what is no namespace is refused by name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'netns-'))
  const file = join(folder, 'plain')
  writeFileSync(file, '')
  assert.throws(() => NetworkNamespace.open(file), /open network namespace .*plain: not a network namespace/)
  assert.throws(() => NetworkNamespace.open('/proc/self/ns/mnt'), /not a network namespace/)
  assert.throws(() => NetworkNamespace.open(join(folder, 'absent')), /ENOENT/)
  const absent = await refusal(createNamespace(join(folder, 'no/folder')))
  assert.is(absent.code, 'ENOENT')
  // A plain file where a namespace was expected is removed like `ip netns delete` does.
  await deleteNamespace(file)
  await rm(folder, { recursive: true })
})

test('current() is the namespace of the process, and stays it', async () => {
  assert.is(`net:[${namespace.inode}]`, readlinkSync('/proc/self/ns/net'))
  await sysctlRead(pod.namespace, 'net/ipv4/ip_forward')
  assert.is(`net:[${namespace.inode}]`, readlinkSync('/proc/thread-self/ns/net'))
})

test('sysctls are those of the namespace, not of the process', async () => {
  await sysctlWrite(pod.namespace, 'net/ipv4/conf/far/proxy_arp', 1)
  assert.is(await sysctlRead(pod.namespace, 'net.ipv4.conf.far.proxy_arp'), '1')
  assert.is((await refusal(sysctlRead(namespace, 'net/ipv4/conf/far/proxy_arp'))).code, 'ENOENT')
  await sysctlWrite(pod.namespace, 'net/ipv4/ip_forward', 1)
  await sysctlWrite(namespace, 'net/ipv4/ip_forward', 0)
  assert.is(await sysctlRead(pod.namespace, '/proc/sys/net/ipv4/ip_forward'), '1')
  assert.is(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8'), '0\n')
})

test('of many sysctls each has its own result', async () => {
  const results = await sysctlWriteAll(pod.namespace, [
    { path: 'net/ipv4/conf/far/rp_filter', value: 2 },
    { path: 'net/ipv4/conf/absent/rp_filter', value: 2 },
    { path: 'net/ipv4/conf/far/forwarding', value: 'text' },
    { path: 'net/ipv6/conf/far/accept_ra', value: 0 },
  ])
  assert.equal(
    results.map((error) => (error as NetlinkError | null)?.code ?? null),
    [null, 'ENOENT', 'EINVAL', null],
  )
  assert.equal(await sysctlReadAll(pod.namespace, ['net/ipv4/conf/far/rp_filter', 'net/ipv4/absent']), ['2', null])
})

test('sysctls outside the network are not reachable', async () => {
  for (const path of ['kernel/hostname', 'net/../kernel/hostname', 'net', '/etc/passwd', 'net//ipv4']) {
    try {
      await sysctlRead(namespace, path)
      assert.unreachable(path)
    } catch (error) {
      assert.match((error as Error).message, /expected net\//)
    }
  }
})

for (const [family, there, nobody] of [
  [4, '10.3.0.2', '10.3.0.9'],
  [6, 'fd03::2', 'fd03::9'],
] as const) {
  test(`ping over IPv${family}: a time, or null`, async () => {
    const rtt = await ping(namespace, address(there), 1000)
    assert.ok(rtt !== null && rtt > 0 && rtt < 1000, `${rtt}`)
    const started = performance.now()
    assert.is(await ping(namespace, address(nobody), 150), null)
    assert.ok(performance.now() - started >= 149)
    assert.is(await ping(pod.namespace, address(family === 4 ? '203.0.113.1' : '2001:db8::1'), 60), null, 'no route')
  })

  test(`TCP over IPv${family}: from one namespace into the other`, async () => {
    const fd = await listenTcp(pod.namespace, '::', 0)
    const server = createServer((connection) => connection.end(`you are ${connection.remoteAddress}`))
    server.listen({ fd })
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const client = new Socket({ fd: await connectTcp(namespace, there, port), readable: true, writable: true })
    let text = ''
    client.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await once(client, 'end')
    assert.match(text, family === 4 ? /you are ::ffff:10\.3\.0\.1$/ : /you are fd03::1$/)
    client.destroy()
    server.close()
    assert.is((await refusal(connectTcp(pod.namespace, there, 1))).code, 'ECONNREFUSED')
    const late = await refusal(connectTcp(namespace, nobody, 1, { timeout: 80 }))
    assert.is(late.code, 'ETIMEDOUT')
    assert.match(late.message, /^connect to .* port 1 in /)
  })

  test(`TCP-MD5 over IPv${family}: only who knows the key is heard`, async () => {
    const near = family === 4 ? '10.3.0.1' : 'fd03::1'
    const host = family === 4 ? 32 : 128
    const fd = await listenTcp(pod.namespace, there, 0, { minTtl: 255 })
    setTcpOptions(fd, family, { md5: [{ peer: parsePrefix(`${near}/${host}`), key: 'secret' }] })
    const server = createServer((connection) => connection.end())
    server.listen({ fd })
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const peer = parsePrefix(`${there}/${host}`)
    const open = (key: string, ttl: number) =>
      connectTcp(namespace, there, port, { ttl, timeout: 200, md5: [{ peer, key }] })
    const good = new Socket({ fd: await open('secret', 255), readable: true })
    good.resume()
    await once(good, 'close')
    assert.is((await refusal(open('wrong', 255))).code, 'ETIMEDOUT')
    assert.is((await refusal(open('secret', 254))).code, 'ETIMEDOUT', 'below the minimum TTL')
    server.close()
  })
}

test('a taken port is refused with its address and namespace', async () => {
  const fd = await listenTcp(namespace, '127.0.0.1', 0)
  const server = createServer()
  server.listen({ fd })
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const error = await refusal(listenTcp(namespace, '127.0.0.1', port))
  assert.is(error.code, 'EADDRINUSE')
  assert.match(error.message, /^listen on 127\.0\.0\.1 port \d+ in /)
  server.close()
})

test('frames arrive as they were sent, at the other end only', async () => {
  const received: Buffer[] = []
  const own: Buffer[] = []
  const far = openPacketSocket(pod.namespace, {
    index: FAR,
    etherType: 0x0806,
    onFrames: (frames) => received.push(...frames),
  })
  const near = openPacketSocket(namespace, {
    index: NEAR,
    etherType: 0x0806,
    onFrames: (frames) => own.push(...frames),
  })
  // A gratuitous ARP: 192.0.2.1 is at 02:00:00:00:00:01.
  const frame = Buffer.from(
    'ffffffffffff020000000001080600010800060400010200000000' + '01c0000201' + '000000000000c0000201',
    'hex',
  )
  near.send(frame)
  await until('the frame', () => received.some((each) => each.subarray(0, frame.length).equals(frame)))
  assert.not(own.some((each) => each.equals(frame)))
  near.close()
  far.close()
  far.close()
  assert.throws(() => openPacketSocket(namespace, { index: 9999, etherType: 3, onFrames: () => undefined }), /ENODEV/)
})

test('many jobs at once are all answered', async () => {
  const jobs = Array.from({ length: 200 }, (_, i) =>
    i % 2 === 0 ? sysctlRead(pod.namespace, 'net/ipv4/ip_forward') : sysctlRead(namespace, 'net/ipv4/ip_forward'),
  )
  assert.equal(
    await Promise.all(jobs),
    jobs.map((_, i) => (i % 2 === 0 ? '1' : '0')),
  )
})

test.run()
