// What no server should do: the informer neither loses an object nor spins nor stops.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  Informer,
  KubeClient,
  Reflector,
  type InformerEvent,
  type InformerOptions,
  type KubeObject,
} from '../../../lib/kube/index.ts'
import { FaultServer, WatchScript, hangUp, json, list, status } from '../../support/fault-server.ts'
import { eventually } from '../../support/eventually.ts'

const things = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true }
const path = '/apis/test/v1/things'
const backoff = { baseMs: 10, maxMs: 40, jitter: 0.5 }
const patience = 20_000
const gone = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 }

const thing = (name: string, resourceVersion: string, uid = `u-${name}`, spec: unknown = {}): KubeObject => ({
  metadata: { namespace: 'n', name, uid, resourceVersion },
  spec,
})

interface Rig {
  readonly server: FaultServer
  readonly client: KubeClient
  readonly informer: Informer
  readonly events: string[]
}

async function withInformer(
  script: (server: FaultServer) => unknown,
  body: (rig: Rig) => Promise<void>,
  options: Partial<InformerOptions<KubeObject>> = {},
): Promise<void> {
  const server = await FaultServer.start()
  script(server)
  const client = KubeClient.connect({ server: server.url })
  const informer = new Informer<KubeObject>(client, { resource: things, backoff, ...options })
  const events: string[] = []
  const text = ({ type, key, object }: InformerEvent<KubeObject>): string =>
    `${type} ${key}@${object.metadata.resourceVersion ?? ''}`
  informer.onChange((event) => events.push(text(event)))
  informer.start()
  try {
    await body({ server, client, informer, events })
  } finally {
    await informer.stop()
    client.close()
    await server.close()
  }
}

test('an answer that is no list empties nothing, whatever its status says', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  const lies = [
    json({}),
    json({ kind: 'List', items: [] }),
    json({ kind: 'Status', status: 'Failure', metadata: {} }),
    json({ kind: 'Thing', metadata: { name: 'a', resourceVersion: '3' } }),
    json({ kind: 'ThingList', metadata: { resourceVersion: '' }, items: [] }),
  ]
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '1')], '10'), ...lies, list([thing('a', '1'), thing('b', '12')], '20'))
        .on(`WATCH ${path}`, first.answer, second.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      await second.opened()
      assert.equal(events, ['added n/a@1', 'added n/b@12'])
      assert.is(informer.health().errors, 1 + lies.length)
      assert.match(informer.health().lastError ?? '', /the answer is no list/)
    },
  )
})

test('events of unknown types are left out, and do not cost a list', async () => {
  const watch = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, watch.answer),
    async ({ informer, events }) => {
      await watch.event('RENAMED', thing('a', '11'))
      await watch.event('ADDED', thing('b', '12'))
      await eventually(() => assert.equal(events, ['added n/b@12']), patience)
      assert.is(informer.health().skipped, 1)
      assert.is(informer.health().errors, 0)
    },
  )
})

test('another object of the same name is told as the end of one and the beginning of the other', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  const again = [thing('a', '15', 'second'), thing('b', '12'), thing('c', '13')]
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('b', '2'), thing('a', '1', 'first')], '10'), list(again, '20'))
        .on(`WATCH ${path}`, first.answer, second.answer),
    async ({ events }) => {
      await first.event('ERROR', gone)
      await second.opened()
      // In a list: ends come before all else.
      assert.equal(events.splice(0), [
        'added n/b@2',
        'added n/a@1',
        'deleted n/a@1',
        'added n/a@15',
        'modified n/b@12',
        'added n/c@13',
      ])
      await second.event('MODIFIED', thing('a', '21', 'third'))
      await eventually(() => assert.equal(events, ['deleted n/a@15', 'added n/a@21']), patience)
    },
  )
})

test('the same version with another content, as after a restore, is a change; an older server is noticed', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  const before = list([thing('a', '5', 'u', 'old'), thing('b', '6', 'u', { same: [1] })], '10')
  const after = list([thing('a', '5', 'u', 'new'), thing('b', '6', 'u', { same: [1] })], '7')
  await withInformer(
    (server) => server.on(`LIST ${path}`, before, after).on(`WATCH ${path}`, first.answer, second.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      await second.event('ADDED', thing('c', '8'))
      await eventually(() => assert.is(events.length, 4), patience)
      assert.equal(events.slice(2), ['modified n/a@5', 'added n/c@8'])
      assert.is(informer.store.get('n/a')?.['spec'], 'new')
      assert.is(informer.health().rewinds, 1)
      assert.is(informer.health().resourceVersion, '8')
    },
  )
})

