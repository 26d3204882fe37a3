// The index of remote pods, fed by a scripted server: lists of a large cluster, taken in slices, give what one list says.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addressToName, LABEL_NODE } from '../../../lib/api/index.ts'
import { RemotePods } from '../../../lib/daemon/view/remote-pods.ts'
import { formatAddress, type IPAddress } from '../../../lib/ip/index.ts'
import { KubeClient } from '../../../lib/kube/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultServer, list, WatchScript } from '../../support/fault-server.ts'

const path = '/apis/networking.alibaba.com/v1/ipinstances'
const FIRST = 0x6440_0001
const COUNT = 20_000

const instance = (address: IPAddress, node: string): object => ({
  metadata: {
    name: addressToName(address),
    namespace: 'default',
    labels: { [LABEL_NODE]: node },
    resourceVersion: '9',
  },
})
const instances = (count: number, node: (index: number) => string): object[] =>
  Array.from({ length: count }, (_, index) => instance(FIRST + index, node(index)))

let server: FaultServer
let client: KubeClient
let pods: RemotePods
const told = new Map<IPAddress, string | null>()
/** Turns of the event loop in which the listener was told something. */
const turns = new Set<number>()
let turn = 0
let turning: NodeJS.Immediate

test.before(async () => {
  server = await FaultServer.start()
  client = KubeClient.connect({ server: server.url })
  pods = new RemotePods(client, 'node1', silentLogger(), (address, node) => {
    told.set(address, node)
    turns.add(turn)
  })
  const next = (): void => {
    turn++
    turning = setImmediate(next)
  }
  next()
})
test.after(async () => {
  clearImmediate(turning)
  await pods.stop()
  client.close()
  await server.close()
})

const gone = { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' }

test('a list of many pods is taken over in many turns of the event loop', async () => {
  const first = new WatchScript()
  const second = new WatchScript()
  const third = new WatchScript()
  const all = list(
    instances(COUNT, (index) => `hollow-${index % 50}`),
    '100',
  )
  const fewer = list(
    instances(COUNT - 5000, (index) => `hollow-${(index % 50) + 1}`),
    '200',
  )
  server.on(`LIST ${path}`, all, fewer, list([], '50'))
  server.on(`WATCH ${path}`, first.answer, second.answer, third.answer)
  pods.start()
  await pods.synced
  assert.is(pods.size, COUNT)
  assert.is(told.size, COUNT)
  assert.ok(turns.size > 1, 'in one turn')
  assert.is(pods.nodeOf(FIRST + 51), 'hollow-1')

  told.clear()
  await first.event('ERROR', gone)
  await second.opened()
  assert.is(pods.size, COUNT - 5000)
  assert.is(told.size, COUNT, 'each has moved or gone')
  assert.is(told.get(FIRST + COUNT - 1), null)
  assert.is(pods.nodeOf(FIRST + 51), 'hollow-2', formatAddress(FIRST + 51))
  const moved = [...pods.onNodes(new Set(['hollow-50']))]
  assert.is(moved.length, (COUNT - 5000) / 50)
  assert.ok(moved.every(([address, node]) => node === 'hollow-50' && pods.nodeOf(address) === node))

  // Older than what was seen: a server restored from a backup. What it has forgotten is kept.
  told.clear()
  await second.event('ERROR', gone)
  await third.opened()
  assert.is(pods.size, COUNT - 5000)
  assert.is(told.size, 0)
  await third.event('DELETED', instance(FIRST, 'hollow-1'))
  await eventually(() => pods.nodeOf(FIRST) === null, 20_000)
  assert.equal([...told], [[FIRST, null]])
})

test.run()
