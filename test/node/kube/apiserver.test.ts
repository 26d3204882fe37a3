// The client and the informer against the embedded API server: what a healthy server does, then churn while connections
// are cut, stalled and expired.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  Informer,
  KubeClient,
  WorkQueue,
  isAlreadyExists,
  isConflict,
  isInvalid,
  isNotFound,
  mergePatchBetween,
  retryOnConflict,
  sleep,
  type KubeObject,
} from '../../../lib/kube/index.ts'
import { startApiServer, type ApiServer, type ApiServerOptions } from '../../../lib/standalone/apiserver/index.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultProxy } from '../../support/fault-proxy.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}

const configMaps = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true }
const namespaces = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false }
const nodes = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false }

const map = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}): ConfigMap => ({
  metadata: { namespace: 'default', name, labels },
  data,
})

async function withServer(
  options: Partial<ApiServerOptions>,
  body: (server: ApiServer, client: KubeClient, defer: (end: () => unknown) => void) => Promise<void>,
): Promise<void> {
  const ends: (() => unknown)[] = []
  bringUpLoopback()
  const server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], ...options })
  const tls = server.caCert === null ? {} : { tls: { ca: server.caCert } }
  const client = KubeClient.connect({ server: server.url, ...(server.token ? { token: server.token } : {}), ...tls })
  try {
    await body(server, client, (end) => ends.unshift(end))
  } finally {
    for (const end of ends) await end()
    client.close()
    await server.close()
  }
}

async function caught(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return null
}

test('the life of an object, over TLS', () =>
  withServer({ tls: {} }, async (_server, client) => {
    const made = await client.create(configMaps, map('a', { x: '1' }))
    const ref = made.metadata
    assert.ok(ref.uid && ref.resourceVersion)
    assert.ok(isAlreadyExists(await caught(client.create(configMaps, map('a')))))
    const generated = await client.create<ConfigMap>(configMaps, {
      metadata: { namespace: 'default', generateName: 'g-' },
    })
    assert.match(generated.metadata.name ?? '', /^g-.+/)
    const updated = await client.update(configMaps, { ...made, data: { x: '2' } })
    assert.ok(isConflict(await caught(client.update(configMaps, { ...made, data: { x: '3' } }))))
    const merged = await client.patch<ConfigMap>(
      'merge',
      configMaps,
      ref,
      mergePatchBetween(updated, { ...updated, data: { y: '1' } }),
    )
    assert.equal(merged.data, { y: '1' })
    const patched = await client.patch<ConfigMap>('json', configMaps, ref, [{ op: 'add', path: '/data/z', value: '9' }])
    assert.equal(patched.data, { y: '1', z: '9' })
    const strategic = await client.patch<ConfigMap>('strategic', configMaps, ref, { data: { y: null } })
    assert.equal(strategic.data, { z: '9' })
    const dry = await client.patch<ConfigMap>('merge', configMaps, ref, { data: { z: '0' } }, { dryRun: true })
    assert.equal(dry.data, { z: '0' })
    assert.equal((await client.get<ConfigMap>(configMaps, ref)).data, { z: '9' })
    assert.ok(isConflict(await caught(client.delete(configMaps, ref, { preconditions: { uid: 'another' } }))))
    await client.delete(configMaps, ref, { preconditions: { uid: ref.uid }, propagationPolicy: 'Background' })
    assert.ok(isNotFound(await caught(client.get(configMaps, ref))))
    assert.is(await client.find(configMaps, ref), null)
    assert.ok(isInvalid(await caught(client.create(configMaps, map('Not A Name')))))
  }))

test('status subresource, and retryOnConflict between competing writers', () =>
  withServer({}, async (_server, client) => {
    await client.create(nodes, { metadata: { name: 'n1' } })
    const patched = await client.patchStatus<KubeObject>(
      'merge',
      nodes,
      { name: 'n1' },
      { status: { phase: 'Running' } },
    )
    assert.equal(patched['status'], { phase: 'Running' })
    await client.create(configMaps, map('counter', { n: '0' }))
    const ref = { namespace: 'default', name: 'counter' }
    await Promise.all(
      Array.from({ length: 4 }, () =>
        retryOnConflict(
          async () => {
            const current = await client.get<ConfigMap>(configMaps, ref)
            await client.update(configMaps, { ...current, data: { n: String(Number(current.data?.['n']) + 1) } })
          },
          { steps: 50 },
        ),
      ),
    )
    assert.is((await client.get<ConfigMap>(configMaps, ref)).data?.['n'], '4')
  }))

