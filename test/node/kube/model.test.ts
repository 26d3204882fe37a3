// The informer against a model of a server in which things go wrong by chance: whatever happened, afterwards the store is
// what the server has, handlers were told a possible story of each object, and nothing spins.
//
// A failure names its seed; KUBE_SEED=n runs that one alone.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Informer, KubeClient, sleep, type KubeObject } from '../../../lib/kube/index.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultServer } from '../../support/fault-server.ts'
import { ModelApi, randomBy } from '../../support/model-api.ts'

const things = { group: 'test', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true }
const path = '/apis/test/v1/things'
const baseMs = 5
const inactivityMs = 200
const valueOf = (object: KubeObject): string => (object['spec'] as { value: string }).value

/** Looks whether what handlers are told can be true. */
class Story {
  readonly wrong: string[] = []
  readonly told = new Map<string, KubeObject>()

  follow(informer: Informer): void {
    informer.onChange(({ type, key, object }) => {
      const before = this.told.get(key)
      const was = before === undefined ? 'absent' : `${before.metadata.uid}@${before.metadata.resourceVersion}`
      const is = `${type} ${key} ${object.metadata.uid}@${object.metadata.resourceVersion}`
      const same = before !== undefined && before.metadata.uid === object.metadata.uid
      if (type === 'added' ? before !== undefined : !same) this.wrong.push(`${is} though ${was}`)
      if (type === 'modified' && before?.metadata.resourceVersion === object.metadata.resourceVersion) {
        if (before !== undefined && valueOf(before) === valueOf(object)) this.wrong.push(`${is}, unchanged`)
      }
      if ((type === 'deleted') === informer.store.has(key)) this.wrong.push(`${is}, but the store says otherwise`)
      if (type === 'deleted') this.told.delete(key)
      else this.told.set(key, object)
    })
  }
}

async function run(seed: number): Promise<{ requests: number; health: ReturnType<Informer['health']> }> {
  const random = randomBy(seed)
  const server = await FaultServer.start()
  const model = new ModelApi(server, path, random)
  const client = KubeClient.connect({ server: server.url })
  const informer = new Informer<KubeObject>(client, {
    resource: things,
    pageSize: 1 + Math.floor(random() * 5),
    backoff: { baseMs, maxMs: 40 },
    watchSeconds: 1,
    inactivityMs,
    fromCache: random() < 0.5,
    indexes: { value: (object) => [valueOf(object)] },
  })
  const story = new Story()
  story.follow(informer)
  const same = (): void => {
    assert.equal(new Map(informer.store.list().map((one) => [one.metadata.name, one])), model.objects)
    assert.equal(new Map([...story.told].map(([key, one]) => [key.slice(2), one])), model.objects)
  }
  try {
    for (let n = 0; n < 10; n++) model.write()
    model.trouble = true
    const began = performance.now()
    informer.start()
    for (let step = 0; step < 60; step++) {
      if (step === 40) model.backUp()
      for (let n = Math.floor(random() * 4); n > 0; n--) model.write()
      if (random() < 0.08) model.upset()
      await sleep(random() * 12)
    }
    // A restored server that goes on before the informer looks again could not be told from one that was not.
    if (seed % 2 === 0) model.restore()
    model.trouble = false
    await eventually(same, 60_000, 20)
    const watches = server.requests(`WATCH ${path}`).length
    const most = (performance.now() - began) / baseMs
    assert.ok(watches <= most, `${watches} watches, ${most} waits at most`)
    // It goes on, and quietly.
    const [before, since] = [server.seen.length, performance.now()]
    for (let n = 0; n < 5; n++) {
      model.write()
      await eventually(same, 60_000)
    }
    const requests = server.seen.length - before
    // A machine that stands still for long makes a watch look dead.
    assert.ok(requests <= 20 + (performance.now() - since) / 50, `${requests} requests for 5 events`)
    for (const value of ['0', '1', '2', '3']) {
      const expected = new Set(informer.store.list().filter((one) => valueOf(one) === value))
      assert.equal(new Set(informer.store.byIndex('value', value)), expected)
    }
    assert.equal(story.wrong, [])
    return { requests: server.seen.length, health: informer.health() }
  } finally {
    await informer.stop()
    client.close()
    model.close()
    await server.close()
  }
}

const only = process.env['KUBE_SEED']
const seeds = only === undefined ? Array.from({ length: 32 }, (_, index) => index + 1) : [Number(only)]

test(`${seeds.length} seeds of trouble`, async () => {
  const totals = { requests: 0, lists: 0, relists: 0, watches: 0, errors: 0, rewinds: 0, unreadable: 0, skipped: 0 }
  const queue = [...seeds]
  const worker = async (): Promise<void> => {
    for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
      try {
        const { requests, health } = await run(seed)
        totals.requests += requests
        totals.lists += health.lists
        totals.relists += health.relists
        totals.watches += health.watches
        totals.errors += health.errors
        totals.rewinds += health.rewinds
        totals.unreadable += health.unreadableLines
        totals.skipped += health.skipped
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      }
    }
  }
  await Promise.all(Array.from({ length: 4 }, worker))
  console.log(JSON.stringify(totals))
  if (only === undefined) {
    assert.ok(
      totals.relists > 20 && totals.rewinds > 0 && totals.unreadable > 0 && totals.skipped > 0,
      'trouble there was',
    )
  }
})

test.run()
