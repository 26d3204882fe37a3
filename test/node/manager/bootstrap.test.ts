// What a cluster starts with (`--init-objects`), over HTTP: made when absent, left alone when there, tried again until it is possible.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { NETWORKS, SUBNETS, type Network, type Subnet } from '../../../lib/api/index.ts'
import { createAbsent, parseStartObjects } from '../../../lib/manager/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { Rig } from './rig.ts'

const apiVersion = 'networking.alibaba.com/v1'
const network = { apiVersion, kind: 'Network', metadata: { name: 'init' }, spec: { type: 'Overlay', netID: 4 } }
const range = { cidr: '100.64.0.0/16', version: '4' }
const subnet = { apiVersion, kind: 'Subnet', metadata: { name: 'init' }, spec: { network: 'init', range } }
const objects = parseStartObjects(JSON.stringify([network, subnet]))

let rig: Rig
test.before(async () => {
  rig = await Rig.start()
})
test.after(() => rig.close())

test('what is absent is created, what is there is never touched', async () => {
  const signal = new AbortController().signal
  await createAbsent(rig.client, objects, silentLogger(), signal)
  const made = await rig.client.get<Network>(NETWORKS, { name: 'init' })
  assert.equal([made.spec?.type, made.spec?.netID], ['Overlay', 4])
  await rig.client.patch('merge', NETWORKS, { name: 'init' }, { spec: { nodeSelector: { a: 'b' } } })
  const changed = await rig.client.get<Network>(NETWORKS, { name: 'init' })
  await createAbsent(rig.client, objects, silentLogger(), signal)
  assert.equal(await rig.client.get<Network>(NETWORKS, { name: 'init' }), changed)
  assert.is((await rig.client.list<Subnet>(SUBNETS)).items.length, 1)
})

test('a refusal is tried again until it is gone', async () => {
  await rig.client.delete(SUBNETS, { name: 'init' })
  // In a cluster it is the webhook that is not there yet; here the schema refuses it until it is changed.
  const refusing = {
    ...subnet,
    metadata: { name: 'late' },
    spec: { network: 'init', range: { cidr: 7, version: '4' } },
  }
  const [late] = parseStartObjects(JSON.stringify(refusing))
  assert.ok(late)
  const stopping = new AbortController()
  const creating = createAbsent(rig.client, [late], silentLogger(), stopping.signal)
  await new Promise((resolve) => setTimeout(resolve, 100))
  Object.assign(late, { spec: { network: 'init', range: { cidr: '100.65.0.0/16', version: '4' } } })
  await creating
  assert.ok(await rig.client.get(SUBNETS, { name: 'late' }))

  const never = createAbsent(
    rig.client,
    parseStartObjects(JSON.stringify({ ...refusing, metadata: { name: 'never' } })),
    silentLogger(),
    stopping.signal,
  )
  stopping.abort()
  await never
})

test('a file that says something else is refused by entry', () => {
  const cases: [unknown, RegExp][] = [
    [[network, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } }], /entry 1: 'v1 Pod', expected one of/],
    [{ ...network, metadata: {} }, /entry 0: metadata\.name is missing/],
    [null, /entry 0: ' ', expected one of/],
    [{ items: 3 }, /items: expected an array/],
  ]
  for (const [value, message] of cases) {
    try {
      parseStartObjects(JSON.stringify(value))
      assert.unreachable(JSON.stringify(value))
    } catch (error) {
      assert.match(String(error), message)
    }
  }
  assert.throws(() => parseStartObjects('{'), /JSON/)
})

test.run()
