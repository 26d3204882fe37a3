// Create, read, update, patch and delete over HTTP, with the rules and error texts of the real API server.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { configMap, pod, startRig } from '../../support/apiserver.ts'
import type { KubeObject } from '../../../lib/standalone/apiserver/types.ts'
import type { Rig } from '../../support/apiserver.ts'

const test = suite('objects')
let rig: Rig
const maps = '/api/v1/namespaces/default/configmaps'
const pods = '/api/v1/namespaces/default/pods'

test.before(async () => {
  rig = await startRig()
})
test.after(() => rig.close())

test('a created object has identity, and can be read back', async () => {
  const created = await rig.ok('POST', maps, configMap('a', { x: 'y' }))
  assert.match(created.metadata.uid ?? '', /^[0-9a-f-]{36}$/)
  assert.match(created.metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.match(created.metadata.resourceVersion ?? '', /^\d+$/)
  assert.is(created.metadata.namespace, 'default')
  assert.equal(await rig.ok('GET', `${maps}/a`), created)
})

test('errors say what the real server says', async () => {
  const missing = await rig.call('GET', `${maps}/nowhere`)
  assert.is(missing.code, 404)
  assert.equal(missing.body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'configmaps "nowhere" not found',
    reason: 'NotFound',
    details: { name: 'nowhere', kind: 'configmaps' },
    code: 404,
  })
  const again = await rig.call('POST', maps, configMap('a'))
  assert.is(again.code, 409)
  assert.is(again.body['reason'], 'AlreadyExists')
  assert.is(again.message, 'configmaps "a" already exists')
  const bad = await rig.call('POST', pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'Bad_Name' }, spec: {} })
  assert.is(bad.code, 422)
  const details = bad.body['details'] as { causes: { field: string; reason: string; message: string }[] }
  assert.equal(
    details.causes.map(({ field, reason }) => [field, reason]),
    [
      ['metadata.name', 'FieldValueInvalid'],
      ['spec.containers', 'FieldValueRequired'],
    ],
  )
  assert.match(
    bad.message,
    /^Pod "Bad_Name" is invalid: \[metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
  )
})

test('wrong paths, methods, bodies and media types are refused clearly', async () => {
  const refusals: [string, string, string | undefined, Record<string, string>, number, string][] = [
    ['GET', '/api/v1/nothings', undefined, {}, 404, 'NotFound'],
    ['GET', '/apis/nowhere/v1/pods', undefined, {}, 404, 'NotFound'],
    ['POST', `${maps}/a`, '{}', {}, 405, 'MethodNotAllowed'],
    ['PUT', maps, '{}', {}, 405, 'MethodNotAllowed'],
    ['POST', maps, '{', {}, 400, 'BadRequest'],
    ['POST', maps, '[]', {}, 400, 'BadRequest'],
    ['POST', maps, '{"kind":"Pod"}', {}, 400, 'BadRequest'],
    ['POST', maps, '{"apiVersion":"v2"}', {}, 400, 'BadRequest'],
    ['POST', maps, '{"data":{"a":1},"metadata":{"name":"x"}}', {}, 400, 'BadRequest'],
    ['POST', maps, '<a/>', { 'content-type': 'application/xml' }, 415, 'UnsupportedMediaType'],
    ['GET', maps, undefined, { accept: 'application/vnd.kubernetes.protobuf' }, 406, 'NotAcceptable'],
    ['GET', `${maps}?limit=x`, undefined, {}, 400, 'BadRequest'],
    ['GET', `${maps}?labelSelector=a%3D%3D%3Db`, undefined, {}, 400, 'BadRequest'],
    ['GET', `${pods}?fieldSelector=spec.x%3D1`, undefined, {}, 400, 'BadRequest'],
    ['GET', `${pods}/x/log`, undefined, {}, 501, 'NotImplemented'],
    ['GET', `${pods}/x/nothing`, undefined, {}, 404, 'NotFound'],
    ['POST', '/api/v1/namespaces/nowhere/configmaps', '{"metadata":{"name":"x"}}', {}, 404, 'NotFound'],
    ['POST', maps, '{"metadata":{"name":"x","namespace":"other"}}', {}, 400, 'BadRequest'],
    ['POST', maps, '{"metadata":{"name":"x","resourceVersion":"1"}}', {}, 400, 'BadRequest'],
    ['POST', `${maps}?dryRun=Some`, '{"metadata":{"name":"x"}}', {}, 400, 'BadRequest'],
    ['GET', '/api/v1/%zz', undefined, {}, 400, 'BadRequest'],
  ]
  for (const [method, path, body, headers, code, reason] of refusals) {
    const answer = await rig.call(method, path, body, headers)
    assert.equal([method, path, answer.code, answer.body['reason']], [method, path, code, reason])
  }
})

