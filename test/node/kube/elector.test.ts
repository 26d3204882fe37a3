// Leader election against the embedded API server, with faults put between.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  FencedError,
  KubeClient,
  LeaderElector,
  leaseResource,
  sleep,
  type Lease,
  type LeaderElectorOptions,
} from '../../../lib/kube/index.ts'
import { startApiServer, type ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultProxy } from '../../support/fault-proxy.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const ref = { namespace: 'default', name: 'election' }
const quick: LeaderElectorOptions = { ...ref, leaseDurationMs: 1000, renewDeadlineMs: 500, retryPeriodMs: 60 }

interface Rig {
  readonly server: ApiServer
  /** Straight to the server. */
  readonly client: KubeClient
  /** An elector behind a proxy of its own. */
  readonly candidate: (identity: string, options?: Partial<LeaderElectorOptions>) => Promise<Candidate>
  readonly lease: () => Promise<Lease>
}

interface Candidate {
  readonly elector: LeaderElector
  readonly proxy: FaultProxy
  readonly client: KubeClient
}

async function withRig(body: (rig: Rig) => Promise<void>): Promise<void> {
  bringUpLoopback()
  const server = await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }] })
  const client = KubeClient.connect({ server: server.url })
  const ends: (() => Promise<void>)[] = []
  try {
    await body({
      server,
      client,
      candidate: async (identity, options = {}) => {
        const proxy = await FaultProxy.start(server.url)
        const own = KubeClient.connect({ server: proxy.url })
        const elector = new LeaderElector(own, { ...quick, identity, ...options })
        ends.push(async () => {
          await elector.stop({ release: false })
          own.close()
          await proxy.close()
        })
        return { elector, proxy, client: own }
      },
      lease: () => client.get<Lease>(leaseResource, ref),
    })
  } finally {
    for (const end of ends) await end()
    client.close()
    await server.close()
  }
}

