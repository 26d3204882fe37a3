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

test('a stale replica: get, list and the beginning of a watch, where the asked version allows it', async () => {
  const { faults } = rig.server
  await create('fresh')
  await client.patch('merge', CONFIG_MAPS, { namespace, name: 'fresh' }, { data: { a: 'new' } })
  const now = rig.server.version
  faults.add({ effect: 'stale', behind: 1 })
  const dataOf = async (path: string): Promise<unknown> => (await rig.ok('GET', path))['data']
  assert.is(await dataOf(`${maps}/fresh?resourceVersion=0`), undefined)
  assert.is(await dataOf(`${maps}/fresh?resourceVersion=${now - 1}`), undefined, 'not older than that is allowed')
  assert.equal(await dataOf(`${maps}/fresh?resourceVersion=${now}`), { a: 'new' })
  assert.equal(await dataOf(`${maps}/fresh`), { a: 'new' })
  const watch = await rig.watch(`${maps}?watch=true&resourceVersion=0&fieldSelector=metadata.name%3Dfresh`)
  const [first, second] = [await watch.next(), await watch.next()]
  assert.equal([first.type, first.object['data'], second.type, second.object['data']], ['ADDED', undefined, 'MODIFIED', { a: 'new' }]) // prettier-ignore
  watch.close()
  const current = await rig.watch(`${maps}?watch=true&fieldSelector=metadata.name%3Dfresh`)
  assert.equal((await current.next()).object['data'], { a: 'new' })
  current.close()
})

test('an answer that trickles arrives whole; a reset connection is told as one', async () => {
  const { faults } = rig.server
  await client.create(CONFIG_MAPS, { metadata: { name: 'big', namespace }, data: { text: 'x'.repeat(3000) } })
  faults.add({ verb: 'get', name: 'big', effect: 'slow', rate: 4, times: 1 })
  const began = performance.now()
  const big = await client.get<{ data?: { text?: string } }>(CONFIG_MAPS, { namespace, name: 'big' })
  assert.is(big.data?.text?.length, 3000)
  assert.ok(performance.now() - began >= 500, `${performance.now() - began} ms`)
  faults.add({ verb: 'get', effect: 'reset', times: 1 })
  const error = await fails(client.get(CONFIG_MAPS, { namespace, name: 'big' }, { retries: 0 }))
  assert.is((error as RequestError).code, 'ECONNRESET')
})

test('the same seed and the same requests meet the same faults', async () => {
  const drawn = async (faultSeed: number): Promise<string> => {
    const own = await startRig({ faultSeed })
    own.server.faults.add({ verb: 'get', status: 500, probability: 0.5 })
    let codes = ''
    for (let index = 0; index < 40; index++) codes += (await own.call('GET', '/api/v1/namespaces/default')).code
    await own.close()
    return codes
  }
  assert.is(await drawn(5), await drawn(5))
  assert.is.not(await drawn(5), await drawn(6))
})

test('a restart with an older state, and with none: versions go back, what was is there again', async () => {
  const own = await startRig()
  try {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { ports: [{ port: 80 }], clusterIP: '10.96.7.7' } } // prettier-ignore
    await own.ok('POST', maps, configMap('old', { a: '1' }))
    const { version } = own.server
    await own.ok('DELETE', `${maps}/old`)
    await own.ok('POST', maps, configMap('new'))
    await own.ok('POST', '/api/v1/namespaces/default/services', service)
    await own.server.restart({ state: version })
    assert.is(own.server.version, version)
    assert.equal((await own.ok('GET', `${maps}/old`))['data'], { a: '1' })
    assert.is((await own.call('GET', `${maps}/new`)).code, 404)
    await own.ok('POST', '/api/v1/namespaces/default/services', service)
    await own.server.restart({ state: 'lost' })
    assert.ok(own.server.version < version)
    assert.is((await own.call('GET', `${maps}/old`)).code, 404)
    assert.is((await own.call('GET', '/api/v1/namespaces/default/services/kubernetes')).code, 200)
    const watch = await own.watch(`${maps}?watch=true&resourceVersion=${version}`)
    assert.is((await watch.next()).type, 'ERROR')
    const error = await own.server.restart({ state: 10_000_000 }).then(() => null, (reason: Error) => reason) // prettier-ignore
    assert.match(error?.message ?? '', /version/)
  } finally {
    await own.close()
  }
})

test('a fault that says nothing sensible is refused with field, value and expectation', () => {
  for (const [text, message] of [
    ['verb=read,status=500', "fault: verb 'read': expected get, list, watch, create"],
    ['status=200', "fault: status '200': expected a number from 400 to 599"],
    ['probability=2,status=500', "fault: probability '2': expected a number from 0 to 1"],
    ['verb=list', 'fault: it does nothing: expected status, latencyMs or effect'],
    ['effect=explode', "fault: effect 'explode': expected one of drop, reset, lose"],
    ['colour=red', 'fault: colour: expected one of verb, resource'],
    ['nonsense', "fault 'nonsense': 'nonsense': expected FIELD=VALUE"],
  ] as const) {
    assert.throws(() => parseFault(text), (error: Error) => error.message.startsWith(message), text) // prettier-ignore
  }
  assert.equal(parseFault('verb=list|watch,resource=ipinstances,status=503,probability=0.1'), { verb: 'list|watch', resource: 'ipinstances', status: 503, probability: 0.1 }) // prettier-ignore
})

test.run()