test('what a server that went back in time lacks is kept for a time, unless it tells of it', async () => {
  const [first, second, third] = [new WatchScript(), new WatchScript(), new WatchScript()]
  const before = list([thing('a', '50'), thing('b', '60'), thing('c', '70')], '100')
  let rewinds = 0
  await withInformer(
    (server) =>
      server
        .on(
          `LIST ${path}`,
          before,
          list([thing('a', '50')], '7'),
          list([thing('a', '50'), thing('b', '8', 'again')], '9'),
        )
        .on(`WATCH ${path}`, first.answer, second.answer, third.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      // Re-created with a version that is lower than the one it had.
      await second.event('ADDED', thing('b', '8', 'again'))
      await eventually(() => assert.equal(events.slice(3), ['deleted n/b@60', 'added n/b@8']), patience)
      assert.is(informer.health().held, 1)
      // A list for another reason does not end the wait.
      await second.event('ERROR', gone)
      await third.opened()
      assert.ok(informer.store.has('n/c'))
      assert.is(rewinds, 1)
    },
    { rewindHoldMs: 600_000, onRewind: () => rewinds++ },
  )
})

test('what it lacks is gone when the time is over', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '50'), thing('b', '60')], '100'), list([thing('a', '50')], '7'))
        .on(`WATCH ${path}`, first.answer, second.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      await eventually(() => assert.is(events.at(-1), 'deleted n/b@60'), patience)
      assert.equal([...informer.store.keys()], ['n/a'])
      assert.is(informer.health().held, 0)
    },
    { rewindHoldMs: 50 },
  )
})

test('a time that is over in the middle of a list ends when the list has been heard', async () => {
  const [first, second, third] = [new WatchScript(), new WatchScript(), new WatchScript()]
  const late = list([], '9')
  await withInformer(
    (server) =>
      server
        .on(
          `LIST ${path}`,
          list([thing('a', '50'), thing('b', '60')], '100'),
          list([], '7'),
          list([thing('a', '8')], '9', 'more'),
          async (response, seen) => {
            await new Promise((resolve) => setTimeout(resolve, 3000))
            late(response, seen)
          },
        )
        .on(`WATCH ${path}`, first.answer, second.answer, third.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      await second.event('ERROR', gone)
      await eventually(() => assert.not(informer.store.has('n/b')), patience)
      assert.equal(events.slice(2), ['modified n/a@8', 'deleted n/b@60'])
    },
    { rewindHoldMs: 2000 },
  )
})

test('a time that is over while no watch is open ends when one shows something', async () => {
  const [first, second, third] = [new WatchScript(), new WatchScript(), new WatchScript()]
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '50'), thing('b', '60')], '100'), list([], '7'))
        .on(`WATCH ${path}`, first.answer, second.answer, third.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      await second.cut()
      await third.opened()
      await new Promise((resolve) => setTimeout(resolve, 3200))
      assert.is(informer.store.size, 2, 'what came back meanwhile is not known yet')
      await third.event('ADDED', thing('a', '8'))
      await eventually(() => assert.equal(events.slice(2), ['modified n/a@8', 'deleted n/b@60']), patience)
    },
    { rewindHoldMs: 3000 },
  )
})

test('a server that went back in time with its version bumped is known by what it shows', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '50'), thing('b', '60')], '100'), list([thing('a', '40')], '1000000000'))
        .on(`WATCH ${path}`, first.answer, second.answer),
    async ({ informer, events }) => {
      await first.event('ERROR', gone)
      await eventually(() => assert.equal(events.slice(2), ['modified n/a@40']), patience)
      await second.opened()
      assert.ok(informer.isHeld('n/b'))
    },
    { rewindHoldMs: 600_000 },
  )
})