test('unknown fields: dropped with a warning, silently, or refused', async () => {
  const body = { ...configMap('fields'), extra: 1 }
  const warned = await rig.call('POST', `${maps}?dryRun=All`, body)
  assert.is(warned.headers['warning'], '299 - "unknown field \\"extra\\""')
  assert.is(warned.body['extra'], undefined)
  assert.is((await rig.call('POST', `${maps}?dryRun=All&fieldValidation=Ignore`, body)).headers['warning'], undefined)
  const strict = await rig.call('POST', `${maps}?dryRun=All&fieldValidation=Strict`, body)
  assert.is(strict.code, 400)
  assert.is(
    strict.message,
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "extra"',
  )
})

test('generateName makes distinct names', async () => {
  const names = new Set<string>()
  for (let index = 0; index < 20; index++) {
    const { metadata } = await rig.ok('POST', maps, { metadata: { generateName: 'gen-' } })
    assert.match(metadata.name ?? '', /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    names.add(metadata.name ?? '')
  }
  assert.is(names.size, 20)
})

test('an update from an old version is a conflict, one without a version is not', async () => {
  const first = await rig.ok('POST', maps, configMap('versions', { a: '1' }))
  const second = await rig.ok('PUT', `${maps}/versions`, { ...first, data: { a: '2' } })
  assert.ok(Number(second.metadata.resourceVersion) > Number(first.metadata.resourceVersion))
  const stale = await rig.call('PUT', `${maps}/versions`, { ...first, data: { a: '3' } })
  assert.is(stale.code, 409)
  assert.is(
    stale.message,
    'Operation cannot be fulfilled on configmaps "versions": the object has been modified; please apply your changes to the latest version and try again',
  )
  assert.is(stale.body['reason'], 'Conflict')
  const third = await rig.ok('PUT', `${maps}/versions`, configMap('versions', { a: '4' }))
  assert.is(third.metadata.uid, first.metadata.uid)
  assert.is(third.metadata.creationTimestamp, first.metadata.creationTimestamp)
})

test('an update that changes nothing is no write', async () => {
  const first = await rig.ok('POST', maps, configMap('same', { a: '1' }))
  const again = await rig.ok('PUT', `${maps}/same`, first)
  assert.is(again.metadata.resourceVersion, first.metadata.resourceVersion)
  const patched = await rig.ok(
    'PATCH',
    `${maps}/same`,
    { data: { a: '1' } },
    { 'content-type': 'application/merge-patch+json' },
  )
  assert.is(patched.metadata.resourceVersion, first.metadata.resourceVersion)
})

test('a PUT makes a Lease that is not there, but not one that was there before', async () => {
  const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases/made'
  const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'made' }, spec: {} }
  const made = await rig.call('PUT', path, lease)
  assert.is(made.code, 201)
  const body = made.body as unknown as KubeObject
  await rig.ok('DELETE', path)
  const again = await rig.call('PUT', path, body)
  assert.is(again.code, 409)
  assert.match(again.message, /Precondition failed: UID in precondition: [0-9a-f-]{36}, UID in object meta: $/)
  const metadata = { ...body.metadata }
  delete metadata.uid
  const anew = await rig.call('PUT', path, { ...lease, metadata })
  assert.is(anew.code, 201)
  assert.is.not((anew.body as unknown as KubeObject).metadata.uid, body.metadata.uid)
})

