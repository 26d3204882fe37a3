// The state machine of a peer, event by event as RFC 4271 §8.1 numbers them; and two machines against each other.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  decodeUpdate,
  encodeOpen,
  IPV4_UNICAST,
  IPV6_UNICAST,
  NO_CAPABILITIES,
  NO_SESSION,
  PeerMachine,
  SessionError,
  type Capabilities,
  type MachineAction,
  type MachineConfig,
  type Message,
  type OpenMessage,
  type Side,
} from '../../../lib/bgp/index.ts'
import { decodeAll } from './support.ts'

const modernCapabilities = (as: number, some: Partial<Capabilities> = {}): Capabilities => ({
  ...NO_CAPABILITIES,
  families: [IPV4_UNICAST, IPV6_UNICAST],
  fourOctetAs: as,
  routeRefresh: true,
  ...some,
})

const graceful = (notification = false) => ({
  restarting: false,
  notification,
  restartTime: 120,
  families: [{ family: IPV4_UNICAST, forwarding: true }],
})

function config(some: Partial<MachineConfig> = {}, capabilities: Partial<Capabilities> = {}): MachineConfig {
  const localAs = some.localAs ?? 64512
  return {
    localAs,
    remoteAs: 64513,
    identifier: 10,
    holdTime: 90,
    passive: false,
    connectRetryTime: 8,
    families: [4, 6],
    capabilities: () => modernCapabilities(localAs, capabilities),
    ...some,
  }
}

const open = (some: Partial<OpenMessage> = {}, capabilities: Partial<Capabilities> = {}): OpenMessage => ({
  type: 'open',
  as: 64513,
  holdTime: 30,
  identifier: 20,
  capabilities: modernCapabilities(64513, capabilities),
  ...some,
})

const keepalive: Message = { type: 'keepalive' }

/** Actions in short: "connect", "send out open", "send in 6.7", "close out", "hold:out 30", "up", "down graceful", ... */
function short(actions: readonly MachineAction[]): string[] {
  return actions.map((action) => {
    switch (action.do) {
      case 'send':
        return `send ${action.side} ${messageName(action.bytes)}`
      case 'refuse':
        return `refuse ${messageName(action.bytes)}`
      case 'close':
        return `close ${action.side}`
      case 'timer':
        return `${action.timer} ${action.seconds ?? 'off'}`
      case 'down':
        return `down ${action.down.kind}${action.down.graceful ? ' graceful' : ''}`
      case 'deliver':
        return `deliver ${action.message.type}`
      case 'accept':
      case 'connect':
      case 'up':
        return action.do
      default:
        return action satisfies never
    }
  })
}

function messageName(bytes: Buffer): string {
  const [message] = decodeAll(bytes)
  return message?.type === 'notification' ? `${message.code}.${message.subcode}` : (message?.type ?? 'nothing')
}

/** Jitter at its least: times are three quarters. */
const make = (some: Partial<MachineConfig> = {}, capabilities: Partial<Capabilities> = {}) =>
  new PeerMachine(config(some, capabilities), () => 0)

const say = (machine: PeerMachine, side: Side, message: Message) =>
  short(machine.handle({ type: 'message', side, message }))

type State = 'connect' | 'active' | 'openSent' | 'openConfirm' | 'established'

/** A machine in that state, on the connection it opened. */
function at(
  state: State,
  some: Partial<MachineConfig> = {},
  ours: Partial<Capabilities> = {},
  theirs: Partial<Capabilities> = {},
) {
  const machine = make(some, ours)
  machine.handle({ type: 'start' })
  if (state === 'active') machine.handle({ type: 'failed', side: 'out', detail: 'ECONNREFUSED' })
  if (state === 'connect' || state === 'active') return machine
  machine.handle({ type: 'connected' })
  if (state === 'openSent') return machine
  say(machine, 'out', open({}, theirs))
  if (state === 'openConfirm') return machine
  say(machine, 'out', keepalive)
  assert.is(machine.state, 'established')
  return machine
}

test('Event 1, 3: ManualStart, AutomaticStart', () => {
  const machine = make()
  assert.is(machine.state, 'idle')
  assert.equal(short(machine.handle({ type: 'start' })), ['connectRetry 6', 'connect'])
  assert.is(machine.state, 'connect')
  assert.equal(short(machine.handle({ type: 'start' })), [], 'a second one changes nothing')
})

test('Event 4, 5: start with PassiveTcpEstablishment', () => {
  const machine = make({ passive: true })
  assert.equal(short(machine.handle({ type: 'start' })), [])
  assert.is(machine.state, 'active')
})

