// The work queue's promises, under random schedules.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WorkQueue, sleep } from '../../../lib/kube/index.ts'

test('every addition is followed by a run, no key runs beside itself, workers are bounded', async () => {
  const step = fc.record({ key: fc.nat(4), pauseMs: fc.constantFrom(0, 0, 0, 1, 3), later: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 3 }),
      async (steps, workers) => {
        const version = new Map<number, number>()
        const done = new Map<number, number>()
        const running = new Set<number>()
        let most = 0
        const queue = new WorkQueue<number>({
          concurrency: workers,
          baseDelayMs: 1,
          process: async (key) => {
            assert.not(running.has(key), `key ${key} runs twice at once`)
            running.add(key)
            most = Math.max(most, running.size)
            const seen = version.get(key) ?? 0
            await sleep(key % 3)
            running.delete(key)
            // Every third attempt fails; the retry must make up for it.
            if ((seen + key) % 3 === 0 && queue.failures(key) === 0) throw new Error('again')
            done.set(key, Math.max(done.get(key) ?? 0, seen))
          },
        }).start()
        for (const { key, pauseMs, later } of steps) {
          version.set(key, (version.get(key) ?? 0) + 1)
          if (later) queue.addAfter(key, 2)
          else queue.add(key)
          if (pauseMs > 0) await sleep(pauseMs)
        }
        const end = performance.now() + 2000
        while (
          queue.health().waiting + queue.health().inFlight + queue.health().delayed > 0 &&
          performance.now() < end
        ) {
          await sleep(1)
        }
        await queue.stop()
        assert.equal(done, version)
        assert.ok(most <= workers, `${most} at once`)
        assert.is(queue.health().failing, 0)
      },
    ),
    { numRuns: 40 },
  )
})

test('additions of a waiting key are one; order is that of arrival', async () => {
  const order: string[] = []
  const queue = new WorkQueue<string>({ process: (key) => void order.push(key) })
  for (const key of ['a', 'b', 'a', 'c', 'b', 'a']) queue.add(key)
  assert.is(queue.health().waiting, 3)
  queue.start()
  await queue.idle()
  assert.equal(order, ['a', 'b', 'c'])
})

test('back-off doubles per key up to the ceiling and is forgotten on success', async () => {
  const delays: number[] = []
  let failing = true
  const queue = new WorkQueue<string>({
    baseDelayMs: 2,
    maxDelayMs: 9,
    process: () => {
      if (failing) throw new Error('no')
    },
    onError: (_error, key, failures, delay) => {
      assert.is(key, 'k')
      assert.is(failures, delays.length + 1)
      delays.push(delay)
      if (delays.length === 5) failing = false
    },
  }).start()
  queue.add('k')
  while (queue.health().processed < 6) await sleep(2)
  assert.equal(delays, [2, 4, 8, 9, 9])
  assert.is(queue.failures('k'), 0)
  await queue.stop()
})

test('the earliest of several delays counts; a returned number asks again', async () => {
  const at: number[] = []
  const started = performance.now()
  const queue = new WorkQueue<string>({
    process: () => {
      at.push(performance.now() - started)
      return at.length === 1 ? 20 : undefined
    },
  }).start()
  queue.addAfter('k', 500)
  queue.addAfter('k', 30)
  queue.addAfter('k', 400)
  await sleep(250)
  assert.is(at.length, 2)
  assert.ok((at[0] ?? 0) >= 29 && (at[1] ?? 0) - (at[0] ?? 0) >= 19, `ran after ${at.join(', ')} ms`)
  await queue.stop()
})

test('stop waits for running work, tells it, and starts nothing more', async () => {
  let told = false
  let ended = false
  const queue = new WorkQueue<string>({
    process: async (key, signal) => {
      assert.is(key, 'long')
      signal.addEventListener('abort', () => (told = true))
      await sleep(40)
      ended = true
    },
  }).start()
  queue.add('long')
  queue.add('never')
  queue.addAfter('never either', 1)
  await sleep(5)
  await queue.stop()
  assert.ok(told && ended)
  queue.add('after')
  await sleep(5)
  assert.is(queue.health().processed, 1)
})

test('a hundred thousand keys are quick', async () => {
  let sum = 0
  const queue = new WorkQueue<number>({ concurrency: 4, process: (key) => void (sum += key) })
  for (let key = 0; key < 100_000; key++) queue.add(key)
  const started = performance.now()
  queue.start()
  await queue.idle()
  assert.is(sum, (100_000 * 99_999) / 2)
  assert.ok(performance.now() - started < 30_000, 'not quadratic')
})

test('a bad concurrency is refused', () => {
  assert.throws(() => new WorkQueue({ concurrency: 0, process: () => undefined }), /concurrency is 0/)
})

test('quick work on many keys lets the event loop turn', async () => {
  let turns = 0
  let counting = true
  const count = (): void => {
    turns++
    if (counting) setImmediate(count)
  }
  let before = -1
  const queue = new WorkQueue<number>({
    process: () => {
      if (before < 0) before = turns
      const end = performance.now() + 1
      while (performance.now() < end);
    },
  })
  for (let key = 0; key < 60; key++) queue.add(key)
  setImmediate(count)
  queue.start()
  await queue.idle()
  counting = false
  assert.is(queue.health().processed, 60)
  // 60 ms of work, 5 ms at a time.
  assert.ok(turns - before >= 6, `${turns - before} turns`)
  assert.throws(() => queue.addAfter(1, Number.NaN), /NaN/)
  await queue.stop()
})

test.run()
