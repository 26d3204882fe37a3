// CustomResourceDefinitions through the API and from files: validation, defaults, pruning, versions, columns, deletion.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startRig } from '../../support/apiserver.ts'
import type { Rig } from '../../support/apiserver.ts'
import { eventually } from '../../support/eventually.ts'

const test = suite('crds')
let rig: Rig
const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const things = '/apis/example.com/v1/things'
const merge = { 'content-type': 'application/merge-patch+json' }

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1, maximum: 10 },
        mode: { type: 'string', enum: ['a', 'b'], default: 'a' },
        name: { type: 'string', pattern: '^x', maxLength: 3 },
        port: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        at: { type: 'string', format: 'date-time' },
      },
    },
    status: { type: 'object', properties: { ready: { type: 'boolean' } } },
  },
}
const columns = [
  { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
  { name: 'Ready', type: 'boolean', jsonPath: '.status.ready', priority: 1 },
]
const definition = (more: object = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Cluster',
    names: { plural: 'things', kind: 'Thing' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
        additionalPrinterColumns: columns,
      },
      { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: schema }, subresources: { status: {} } },
    ],
    ...more,
  },
})

test.before(async () => {
  rig = await startRig()
  await rig.ok('POST', crds, definition())
})
test.after(() => rig.close())

test('a definition is established and discovered at once', async () => {
  const stored = (await rig.ok('GET', `${crds}/things.example.com`)) as unknown as {
    status: {
      conditions: { type: string; status: string }[]
      storedVersions: string[]
      acceptedNames: { singular: string; listKind: string }
    }
  }
  assert.ok(stored.status.conditions.some(({ type, status }) => type === 'Established' && status === 'True'))
  assert.equal(stored.status.storedVersions, ['v1'])
  assert.is(stored.status.acceptedNames.singular, 'thing')
  assert.is(stored.status.acceptedNames.listKind, 'ThingList')
  const list = (await rig.ok('GET', '/apis/example.com/v1')) as unknown as { resources: { name: string }[] }
  assert.equal(
    list.resources.map(({ name }) => name),
    ['things', 'things/status'],
  )
})

test('values are checked with the field named', async () => {
  const cases: [object, string, string][] = [
    [{}, 'spec.size', 'Required value'],
    [{ size: 0 }, 'spec.size', 'Invalid value: 0: spec.size in body should be greater than or equal to 1'],
    [{ size: 11 }, 'spec.size', 'Invalid value: 11: spec.size in body should be less than or equal to 10'],
    [{ size: 'x' }, 'spec.size', 'Invalid value: "string": spec.size in body must be of type integer: "string"'],
    [{ size: 1.5 }, 'spec.size', 'Invalid value: "number": spec.size in body must be of type integer: "number"'],
    [{ size: 1, mode: 'c' }, 'spec.mode', 'Unsupported value: "c": supported values: "a", "b"'],
    [{ size: 1, name: 'y' }, 'spec.name', 'Invalid value: "y": spec.name in body should match \'^x\''],
    [{ size: 1, name: 'xxxx' }, 'spec.name', 'Too long: may not be more than 3 bytes'],
    [
      { size: 1, port: true },
      'spec.port',
      'Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
    ],
    [{ size: 1, tags: ['a', 'a'] }, 'spec.tags[1]', 'Duplicate value: "a"'],
    [{ size: 1, at: 'noon' }, 'spec.at', 'Invalid value: "noon": spec.at in body must be of type date-time: "noon"'],
  ]
  for (const [spec, field, message] of cases) {
    const answer = await rig.call('POST', things, { metadata: { name: 't' }, spec } as never)
    assert.is(answer.code, 422, JSON.stringify(spec))
    const { causes } = answer.body['details'] as { causes: { field: string; message: string }[] }
    assert.equal([causes[0]?.field, causes[0]?.message], [field, message])
    assert.is(answer.message, `Thing.example.com "t" is invalid: ${field}: ${message}`)
  }
})

test('defaults are filled, unknown members pruned, free ones kept', async () => {
  const made = await rig.ok('POST', things, {
    metadata: { name: 'a' },
    spec: { size: 1, junk: 2, free: { any: [1] } },
    other: 1,
  })
  assert.equal(made['spec'], { size: 1, mode: 'a', free: { any: [1] } })
  assert.is(made['other'], undefined)
  assert.is(made.metadata.generation, 1)
})

test('generation counts the spec, status is apart, an update must say its version', async () => {
  const made = await rig.ok('POST', things, { metadata: { name: 'g' }, spec: { size: 1 }, status: { ready: true } })
  assert.is(made['status'], undefined)
  const labeled = await rig.ok('PATCH', `${things}/g`, { metadata: { labels: { a: 'b' } } }, merge)
  assert.is(labeled.metadata.generation, 1)
  const ready = await rig.ok('PATCH', `${things}/g/status`, { status: { ready: true }, spec: { size: 9 } }, merge)
  assert.is(ready.metadata.generation, 1)
  assert.equal(ready['spec'], { size: 1, mode: 'a' })
  const bigger = await rig.ok('PATCH', `${things}/g`, { spec: { size: 2 }, status: { ready: false } }, merge)
  assert.is(bigger.metadata.generation, 2)
  assert.equal(bigger['status'], { ready: true })
  const blind = await rig.call('PUT', `${things}/g`, { metadata: { name: 'g' }, spec: { size: 3 } })
  assert.is(blind.code, 422)
  assert.is(
    blind.message,
    'Thing.example.com "g" is invalid: metadata.resourceVersion: Invalid value: "0x0": must be specified for an update',
  )
  assert.is(
    (await rig.call('PATCH', `${things}/g`, {}, { 'content-type': 'application/strategic-merge-patch+json' })).code,
    415,
  )
})