test('Event 2, 8: ManualStop, AutomaticStop in every state', () => {
  const stop = { type: 'stop', notification: { subcode: 2, data: new Uint8Array(0) } } as const
  const out = ['hold:out off', 'keepalive:out off', 'close out']
  const rest = ['connectRetry off', 'idleHold off']
  assert.equal(short(make().handle(stop)), [])
  assert.equal(short(at('connect').handle(stop)), [...out, ...rest])
  assert.equal(short(at('active').handle(stop)), rest)
  assert.equal(short(at('openSent').handle(stop)), ['send out 6.2', ...out, ...rest])
  assert.equal(short(at('openConfirm').handle(stop)), ['send out 6.2', ...out, ...rest])
  const machine = at('established')
  assert.equal(short(machine.handle(stop)), ['send out 6.2', ...out, 'down stopped', ...rest])
  assert.is(machine.state, 'idle')
  assert.equal(short(machine.handle({ type: 'timer', timer: 'connectRetry' })), [])
})

test('Event 2 for a restart: the connection ends without a word', () => {
  const actions = short(at('established').handle({ type: 'stop', notification: null }))
  assert.not(actions.some((action) => action.startsWith('send')))
})

test('Event 9: ConnectRetryTimer_Expires', () => {
  const expired = { type: 'timer', timer: 'connectRetry' } as const
  assert.equal(short(at('connect').handle(expired)), ['close out', 'connectRetry 6', 'connect'])
  const machine = at('active')
  assert.equal(short(machine.handle(expired)), ['connectRetry 6', 'connect'])
  assert.is(machine.state, 'connect')
})

test('Event 10: HoldTimer_Expires', () => {
  for (const state of ['openSent', 'openConfirm', 'established'] as const) {
    const machine = at(state)
    const actions = short(machine.handle({ type: 'timer', timer: 'hold:out' }))
    const down = state === 'established' ? ['down holdTimer'] : []
    assert.equal(actions, [
      'send out 4.0',
      'hold:out off',
      'keepalive:out off',
      'close out',
      ...down,
      'connectRetry 0.75',
    ])
    assert.is(machine.state, 'active')
    assert.match(machine.lastError ?? '', /hold timer expired/)
  }
})

test('Event 11: KeepaliveTimer_Expires', () => {
  const expired = { type: 'timer', timer: 'keepalive:out' } as const
  for (const state of ['openConfirm', 'established'] as const) {
    assert.equal(short(at(state).handle(expired)), ['send out keepalive', 'keepalive:out 7.5'])
  }
})

test('Event 13: IdleHoldTimer_Expires; each failure doubles it', () => {
  const machine = make()
  machine.handle({ type: 'start' })
  const waits: string[] = []
  for (let i = 0; i < 9; i++) {
    machine.handle({ type: 'connected' })
    const actions = say(machine, 'out', open({ as: 1 }))
    waits.push(actions.at(-1) ?? '')
    assert.is(machine.state, 'idle')
    assert.equal(short(machine.handle({ type: 'incoming' })), ['refuse 6.5'])
    assert.equal(short(machine.handle({ type: 'timer', timer: 'idleHold' })), ['connectRetry 6', 'connect'])
  }
  assert.equal(
    waits,
    ['1.5', '3', '6', '12', '24', '48', '90', '90', '90'].map((wait) => `idleHold ${wait}`),
  )
})

test('Event 16: Tcp_CR_Acked', () => {
  const machine = at('connect')
  assert.equal(short(machine.handle({ type: 'connected' })), ['connectRetry off', 'send out open', 'hold:out 240'])
  assert.is(machine.state, 'openSent')
})

test('Event 17: TcpConnectionConfirmed', () => {
  const machine = at('active')
  assert.equal(short(machine.handle({ type: 'incoming' })), ['accept', 'send in open', 'hold:in 240'])
  assert.equal(short(make().handle({ type: 'incoming' })), ['refuse 6.5'], 'not in Idle')
})

test('Event 18: TcpConnectionFails', () => {
  const failed = { type: 'failed', side: 'out', detail: 'ECONNRESET' } as const
  const machine = at('connect')
  assert.equal(short(machine.handle(failed)), ['hold:out off', 'keepalive:out off', 'close out', 'connectRetry 6'])
  assert.is(machine.state, 'active')
  assert.is(machine.lastError, 'ECONNRESET')
  assert.is(short(at('openSent').handle(failed)).at(-1), 'connectRetry 6')
  const lost = short(at('established').handle(failed))
  assert.equal(lost.slice(-2), ['down transport', 'connectRetry 0.75'])
})

