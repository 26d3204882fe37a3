// Server-side apply and managedFields.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { configMap, startRig } from '../../support/apiserver.ts'
import type { Answer, Rig } from '../../support/apiserver.ts'
import type { JsonObject } from '../../../lib/standalone/apiserver/types.ts'

const test = suite('apply')
let rig: Rig
const maps = '/api/v1/namespaces/default/configmaps'

test.before.each(async () => {
  rig = await startRig()
})
test.after.each(() => rig.close())

const apply = (manager: string, data: JsonObject, more = ''): Promise<Answer> =>
  rig.call(
    'PATCH',
    `${maps}/m?fieldManager=${manager}${more}`,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm' }, data },
    {
      'content-type': 'application/apply-patch+yaml',
    },
  )
const data = async (): Promise<unknown> => (await rig.ok('GET', `${maps}/m`))['data']

test('apply creates, owns, changes and removes its own fields only', async () => {
  const made = await apply('one', { a: '1', b: '1' })
  assert.is(made.code, 201)
  assert.is((await apply('two', { c: '2' })).code, 200)
  assert.equal(await data(), { a: '1', b: '1', c: '2' })
  await apply('one', { a: '2' })
  assert.equal(await data(), { a: '2', c: '2' }, 'b was of nobody else')
  const entries = (await rig.ok('GET', `${maps}/m`)).metadata.managedFields ?? []
  assert.equal(
    entries.map(({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1]),
    [
      ['one', 'Apply', { 'f:data': { 'f:a': {} } }],
      ['two', 'Apply', { 'f:data': { 'f:c': {} } }],
    ],
  )
})

test('applying the same again is no write', async () => {
  await apply('one', { a: '1' })
  const version = rig.context.store.version
  assert.is((await apply('one', { a: '1' })).code, 200)
  assert.is(rig.context.store.version, version)
})

test('another value of another’s field is a conflict, the same value is shared', async () => {
  await apply('one', { a: '1', b: '1' })
  const conflict = await apply('two', { a: '2', b: '1' })
  assert.is(conflict.code, 409)
  assert.is(conflict.message, 'Apply failed with 1 conflict: conflict with "one": .data.a')
  assert.equal((conflict.body['details'] as { causes: unknown }).causes, [
    { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
  ])
  assert.is((await apply('two', { a: '2', b: '1' }, '&force=true')).code, 200)
  assert.equal(await data(), { a: '2', b: '1' })
  await apply('one', {})
  assert.equal(await data(), { a: '2', b: '1' }, 'both are of two now')
  await apply('two', { a: '2' })
  assert.equal(await data(), { a: '2' })
})

test('an update takes over what it changes', async () => {
  await apply('one', { a: '1', b: '1' })
  await rig.ok(
    'PATCH',
    `${maps}/m`,
    { data: { a: '9' } },
    { 'content-type': 'application/merge-patch+json', 'user-agent': 'editor/1.0 (x)' },
  )
  const entries = (await rig.ok('GET', `${maps}/m`)).metadata.managedFields ?? []
  assert.equal(
    entries.map(({ manager, operation, fieldsV1 }) => [manager, operation, fieldsV1]),
    [
      ['one', 'Apply', { 'f:data': { 'f:b': {} } }],
      ['editor', 'Update', { 'f:data': { 'f:a': {} } }],
    ],
  )
  const conflict = await apply('one', { a: '1', b: '1' })
  assert.is(conflict.message, 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.a')
})

test('lists that are maps are owned element by element', async () => {
  const pods = '/api/v1/namespaces/default/pods'
  const applyPod = (manager: string, spec: JsonObject) =>
    rig.call(
      'PATCH',
      `${pods}/p?fieldManager=${manager}`,
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', finalizers: [`x.io/${manager}`] }, spec },
      {
        'content-type': 'application/apply-patch+yaml',
      },
    )
  await applyPod('one', { containers: [{ name: 'a', image: 'i', env: [{ name: 'X', value: '1' }] }] })
  const second = await applyPod('two', { containers: [{ name: 'a', image: 'j' }] })
  assert.is(second.code, 409)
  assert.match(second.message, /\.spec\.containers\[name="a"\]\.image$/)
  const third = await applyPod('two', { containers: [{ name: 'a', image: 'i' }] })
  assert.is(third.code, 200)
  const pod = await rig.ok('GET', `${pods}/p`)
  assert.equal(pod.metadata.finalizers, ['x.io/one', 'x.io/two'])
  assert.equal((pod['spec'] as { containers: { env: unknown }[] }).containers[0]?.env, [{ name: 'X', value: '1' }])
})

test('apply needs a manager, a body without managedFields, and the right name', async () => {
  const missing = await apply('', { a: '1' })
  assert.is(missing.code, 422)
  assert.match(missing.message, /fieldManager: Required value: is required for apply patch/)
  const yaml = { 'content-type': 'application/apply-patch+yaml' }
  const managed = await rig.call(
    'PATCH',
    `${maps}/m?fieldManager=x`,
    { metadata: { name: 'm', managedFields: [{ manager: 'x' }] } },
    yaml,
  )
  assert.is(managed.code, 400)
  await rig.ok('POST', maps, configMap('m'))
  assert.is((await rig.call('PATCH', `${maps}/m?fieldManager=x`, { metadata: { name: 'other' } }, yaml)).code, 400)
  const text = await rig.call(
    'PATCH',
    `${maps}/m?fieldManager=x&dryRun=All`,
    'metadata: {labels: {a: "b"}}\ndata:\n  x: |\n    y\n',
    yaml,
  )
  assert.equal(text.body['data'], { x: 'y\n' })
  assert.is((await rig.call('PATCH', `${maps}/m?fieldManager=x`, 'a: [', yaml)).code, 400)
})

test('status is applied as a part of its own', async () => {
  const nodes = '/api/v1/nodes'
  await rig.ok('POST', nodes, { metadata: { name: 'n' } })
  const yaml = { 'content-type': 'application/apply-patch+yaml' }
  const condition = { type: 'Ready', status: 'True' }
  const applied = await rig.ok(
    'PATCH',
    `${nodes}/n/status?fieldManager=kubelet`,
    { metadata: { name: 'n' }, spec: { unschedulable: true }, status: { conditions: [condition] } },
    yaml,
  )
  assert.equal(applied['status'], { conditions: [condition] })
  assert.equal(applied['spec'], {})
  assert.ok(
    applied.metadata.managedFields?.some(
      ({ manager, subresource }) => manager === 'kubelet' && subresource === 'status',
    ),
  )
})

test.run()