test('all versions serve the same objects', async () => {
  await rig.ok('POST', '/apis/example.com/v2/things', { metadata: { name: 'v' }, spec: { size: 1 } })
  assert.is((await rig.ok('GET', `${things}/v`)).apiVersion, 'example.com/v1')
  assert.is((await rig.ok('GET', '/apis/example.com/v2/things/v')).apiVersion, 'example.com/v2')
  const list = (await rig.ok('GET', '/apis/example.com/v2/things')) as unknown as { items: { apiVersion: string }[] }
  assert.ok(list.items.every(({ apiVersion }) => apiVersion === 'example.com/v2'))
})

test('columns of the definition make the table', async () => {
  const table = (await rig.ok('GET', `${things}/g`, undefined, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  })) as unknown as {
    columnDefinitions: { name: string; type: string; priority: number }[]
    rows: { cells: unknown[] }[]
  }
  assert.equal(
    table.columnDefinitions.map(({ name, type, priority }) => [name, type, priority]),
    [
      ['Name', 'string', 0],
      ['Size', 'integer', 0],
      ['Ready', 'boolean', 1],
    ],
  )
  assert.equal(table.rows[0]?.cells, ['g', 2, true])
})

test('wrong definitions are refused', async () => {
  const wrong = async (spec: object, name = 'others.example.com') => {
    const base = definition({ names: { plural: 'others', kind: 'Other' }, ...spec })
    const answer = await rig.call('POST', crds, { ...base, metadata: { name } })
    return [answer.code, (answer.body['details'] as { causes: { field: string }[] } | undefined)?.causes[0]?.field]
  }
  assert.equal(await wrong({}, 'wrong'), [422, 'metadata.name'])
  assert.equal(await wrong({ scope: 'Everywhere' }), [422, 'spec.scope'])
  assert.equal(await wrong({ versions: [] }), [422, 'spec.versions'])
  assert.equal(await wrong({ versions: [{ name: 'v1', served: true, storage: true }] }), [
    422,
    'spec.validation.openAPIV3Schema',
  ])
  const untyped = { openAPIV3Schema: { type: 'object', properties: { a: {} } } }
  assert.equal(await wrong({ versions: [{ name: 'v1', served: true, storage: true, schema: untyped }] }), [
    422,
    'spec.validation.openAPIV3Schema.properties[a].type',
  ])
  assert.equal(await wrong({ names: { plural: 'others', kind: 'Thing' } }), [422, 'spec.names.kind'])
})

test('deleting a definition deletes its objects', async () => {
  const watch = await rig.watch(`${things}?watch=true&resourceVersion=${rig.context.store.version}`)
  await rig.ok('DELETE', `${crds}/things.example.com`)
  assert.is((await watch.next()).type, 'DELETED')
  await eventually(async () => (await rig.call('GET', `${crds}/things.example.com`)).code === 404)
  assert.is((await rig.call('GET', things)).code, 404)
  watch.close()
})

test('definitions come from files; a wrong one is named', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'crds-'))
  try {
    writeFileSync(join(directory, 'a.yaml'), `---\n# a comment only\n---\n${JSON.stringify(definition())}\n`)
    const loaded = await startRig({ crdDirectory: directory })
    assert.is((await loaded.call('GET', things)).code, 200)
    await loaded.close()
    writeFileSync(join(directory, 'b.yaml'), 'kind: CustomResourceDefinition\nspec: {}\n')
    let message = ''
    try {
      await startRig({ crdDirectory: directory })
    } catch (error) {
      message = error instanceof Error ? error.message : ''
    }
    assert.match(message, /b\.yaml, document 1: CustomResourceDefinition\.apiextensions\.k8s\.io "" is invalid/)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('the chart’s own definitions load', async () => {
  const loaded = await startRig({ crdDirectory: new URL('../../../charts/hybridnet/crds', import.meta.url).pathname })
  const subnets = '/apis/networking.alibaba.com/v1/subnets'
  const answer = await loaded.call('POST', subnets, { metadata: { name: 's' }, spec: { network: 'n' } })
  assert.is(answer.message, 'Subnet.networking.alibaba.com "s" is invalid: spec.range: Required value')
  await loaded.ok('POST', subnets, {
    metadata: { name: 's' },
    spec: { network: 'n', range: { version: '4', cidr: '10.0.0.0/24' } },
  })
  await loaded.close()
})

test.run()
