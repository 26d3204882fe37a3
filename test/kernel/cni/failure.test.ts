// A failed ADD leaves nothing, wherever it fails; the next one succeeds.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostInterfaceName, tryAgain } from '../../../lib/daemon/cni/index.ts'
import { CniNode, document, inPod, requireShim, sh, type TestPod } from '../../support/cni-node.ts'

requireShim()
const node = await CniNode.start({ addTimeout: 700 })
node.prepareHost()
test.after(() => node.stop())

function assertNothingLeft(netns: string): void {
  assert.not.match(sh('ip', '-o', 'link'), /hybr/)
  assert.not.match(inPod(netns, 'ip', '-o', 'link'), /eth0/)
  assert.is(sh('ip', 'route', 'show', 'table', '39999').trim(), '')
  assert.is(sh('ip', '-6', 'neigh', 'show', 'proxy').trim(), '')
  assert.is(node.service.attachments().length, 0)
}

test('a failure in the node half way: the pair goes again', async () => {
  const netns = await node.namespace('table')
  // IPv6 off in the node: the sysctls of the veth fail after it was created.
  const pod: TestPod = { name: 'table', addresses: ['10.10.0.7/16', 'fd00:10::7/64'], mtu: 1400 }
  node.networking.assign(pod)
  const host = hostInterfaceName('default', 'table', 'eth0')
  sh('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1')
  const result = await node.call({ command: 'ADD', pod, netns })
  sh('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=0')
  assert.is(result.status, 1, result.stdout)
  assert.is(document(result)['code'], 103)
  assert.match(String(document(result)['msg']), new RegExp(`wire ${host}`))
  assertNothingLeft(netns)
  assert.is((await node.call({ command: 'ADD', pod, netns })).status, 0)
  assert.is((await node.call({ command: 'DEL' })).status, 0)
})

test('a failure in the pod half way: the pair goes again', async () => {
  const netns = await node.namespace('pod')
  // The node routes to a multicast address without a word; as an address of the pod the kernel refuses it.
  const pod: TestPod = { name: 'pod', addresses: ['224.0.0.1/16', 'ff02::1/64'] }
  node.networking.assign(pod)
  const result = await node.call({ command: 'ADD', pod, netns })
  assert.is(document(result)['code'], 103, result.stdout)
  assertNothingLeft(netns)
})

test('a readiness that never comes ends at the deadline with code 11 and the reason', async () => {
  const netns = await node.namespace('ready')
  const pod: TestPod = { name: 'ready', addresses: ['10.10.0.8/16'] }
  node.networking.assign(pod)
  node.networking.ready = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(tryAgain('no rule for 10.10.0.0/16 yet')), { once: true })
    })
  const result = await node.call({ command: 'ADD', pod, netns })
  assert.is(document(result)['code'], 11, result.stdout)
  assert.match(String(document(result)['msg']), /no rule for 10\.10\.0\.0\/16 yet/)
  assert.ok(result.milliseconds > 600 && result.milliseconds < 3000, `${result.milliseconds} ms`)
  assertNothingLeft(netns)
  node.networking.ready = () => Promise.resolve()
})

test('a readiness that ignores its signal is left behind at the deadline', async () => {
  const netns = await node.namespace('stuck')
  const pod: TestPod = { name: 'stuck', addresses: ['10.10.0.9/16'] }
  node.networking.assign(pod)
  let release = (): void => undefined
  node.networking.ready = () => new Promise((resolve) => (release = resolve))
  const result = await node.call({ command: 'ADD', pod, netns })
  assert.is(document(result)['code'], 11)
  assert.match(String(document(result)['msg']), /not ready within 0.7 s/)
  assertNothingLeft(netns)
  release()
  node.networking.ready = () => Promise.resolve()
})

test('addresses that come late are waited for; those that never come are code 11', async () => {
  const netns = await node.namespace('late')
  const pod: TestPod = { name: 'late', addresses: ['10.10.0.10/16'] }
  const pending = node.call({ command: 'ADD', pod, netns })
  setTimeout(() => node.networking.assign(pod), 250)
  const result = await pending
  assert.is(result.status, 0, result.stdout)
  assert.ok(result.milliseconds > 200)
  assert.is((await node.call({ command: 'DEL' })).status, 0)
  const never = await node.call({ command: 'ADD', pod: { name: 'never', addresses: [] }, netns })
  assert.is(document(never)['code'], 11)
  assert.is(document(never)['details'], 'expected 1, found 0')
  assertNothingLeft(netns)
})

test('DEL during an ADD ends the ADD and leaves nothing', async () => {
  const netns = await node.namespace('race')
  const pod: TestPod = { name: 'race', addresses: ['10.10.0.11/16'] }
  node.networking.assign(pod)
  let wired = (): void => undefined
  const isWired = new Promise<void>((resolve) => (wired = resolve))
  node.networking.ready = () => {
    wired()
    return new Promise(() => undefined)
  }
  const adding = node.call({ command: 'ADD', pod, netns })
  await isWired
  const deleting = await node.call({ command: 'DEL', pod, netns })
  assert.is(deleting.status, 0, deleting.stdout)
  assert.is(document(await adding)['code'], 11)
  assertNothingLeft(netns)
  node.networking.ready = () => Promise.resolve()
})

test('a caller that is killed aborts what was done for it', async () => {
  const netns = await node.namespace('killed')
  const pod: TestPod = { name: 'killed', addresses: ['10.10.0.12/16'] }
  node.networking.assign(pod)
  let aborted = (): void => undefined
  const isAborted = new Promise<void>((resolve) => (aborted = resolve))
  node.networking.ready = (_, signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted()
        reject(tryAgain('aborted'))
      })
    })
  const result = await node.call({ command: 'ADD', pod, netns, config: { request_timeout_seconds: 1 } })
  assert.is(document(result)['code'], 11)
  await isAborted
  node.networking.ready = () => Promise.resolve()
  assert.is((await node.call({ command: 'DEL', pod, netns })).status, 0)
  assertNothingLeft(netns)
})

test('contradictory addresses are refused before anything is built', async () => {
  const netns = await node.namespace('bad')
  for (const addresses of [[], ['10.10.0.1/16', '10.10.0.2/16']]) {
    const pod: TestPod = { name: 'bad', addresses }
    node.networking.assign(pod)
    assert.is(document(await node.call({ command: 'ADD', pod, netns }))['code'], 102)
  }
  const pod: TestPod = { name: 'bad', addresses: ['fd00::1/64'], mtu: 1200 }
  node.networking.assign(pod)
  const result = await node.call({ command: 'ADD', pod, netns })
  assert.match(String(document(result)['msg']), /MTU 1200 is too small for an IPv6 address: expected at least 1280/)
  assertNothingLeft(netns)
})

test('a UID that is not the pod any more is code 100', async () => {
  const netns = await node.namespace('uid')
  node.networking.assign({ name: 'uid', uid: 'new', addresses: ['10.10.0.13/16'] })
  const pod: TestPod = { name: 'uid', uid: 'old', addresses: [] }
  assert.is(document(await node.call({ command: 'ADD', pod, netns }))['code'], 100)
  assertNothingLeft(netns)
})

test('a namespace that is none, or the node itself, is code 8', async () => {
  const pod: TestPod = { name: 'ns', addresses: ['10.10.0.14/16'] }
  node.networking.assign(pod)
  for (const netns of ['/nowhere', '/dev/null', '/proc/self/ns/mnt', `/proc/${process.pid}/ns/net`]) {
    const result = await node.call({ command: 'ADD', pod, netns })
    assert.is(document(result)['code'], 8, result.stdout)
  }
})

test.run()