test('an object that a list shows replaced is never absent, however long the list takes', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  const names = Array.from({ length: 40 }, (_, index) => `t${index}`)
  const again = names.map((name) => {
    const object = thing(name, '60')
    return { ...object, metadata: { ...object.metadata, uid: `again-${name}` } }
  })
  const before = names.map((name) => thing(name, '50'))
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list(before, '100'), list(again, '200'))
        .on(`WATCH ${path}`, first.answer, second.answer),
    async ({ informer, events }) => {
      await informer.synced
      const absent: string[] = []
      informer.onBatch((batch) => {
        for (const { key } of batch) if (!informer.store.has(key)) absent.push(key)
      })
      // Slow enough for several slices.
      informer.onChange(() => {
        for (const end = performance.now() + 1; performance.now() < end;);
      })
      await first.event('ERROR', gone)
      await eventually(() => assert.is(events.length, 3 * names.length), patience)
      assert.equal(absent, [])
    },
  )
})

test('repeated, late and reordered events do not bring the past back', async () => {
  const [first, second] = [new WatchScript(), new WatchScript()]
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, first.answer, second.answer),
    async ({ server, informer, events }) => {
      await first.event('ADDED', thing('a', '11', 'one'))
      await first.event('DELETED', thing('a', '12', 'one'))
      await first.event('ADDED', thing('a', '13', 'two'))
      await first.event('MODIFIED', thing('a', '15', 'two'))
      // All of these have been said, or been overtaken.
      await first.event('MODIFIED', thing('a', '15', 'two'))
      await first.event('ADDED', thing('a', '13', 'two'))
      await first.event('DELETED', thing('a', '12', 'one'))
      await first.event('ADDED', thing('a', '11', 'one'))
      await first.bookmark('12')
      await first.end()
      await second.opened()
      assert.is(server.requests(`WATCH ${path}`)[1]?.query.get('resourceVersion'), '15')
      assert.equal(events, ['added n/a@11', 'deleted n/a@12', 'added n/a@13', 'modified n/a@15'])
      assert.is(informer.health().staleEvents, 3)
      // Some servers give a deletion the version of the last change.
      await second.event('DELETED', thing('a', '13', 'two'))
      await eventually(() => assert.is(events.at(-1), 'deleted n/a@13'), patience)
    },
  )
})

test('accepted watches that show nothing are not believed for ever', async () => {
  const [first, second, third] = [new WatchScript(), new WatchScript(), new WatchScript()]
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([thing('a', '1')], '10'), list([thing('b', '3')], '4'))
        .on(`WATCH ${path}`, first.answer, second.answer, third.answer),
    async ({ server, events }) => {
      await third.opened()
      assert.equal(
        server.requests(`WATCH ${path}`).map((seen) => seen.query.get('resourceVersion')),
        ['10', '10', '4'],
      )
      assert.equal(events, ['added n/a@1', 'deleted n/a@1', 'added n/b@3'])
    },
    { inactivityMs: 150 },
  )
})

test('watches that end or fail after each event make progress without spinning', async () => {
  let version = 10
  await withInformer(
    (server) =>
      server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, (response) => {
        version++
        const event = { type: 'ADDED', object: thing(`t${version}`, String(version)) }
        response.write(`${JSON.stringify(event)}\n`, () =>
          version % 2 === 0 ? response.end() : response.socket?.destroy(),
        )
      }),
    async ({ server, informer, events }) => {
      await eventually(() => assert.ok(events.length >= 10), patience)
      const watches = server.requests(`WATCH ${path}`)
      const span = (watches.at(-1)?.at ?? 0) - (watches[0]?.at ?? 0)
      assert.ok(
        watches.length <= span / 10 + 2,
        `${watches.length} watches in ${span} ms with delays of 10 ms and more`,
      )
      assert.is(informer.health().lists, 1)
      assert.is(new Set(events).size, events.length, 'nothing twice')
    },
  )
})

test('delays that are no numbers, or too long, are not taken', async () => {
  const watch = new WatchScript()
  const details = (retryAfterSeconds: unknown): unknown => ({
    kind: 'Status',
    code: 500,
    details: { retryAfterSeconds },
  })
  await withInformer(
    (server) =>
      server
        .on(`LIST ${path}`, list([], '10'))
        .on(
          `WATCH ${path}`,
          json(details('soon'), 500),
          status(500, 'InternalError', 'no', { 'retry-after': '-5' }),
          watch.answer,
        ),
    async ({ server }) => {
      await watch.opened()
      const times = server.requests(`WATCH ${path}`).map(({ at }) => at)
      for (const [index, at] of times.entries()) {
        if (index > 0) assert.ok(at - (times[index - 1] ?? 0) >= 9, 'the back-off holds')
      }
    },
  )
})

