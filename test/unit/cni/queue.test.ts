// The job queue's promises, under random schedules.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { abortable, delay, withDeadline } from '../../../lib/daemon/cni/deadline.ts'
import { tryAgain } from '../../../lib/daemon/cni/errors.ts'
import { JobQueue } from '../../../lib/daemon/cni/queue.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The text of a rejection. */
function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no failure',
    (error: unknown) => String(error),
  )
}

test('one job per key, at most the limit, each job once, none lost, order kept within a key', async () => {
  const jobs = fc.array(
    fc.record({
      keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 2 }),
      urgent: fc.boolean(),
      turns: fc.nat(3),
      fails: fc.boolean(),
    }),
    { maxLength: 30 },
  )
  await fc.assert(
    fc.asyncProperty(jobs, fc.integer({ min: 1, max: 4 }), async (list, limit) => {
      const queue = new JobQueue(limit)
      const busy = new Set<string>()
      const started: number[] = []
      let running = 0
      const outcomes = await Promise.allSettled(
        list.map(({ keys, urgent, turns, fails }, i) =>
          queue.run(keys, urgent, null, async () => {
            started.push(i)
            running++
            assert.ok(running <= limit)
            for (const key of keys) {
              assert.not.ok(busy.has(key), `two jobs of ${key}`)
              busy.add(key)
            }
            for (let n = 0; n < turns; n++) await turn()
            for (const key of keys) busy.delete(key)
            running--
            if (fails) throw new Error('asked to')
            return i
          }),
        ),
      )
      assert.is(started.length, list.length)
      outcomes.forEach((outcome, i) => assert.is(outcome.status, list[i]?.fails === true ? 'rejected' : 'fulfilled'))
      for (const key of ['a', 'b', 'c', 'd'] as const) {
        const ofKey = started.filter((i) => list[i]?.keys.includes(key))
        assert.equal(
          ofKey,
          [...ofKey].sort((x, y) => x - y),
        )
      }
      assert.is(queue.running + queue.waiting, 0)
    }),
    { numRuns: 100 },
  )
})

test('urgent jobs go first among those that wait', async () => {
  const queue = new JobQueue(1)
  const order: string[] = []
  const job = (name: string, urgent: boolean): Promise<void> =>
    queue.run([name], urgent, null, async () => {
      order.push(name)
      await turn()
    })
  await Promise.all([job('first', false), job('add', false), job('del', true)])
  assert.equal(order, ['first', 'del', 'add'])
})

test('an aborted job never starts and blocks nobody', async () => {
  const queue = new JobQueue(1)
  const controller = new AbortController()
  const blocking = queue.run(['k'], false, null, turn)
  const aborted = queue.run(['k'], false, controller.signal, () => Promise.reject(new Error('it ran')))
  const last = queue.run(['k'], false, null, () => Promise.resolve('ran'))
  controller.abort(tryAgain('too late'))
  assert.match(await failure(aborted), /too late/)
  await blocking
  assert.is(await last, 'ran')
  assert.match(await failure(queue.run(['k'], false, controller.signal, turn)), /too late/)
  assert.throws(() => new JobQueue(0), /limit 0: expected a positive whole number/)
})

test('deadlines abort with their reason, follow their parent, and leave no timer', async () => {
  const parent = new AbortController()
  const forever = (signal: AbortSignal): Promise<void> => abortable(new Promise(() => undefined), signal)
  const late = withDeadline(5, parent.signal, () => tryAgain('late'), forever)
  assert.match(await failure(late), /late/)
  const cut = withDeadline(60_000, parent.signal, () => tryAgain('late'), forever)
  const waiting = failure(delay(60_000, parent.signal))
  parent.abort(tryAgain('caller is gone'))
  assert.match(await failure(cut), /caller is gone/)
  assert.match(await waiting, /caller is gone/)
  assert.is(
    await withDeadline(
      60_000,
      new AbortController().signal,
      () => tryAgain('late'),
      () => Promise.resolve(7),
    ),
    7,
  )
  assert.is(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length, 0)
})

test.run()
