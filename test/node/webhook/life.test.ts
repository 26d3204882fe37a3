// The life of a replica: alive before it is ready, bounded while it serves, and an end that loses no answer.
import { connect, type Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { eventually } from '../../support/eventually.ts'
import { ask, idle, networkReview, Rig } from './rig.ts'

const PATIENCE = 30_000

async function withRig(body: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await Rig.start()
  try {
    await body(rig)
  } finally {
    await rig.close()
  }
}

const ready = (rig: Rig): Promise<true> => eventually(() => rig.webhook.notReady() === null, PATIENCE)
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once('close', () => resolve()))
const agent = 'webhook-under-test'

/** Reads of Networks by the webhook get no answer until it is removed. */
const stall = (rig: Rig): ReturnType<Rig['server']['faults']['add']> =>
  rig.server.faults.add({ agent, verb: 'list', resource: 'networks', effect: 'stall' })

test('alive before the local copy is complete, ready afterwards', () =>
  withRig(async (rig) => {
    const fault = rig.server.faults.add({ agent, verb: 'list', resource: 'subnets', status: 503 })
    const { port } = await rig.serve()
    assert.is((await ask(port, '/healthz')).status, 200)
    await eventually(async () => /local copy/.test((await ask(port, '/readyz')).body), PATIENCE)
    assert.is((await ask(port, '/readyz')).status, 503)
    fault.remove()
    await ready(rig)
    assert.is((await ask(port, '/readyz')).status, 200)
  }))

test('alive while the API server cannot be reached at all, and stoppable', () =>
  withRig(async (rig) => {
    rig.server.faults.add({ agent, status: 503 })
    const { port } = await rig.serve()
    assert.is((await ask(port, '/healthz')).status, 200)
    const { status, body } = await ask(port, '/readyz')
    assert.equal([status, body], [503, 'no certificate yet'])
    await rig.webhook.stop()
  }))

test('a stop finishes what is in hand, takes nothing new, and closes idle and handshaking connections', () =>
  withRig(async (rig) => {
    const { port } = await rig.serve()
    await ready(rig)
    const fault = stall(rig)
    const answer = ask(port, '/validate', networkReview('one'))
    const [quiet, handshaking] = [await idle(port), connect({ host: '127.0.0.1', port })]
    await new Promise<void>((resolve) => handshaking.once('connect', () => resolve()))
    const gone = [closed(quiet), closed(handshaking)]
    await eventually(() => fault.hit > 0, PATIENCE)
    const stopping = rig.webhook.stop()
    await Promise.all(gone)
    const refused = await ask(port, '/healthz').catch((error: NodeJS.ErrnoException) => error.code)
    assert.is(refused, 'ECONNREFUSED')
    rig.server.faults.cutWatches('networks')
    fault.remove()
    // The stalled read has no answer until the review's own deadline; the review is answered even so.
    const { status, connection, body } = await answer
    assert.is(status, 200)
    assert.is(connection, 'close')
    assert.match(body, /"uid":"one"/)
    await stopping
  }))

test('a stop is bounded, whatever does not end', () =>
  withRig(async (rig) => {
    const { port } = await rig.serve({ limits: { drainMs: 300 } })
    await ready(rig)
    const fault = stall(rig)
    const answer = ask(port, '/validate?timeout=30s', networkReview('one')).then(
      () => 'answered',
      () => 'cut',
    )
    await eventually(() => fault.hit > 0, PATIENCE)
    await rig.webhook.stop()
    assert.is(await answer, 'cut')
  }))

test('reviews, bodies and connections are bounded; probes are not', () =>
  withRig(async (rig) => {
    const limits = { inFlight: 2, connections: 4, body: { one: 4000, all: 6000 } }
    const { port } = await rig.serve({ limits })
    await ready(rig)
    assert.is((await ask(port, '/validate', 'x'.repeat(4001))).status, 413)
    const fault = stall(rig)
    const padded = (name: string, bytes: number): string => networkReview(name) + ' '.repeat(bytes)
    const first = ask(port, '/validate?timeout=10s', padded('one', 3000))
    await eventually(() => fault.hit > 0, PATIENCE)
    const many = await ask(port, '/validate', padded('two', 3000))
    assert.equal([many.status, /all requests are longer than 6000/.test(many.body)], [503, true])
    const second = ask(port, '/validate?timeout=10s', networkReview('three'))
    await eventually(async () => {
      const series = await rig.registry.metrics()
      return /controller_runtime_webhook_requests_in_flight\{webhook="\/validate"\} 2/.test(series)
    }, PATIENCE)
    const third = await ask(port, '/validate', networkReview('four'))
    assert.equal([third.status, /2 reviews are being judged/.test(third.body)], [503, true])
    assert.is((await ask(port, '/healthz')).status, 200)
    const idlers = [await idle(port), await idle(port)]
    await ask(port, '/healthz').then(
      () => assert.unreachable('a fifth connection'),
      () => undefined,
    )
    assert.match(await rig.registry.metrics(), /hybridnet_webhook_dropped_connections_total [1-9]/)
    for (const socket of idlers) socket.destroy()
    fault.remove()
    const answers = await Promise.all([first, second])
    assert.equal(
      answers.map(({ status }) => status),
      [200, 200],
    )
  }))

test.run()