test('handlers that register during an event are not told of it twice', async () => {
  const watch = new WatchScript()
  await withInformer(
    (server) => server.on(`LIST ${path}`, list([], '10')).on(`WATCH ${path}`, watch.answer),
    async ({ informer, events }) => {
      const late: string[] = []
      const never: string[] = []
      let end: () => void = () => undefined
      informer.onChange(({ type }) => {
        if (type !== 'added' || late.length > 0) return
        end()
        informer.onChange((event) => late.push(event.type))
        informer.onBatch((batch) => late.push(...batch.map((event) => `batch ${event.type}`)))
      })
      end = informer.onChange(({ key }) => never.push(key))
      await watch.event('ADDED', thing('a', '11'))
      await eventually(() => assert.is(events.length, 1), patience)
      await watch.event('MODIFIED', thing('a', '12'))
      await eventually(() => assert.is(events.length, 2), patience)
      assert.equal(late, ['added', 'batch added', 'modified', 'batch modified'])
      assert.equal(never, [], 'ended before its turn')
    },
  )
})

test('a page in the middle that fails is asked for again, not the whole list; a token that stays is an error', async () => {
  const server = await FaultServer.start()
  const client = KubeClient.connect({ server: server.url })
  const restartBackoff = { baseMs: 5, maxMs: 10 }
  try {
    const failing = status(500, 'InternalError', 'etcd is sad')
    const half = json({ kind: 'List', metadata: { resourceVersion: '1' } }, 200, { 'content-length': '500' })
    server.on(
      `LIST ${path}`,
      list([thing('a', '1')], '5', 't1'),
      failing,
      failing,
      list([thing('b', '2')], '5', 't2'),
      hangUp,
      json({}),
      list([thing('c', '3')], '5'),
    )
    const { items } = await client.list(things, { pageSize: 1, restartBackoff })
    assert.equal(
      items.map(({ metadata }) => metadata.name),
      ['a', 'b', 'c'],
    )
    assert.equal(
      server.seen.map(({ query }) => query.get('continue')),
      [null, 't1', 't1', 't1', 't2', 't2', 't2'],
    )
    server.on(`LIST ${path}`, list([thing('a', '1')], '5', 'same'))
    let caught = ''
    await client.list(things, { restartBackoff }).catch((error: Error) => (caught = error.message))
    assert.match(caught, /does not go on/)
    server.on(`LIST ${path}`, half)
    await client.list(things, { retries: 0, timeoutMs: 300 }).catch((error: Error) => (caught = error.message))
    assert.match(caught, /TIMEOUT|no complete response|cut|hang up/)
  } finally {
    client.close()
    await server.close()
  }
})

test('what a sink fails on costs that object only', async () => {
  const server = await FaultServer.start()
  const watch = new WatchScript()
  const nameless = { metadata: { resourceVersion: '2' } }
  server
    .on(`LIST ${path}`, list([thing('a', '1'), nameless, thing('bad', '3')], '10'))
    .on(`WATCH ${path}`, watch.answer)
  const client = KubeClient.connect({ server: server.url })
  const stopping = new AbortController()
  const got: string[] = []
  const refuse = (raw: KubeObject): string => {
    if (raw.metadata.name === 'bad') throw new Error('cannot be read')
    return raw.metadata.name ?? ''
  }
  const reflector = new Reflector<string>(
    client,
    { resource: things, backoff },
    {
      project: refuse,
      replace: (items) => Promise.resolve(void got.push(...items)),
      apply: (type, raw) => void got.push(`${type} ${refuse(raw)}`),
      flush: () => undefined,
    },
  )
  const running = reflector.run(stopping.signal)
  try {
    await watch.event('ADDED', thing('bad', '11'))
    await watch.event('ADDED', thing('c', '12'))
    await eventually(() => assert.equal(got, ['a', 'ADDED c']), patience)
    const { skipped, errors, resourceVersion } = reflector.health()
    assert.equal([skipped, errors, resourceVersion], [3, 0, '12'])
  } finally {
    stopping.abort()
    await running
    client.close()
    await server.close()
  }
})

test.run()