test('the first candidate creates the lease and renews it', () =>
  withRig(async ({ candidate, lease }) => {
    const { elector } = await candidate('one')
    assert.not(elector.isLeader())
    await elector.start().acquired
    assert.ok(elector.isLeader())
    const first = (await lease()).spec
    assert.is(first?.holderIdentity, 'one')
    assert.is(first?.leaseDurationSeconds, 1)
    assert.is(first?.leaseTransitions, 0)
    assert.match(first?.renewTime ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    await eventually(async () => assert.is.not((await lease()).spec?.renewTime, first?.renewTime))
    assert.is((await lease()).spec?.acquireTime, first?.acquireTime)
    await sleep(800)
    assert.ok(elector.isLeader(), 'still, beyond the renew deadline of the first')
  }))

test('a second waits out a dead first by its own observation, then takes over', () =>
  withRig(async ({ candidate, lease }) => {
    const one = await candidate('one')
    await one.elector.start().acquired
    const leaders: string[] = []
    const two = await candidate('two', { onNewLeader: (identity) => leaders.push(identity) })
    two.elector.start()
    await eventually(() => assert.is(two.elector.holder, 'one'))
    one.proxy.refuse()
    const silent = performance.now()
    await one.elector.ended
    const lost = performance.now() - silent
    assert.ok(lost < 900, `the first gave up after ${lost} ms, before the lease ran out`)
    assert.not(one.elector.isLeader())
    assert.ok(one.elector.signal.aborted)
    assert.not(two.elector.isLeader(), 'nobody leads in between')
    await two.elector.acquired
    const took = performance.now() - silent
    assert.ok(took >= 850, `took over ${took} ms after the silence began, lease 1000 ms`)
    const spec = (await lease()).spec
    assert.is(spec?.holderIdentity, 'two')
    assert.is(spec?.leaseTransitions, 1)
    assert.equal(leaders, ['one', 'two'])
  }))

test('a lease with times of another clock is waited out all the same', () =>
  withRig(async ({ client, candidate }) => {
    const past = '2001-01-01T00:00:00.000000Z'
    const spec = {
      holderIdentity: 'ghost',
      leaseDurationSeconds: 1,
      acquireTime: past,
      renewTime: past,
      leaseTransitions: 4,
    }
    await client.create<Lease>(leaseResource, { metadata: ref, spec })
    const { elector } = await candidate('one')
    const started = performance.now()
    await elector.start().acquired
    assert.ok(performance.now() - started >= 1000, 'a renew time of long ago proves nothing')
    assert.is(elector.transitions, 5)
  }))

test('release lets the next lead at once', () =>
  withRig(async ({ candidate, lease }) => {
    const one = await candidate('one', { leaseDurationMs: 20_000 })
    await one.elector.start().acquired
    const two = await candidate('two')
    two.elector.start()
    await eventually(() => assert.is(two.elector.holder, 'one'))
    await one.elector.stop()
    assert.is((await one.elector.ended).message, 'elector of lease default/election was stopped')
    const released = performance.now()
    await two.elector.acquired
    assert.ok(performance.now() - released < 900)
    assert.is((await lease()).spec?.leaseTransitions, 1)
  }))

test('of many candidates one leads at a time, through any number of failures', () =>
  withRig(async ({ candidate }) => {
    const all = await Promise.all(['a', 'b', 'c', 'd'].map((identity) => candidate(identity)))
    let most = 0
    const terms: string[] = []
    const watch = setInterval(() => {
      const leading = all.filter(({ elector }) => elector.isLeader())
      most = Math.max(most, leading.length)
      const now = leading[0]?.elector.identity
      if (now !== undefined && terms.at(-1) !== now) terms.push(now)
    }, 1)
    try {
      for (const { elector } of all) elector.start()
      for (let term = 1; term <= 3; term++) {
        await eventually(() => assert.is(terms.length, term), 8000)
        const leader = all.find(({ elector }) => elector.isLeader())
        // One is cut off, one is slow until its requests time out, one ends properly.
        if (term === 1) leader?.proxy.refuse()
        else if (term === 2) leader?.proxy.stall()
        else await leader?.elector.stop()
      }
      await eventually(() => assert.is(terms.length, 4), 8000)
      assert.is(most, 1)
      assert.is(new Set(terms).size, 4, terms.join(', '))
    } finally {
      clearInterval(watch)
    }
  }))

test('a blocked event loop ends leadership before any code after it runs', () =>
  withRig(async ({ candidate }) => {
    const { elector, client } = await candidate('one')
    await elector.start().acquired
    const fenced = client.fenced(elector)
    await fenced.create(leaseResource, { metadata: { namespace: 'default', name: 'proof' } })
    const end = performance.now() + 600
    while (performance.now() < end);
    assert.not(elector.isLeader())
    let refused: unknown
    await fenced
      .delete(leaseResource, { namespace: 'default', name: 'proof' })
      .catch((error: unknown) => (refused = error))
    assert.ok(refused instanceof FencedError || refused === elector.signal.reason, String(refused))
    await client.get(leaseResource, { namespace: 'default', name: 'proof' })
    await sleep(200)
    assert.not(elector.isLeader(), 'a late renewal brings nothing back')
  }))

test('a lease taken away is noticed at the next renewal', () =>
  withRig(async ({ client, candidate, lease }) => {
    const { elector } = await candidate('one')
    await elector.start().acquired
    await eventually(async () => {
      const current = await lease()
      await client.update<Lease>(leaseResource, { ...current, spec: { ...current.spec, holderIdentity: 'thief' } })
    })
    assert.match((await elector.ended).message, /held by 'thief' now/)
  }))

test('a lease that others write to, but do not take, is renewed all the same', () =>
  withRig(async ({ server, candidate, lease }) => {
    const { elector } = await candidate('one', { leaseDurationMs: 40_000, renewDeadlineMs: 30_000 })
    await elector.start().acquired
    const conflicts = server.faults.add({ resource: 'leases', verb: 'update', effect: 'conflict', times: 6 })
    await eventually(() => assert.is(conflicts.hit, 6), 20_000)
    const { spec } = await lease()
    await eventually(async () => assert.is.not((await lease()).spec?.renewTime, spec?.renewTime), 20_000)
    assert.ok(elector.isLeader())
    assert.not(elector.signal.aborted)
    assert.is(elector.transitions, 0)
  }))

test('a lease that the server has forgotten is made anew by its leader', () =>
  withRig(async ({ client, candidate }) => {
    // A lease so long that no pause of this process outlasts it.
    const long = { leaseDurationMs: 60_000, renewDeadlineMs: 40_000 }
    const { elector: first } = await candidate('first', { ...long, retryPeriodMs: 100 })
    await first.start().acquired
    const { elector: second } = await candidate('second', long)
    second.start()
    await eventually(() => second.holder === 'first', 20_000)
    const { uid } = (await client.get<Lease>(leaseResource, ref)).metadata
    await client.delete(leaseResource, ref)
    const lease = await eventually(async () => {
      const found = await client.find<Lease>(leaseResource, ref)
      return found !== null && found.metadata.uid !== uid ? found : null
    }, 20_000)
    assert.is(lease.spec?.holderIdentity, 'first', 'who knew the holder waited')
    assert.is(first.isLeader(), true)
    assert.is(second.isLeader(), false)
  }))

test('a renewal whose answer is lost is no loss of leadership', () =>
  withRig(async ({ candidate }) => {
    const { elector, proxy } = await candidate('one', { leaseDurationMs: 60_000, renewDeadlineMs: 40_000 })
    await elector.start().acquired
    for (let round = 1; round <= 4; round++) {
      proxy.loseNextAnswer()
      await eventually(() => assert.is(proxy.lost, round), 20_000)
      assert.ok(elector.isLeader(), `round ${round}`)
    }
    assert.is(elector.transitions, 0)
  }))

test('impossible timings are refused', () => {
  const client = KubeClient.connect({ server: 'http://127.0.0.1:1' })
  assert.throws(
    () => new LeaderElector(client, { ...ref, leaseDurationMs: 10_000 }),
    /lease duration 10000 ms must be more/,
  )
  assert.throws(
    () => new LeaderElector(client, { ...ref, retryPeriodMs: 9_000 }),
    /renew deadline 10000 ms must exceed/,
  )
  client.close()
})

test('stopped before leading: says so and holds nothing', () =>
  withRig(async ({ candidate }) => {
    const { elector, proxy } = await candidate('one')
    proxy.refuse()
    elector.start()
    await elector.stop()
    let message = ''
    await elector.acquired.catch((error: Error) => (message = error.message))
    assert.match(message, /was stopped/)
    assert.throws(() => elector.start(), /started after it ended/)
  }))

test.run()
