// Watches and lists: versions, selectors, bookmarks, pages, what is too old.
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { configMap, pod, startRig } from '../../support/apiserver.ts'
import type { Rig, WatchEvent } from '../../support/apiserver.ts'

const test = suite('watch')
let rig: Rig
const maps = '/api/v1/namespaces/default/configmaps'
const merge = { 'content-type': 'application/merge-patch+json' }

test.before.each(async () => {
  rig = await startRig({ historySize: 100, bookmarkIntervalMs: 50 })
})
test.after.each(() => rig.close())

const short = ({ type, object }: WatchEvent): string => `${type} ${object.metadata.name ?? ''}`

test('a watch from a version sees every change after it, in order', async () => {
  const first = await rig.ok('POST', maps, configMap('a'))
  await rig.ok('POST', maps, configMap('b'))
  await rig.ok('PATCH', `${maps}/a`, { data: { x: '1' } }, merge)
  const watch = await rig.watch(`${maps}?watch=true&resourceVersion=${first.metadata.resourceVersion ?? ''}`)
  assert.is(short(await watch.next()), 'ADDED b')
  assert.is(short(await watch.next()), 'MODIFIED a')
  await rig.ok('DELETE', `${maps}/b`)
  const gone = await watch.next()
  assert.is(short(gone), 'DELETED b')
  await rig.ok('POST', maps, configMap('c'))
  assert.is(short(await watch.next()), 'ADDED c')
  const versions = watch.events.map(({ object }) => Number(object.metadata.resourceVersion))
  assert.equal(
    versions,
    [...versions].sort((x, y) => x - y),
    'versions grow, also that of the deletion',
  )
  watch.close()
})

test('a watch without a version starts with what is there', async () => {
  await rig.ok('POST', maps, configMap('a'))
  const watch = await rig.watch(`${maps}?watch=1&fieldSelector=metadata.name%3Da`)
  assert.is(short(await watch.next()), 'ADDED a')
  await rig.ok('PATCH', `${maps}/a`, { data: { x: '1' } }, merge)
  assert.is(short(await watch.next()), 'MODIFIED a')
  watch.close()
})

test('what enters a selector is added, what leaves it is deleted', async () => {
  const { metadata } = await rig.ok('GET', maps)
  const watch = await rig.watch(
    `${maps}?watch=true&labelSelector=in%3Dyes&resourceVersion=${metadata.resourceVersion ?? ''}`,
  )
  await rig.ok('POST', maps, { metadata: { name: 'a' } })
  await rig.ok('PATCH', `${maps}/a`, { metadata: { labels: { in: 'yes' } } }, merge)
  assert.is(short(await watch.next()), 'ADDED a')
  await rig.ok('PATCH', `${maps}/a`, { data: { x: '1' } }, merge)
  assert.is(short(await watch.next()), 'MODIFIED a')
  const left = await rig.ok('PATCH', `${maps}/a`, { metadata: { labels: { in: 'no' } } }, merge)
  const event = await watch.next()
  assert.is(short(event), 'DELETED a')
  assert.equal(event.object.metadata.labels, { in: 'yes' }, 'as it was when it still matched')
  assert.is(event.object.metadata.resourceVersion, left.metadata.resourceVersion)
  watch.close()
})

