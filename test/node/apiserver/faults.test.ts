// Faults on demand: each does what it says, to the requests it is about and to no others.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CONFIG_MAPS } from '../../../lib/api/index.ts'
import { ApiError, Informer, KubeClient, RequestError } from '../../../lib/kube/index.ts'
import { parseFault } from '../../../lib/standalone/apiserver/index.ts'
import { configMap, startRig, type Rig } from '../../support/apiserver.ts'
import { eventually } from '../../support/eventually.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const namespace = 'default'
const maps = '/api/v1/namespaces/default/configmaps'
let rig: Rig
let client: KubeClient

test.before(async () => {
  bringUpLoopback()
  rig = await startRig({ listen: [{ host: '127.0.0.1', port: 0 }] })
  client = KubeClient.connect({ server: rig.server.urls[1] ?? '', userAgent: 'tester' })
})
test.after.each(() => rig.server.faults.clear())
test.after(async () => {
  client.close()
  await rig.close()
})

async function fails(call: Promise<unknown>): Promise<ApiError | RequestError> {
  try {
    await call
  } catch (error) {
    if (error instanceof ApiError || error instanceof RequestError) return error
    throw error
  }
  throw new Error('it did not fail')
}
const create = (name: string): Promise<unknown> => client.create(CONFIG_MAPS, { metadata: { name, namespace } }, { retries: 0 }) // prettier-ignore

test('errors by verb, resource and client; skipped, limited and by chance', async () => {
  const { faults } = rig.server
  const fault = faults.add({ verb: 'create', resource: 'configmaps', status: 503, skip: 1, times: 2 })
  await create('one')
  for (const name of ['two', 'three']) assert.is(((await fails(create(name))) as ApiError).status, 503)
  await create('four')
  assert.equal([fault.matched, fault.hit], [3, 2])
  assert.is(
    (await client.list(CONFIG_MAPS, { namespace })).items.some(({ metadata }) => metadata.name === 'two'),
    false,
  )
  faults.add({ agent: '!tester', status: 500 })
  await create('five')
  assert.is((await rig.call('GET', `${maps}/one`)).code, 500, 'others are hit')
  faults.clear()
  const chance = faults.add({ verb: 'get', status: 500, probability: 0.5 })
  for (let index = 0; index < 200; index++) await rig.call('GET', `${maps}/one`)
  assert.ok(chance.hit > 50 && chance.hit < 150, `${chance.hit} of 200`)
})

test('latency, a dropped request, and a write whose answer is lost', async () => {
  const { faults } = rig.server
  const slow = faults.add({ verb: 'get', latencyMs: 120 })
  const began = performance.now()
  await client.get(CONFIG_MAPS, { namespace, name: 'one' })
  assert.ok(performance.now() - began >= 115)
  slow.remove()
  faults.add({ verb: 'create', name: '', effect: 'drop', times: 1 })
  assert.instance(await fails(create('dropped')), RequestError)
  assert.is(await client.find(CONFIG_MAPS, { namespace, name: 'dropped' }), null)
  faults.add({ verb: 'create', effect: 'lose', times: 1 })
  const lost = await fails(create('lost'))
  assert.instance(lost, RequestError)
  assert.ok((lost as RequestError).outcomeUnknown)
  assert.ok(await client.find(CONFIG_MAPS, { namespace, name: 'lost' }), 'it was done all the same')
})

test('conflicting writers are real ones; stale reads only where the real server may be stale', async () => {
  const { faults } = rig.server
  const before = await client.get(CONFIG_MAPS, { namespace, name: 'one' })
  faults.add({ verb: 'update', effect: 'conflict', times: 1 })
  assert.ok(((await fails(client.update(CONFIG_MAPS, { ...before, data: { a: 'b' } }))) as ApiError).isConflict)
  const now = await client.get(CONFIG_MAPS, { namespace, name: 'one' })
  assert.ok(now.metadata.annotations?.['hybridnet.standalone/conflicting-writer'])
  await client.update(CONFIG_MAPS, { ...now, data: { a: 'b' } })
  faults.add({ verb: 'list', effect: 'stale', behind: 1 })
  await create('new')
  const names = async (resourceVersion?: string): Promise<string[]> =>
    (await client.list(CONFIG_MAPS, { namespace, resourceVersion })).items.map(({ metadata }) => metadata.name ?? '')
  assert.not((await names('0')).includes('new'))
  assert.ok((await names()).includes('new'))
})