test('Event 19: BGPOpen', () => {
  const machine = at('openSent')
  assert.equal(say(machine, 'out', open()), ['send out keepalive', 'keepalive:out 7.5', 'hold:out 30'])
  assert.is(machine.state, 'openConfirm')
  const silent = at('openSent')
  assert.equal(say(silent, 'out', open({ holdTime: 0 })), ['send out keepalive', 'keepalive:out off', 'hold:out off'])
})

test('Event 22: BGPOpenMsgErr', () => {
  const refused = (message: OpenMessage, some: Partial<MachineConfig> = {}) =>
    say(at('openSent', some), 'out', message)[0]
  assert.is(refused(open({ as: 1 })), 'send out 2.2')
  assert.is(refused(open({ as: 64512, identifier: 10 }), { remoteAs: 64512 }), 'send out 2.3', 'the own identifier')
  assert.is(refused(open({ identifier: 10 })), 'send out keepalive', 'RFC 6286: of another AS it may be equal')
  assert.is(refused(open({}, { families: [1 * 256 + 128] })), 'send out 2.7')
  assert.is(refused(open({}, { families: [] })), 'send out keepalive', 'none offered means IPv4 unicast')
})

test('Event 21, 28: BGPHeaderErr, UpdateMsgErr', () => {
  const error = new SessionError(3, 1, 'test')
  for (const state of ['openSent', 'openConfirm', 'established'] as const) {
    const machine = at(state)
    const actions = short(machine.handle({ type: 'error', side: 'out', error }))
    assert.is(actions[0], 'send out 3.1')
    assert.is(actions.at(-1), 'idleHold 1.5')
    assert.is(machine.state, 'idle')
  }
})

test('Event 24, 25: NotifMsgVerErr, NotifMsg', () => {
  const machine = at('established')
  const cease: Message = { type: 'notification', code: 6, subcode: 2, data: Uint8Array.of(3, 98, 121, 101) }
  assert.equal(say(machine, 'out', cease), [
    'hold:out off',
    'keepalive:out off',
    'close out',
    'down notificationReceived',
    'connectRetry 6',
  ])
  assert.is(machine.lastError, 'the peer says: cease: administrative shutdown: "bye"')
  const version: Message = { type: 'notification', code: 2, subcode: 1, data: Uint8Array.of(0, 4) }
  assert.is(say(at('openSent'), 'out', version).at(-1), 'idleHold 1.5')
})

test('Event 26: KeepAliveMsg', () => {
  const machine = at('openConfirm')
  assert.equal(say(machine, 'out', keepalive), ['hold:out 30', 'connectRetry off', 'up'])
  assert.equal(say(machine, 'out', keepalive), ['hold:out 30'])
})

test('Event 27: UpdateMsg', () => {
  const update = decodeUpdate(Buffer.alloc(4), NO_SESSION)
  assert.equal(say(at('established'), 'out', update), ['hold:out 30', 'deliver update'])
})

test('messages out of place: RFC 6608', () => {
  const update = decodeUpdate(Buffer.alloc(4), NO_SESSION)
  assert.is(say(at('openSent'), 'out', keepalive)[0], 'send out 5.1')
  assert.is(say(at('openSent'), 'out', update)[0], 'send out 5.1')
  assert.is(say(at('openConfirm'), 'out', update)[0], 'send out 5.2')
  assert.is(say(at('openConfirm'), 'out', open())[0], 'send out 5.2')
  assert.is(say(at('established'), 'out', open())[0], 'send out 5.3')
})

test('Event 23: OpenCollisionDump, by identifier (RFC 4271 §6.8)', () => {
  for (const { identifier, gone } of [
    { identifier: 30, gone: 'in' },
    { identifier: 10, gone: 'out' },
  ]) {
    const machine = at('openConfirm', { identifier })
    machine.handle({ type: 'incoming' })
    const actions = say(machine, 'in', open())
    assert.is(actions[0], `send ${gone} 6.7`)
    assert.ok(actions.includes(`close ${gone}`))
    const kept = gone === 'in' ? 'out' : 'in'
    say(machine, kept, keepalive)
    assert.is(machine.session?.side, kept)
  }
})

test('collision with equal identifiers is decided by AS (RFC 6286 §2.3)', () => {
  const machine = at('openConfirm', { identifier: 20 })
  machine.handle({ type: 'incoming' })
  assert.is(say(machine, 'in', open())[0], 'send out 6.7', '64512 is less than 64513')
})