test('patches of every kind', async () => {
  await rig.ok('POST', pods, pod('patched', { labels: { a: '1' } }))
  const patch = (type: string, body: unknown, path = `${pods}/patched`) =>
    rig.call('PATCH', path, JSON.stringify(body), { 'content-type': `application/${type}-patch+json` })
  const merge = await patch('merge', { metadata: { labels: { a: null, b: '2' } } })
  assert.equal((merge.body['metadata'] as { labels: unknown }).labels, { b: '2' })
  const json = await patch('json', [{ op: 'add', path: '/metadata/labels/c', value: '3' }])
  assert.equal((json.body['metadata'] as { labels: unknown }).labels, { b: '2', c: '3' })
  const strategic = await patch('strategic-merge', { spec: { containers: [{ name: 'main', image: 'other' }] } })
  assert.is((strategic.body['spec'] as { containers: { image: string; name: string }[] }).containers[0]?.image, 'other')
  assert.is((await patch('json', [{ op: 'test', path: '/metadata/name', value: 'x' }])).code, 422)
  assert.is((await patch('merge', { metadata: { resourceVersion: '1' } })).code, 409)
  assert.is((await patch('merge', { metadata: { name: 'other' } })).code, 400)
  const spec = await patch('merge', { spec: { hostNetwork: true } })
  assert.is(spec.code, 422)
  assert.match(spec.message, /^Pod "patched" is invalid: spec: Forbidden: pod updates may not change fields other than/)
})

test('status is its own part', async () => {
  await rig.ok('POST', pods, { ...pod('parts'), status: { phase: 'Running' } })
  const created = await rig.ok('GET', `${pods}/parts`)
  assert.is((created['status'] as { phase: string }).phase, 'Pending', 'status of a create is the server’s')
  await rig.ok('PUT', `${pods}/parts`, {
    ...created,
    metadata: { ...created.metadata, labels: { a: '1' } },
    status: { phase: 'Failed' },
  })
  const status = { phase: 'Running', podIP: '10.0.0.1' }
  const current = await rig.ok('GET', `${pods}/parts`)
  assert.is((current['status'] as { phase: string }).phase, 'Pending')
  const updated = await rig.ok('PUT', `${pods}/parts/status`, { ...current, spec: { containers: [] }, status })
  assert.equal(updated['status'], status)
  assert.is((updated['spec'] as { containers: unknown[] }).containers.length, 1)
  assert.equal(updated.metadata.labels, { a: '1' })
  assert.equal((await rig.ok('GET', `${pods}/parts/status`))['status'], status)
})

test('dry runs change nothing', async () => {
  const before = rig.context.store.version
  await rig.ok('POST', `${maps}?dryRun=All`, configMap('dry'))
  await rig.ok('DELETE', `${maps}/a?dryRun=All`)
  await rig.ok(
    'PATCH',
    `${maps}/a?dryRun=All`,
    { data: { z: 'z' } },
    { 'content-type': 'application/merge-patch+json' },
  )
  assert.is(rig.context.store.version, before)
  assert.is((await rig.call('GET', `${maps}/dry`)).code, 404)
})

test('deletes: preconditions, finalizers, many at once', async () => {
  const { metadata } = await rig.ok('POST', maps, configMap('guarded'))
  const wrong = await rig.call('DELETE', `${maps}/guarded`, { preconditions: { uid: 'other' } })
  assert.is(wrong.code, 409)
  assert.match(
    wrong.message,
    /^Operation cannot be fulfilled on configmaps "guarded": Precondition failed: UID in precondition: other, UID in object meta: /,
  )
  assert.is((await rig.call('DELETE', `${maps}/guarded`, { preconditions: { resourceVersion: '1' } })).code, 409)
  const done = await rig.ok('DELETE', `${maps}/guarded`, { preconditions: { uid: metadata.uid ?? '' } })
  assert.is(done['status'], 'Success')
  assert.equal(done['details'], { name: 'guarded', kind: 'configmaps', uid: metadata.uid })

  await rig.ok('POST', maps, { ...configMap('held'), metadata: { name: 'held', finalizers: ['example.com/hold'] } })
  const marked = await rig.ok('DELETE', `${maps}/held`)
  assert.ok(marked.metadata.deletionTimestamp)
  const added = await rig.call(
    'PATCH',
    `${maps}/held`,
    { metadata: { finalizers: ['example.com/hold', 'example.com/b'] } },
    { 'content-type': 'application/merge-patch+json' },
  )
  assert.is(added.code, 422)
  await rig.ok(
    'PATCH',
    `${maps}/held`,
    { metadata: { finalizers: null } },
    { 'content-type': 'application/merge-patch+json' },
  )
  assert.is((await rig.call('GET', `${maps}/held`)).code, 404)

  for (const name of ['m1', 'm2', 'm3'])
    await rig.ok('POST', maps, { metadata: { name, labels: { group: name === 'm3' ? 'b' : 'a' } } })
  const gone = await rig.ok('DELETE', `${maps}?labelSelector=group%3Da`)
  assert.is((gone['items'] as unknown[]).length, 2)
  assert.is((await rig.call('GET', `${maps}/m3`)).code, 200)
})