test('lists in pages of one snapshot while objects change; metadata only', () =>
  withServer({}, async (_server, client) => {
    for (let n = 0; n < 25; n++)
      await client.create(configMaps, map(`m${String(n).padStart(2, '0')}`, { n: String(n) }, { odd: String(n % 2) }))
    const seen: string[] = []
    for await (const page of client.listPages<ConfigMap>(configMaps, {
      namespace: 'default',
      pageSize: 10,
      labelSelector: 'odd',
    })) {
      assert.ok(page.items.length <= 10)
      for (const item of page.items) seen.push(item.metadata.name ?? '')
      if (seen.length === 10) {
        await client.delete(configMaps, { namespace: 'default', name: 'm15' })
        await client.create(configMaps, map('m16b', {}, { odd: '0' }))
      }
    }
    assert.equal(
      seen,
      Array.from({ length: 25 }, (_, n) => `m${String(n).padStart(2, '0')}`),
    )
    const odd = await client.list<ConfigMap>(configMaps, {
      namespace: 'default',
      labelSelector: 'odd=1',
      metadataOnly: true,
    })
    assert.is(odd.items.length, 11)
    assert.ok(odd.items.every((item) => item.data === undefined && item.metadata.labels?.['odd'] === '1'))
  }))

test('an informer and a queue make a controller', () =>
  withServer({}, async (_server, client, defer) => {
    const informer = new Informer<ConfigMap>(client, {
      resource: configMaps,
      namespace: 'default',
      labelSelector: 'mirror',
    })
    const queue = new WorkQueue<string>({
      concurrency: 2,
      process: async (key) => {
        const source = informer.store.get(key)
        const ref = { namespace: 'default', name: `${key.split('/')[1] ?? ''}-copy` }
        if (source === undefined) {
          const error = await caught(client.delete(configMaps, ref))
          if (error !== null && !isNotFound(error)) throw error as Error
        } else
          await client.apply(configMaps, { metadata: ref, data: source.data }, { fieldManager: 'mirror', force: true })
      },
    }).start()
    defer(() => queue.stop())
    defer(() => informer.stop())
    informer.onChange((event) => queue.add(event.key))
    await informer.start().synced
    const copy = { namespace: 'default', name: 'a-copy' }
    await client.create(configMaps, map('a', { v: '1' }, { mirror: '' }))
    await eventually(async () => assert.equal((await client.get<ConfigMap>(configMaps, copy)).data, { v: '1' }))
    await client.patch('merge', configMaps, { namespace: 'default', name: 'a' }, { data: { v: '2' } })
    await eventually(async () => assert.equal((await client.get<ConfigMap>(configMaps, copy)).data, { v: '2' }))
    // Leaving the selection is a deletion for the informer.
    await client.patch(
      'merge',
      configMaps,
      { namespace: 'default', name: 'a' },
      { metadata: { labels: { mirror: null } } },
    )
    await eventually(async () => assert.is(await client.find(configMaps, copy), null))
  }))