test('the loser of a collision is known by the first OPEN', () => {
  const machine = at('openSent')
  machine.handle({ type: 'incoming' })
  const actions = say(machine, 'out', open())
  assert.is(actions[0], 'send out 6.7', 'ours has the smaller identifier')
  say(machine, 'in', open())
  say(machine, 'in', keepalive)
  assert.is(machine.session?.side, 'in')
})

test('a final Cease is a hard reset where a NOTIFICATION would keep the routes (RFC 8538)', () => {
  const offer = { gracefulRestart: graceful(true) }
  const stop = (subcode: number) =>
    short(
      at('established', {}, offer, offer).handle({ type: 'stop', notification: { subcode, data: new Uint8Array(0) } }),
    )[0]
  assert.is(stop(2), 'send out 6.9')
  assert.is(stop(4), 'send out 6.4')
  const full = at('established', {}, offer, offer).handle({
    type: 'error',
    side: 'out',
    error: new SessionError(6, 1, 'x'),
  })
  assert.is(short(full)[0], 'send out 6.9')
  assert.ok(short(full).includes('down notificationSent'), 'its routes go')
})

test('a connection still in OpenSent goes when the other one is established', () => {
  const machine = at('openConfirm')
  machine.handle({ type: 'incoming' })
  const actions = say(machine, 'out', keepalive)
  assert.ok(actions.includes('send in 6.7'))
  assert.is(actions.at(-1), 'up')
})

test('an established session wins over a new connection', () => {
  assert.equal(short(at('established').handle({ type: 'incoming' })), ['refuse 6.7'])
})

test('RFC 4724 §4.2: a peer with graceful restart that connects anew has restarted', () => {
  const machine = at('established', {}, { gracefulRestart: graceful() }, { gracefulRestart: graceful() })
  assert.equal(short(machine.handle({ type: 'incoming' })), ['refuse 6.7'], 'unless the collision is a moment ago')
  machine.handle({ type: 'timer', timer: 'keepalive:out' })
  const actions = short(machine.handle({ type: 'incoming' }))
  assert.ok(actions.includes('down restarted graceful'))
  assert.equal(actions.slice(-3), ['accept', 'send in open', 'hold:in 240'])
})

test('which ends of a session keep the routes (RFC 4724 §4.2, RFC 8538 §4)', () => {
  const end = (ours: boolean | null, theirs: boolean | null, ...event: Parameters<PeerMachine['handle']>) => {
    const offer = (notification: boolean | null) => ({
      gracefulRestart: notification === null ? null : graceful(notification),
    })
    return short(at('established', {}, offer(ours), offer(theirs)).handle(...event)).find((each) =>
      each.startsWith('down'),
    )
  }
  const lost = { type: 'failed', side: 'out', detail: 'ECONNRESET' } as const
  const hold = { type: 'timer', timer: 'hold:out' } as const
  const told = (subcode: number, data: number[] = []) =>
    ({
      type: 'message',
      side: 'out',
      message: { type: 'notification', code: 6, subcode, data: Uint8Array.from(data) },
    }) as const
  assert.is(end(false, false, lost), 'down transport graceful')
  assert.is(end(false, null, lost), 'down transport')
  assert.is(end(null, false, lost), 'down transport')
  assert.is(end(false, false, hold), 'down holdTimer')
  assert.is(end(true, false, hold), 'down holdTimer')
  assert.is(end(true, true, hold), 'down holdTimer graceful')
  assert.is(end(true, true, told(4)), 'down notificationReceived graceful')
  assert.is(end(true, true, told(9, [6, 2])), 'down notificationReceived', 'a hard reset')
  assert.is(end(true, true, { type: 'stop', notification: { subcode: 2, data: new Uint8Array(0) } }), 'down stopped')
})

