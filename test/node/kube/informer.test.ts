// The informer against a server in trouble, over real HTTP.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  Informer,
  KubeClient,
  type InformerEvent,
  type InformerOptions,
  type KubeObject,
} from '../../../lib/kube/index.ts'
import { FaultServer, WatchScript, hangUp, list, silence, status, json } from '../../support/fault-server.ts'
import { eventually } from '../../support/eventually.ts'

const things = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true }
const path = '/apis/test/v1/things'
const backoff = { baseMs: 10, maxMs: 40, jitter: 0.5 }

function thing(name: string, resourceVersion: string, spec: unknown = {}): KubeObject {
  return {
    apiVersion: 'test/v1',
    kind: 'Thing',
    metadata: { namespace: 'n', name, uid: `u-${name}`, resourceVersion },
    spec,
  }
}

interface Rig {
  readonly server: FaultServer
  readonly client: KubeClient
  readonly informer: Informer
  readonly events: string[]
}

/** Run with an informer that is stopped, and a server that is closed, whatever happens. */
async function withInformer(
  script: (server: FaultServer) => void,
  body: (rig: Rig) => Promise<void>,
  options: Partial<InformerOptions<KubeObject>> = {},
): Promise<void> {
  const server = await FaultServer.start()
  script(server)
  const client = KubeClient.connect({ server: server.url })
  const informer = new Informer<KubeObject>(client, { resource: things, backoff, ...options })
  const events: string[] = []
  informer.onChange((event) => events.push(describe(event)))
  informer.start()
  try {
    await body({ server, client, informer, events })
  } finally {
    await informer.stop()
    client.close()
    await server.close()
  }
}

function describe(event: InformerEvent<KubeObject>): string {
  return `${event.type} ${event.key}@${event.object.metadata.resourceVersion ?? ''}`
}

test('lists in pages, watches from the snapshot, keeps store and events in step', async () => {
  const watch = new WatchScript()
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '1'), thing('b', '2')], '10', 'more'), list([thing('c', '3')], '10'))
        .on(`WATCH ${path}`, watch.answer),
    async ({ server, informer, events }) => {
      await informer.synced
      assert.equal([...informer.store.keys()], ['n/a', 'n/b', 'n/c'])
      assert.equal(server.requests(`LIST ${path}`)[1]?.query.get('continue'), 'more')
      await watch.opened()
      const query = server.requests(`WATCH ${path}`)[0]?.query
      assert.is(query?.get('resourceVersion'), '10')
      assert.is(query?.get('allowWatchBookmarks'), 'true')
      const seconds = Number(query?.get('timeoutSeconds'))
      assert.ok(seconds >= 300 && seconds <= 600, `timeoutSeconds ${seconds}`)
      await watch.event('MODIFIED', thing('a', '11'))
      await watch.event('DELETED', thing('b', '12'))
      await watch.event('ADDED', thing('d', '13'))
      await eventually(() => assert.is(events.length, 6))
      assert.equal(events, [
        'added n/a@1',
        'added n/b@2',
        'added n/c@3',
        'modified n/a@11',
        'deleted n/b@12',
        'added n/d@13',
      ])
      assert.is(informer.store.get('n/a')?.metadata.resourceVersion, '11')
      assert.not(informer.store.has('n/b'))
      const health = informer.health()
      assert.is(health.resourceVersion, '13')
      assert.is(health.lists, 1)
      assert.is(health.relists, 0)
      assert.is(health.events, 3)
    },
  )
})

test('resumes a cut watch from the last event, not from the list', async () => {
  const first = new WatchScript()
  const second = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, first.answer, second.answer),
    async ({ server, informer, events }) => {
      await first.event('ADDED', thing('a', '20'))
      // Half an event at the cut must be neither lost nor told twice.
      await first.raw('{"type":"ADDED","object":{"metadata":{"name":"half')
      await first.cut()
      await second.event('ADDED', thing('half', '21'))
      await eventually(() => assert.is(events.length, 2))
      assert.is(server.requests(`WATCH ${path}`)[1]?.query.get('resourceVersion'), '20')
      assert.is(server.requests(`LIST ${path}`).length, 1)
      assert.ok(informer.health().errors >= 1)
    },
  )
})

test('a bookmark moves the point of resumption; a clean end resumes at once', async () => {
  const first = new WatchScript()
  const second = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, first.answer, second.answer),
    async ({ server, informer }) => {
      await first.bookmark('500')
      await first.end()
      await second.opened()
      assert.is(server.requests(`WATCH ${path}`)[1]?.query.get('resourceVersion'), '500')
      assert.is(informer.health().errors, 0)
      assert.is(informer.health().bookmarks, 1)
    },
  )
})

