// A server that went back in time, seen by one informer of a client and therefore by all.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Informer, KubeClient, type KubeObject } from '../../../lib/kube/index.ts'
import { ServerHistory } from '../../../lib/kube/history.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultServer, WatchScript, list } from '../../support/fault-server.ts'

const patience = 20_000
const gone = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 }
const backoff = { baseMs: 10, maxMs: 40, jitter: 0.5 }
const kind = (
  plural: string,
): { group: string; version: string; plural: string; kind: string; namespaced: boolean } => ({
  group: 'test',
  version: 'v1',
  plural,
  kind: plural,
  namespaced: true,
})
const path = (plural: string): string => `/apis/test/v1/${plural}`
const object = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { namespace: 'n', name, uid: `u-${name}`, resourceVersion },
})

async function withTwo(
  script: (server: FaultServer) => unknown,
  body: (quiet: Informer, busy: Informer) => Promise<void>,
): Promise<void> {
  const server = await FaultServer.start()
  script(server)
  const client = KubeClient.connect({ server: server.url })
  const informers = ['quiet', 'busy'].map(
    (plural) => new Informer(client, { resource: kind(plural), backoff, rewindHoldMs: 600_000 }),
  )
  const [quiet, busy] = informers as [Informer, Informer]
  try {
    await quiet.start().synced
    await busy.start().synced
    await body(quiet, busy)
  } finally {
    await Promise.all(informers.map((informer) => informer.stop()))
    client.close()
    await server.close()
  }
}

test('a list that has passed its own last version is held against what another saw: nothing is let go', async () => {
  const [q1, q2, b1] = [new WatchScript(), new WatchScript(), new WatchScript()]
  await withTwo(
    (server) =>
      server
        .on(`LIST ${path('quiet')}`, list([object('a', '5')], '10'), list([], '60'))
        .on(`WATCH ${path('quiet')}`, q1.answer, q2.answer)
        .on(`LIST ${path('busy')}`, list([], '10'))
        .on(`WATCH ${path('busy')}`, b1.answer),
    async (quiet, busy) => {
      await b1.event('ADDED', object('b', '100'))
      await eventually(() => busy.store.has('n/b'), patience)
      // The new server is at 60: past 10, which quiet has seen, but not past 100.
      await q1.event('ERROR', gone)
      await q2.opened()
      assert.is(quiet.health().rewinds, 1)
      assert.ok(quiet.store.has('n/a'), 'it may be there still: the server has forgotten')
      assert.is(quiet.health().held, 1)
    },
  )
})

test('what one has seen makes the others look again, although their watches go on', async () => {
  const [q1, q2, b1, b2] = [new WatchScript(), new WatchScript(), new WatchScript(), new WatchScript()]
  await withTwo(
    (server) =>
      server
        .on(`LIST ${path('quiet')}`, list([object('a', '5')], '10'), list([], '61'))
        .on(`WATCH ${path('quiet')}`, q1.answer, q2.answer)
        .on(`LIST ${path('busy')}`, list([object('b', '100')], '100'), list([object('b', '100')], '60'))
        .on(`WATCH ${path('busy')}`, b1.answer, b2.answer),
    async (quiet, busy) => {
      await q1.opened()
      await b1.event('ERROR', gone)
      await b2.opened()
      await q2.opened()
      assert.equal([busy.health().rewinds, quiet.health().rewinds], [1, 1])
      assert.equal([busy.health().lists, quiet.health().lists], [2, 2])
      assert.ok(quiet.store.has('n/a'))
      assert.is(quiet.health().errors, 0, 'it was no failure')
    },
  )
})

test('a kind with a counter of its own tells nobody and is told by nobody', async () => {
  const [q1, q2, b1] = [new WatchScript(), new WatchScript(), new WatchScript()]
  await withTwo(
    (server) =>
      server
        .on(`LIST ${path('quiet')}`, list([object('a', '5000')], '5000'), list([], '5001'))
        .on(`WATCH ${path('quiet')}`, q1.answer, q2.answer)
        .on(`LIST ${path('busy')}`, list([object('b', '7')], '10'), list([], '12'))
        .on(`WATCH ${path('busy')}`, b1.answer),
    async (quiet, busy) => {
      await q1.event('ERROR', gone)
      await q2.opened()
      await b1.event('ERROR', gone)
      await eventually(() => assert.is(busy.health().lists, 2), patience)
      await eventually(() => assert.not.ok(busy.store.has('n/b')), patience)
      assert.not.ok(quiet.store.has('n/a'))
      assert.equal([busy.health().rewinds, quiet.health().rewinds], [0, 0])
    },
  )
})

test('the newest version is what counts, until it is rewound', () => {
  const history = new ServerHistory()
  let told = 0
  const forget = history.onRewind(() => told++)
  for (const version of ['9', '100', '20', 'opaque']) history.saw(version)
  assert.is(history.newest, '100')
  history.rewound('50')
  history.saw('49')
  history.saw('51')
  assert.equal([history.newest, history.rewinds, told], ['51', 1, 1])
  forget()
  history.rewound('1')
  assert.is(told, 1)
})

test.run()