test('immutable configuration stays', async () => {
  const object = { ...configMap('fixed', { a: '1' }), immutable: true }
  await rig.ok('POST', maps, object)
  const changed = await rig.call('PUT', `${maps}/fixed`, { ...object, data: { a: '2' } })
  assert.is(changed.code, 422)
  assert.is(
    changed.message,
    'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set',
  )
})

test('secrets: stringData becomes data', async () => {
  const secret = await rig.ok('POST', '/api/v1/namespaces/default/secrets', {
    metadata: { name: 's' },
    stringData: { a: 'b' },
  })
  assert.equal(secret['data'], { a: 'Yg==' })
  assert.is(secret['stringData'], undefined)
  assert.is(secret['type'], 'Opaque')
})

test('services get addresses and node ports that nobody else has', async () => {
  const service = (name: string, spec: object) => ({ metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } })
  const path = '/api/v1/namespaces/default/services'
  const seen = new Set<unknown>()
  for (const name of ['s1', 's2', 's3']) {
    const { spec } = (await rig.ok('POST', path, service(name, { type: 'NodePort' }))) as unknown as {
      spec: { clusterIP: string; ports: { nodePort: number; targetPort: number; protocol: string }[] }
    }
    assert.match(spec.clusterIP, /^10\.96\./)
    assert.is(spec.ports[0]?.targetPort, 80)
    assert.is(spec.ports[0]?.protocol, 'TCP')
    seen.add(spec.clusterIP).add(spec.ports[0]?.nodePort)
  }
  assert.is(seen.size, 6)
  const first = (await rig.ok('GET', `${path}/s1`)) as unknown as { spec: { clusterIP: string } }
  assert.is((await rig.call('POST', path, service('s4', { clusterIP: first.spec.clusterIP }))).code, 422)
  await rig.ok('DELETE', `${path}/s1`)
  await rig.ok('POST', path, service('s4', { clusterIP: first.spec.clusterIP }))
  assert.is((await rig.call('POST', path, service('s5', { clusterIP: '192.168.0.1' }))).code, 422)
  const changed = await rig.call(
    'PATCH',
    `${path}/s4`,
    { spec: { clusterIP: '10.96.9.9' } },
    { 'content-type': 'application/merge-patch+json' },
  )
  assert.is(changed.code, 422)
  const headless = await rig.ok('POST', path, service('s6', { clusterIP: 'None' }))
  assert.is((headless['spec'] as { clusterIP: string }).clusterIP, 'None')
})

test('events are one thing in two groups', async () => {
  await rig.ok('POST', '/apis/events.k8s.io/v1/namespaces/default/events', {
    metadata: { name: 'e1' },
    regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
    note: 'said',
    reason: 'Because',
    reportingController: 'test',
    eventTime: '2024-01-01T00:00:00.000000Z',
  })
  const core = await rig.ok('GET', '/api/v1/namespaces/default/events/e1')
  assert.is(core['message'], 'said')
  assert.equal(core['involvedObject'], { kind: 'Pod', name: 'p', namespace: 'default' })
  assert.is(core.apiVersion, 'v1')
  const list = await rig.ok(
    'GET',
    '/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp,reason%3DBecause',
  )
  assert.is((list['items'] as unknown[]).length, 1)
  const other = await rig.ok('GET', '/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=reason%3DBecause')
  assert.is((other['items'] as { note: string }[])[0]?.note, 'said')
})

test.run()