for (const how of ['ERROR event', 'HTTP status'] as const) {
  test(`410 as ${how}: lists again; deletes first, silence about the unchanged`, async () => {
    const first = new WatchScript()
    const second = new WatchScript()
    const gone = {
      kind: 'Status',
      status: 'Failure',
      reason: 'Expired',
      code: 410,
      message: 'too old resource version',
    }
    await withInformer(
      (server) =>
        server
          .on(
            `LIST ${path}`,
            list([thing('a', '1'), thing('b', '2'), thing('c', '3')], '10'),
            list([thing('a', '1'), thing('new', '15'), thing('c', '14')], '20'),
          )
          .on(`WATCH ${path}`, how === 'ERROR event' ? first.answer : json(gone, 410), second.answer),
      async ({ server, informer, events }) => {
        await informer.synced
        if (how === 'ERROR event') await first.event('ERROR', gone)
        await second.opened()
        assert.equal(events.slice(3), ['deleted n/b@2', 'added n/new@15', 'modified n/c@14'])
        assert.is(server.requests(`WATCH ${path}`)[1]?.query.get('resourceVersion'), '20')
        assert.is(informer.health().relists, 1)
      },
    )
  })
}

test('a stalled watch is taken for dead and resumed', async () => {
  const first = new WatchScript()
  const second = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, first.answer, second.answer),
    async ({ server, informer, events }) => {
      await first.event('ADDED', thing('a', '11'))
      await second.opened()
      const [one, two] = server.requests(`WATCH ${path}`)
      assert.ok((two?.at ?? 0) - (one?.at ?? 0) >= 150, 'not before the limit')
      assert.is(two?.query.get('resourceVersion'), '11')
      assert.match(informer.health().lastError ?? '', /taken for dead/)
      assert.equal(events, ['added n/a@11'])
    },
    { inactivityMs: 150 },
  )
})

test('bookmarks keep a quiet watch alive', async () => {
  const first = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, first.answer),
    async ({ server, informer }) => {
      for (let version = 11; version < 17; version++) {
        await first.bookmark(String(version))
        await new Promise((resolve) => setTimeout(resolve, 80))
      }
      assert.is(server.requests(`WATCH ${path}`).length, 1)
      assert.is(informer.health().errors, 0)
    },
    { inactivityMs: 300 },
  )
})

test('a line that is no event is counted and answered by a new list', async () => {
  const first = new WatchScript()
  const second = new WatchScript()
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '1')], '10'), list([thing('a', '12')], '20'))
        .on(`WATCH ${path}`, first.answer, second.answer),
    async ({ informer, events }) => {
      await first.raw('{"type":"MODIFIED","object":{"metadata":{"name":"a"\n')
      await second.opened()
      assert.equal(events, ['added n/a@1', 'modified n/a@12'])
      assert.is(informer.health().unreadableLines, 1)
      assert.match(informer.health().lastError ?? '', /no watch event: .*MODIFIED/)
    },
  )
})