test('a watch is cut, cut within a line, stalled or expired after so many events; others go on', async () => {
  const { faults } = rig.server
  const { body } = await rig.call('GET', `${maps}?limit=1`)
  const from = String((body['metadata'] as { resourceVersion: string }).resourceVersion)
  const touch = async (): Promise<void> => {
    for (const value of ['1', '2', '3']) await rig.ok('PATCH', `${maps}/one`, { data: { value } }, { 'content-type': 'application/merge-patch+json' }) // prettier-ignore
  }
  await touch()
  const watch = `${maps}?watch=true&resourceVersion=${from}`
  faults.add({ verb: 'watch', effect: 'cut', after: 2, times: 1 })
  const cut = await rig.watch(watch)
  await cut.ended
  assert.is(cut.events.length, 2)
  faults.add({ verb: 'watch', effect: 'expire', after: 1, times: 1 })
  const expired = await rig.watch(watch)
  await expired.ended
  assert.equal(expired.events.map(({ type }) => type), ['MODIFIED', 'ERROR']) // prettier-ignore
  assert.is((expired.events[1]?.object as unknown as { code: number }).code, 410)
  faults.add({ verb: 'watch', effect: 'half', after: 1, times: 1 })
  const half = await fetchText(watch)
  assert.match(half, /^\{"type":"MODIFIED".*\}\n\{"type":"MODIFIED"/)
  assert.is(half.split('\n').length, 2, 'the second line has no end')
  faults.add({ verb: 'watch', effect: 'stall', after: 1, times: 1 })
  const stalled = await rig.watch(watch)
  await eventually(() => stalled.events.length === 1)
  await touch()
  const whole = await rig.watch(watch)
  await eventually(() => whole.events.length === 6)
  assert.is(stalled.events.length, 1)
  assert.ok(faults.cutWatches('configmaps') >= 2)
  await Promise.all([stalled.ended, whole.ended])
})

async function fetchText(path: string): Promise<string> {
  const response = await fetch(`${rig.server.urls[1]}${path}`)
  let text = ''
  try {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk as Uint8Array).toString()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
  }
  return text
}

test('a list is expired between its pages, and cut in the middle', async () => {
  const { faults } = rig.server
  for (let index = 0; index < 30; index++)
    await rig.ok('POST', maps, configMap(`page-${index}`, { text: 'x'.repeat(500) }))
  const fault = faults.add({ verb: 'list', effect: 'compact', skip: 1, times: 1 })
  const { items } = await client.list(CONFIG_MAPS, { namespace, pageSize: 10 })
  await rig.ok('PATCH', `${maps}/one`, { data: { again: 'x' } }, { 'content-type': 'application/merge-patch+json' })
  assert.is(fault.hit, 1)
  assert.ok(items.length >= 30)
  faults.add({ verb: 'list', effect: 'cut', after: 4, times: 1 })
  assert.instance(await fails(client.list(CONFIG_MAPS, { namespace, pageSize: 0, retries: 0 })), RequestError)
})

test('an informer is right in the end, whatever is done to it, a restart of the server included', async () => {
  const { faults } = rig.server
  faults.add({ verb: 'list', status: 503, probability: 0.3 })
  for (const effect of ['cut', 'half', 'expire'] as const)
    faults.add({ verb: 'watch', effect, after: 2, probability: 0.3 })
  const informer = new Informer(client, { resource: CONFIG_MAPS, namespace, backoff: { baseMs: 5, maxMs: 50 }, inactivityMs: 500 }) // prettier-ignore
  informer.start()
  for (let round = 0; round < 60; round++) {
    rig.context.store.compact(round % 20 === 7 ? rig.context.store.version : 0)
    await rig.ok('POST', maps, configMap(`round-${round}`))
    if (round % 3 === 0) await rig.ok('DELETE', `${maps}/round-${round}`)
    if (round === 30) await rig.server.restart({ downMs: 50, compact: true })
  }
  const wanted = (): string[] =>
    [...rig.context.store.collection('/configmaps').entries('default/')].map(([key]) => key)
  await eventually(
    () => JSON.stringify([...informer.store.keys()].sort()) === JSON.stringify(wanted().sort()),
    20_000,
    20,
  )
  await informer.stop()
})

test('a fault that says nothing sensible is refused with field, value and expectation', () => {
  for (const [text, message] of [
    ['verb=read,status=500', "fault: verb 'read': expected get, list, watch, create"],
    ['status=200', "fault: status '200': expected a number from 400 to 599"],
    ['probability=2,status=500', "fault: probability '2': expected a number from 0 to 1"],
    ['verb=list', 'fault: it does nothing: expected status, latencyMs or effect'],
    ['effect=explode', "fault: effect 'explode': expected one of drop, lose, cut"],
    ['colour=red', 'fault: colour: expected one of verb, resource'],
    ['nonsense', "fault 'nonsense': 'nonsense': expected FIELD=VALUE"],
  ] as const) {
    assert.throws(() => parseFault(text), (error: Error) => error.message.startsWith(message), text) // prettier-ignore
  }
  assert.equal(parseFault('verb=list|watch,resource=ipinstances,status=503,probability=0.1'), { verb: 'list|watch', resource: 'ipinstances', status: 503, probability: 0.1 }) // prettier-ignore
})

test.run()