test('property: two machines reach one session, however their connections cross', () => {
  const delays = fc.array(fc.nat(3), { minLength: 60, maxLength: 60 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), delays, (idA, idB, choices) => {
      const ends = [
        make({ identifier: idA, localAs: 64512, remoteAs: 64513 }),
        make({ identifier: idB, localAs: 64513, remoteAs: 64512 }),
      ] as const
      // Connections as pairs of queues; a message waits in its queue until the schedule picks that queue.
      type Line = { opener: 0 | 1; accepted: boolean; closed: boolean; queues: [Buffer[], Buffer[]] }
      const lines: Line[] = []
      const lineOf = (end: 0 | 1, side: Side) =>
        lines.findLast(
          (line) => !line.closed && (side === 'out') === (line.opener === end) && (side === 'out' || line.accepted),
        )
      const carryOut = (end: 0 | 1, actions: readonly MachineAction[], pending?: Line): void => {
        for (const action of actions) {
          if (action.do === 'connect') lines.push({ opener: end, accepted: false, closed: false, queues: [[], []] })
          else if (action.do === 'accept' && pending) pending.accepted = true
          else if (action.do === 'refuse' && pending) pending.queues[pending.opener].push(action.bytes)
          else if (action.do === 'send') lineOf(end, action.side)?.queues[end === 0 ? 1 : 0].push(action.bytes)
        }
      }
      ends.forEach((machine, i) => carryOut(i as 0 | 1, machine.handle({ type: 'start' })))
      const settled = () =>
        ends.every(({ state }) => state === 'established') && lines.every(({ queues }) => queues.flat().length === 0)
      for (let step = 0; step < 400 && !settled(); step++) {
        const choice = choices[(step * 7) % choices.length] ?? 0
        const open = lines.filter((line) => !line.closed)
        const line = open[choice % Math.max(1, open.length)]
        if (line === undefined) {
          // Each end may drop the connection that the other one had established (RFC 4271 leaves that race): both try again.
          ends.forEach((machine, i) => carryOut(i as 0 | 1, machine.handle({ type: 'timer', timer: 'connectRetry' })))
          continue
        }
        const listener = line.opener === 0 ? 1 : 0
        if (!line.accepted && line.queues[line.opener].length === 0) {
          carryOut(line.opener, ends[line.opener].handle({ type: 'connected' }))
          carryOut(listener, ends[listener].handle({ type: 'incoming' }), line)
          continue
        }
        // One message of one direction at a time.
        const first = choice < 2 ? 0 : 1
        const end = line.queues[first].length > 0 ? first : first === 0 ? 1 : 0
        const bytes = line.queues[end].shift()
        const [message] = bytes === undefined ? [] : decodeAll(bytes)
        if (message === undefined) continue
        const side: Side = line.opener === end ? 'out' : 'in'
        carryOut(end, ends[end].handle({ type: 'message', side, message }))
        if (message.type === 'notification') line.closed = true
      }
      for (const machine of ends) assert.is(machine.state, 'established')
      assert.not.equal(ends[0].session?.side, ends[1].session?.side, 'the same connection, from its two ends')
    }),
    { numRuns: 300 },
  )
})

test('property: no order of events makes it throw or leave a timer without a connection', () => {
  const side = fc.constantFrom('out' as const, 'in' as const)
  const update = decodeUpdate(Buffer.alloc(4), NO_SESSION)
  const event = fc.oneof(
    fc.constantFrom(
      { type: 'start' },
      { type: 'connected' },
      { type: 'incoming' },
      { type: 'stop', notification: null },
    ),
    fc.record({ type: fc.constant('failed'), side, detail: fc.constant('x') }),
    fc.record({
      type: fc.constant('timer'),
      timer: fc.constantFrom('connectRetry', 'idleHold', 'hold:out', 'hold:in', 'keepalive:out', 'keepalive:in'),
    }),
    fc.record({
      type: fc.constant('message'),
      side,
      message: fc.constantFrom(keepalive, open(), open({ as: 9 }), update),
    }),
    fc.record({ type: fc.constant('error'), side, error: fc.constant(new SessionError(3, 1, 'x')) }),
  ) as fc.Arbitrary<Parameters<PeerMachine['handle']>[0]>
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const machine = make()
      const timers = new Set<string>()
      for (const each of events) {
        for (const action of machine.handle(each)) {
          if (action.do !== 'timer') continue
          if (action.seconds === null) timers.delete(action.timer)
          else timers.add(action.timer)
        }
      }
      if (machine.session === null && (machine.state === 'idle' || machine.state === 'active')) {
        assert.not(
          [...timers].some((timer) => timer.includes(':')),
          [...timers].join(),
        )
      }
    }),
    { numRuns: 1500 },
  )
})

test('an OPEN is what the configuration offers', () => {
  const machine = at('connect')
  const sent = machine.handle({ type: 'connected' }).find((action) => action.do === 'send')
  const expected = encodeOpen({ as: 64512, holdTime: 90, identifier: 10, capabilities: modernCapabilities(64512) })
  assert.ok(sent?.do === 'send' && sent.bytes.equals(expected))
})

test.run()