test('an event in many pieces, cut inside UTF-8 sequences, is one event', async () => {
  const watch = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, watch.answer),
    async ({ informer, events }) => {
      const object = thing('ü', '11', { text: 'äöü€𝄞' })
      const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`)
      for (let at = 0; at < bytes.length; at += 7) await watch.raw(bytes.subarray(at, at + 7))
      await eventually(() => assert.is(events.length, 1))
      assert.equal(informer.store.get('n/ü')?.['spec'], { text: 'äöü€𝄞' })
    },
  )
})

test('a server that hangs up or fails is not hammered, and never given up', async () => {
  const watch = new WatchScript()
  const failures = [hangUp, status(500, 'InternalError', 'etcd is sad'), status(403, 'Forbidden', 'not yet'), hangUp]
  await withInformer(
    (server) => server.on(`LIST ${path}`, ...failures, list([thing('a', '1')], '10')).on(`WATCH ${path}`, watch.answer),
    async ({ informer }) => {
      await informer.synced
      assert.is(informer.store.size, 1)
      assert.ok(informer.health().errors >= 2)
    },
  )
  // A watch that ends at once, without an event, must wait before the next.
  await withInformer(
    (server) =>
      server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, (response) => {
        response.writeHead(200)
        response.end()
      }),
    async ({ server, informer }) => {
      await informer.synced
      await new Promise((resolve) => setTimeout(resolve, 300))
      const watches = server.requests(`WATCH ${path}`).length
      assert.ok(watches >= 5 && watches <= 20, `${watches} watches in 300 ms with delays of up to 60 ms`)
    },
  )
})

test('a server that is behind our version is listed anew; one that is overloaded is not', async () => {
  const watch = new WatchScript()
  const future = status(504, 'Timeout', 'Too large resource version')
  const busy = status(503, 'ServiceUnavailable', 'busy')
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([], '1000'), list([], '5'))
        .on(`WATCH ${path}`, busy, busy, busy, busy, future, watch.answer),
    async ({ server, informer }) => {
      await watch.opened()
      assert.equal(
        server.requests(`WATCH ${path}`).map((seen) => seen.query.get('resourceVersion')),
        [...Array<string>(5).fill('1000'), '5'],
      )
      const probe = server.requests(`LIST ${path}`)[1]?.query
      assert.equal([probe?.get('limit'), probe?.get('resourceVersion')], ['1', null])
      assert.is(informer.health().rewinds, 1)
      assert.is(informer.health().relists, 1)
    },
  )
})

test('the first list may come from the cache, later ones may not', async () => {
  const first = new WatchScript()
  const second = new WatchScript()
  const gone = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 }
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, first.answer, second.answer),
    async ({ server }) => {
      await first.event('ERROR', gone)
      await second.opened()
      assert.equal(
        server.requests(`LIST ${path}`).map((seen) => seen.query.get('resourceVersion')),
        ['0', null],
      )
    },
    { fromCache: true },
  )
})

test('429 with Retry-After on a watch is obeyed', async () => {
  const watch = new WatchScript()
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([], '10'))
        .on(`WATCH ${path}`, status(429, 'TooManyRequests', 'slow down', { 'retry-after': '1' }), watch.answer),
    async ({ server }) => {
      await watch.opened()
      const [one, two] = server.requests(`WATCH ${path}`)
      const waited = (two?.at ?? 0) - (one?.at ?? 0)
      assert.ok(waited >= 1000 && waited < 2500, `waited ${waited} ms`)
    },
  )
})

test('projection at the edge: small records, null is absent, one bad object harms no other', async () => {
  const watch = new WatchScript()
  const server = await FaultServer.start()
  server
    .on(
      `LIST ${path}`,
      list([thing('a', '1', { ip: 1 }), thing('bad', '2', null), thing('none', '3', { ip: 0 })], '10'),
    )
    .on(`WATCH ${path}`, watch.answer)
  const client = KubeClient.connect({ server: server.url })
  const informer = new Informer<number>(client, {
    resource: things,
    backoff,
    project: (raw) => (raw['spec'] as { ip: number }).ip || null,
    indexes: { odd: (ip) => [ip % 2 === 1 ? 'odd' : 'even'] },
  })
  const events: InformerEvent<number>[] = []
  informer.onChange(() => {
    throw new Error('a handler that fails')
  })
  informer.onChange((event) => events.push(event))
  const batches: number[] = []
  informer.onBatch((batch) => batches.push(batch.length))
  try {
    await informer.start().synced
    assert.equal(informer.store.list(), [1])
    await watch.event('ADDED', thing('none', '11', { ip: 4 }))
    await watch.event('MODIFIED', thing('a', '12', { ip: 0 }))
    await eventually(() => assert.is(events.length, 3))
    assert.equal(events.slice(1), [
      { type: 'added', key: 'n/none', object: 4, old: null },
      { type: 'deleted', key: 'n/a', object: 1, old: 1 },
    ])
    assert.equal(informer.store.byIndex('odd', 'even'), [4])
    assert.equal(informer.store.byIndex('odd', 'odd'), [])
    assert.is(informer.health().badObjects, 1)
    assert.is(informer.health().handlerErrors, 3)
    assert.is(
      batches.reduce((sum, size) => sum + size, 0),
      3,
    )
    const late: string[] = []
    informer.onChange((event) => late.push(`${event.type} ${event.key}`))
    assert.equal(late, ['added n/none'], 'a late handler is told what is there')
  } finally {
    await informer.stop()
    client.close()
    await server.close()
  }
})

test('metadata only: asks for partial metadata in lists and watches', async () => {
  const watch = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([thing('a', '1')], '10')).on(`WATCH ${path}`, watch.answer),
    async ({ server }) => {
      await watch.opened()
      assert.match(
        server.requests(`LIST ${path}`)[0]?.headers.accept ?? '',
        /as=PartialObjectMetadataList;g=meta\.k8s\.io;v=v1,/,
      )
      assert.match(
        server.requests(`WATCH ${path}`)[0]?.headers.accept ?? '',
        /as=PartialObjectMetadata;g=meta\.k8s\.io;v=v1,/,
      )
    },
    { metadataOnly: true },
  )
})

test('stop ends list, watch and waiting, leaves no connection, and rejects an unreached sync', async () => {
  const server = await FaultServer.start()
  server.on(`LIST ${path}`, silence)
  const client = KubeClient.connect({ server: server.url })
  const informer = new Informer(client, { resource: things })
  informer.start()
  await server.arrived(`LIST ${path}`)
  await informer.stop()
  let message = ''
  await informer.synced.catch((error: Error) => (message = error.message))
  assert.match(message, /was stopped/)
  client.close()
  await eventually(() => assert.is(server.open, 0))
  await server.close()
})

test.run()
