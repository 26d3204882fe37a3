import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Waiters } from '../../../lib/daemon/waiters.ts'

const never = new AbortController().signal
const late = (): Error => new Error('too late')

test('a condition that holds already needs no event', async () => {
  assert.is(await new Waiters().until(() => 7, never, late), 7)
})

test('a condition is looked at again with each event', async () => {
  const waiters = new Waiters()
  let value: number | null = null
  const waiting = waiters.until(() => value, never, late)
  waiters.notify()
  value = 3
  waiters.notify()
  assert.is(await waiting, 3)
})

test('the signal ends the waiting with what the caller says', async () => {
  const waiters = new Waiters()
  const abort = new AbortController()
  const waiting = waiters.until(() => null, abort.signal, late)
  abort.abort()
  await waiting.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'too late'),
  )
  waiters.notify()
})

test('a signal that is aborted already does not wait', async () => {
  await new Waiters()
    .until(() => null, AbortSignal.abort(), late)
    .then(
      () => assert.unreachable(),
      (error: Error) => assert.is(error.message, 'too late'),
    )
})

test('an error of the condition is the answer, and stops only its own waiter', async () => {
  const waiters = new Waiters()
  let broken = false
  const bad = waiters.until(
    () => {
      if (broken) throw new Error('broken')
      return null
    },
    never,
    late,
  )
  const good = waiters.until(() => (broken ? 1 : null), never, late)
  broken = true
  waiters.notify()
  await bad.then(
    () => assert.unreachable(),
    (error: Error) => assert.is(error.message, 'broken'),
  )
  assert.is(await good, 1)
})

test.run()
