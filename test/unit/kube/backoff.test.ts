// Delays, the rate limit, conflict retries and signals.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ApiError,
  Backoff,
  RequestError,
  exponential,
  isConflict,
  retryOnConflict,
  sleep,
} from '../../../lib/kube/index.ts'
import { RateLimiter } from '../../../lib/kube/ratelimit.ts'
import { linkSignals } from '../../../lib/kube/requester.ts'
import { retryDelay } from '../../../lib/kube/retry.ts'

const conflict = (): ApiError => new ApiError('PUT', '/x', 409, { kind: 'Status', reason: 'Conflict' }, '', null)

test('back-off grows to its ceiling, with jitter above, and starts over after a reset', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 500 }),
      fc.integer({ min: 500, max: 50_000 }),
      fc.double({ min: 0, max: 2, noNaN: true }),
      (baseMs, maxMs, jitter) => {
        const backoff = new Backoff({ baseMs, maxMs, jitter })
        for (let round = 0; round < 20; round++) {
          const bare = Math.min(maxMs, baseMs * 2 ** round)
          const delay = backoff.next()
          assert.ok(delay >= bare && delay <= bare * (1 + jitter), `round ${round}: ${delay} for ${bare}`)
        }
        assert.is(backoff.failures, 20)
        backoff.reset()
        assert.ok(backoff.next() <= baseMs * (1 + jitter))
      },
    ),
  )
  assert.is(exponential(1_000_000, 5, 30_000), 30_000)
})

test('a pause without failures starts over by itself', async () => {
  const backoff = new Backoff({ baseMs: 1, maxMs: 100, jitter: 0, resetAfterMs: 30 })
  assert.is(backoff.next(), 1)
  assert.is(backoff.next(), 2)
  await sleep(40)
  assert.is(backoff.next(), 1)
})

test('sleep ends at once with the reason of its signal', async () => {
  const controller = new AbortController()
  const started = performance.now()
  setTimeout(() => controller.abort(new Error('enough')), 10)
  let message = ''
  await sleep(10_000, controller.signal).catch((error: Error) => (message = error.message))
  assert.is(message, 'enough')
  assert.ok(performance.now() - started < 9000)
})

test('retryOnConflict: five steps, conflicts only', async () => {
  let attempts = 0
  const value = await retryOnConflict(() => {
    if (++attempts < 5) throw conflict()
    return Promise.resolve('done')
  })
  assert.is(value, 'done')
  attempts = 0
  let caught: unknown
  await retryOnConflict(() => Promise.reject((attempts++, conflict()))).catch((error: unknown) => (caught = error))
  assert.is(attempts, 5)
  assert.ok(isConflict(caught))
  attempts = 0
  await retryOnConflict(() => Promise.reject((attempts++, new Error('other')))).catch(
    (error: unknown) => (caught = error),
  )
  assert.is(attempts, 1)
  assert.is((caught as Error).message, 'other')
})

test('what is sent again, and when', () => {
  const answer = (code: number, after: number | null): ApiError => new ApiError('POST', '/x', code, null, '', after)
  const cut = new RequestError('POST', '/x', 'ECONNRESET', 'cut', true)
  const refused = new RequestError('POST', '/x', 'ECONNREFUSED', 'refused', false)
  assert.ok((retryDelay(answer(429, 3), 0, false) ?? 0) >= 3000)
  assert.ok((retryDelay(answer(503, 2), 0, false) ?? 0) >= 2000)
  assert.is(retryDelay(answer(503, null), 0, true), null)
  assert.is(retryDelay(answer(404, null), 0, true), null)
  assert.is(retryDelay(cut, 0, false), null, 'a create may have happened')
  assert.ok((retryDelay(cut, 0, true) ?? 0) >= 100)
  assert.ok((retryDelay(refused, 0, false) ?? 0) >= 100)
  assert.is(retryDelay(new Error('bug'), 0, true), null)
})

test('the rate limit: a burst at once, then the rate, in order; an aborted waiter gives its place up', async () => {
  const limiter = new RateLimiter(200, 5)
  const started = performance.now()
  const order: number[] = []
  const controller = new AbortController()
  const takes = Array.from({ length: 25 }, (_, n) =>
    limiter.take(10_000, n === 7 ? controller.signal : undefined).then(
      () => void order.push(n),
      () => void order.push(-n),
    ),
  )
  controller.abort(new Error('no longer'))
  await Promise.all(takes)
  const took = performance.now() - started
  assert.equal(order, [0, 1, 2, 3, 4, -7, ...Array.from({ length: 20 }, (_, n) => n + 5).filter((n) => n !== 7)])
  assert.ok(took >= 85 && took < 30_000, `19 tokens at 200/s took ${took} ms`)
  assert.is(limiter.waiting, 0)
  const slow = new RateLimiter(0.01, 1)
  assert.ok(await slow.take(0))
  assert.not(await slow.take(50_000), 'a wait longer than allowed is refused at once')
  assert.throws(() => new RateLimiter(0, 1), /qps is 0/)
  assert.throws(() => new RateLimiter(1, 0), /burst is 0/)
})

test('linked signals follow either, and let go', () => {
  const a = new AbortController()
  const b = new AbortController()
  const { signal } = linkSignals(a.signal, b.signal)
  b.abort(new Error('b'))
  assert.is((signal?.reason as Error).message, 'b')
  const c = new AbortController()
  const released = linkSignals(a.signal, c.signal)
  released.release()
  c.abort()
  assert.not(released.signal?.aborted)
  assert.is(linkSignals(a.signal, undefined).signal, a.signal)
  assert.ok(linkSignals(a.signal, b.signal).signal?.aborted, 'aborted from the start')
})

test.run()
