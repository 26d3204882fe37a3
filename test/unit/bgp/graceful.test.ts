// Stale routes: RFC 4724 §4.2, RFC 9494 §4.3, RFC 7313 §4.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  GracefulRestart,
  IPV4_UNICAST,
  IPV6_UNICAST,
  NO_CAPABILITIES,
  NO_SESSION,
  type Down,
  type GracefulAction,
  type Session,
} from '../../../lib/bgp/index.ts'

const down = (session: Session, graceful = true): Down => ({ kind: 'transport', detail: 'lost', session, graceful })
const codes = { 4: IPV4_UNICAST, 6: IPV6_UNICAST }

interface Offer {
  families?: readonly (4 | 6)[]
  forwarding?: boolean
  restartTime?: number
  longLived?: number
}

function session({ families = [4, 6], forwarding = true, restartTime = 100, longLived = 0 }: Offer = {}): Session {
  const kept = families.map((family) => ({ family: codes[family], forwarding }))
  return {
    ...NO_SESSION,
    side: 'out',
    families: new Set([IPV4_UNICAST, IPV6_UNICAST]),
    remote: { type: 'open', as: 1, holdTime: 90, identifier: 1, capabilities: NO_CAPABILITIES },
    holdTime: 90,
    maxBytes: 4096,
    routeRefresh: true,
    enhancedRouteRefresh: true,
    notificationRestart: false,
    gracefulRestart: { restarting: false, notification: false, restartTime, families: kept },
    longLived: longLived > 0 ? kept.map((each) => ({ ...each, staleTime: longLived })) : [],
  }
}

const make = () => new GracefulRestart({ restartTime: 300, endOfRibTime: 60, longLivedTime: 1000 })
/** Without timers being stopped. */
const short = (actions: readonly GracefulAction[]): string[] =>
  actions.flatMap((action) => {
    if (action.do !== 'timer') return [`${action.do} ${action.family}`]
    return action.seconds === null ? [] : [`${action.timer} in ${action.seconds}`]
  })

test('a loss that is not graceful drops everything', () => {
  assert.equal(short(make().down(down(session(), false))), ['drop 4', 'drop 6'])
})

test('a restart: stale until End-of-RIB of each family', () => {
  const graceful = make()
  assert.equal(short(graceful.down(down(session()))), ['mark 4', 'mark 6', 'restart in 100'])
  assert.equal(short(graceful.up(session())), ['endOfRib in 60'])
  assert.equal(short(graceful.endOfRib(6)), ['sweep 6'])
  assert.equal(short(graceful.endOfRib(6)), [], 'there is nothing more')
  assert.equal(graceful.stale, [4])
  assert.equal(short(graceful.endOfRib(4)), ['sweep 4'])
})

test('only families of the capability are kept', () => {
  assert.equal(short(make().down(down(session({ families: [4] })))), ['mark 4', 'drop 6', 'restart in 100'])
})

test('the peer asks for longer than it gets', () => {
  assert.ok(short(make().down(down(session({ restartTime: 4095 })))).includes('restart in 300'))
})

test('no return in time drops all; a restart time of zero does at once', () => {
  const graceful = make()
  graceful.down(down(session()))
  assert.equal(short(graceful.timer('restart')), ['drop 4', 'drop 6'])
  assert.equal(short(make().down(down(session({ restartTime: 0 })))), ['mark 4', 'mark 6', 'drop 4', 'drop 6'])
})

test('no End-of-RIB in time sweeps', () => {
  const graceful = make()
  graceful.down(down(session()))
  graceful.up(session())
  assert.equal(short(graceful.timer('endOfRib')), ['sweep 4', 'sweep 6'])
})

test('what the peer did not keep forwarding goes when it is back', () => {
  const graceful = make()
  graceful.down(down(session()))
  assert.equal(short(graceful.up(session({ forwarding: false }))), ['drop 4', 'drop 6'])
  graceful.down(down(session()))
  assert.equal(short(graceful.up(session({ families: [6] }))), ['drop 4', 'endOfRib in 60'])
})

test('a second restart sweeps what the first one left', () => {
  const graceful = make()
  graceful.down(down(session()))
  graceful.up(session())
  graceful.endOfRib(6)
  assert.equal(short(graceful.down(down(session()))), ['sweep 4', 'mark 4', 'mark 6', 'restart in 100'])
})

test('long-lived: stale routes become the last choice for as long as agreed', () => {
  const graceful = make()
  graceful.down(down(session({ longLived: 5000, families: [4] })))
  assert.equal(short(graceful.timer('restart')), ['demote 4', 'longLived:4 in 1000'])
  assert.equal(short(graceful.up(session({ longLived: 5000, families: [4] }))), ['endOfRib in 60'])
  assert.equal(
    short(graceful.down(down(session({ longLived: 5000, families: [4] })))),
    ['drop 6', 'restart in 100'],
    'its timer goes on',
  )
  assert.equal(short(graceful.timer('longLived:4')), ['sweep 4'])
})

test('enhanced refresh: marks, and sweeps at its end or its time', () => {
  const graceful = make()
  assert.equal(short(graceful.refreshBegin(4)), ['mark 4', 'refresh:4 in 60'])
  assert.equal(short(graceful.refreshEnd(4)), ['sweep 4'])
  assert.equal(short(graceful.timer('refresh:6')), ['sweep 6'])
})

test.run()