test('watches of one namespace, of all, and of a pod’s node', async () => {
  await rig.ok('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
  const { metadata } = await rig.ok('GET', '/api/v1/pods')
  const from = `resourceVersion=${metadata.resourceVersion ?? ''}`
  const one = await rig.watch(`/api/v1/namespaces/other/pods?watch=true&${from}`)
  const all = await rig.watch(`/api/v1/pods?watch=true&${from}`)
  const node = await rig.watch(`/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1&${from}`)
  await rig.ok('POST', '/api/v1/namespaces/default/pods', pod('p1'))
  await rig.ok('POST', '/api/v1/namespaces/other/pods', pod('p2'))
  assert.is(short(await one.next()), 'ADDED p2')
  assert.is(short(await all.next()), 'ADDED p1')
  assert.is(short(await all.next()), 'ADDED p2')
  await rig.ok('POST', '/api/v1/namespaces/default/pods/p1/binding', { target: { name: 'n1' } })
  assert.is(short(await node.next()), 'ADDED p1')
  for (const watch of [one, all, node]) watch.close()
})

test('bookmarks come when asked for, and at the end', async () => {
  const { metadata } = await rig.ok('GET', maps)
  const from = metadata.resourceVersion ?? ''
  const without = await rig.watch(`${maps}?watch=true&resourceVersion=${from}&timeoutSeconds=1`)
  const watch = await rig.watch(`${maps}?watch=true&resourceVersion=${from}&allowWatchBookmarks=true&timeoutSeconds=1`)
  // A change of another kind moves the version on without an event here.
  const { metadata: other } = await rig.ok('POST', '/api/v1/namespaces/default/secrets', { metadata: { name: 's' } })
  let last = await watch.next()
  while (Number(last.object.metadata.resourceVersion) < Number(other.resourceVersion)) last = await watch.next()
  assert.is(last.type, 'BOOKMARK')
  assert.is(last.object.kind, 'ConfigMap')
  await Promise.all([watch.ended, without.ended])
  assert.is(watch.events.at(-1)?.type, 'BOOKMARK')
  assert.is(without.events.length, 0)
})

test('watch-list: initial events end with a marked bookmark', async () => {
  await rig.ok('POST', maps, configMap('a'))
  const watch = await rig.watch(
    `${maps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da`,
  )
  assert.is(short(await watch.next()), 'ADDED a')
  const mark = await watch.next()
  assert.is(mark.type, 'BOOKMARK')
  assert.equal(mark.object.metadata.annotations, { 'k8s.io/initial-events-end': 'true' })
  watch.close()
  const wrong = await rig.call('GET', `${maps}?watch=true&sendInitialEvents=true`)
  assert.is(wrong.code, 422)
})

test('too old a version is 410 Expired in the stream', async () => {
  const { metadata } = await rig.ok('POST', maps, configMap('a'))
  for (let index = 0; index < 110; index++) await rig.ok('PATCH', `${maps}/a`, { data: { x: String(index) } }, merge)
  const watch = await rig.watch(`${maps}?watch=true&resourceVersion=${metadata.resourceVersion ?? ''}`)
  const { type, object } = await watch.next()
  assert.is(type, 'ERROR')
  const status = object as unknown as { code: number; reason: string; message: string }
  assert.is(status.code, 410)
  assert.is(status.reason, 'Expired')
  assert.match(status.message, /^too old resource version: \d+ \(\d+\)$/)
  await watch.ended
  // The oldest version that is still known, and one before it.
  const oldest = rig.context.store.history.compacted
  const good = await rig.watch(`${maps}?watch=true&resourceVersion=${oldest}`)
  assert.is(Number((await good.next()).object.metadata.resourceVersion), oldest + 1)
  good.close()
  const bad = await rig.watch(`${maps}?watch=true&resourceVersion=${oldest - 1}`)
  assert.is((await bad.next()).type, 'ERROR')
  const future = await rig.watch(`${maps}?watch=true&resourceVersion=${rig.context.store.version + 1000}`)
  assert.is((await future.next()).type, 'ERROR')
})

test('pages show one moment, whatever changes between them', async () => {
  for (let index = 0; index < 10; index++) await rig.ok('POST', maps, configMap(`m${index}`, { v: 'old' }))
  const before = await rig.ok('GET', maps)
  const first = await rig.ok('GET', `${maps}?limit=4`)
  const page = first as unknown as {
    items: { metadata: { name: string } }[]
    metadata: { continue: string; remainingItemCount: number }
  }
  assert.is(page.items.length, 4)
  assert.is(page.metadata.remainingItemCount, (before['items'] as unknown[]).length - 4)
  await rig.ok('DELETE', `${maps}/m9`)
  await rig.ok('POST', maps, configMap('m55'))
  await rig.ok('PATCH', `${maps}/m8`, { data: { v: 'new' } }, merge)
  const items: unknown[] = [...page.items]
  let next: string | undefined = page.metadata.continue
  while (next !== undefined && next !== '') {
    const more = (await rig.ok('GET', `${maps}?limit=4&continue=${next}`)) as unknown as {
      items: unknown[]
      metadata: { continue?: string; resourceVersion: string }
    }
    assert.is(more.metadata.resourceVersion, before.metadata.resourceVersion)
    items.push(...more.items)
    next = more.metadata.continue
  }
  assert.equal(items, before['items'])
  const exact = await rig.ok(
    'GET',
    `${maps}?resourceVersion=${before.metadata.resourceVersion ?? ''}&resourceVersionMatch=Exact`,
  )
  assert.equal(exact['items'], before['items'])
})

test('an expired page is 410 with a token to go on inconsistently', async () => {
  for (let index = 0; index < 6; index++) await rig.ok('POST', maps, configMap(`m${index}`))
  const page = (await rig.ok('GET', `${maps}?limit=3`)) as unknown as { metadata: { continue: string } }
  await rig.ok('POST', maps, configMap('m9'))
  rig.context.store.compact()
  const expired = await rig.call('GET', `${maps}?limit=3&continue=${page.metadata.continue}`)
  assert.is(expired.code, 410)
  assert.is(expired.body['reason'], 'Expired')
  const token = (expired.body['metadata'] as { continue: string }).continue
  const rest = (await rig.ok('GET', `${maps}?continue=${token}`)) as unknown as {
    items: { metadata: { name: string } }[]
  }
  assert.equal(
    rest.items.map(({ metadata }) => metadata.name),
    ['m3', 'm4', 'm5', 'm9'],
  )
  assert.is((await rig.call('GET', `${maps}?continue=nonsense`)).code, 400)
  const future = await rig.call('GET', `${maps}?resourceVersion=${rig.context.store.version + 5}`)
  assert.is(future.code, 504)
  assert.match(future.message, /^Too large resource version: \d+, current: \d+$/)
})

test('tables and metadata-only representations, in lists and watches', async () => {
  await rig.ok('POST', '/api/v1/namespaces/default/pods', pod('p'))
  const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }
  const table = (await rig.ok('GET', '/api/v1/pods', undefined, accept)) as unknown as {
    kind: string
    columnDefinitions: { name: string; priority: number }[]
    rows: { cells: unknown[]; object: { kind: string } }[]
  }
  assert.is(table.kind, 'Table')
  assert.equal(
    table.columnDefinitions.filter(({ priority }) => priority === 0).map(({ name }) => name),
    ['Name', 'Ready', 'Status', 'Restarts', 'Age'],
  )
  assert.equal(table.rows[0]?.cells.slice(0, 4), ['p', '0/1', 'Pending', '0'])
  assert.is(table.rows[0]?.object.kind, 'PartialObjectMetadata')
  const partial = { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' }
  const list = (await rig.ok('GET', '/api/v1/pods', undefined, partial)) as unknown as {
    kind: string
    items: { kind: string; spec?: unknown; metadata: { name: string } }[]
  }
  assert.is(list.kind, 'PartialObjectMetadataList')
  assert.is(list.items[0]?.spec, undefined)
  assert.is(list.items[0]?.metadata.name, 'p')
  const watch = await rig.watch('/api/v1/pods?watch=true', {
    accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  })
  assert.is((await watch.next()).object.kind, 'PartialObjectMetadata')
  watch.close()
  const rows = await rig.watch('/api/v1/pods?watch=true', accept)
  const event = (await rows.next()).object as unknown as {
    kind: string
    columnDefinitions: unknown[]
    rows: { cells: unknown[] }[]
  }
  assert.is(event.rows[0]?.cells[0], 'p')
  assert.ok(event.columnDefinitions.length > 0)
  rows.close()
})

test('closing the server ends watches', async () => {
  const extra = await startRig()
  const watch = await extra.watch(`${maps}?watch=true`)
  await extra.close()
  await watch.ended
})

test.run()