test('informers of full and of partial objects stay true through churn and faults', () =>
  // A short history makes the server forget versions while a watch is cut off, so that 410 and re-lists happen.
  withServer({ historySize: 40, bookmarkIntervalMs: 50 }, async (server, client, defer) => {
    await client.create(namespaces, { metadata: { name: 'other' } })
    const proxy = await FaultProxy.start(server.url)
    const behind = KubeClient.connect({ server: proxy.url })
    defer(() => proxy.close())
    defer(() => behind.close())
    const backoff = { baseMs: 5, maxMs: 40 }
    const common = {
      resource: configMaps,
      labelSelector: 'churn',
      backoff,
      pageSize: 7,
      watchSeconds: 1,
      inactivityMs: 300,
    }
    const full = new Informer<ConfigMap>(behind, {
      ...common,
      indexes: { value: (object) => [object.data?.['v'] ?? ''] },
    })
    const partial = new Informer<string>(behind, {
      ...common,
      metadataOnly: true,
      project: (raw) => raw.metadata.labels?.['churn'] ?? null,
    })
    defer(() => full.stop())
    defer(() => partial.stop())
    /** What the events alone say is there. */
    const told = new Map<string, string | undefined>()
    const wrong: string[] = []
    full.onChange((event) => {
      const known = told.get(event.key)
      if ((event.type === 'added') === told.has(event.key))
        wrong.push(`${event.type} ${event.key} though ${known ?? 'absent'}`)
      if (event.type === 'deleted') told.delete(event.key)
      else told.set(event.key, event.object.metadata.resourceVersion)
      if (event.type === 'modified' && event.object.metadata.resourceVersion === known)
        wrong.push(`no change of ${event.key}`)
    })
    await full.start().synced
    await partial.start().synced
    const faults = (async (): Promise<void> => {
      for (let round = 0; round < 8; round++) {
        // Each fault hits a running watch, however slow the machine.
        const { events } = full.health()
        await eventually(() => full.health().events > events, 30_000)
        await sleep(100)
        if (round % 4 === 3) {
          proxy.stall()
          await sleep(400)
          proxy.heal()
        } else if (round % 4 === 1) {
          proxy.refuse()
          await sleep(150)
          proxy.heal()
        } else proxy.cut()
      }
    })()
    let writing = true
    defer(() => (writing = false))
    const writers = [0, 1, 2].map(async (writer) => {
      for (let n = 0; writing; n++) {
        const ref = { namespace: n % 3 === 0 ? 'other' : 'default', name: `w${writer}-${n % 17}` }
        const v = String(n % 5)
        const object = { metadata: { ...ref, labels: { churn: v } }, data: { v } }
        const kind = (n * 7 + writer) % 4
        const error = await caught(
          kind === 0
            ? client.delete(configMaps, ref)
            : kind === 1
              ? client.patch('merge', configMaps, ref, {
                  data: { v },
                  metadata: { labels: { churn: n % 11 === 0 ? null : v } },
                })
              : client.create(configMaps, object),
        )
        if (error !== null && !isNotFound(error) && !isAlreadyExists(error)) throw error as Error
        await sleep(2)
      }
    })
    await faults
    writing = false
    await Promise.all(writers)
    // More changes than the server remembers, unseen: only a list can make up for them.
    proxy.refuse()
    for (let n = 0; n < 60; n++) {
      const ref = { namespace: 'default', name: `missed-${n % 3}` }
      const error = await caught(
        n % 2 === 0
          ? client.create(configMaps, { metadata: { ...ref, labels: { churn: '9' } }, data: { v: '9' } })
          : client.delete(configMaps, { ...ref, name: `missed-${(n - 1) % 3}` }),
      )
      if (error !== null && !isAlreadyExists(error)) throw error as Error
    }
    proxy.heal()
    const truth = await client.list<ConfigMap>(configMaps, { labelSelector: 'churn' })
    const versions = new Map(
      truth.items.map((item) => [`${item.metadata.namespace}/${item.metadata.name}`, item.metadata.resourceVersion]),
    )
    await eventually(() => {
      assert.equal(
        new Map(
          full.store
            .list()
            .map((item) => [`${item.metadata.namespace}/${item.metadata.name}`, item.metadata.resourceVersion]),
        ),
        versions,
      )
      assert.equal(
        new Map([...partial.store.keys()].map((key) => [key, partial.store.get(key)])),
        new Map(
          truth.items.map((item) => [
            `${item.metadata.namespace}/${item.metadata.name}`,
            item.metadata.labels?.['churn'],
          ]),
        ),
      )
    }, 30_000)
    assert.equal(told, versions, 'the events tell the same story as the store')
    assert.equal(wrong, [])
    for (const v of ['0', '1', '2', '3', '4']) {
      assert.equal(
        new Set(full.store.byIndex('value', v)),
        new Set(full.store.list().filter((item) => item.data?.['v'] === v)),
      )
    }
    const health = full.health()
    console.log(
      `lists ${health.lists}, watches ${health.watches}, events ${health.events}, bookmarks ${health.bookmarks}, errors ${health.errors}`,
    )
    assert.ok(health.relists >= 1 && health.watches > 5 && health.errors > 3, JSON.stringify(health))
  }))

test.run()
