// A whole node's worth of pods at once, and collecting what is left over.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hostInterfaceName } from '../../../lib/daemon/cni/index.ts'
import { LinkReaper } from '../../../lib/daemon/cni/reaper.ts'
import { NetworkNamespace, request, RouteSocket } from '../../../lib/netlink/index.ts'
import { CniNode, document, requireShim, sh, type TestPod } from '../../support/cni-node.ts'

requireShim()
const pods = 110
const node = await CniNode.start({ collectAfter: 1000 })
node.prepareHost()
test.after(() => node.stop())

function hybrLinks(): number {
  return sh('ip', '-o', 'link')
    .split('\n')
    .filter((line) => line.includes('hybr')).length
}

function podOf(i: number): TestPod {
  return { name: `pod-${i}`, addresses: [`10.30.0.${i + 1}/16`, `fd00:30::${(i + 1).toString(16)}/64`] }
}

const paths: string[] = []

test(`${pods} ADDs at once all succeed`, async () => {
  for (let i = 0; i < pods; i++) {
    paths.push(await node.namespace(`pod-${i}`))
    node.networking.assign(podOf(i))
  }
  const start = performance.now()
  const results = await Promise.all(
    paths.map((netns, i) => node.call({ command: 'ADD', pod: podOf(i), netns, containerId: `c${i}` })),
  )
  const took = performance.now() - start
  for (const result of results) assert.is(result.status, 0, result.stdout)
  const times = results.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b)
  console.log(
    `${pods} ADDs at once: ${took.toFixed(0)} ms in all, median ${times[pods >> 1]?.toFixed(0)} ms, longest ${times.at(-1)?.toFixed(0)} ms`,
  )
  assert.is(hybrLinks(), pods)
  assert.is(sh('ip', 'route', 'show', 'table', '39999').trim().split('\n').length, pods)
  assert.is(node.networking.attached.length, pods)
  sh('ping', '-c1', '-W1', `10.30.0.${pods}`)
  sh('ping', '-c1', '-W1', 'fd00:30::1')
})

test('GC spares what is valid and what is young, removes the rest', async () => {
  const listed = [0, 1].map((i) => ({ containerID: `c${i}`, ifname: 'eth0' }))
  const young = await node.namespace('young')
  node.networking.assign({ name: 'young', addresses: ['10.30.1.1/16'] })
  await new Promise((resolve) => setTimeout(resolve, 1000))
  const pod: TestPod = { name: 'young', addresses: [] }
  assert.is((await node.call({ command: 'ADD', pod, netns: young, containerId: 'young' })).status, 0)
  for (const key of ['cni.dev/attachments', 'cni.dev/valid-attachments']) {
    const result = await node.call({ command: 'GC', config: { [key]: listed } })
    assert.is(result.status, 0, result.stdout)
    const left = node.service.attachments().map(({ containerId }) => containerId)
    assert.equal(left.sort(), ['c0', 'c1', 'young'])
  }
  assert.is(hybrLinks(), 3)
  const without = await node.call({ command: 'GC' })
  assert.is(document(without)['code'], 7)
})

test('the sweep removes gone pods, and interfaces nobody owns once they were seen long enough', async () => {
  node.networking.gone.add('uid-pod-0')
  sh('ip', 'link', 'add', 'hybr0123456789a', 'type', 'veth', 'peer', 'name', 'orphan')
  await node.service.sweep()
  assert.equal(
    node.service
      .attachments()
      .map(({ containerId }) => containerId)
      .sort(),
    ['c1', 'young'],
  )
  assert.match(sh('ip', '-o', 'link'), /hybr0123456789a/)
  await new Promise((resolve) => setTimeout(resolve, 1020))
  await node.service.sweep()
  assert.not.match(sh('ip', '-o', 'link'), /hybr0123456789a/)
  assert.is(hybrLinks(), 2)
})

test('an interface without a record stays while the cluster knows its pod, whatever state the pod is in', async () => {
  // Wired by an earlier daemon; its IPInstance is terminating or its Network unreadable, so that no addresses are assigned.
  const name = hostInterfaceName('default', 'legacy', 'eth0')
  sh('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'legacy')
  node.networking.known.add('default/legacy')
  await node.service.sweep()
  await new Promise((resolve) => setTimeout(resolve, 1020))
  await node.service.sweep()
  assert.match(sh('ip', '-o', 'link'), new RegExp(name))
  node.networking.known.delete('default/legacy')
  await node.service.sweep()
  await new Promise((resolve) => setTimeout(resolve, 1020))
  await node.service.sweep()
  assert.not.match(sh('ip', '-o', 'link'), new RegExp(name))
})

test('DELs of many pods at once leave nothing', async () => {
  const again = await Promise.all(
    paths.slice(2).map((netns, i) => node.call({ command: 'ADD', pod: podOf(i + 2), netns, containerId: `d${i}` })),
  )
  for (const result of again) assert.is(result.status, 0, result.stdout)
  const start = performance.now()
  const gone = await Promise.all(again.map((_, i) => node.call({ command: 'DEL', containerId: `d${i}` })))
  const took = performance.now() - start
  for (const result of gone) assert.is(result.status, 0, result.stdout)
  console.log(`${gone.length} DELs at once: ${took.toFixed(0)} ms`)
  assert.is(hybrLinks(), 2)
})

test('links that are to go at once share their grace periods', async () => {
  const names = Array.from({ length: 20 }, (_, i) => `doomed${i}`)
  const namespace = NetworkNamespace.current()
  const socket = RouteSocket.open(namespace)
  namespace.close()
  for (const name of names) await socket.run(request.linkAdd({ kind: 'veth', name, peer: { name: `t${name}` } }))
  const indexes = (await socket.links()).filter(({ name }) => names.includes(name)).map(({ index }) => index)
  assert.is(indexes.length, names.length)
  /** Messages that wait for the kernel, by batch. */
  const waits: number[] = []
  const reaper = new LinkReaper({
    apply: (requests) => {
      waits.push(requests.filter(({ object }) => object === 'linkDelete').length)
      return socket.apply(requests)
    },
  })
  await Promise.all([...indexes, 999_999].map((index) => reaper.delete(index)))
  assert.equal(waits, [1, 1], 'the first alone, all the others in one message')
  assert.not.match(sh('ip', '-o', 'link'), /doomed/)
  socket.close()
})

test('unreadable records cost only themselves; records without an interface are dropped', async () => {
  await node.recordFile('broken:eth0.json', '{"containerId": 7')
  await node.recordFile('half.tmp', '{')
  const [one] = node.service.attachments()
  assert.ok(one)
  await node.recordFile('ghost:eth0.json', JSON.stringify(ghost()))
  await node.restart()
  assert.equal(
    node.service
      .attachments()
      .map(({ containerId }) => containerId)
      .sort(),
    ['c1', 'young'],
  )
})

function ghost(): object {
  const addresses = [{ address: '10.30.9.9', prefixLength: 16, gateway: null }]
  const pod = {
    namespace: 'default',
    name: 'ghost',
    uid: 'u',
    mac: '02:00:00:00:00:01',
    mtu: 1500,
    network: 'n',
    mode: 'VLAN',
    addresses,
  }
  return {
    containerId: 'ghost',
    ifname: 'eth0',
    netns: '/x',
    hostInterface: 'hybr00000000000',
    hostIndex: 9999,
    pod,
    runtimeUid: null,
    createdAt: 1,
  }
}

test.run()
