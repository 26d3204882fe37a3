// The state machine of one peer (RFC 4271 §8): events in, actions out. It has no clock, no socket and no timer of its own, so every
// run can be repeated; jitter comes from the random function passed in.
//
// RFC 4271 has one machine per connection. Here one machine has two places for connections, because a collision (§6.8) concerns
// both: `out` and `in` each go from OpenSent to Established by themselves until one of them is dropped.
//
// Of the optional attributes, DampPeerOscillations is there (a peer that breaks the protocol waits in Idle, refusing connections,
// twice as long each time until a session holds for a keepalive interval); DelayOpen and TrackTcpState are not. After a loss of the connection, the peer's shutdown or the hold
// timer's end the way is through Idle to Connect at once (event 3): the quickest way back.
import {
  CEASE,
  describeNotification,
  encodeNotification,
  encodeOpen,
  ERROR_CODE,
  FSM_ERROR,
  KEEPALIVE_BYTES,
  NO_SESSION,
  SessionError,
  withinHardReset,
  type Capabilities,
  type Message,
  type NotificationMessage,
  type OpenMessage,
  type UpdateContext,
} from '../codec/index.ts'
import { negotiate } from './negotiate.ts'
import type {
  Down,
  DownKind,
  MachineAction,
  MachineConfig,
  MachineEvent,
  PeerState,
  Session,
  Side,
  TimerName,
} from './types.ts'

/** Until the peer's OPEN is here (RFC 4271 §8.2.2 suggests four minutes). */
const OPEN_HOLD_SECONDS = 240
/** From a lost session to the first attempt at a new one. */
const RECONNECT_SECONDS = 1
const FIRST_IDLE_HOLD_SECONDS = 2
const MAX_IDLE_HOLD_SECONDS = 120

interface Connection {
  readonly side: Side
  state: 'connect' | 'openSent' | 'openConfirm' | 'established'
  capabilities: Capabilities | null
  session: Session | null
  /** It has been established for a keepalive interval: not the winner of a collision that is still going on. */
  aged: boolean
}

/** Ceases after which the session does not come back by itself. */
const FINAL: ReadonlySet<number> = new Set([
  CEASE.maximumPrefixes,
  CEASE.administrativeShutdown,
  CEASE.peerDeconfigured,
])

const RANK = { connect: 1, openSent: 2, openConfirm: 3, established: 4 } as const
const SIDES: readonly Side[] = ['out', 'in']
const other = (side: Side): Side => (side === 'out' ? 'in' : 'out')

export class PeerMachine {
  readonly #config: MachineConfig
  readonly #random: () => number
  readonly #connections: { out: Connection | null; in: Connection | null } = { out: null, in: null }
  #actions: MachineAction[] = []
  #started = false
  /** In Idle because of the peer's errors, until the idle hold timer ends. */
  #held = false
  #errors = 0
  #lastError: string | null = null

  /** @param random in [0, 1), for jitter (RFC 4271 §10) */
  constructor(config: MachineConfig, random: () => number = Math.random) {
    this.#config = config
    this.#random = random
  }

  get state(): PeerState {
    const { out, in: incoming } = this.#connections
    const best = [out, incoming].reduce(
      (most, each) => (each !== null && (most === null || RANK[each.state] > RANK[most.state]) ? each : most),
      null,
    )
    if (best !== null) return best.state
    return this.#started && !this.#held ? 'active' : 'idle'
  }

  get session(): Session | null {
    return SIDES.map((side) => this.#connections[side]).find((each) => each?.state === 'established')?.session ?? null
  }

  /** Why the last session or attempt ended, null when none did since the start. */
  get lastError(): string | null {
    return this.#lastError
  }

  /** What was agreed on over the connection so far, null before the peer's OPEN. */
  sessionOf(side: Side): Session | null {
    return this.#connections[side]?.session ?? null
  }

  /** How UPDATE messages of the connection are to be read. */
  context(side: Side): UpdateContext {
    return this.#connections[side]?.session ?? NO_SESSION
  }

  /** Takes an event; the actions are to be carried out in their order. */
  handle(event: MachineEvent): readonly MachineAction[] {
    this.#actions = []
    switch (event.type) {
      case 'start':
        this.#start()
        break
      case 'stop':
        this.#stop(event.notification)
        break
      case 'timer':
        this.#timer(event.timer)
        break
      case 'connected':
        this.#connected()
        break
      case 'incoming':
        this.#incoming()
        break
      case 'failed':
        this.#failed(event.side, event.detail)
        break
      case 'message':
        this.#message(event.side, event.message)
        break
      case 'error':
        this.#error(event.side, event.error)
        break
    }
    return this.#actions
  }

  #do(action: MachineAction): void {
    this.#actions.push(action)
  }

  #set(timer: TimerName, seconds: number | null): void {
    this.#do({ do: 'timer', timer, seconds })
  }

  /** RFC 4271 §10: a factor of 0.75 to 1, so that speakers do not fall in step. */
  #jitter(seconds: number): number {
    return seconds * (0.75 + this.#random() * 0.25)
  }

  // Idle and back

  #start(): void {
    if (this.#started) return
    this.#started = true
    this.#errors = 0
    this.#connect()
  }

  #connect(): void {
    if (this.#config.passive || this.#connections.out !== null) return
    this.#connections.out = { side: 'out', state: 'connect', capabilities: null, session: null, aged: false }
    this.#set('connectRetry', this.#jitter(this.#config.connectRetryTime))
    this.#do({ do: 'connect' })
  }

  #stop(notification: { subcode: number; data: Uint8Array } | null): void {
    if (!this.#started) return
    this.#started = false
    this.#held = false
    for (const side of SIDES) {
      const connection = this.#connections[side]
      if (connection === null) continue
      if (notification !== null && connection.state !== 'connect') {
        this.#cease(connection, notification)
      }
      this.#drop(side, { kind: 'stopped', detail: 'stopped' })
    }
    this.#set('connectRetry', null)
    this.#set('idleHold', null)
  }

  /** Waits for the next attempt: in Active, where the peer may connect; or in Idle when it broke the protocol. */
  #retry(broken: boolean, seconds: number): void {
    if (!this.#started || this.#connections.out !== null || this.#connections.in !== null) return
    if (broken) {
      this.#held = true
      const wait = Math.min(MAX_IDLE_HOLD_SECONDS, FIRST_IDLE_HOLD_SECONDS * 2 ** Math.min(this.#errors, 10))
      this.#errors++
      this.#set('connectRetry', null)
      this.#set('idleHold', this.#jitter(wait))
      return
    }
    this.#set('connectRetry', this.#config.passive ? null : this.#jitter(seconds))
  }

  #timer(timer: TimerName): void {
    if (timer === 'connectRetry') return this.#connectRetry()
    if (timer === 'idleHold') {
      this.#held = false
      if (this.#started) this.#connect()
      return
    }
    const [kind, side] = timer.split(':') as ['hold' | 'keepalive', Side]
    const connection = this.#connections[side]
    if (connection === null || connection.state === 'connect') return
    if (kind === 'hold') {
      this.#end(side, new SessionError(ERROR_CODE.holdTimer, 0, 'the peer was silent'), 'holdTimer')
    } else if (connection.state !== 'openSent') {
      this.#do({ do: 'send', side, bytes: KEEPALIVE_BYTES })
      this.#keepalive(connection)
      if (connection.state === 'established') {
        connection.aged = true
        this.#errors = 0
      }
    }
  }

  #connectRetry(): void {
    if (!this.#started || this.#held) return
    const { out } = this.#connections
    if (out !== null && out.state === 'connect') {
      // Event 9 in Connect: the attempt takes too long, a new one is made.
      this.#do({ do: 'close', side: 'out' })
      this.#connections.out = null
      this.#lastError = 'the peer does not answer connection attempts'
    }
    if (this.#connections.in === null) this.#connect()
  }

  // Connections

  #connected(): void {
    const { out } = this.#connections
    if (out?.state === 'connect') this.#greet(out)
    else this.#do({ do: 'close', side: 'out' })
  }

  #incoming(): void {
    if (!this.#started || this.#held) return this.#refuse(CEASE.connectionRejected)
    const up = SIDES.map((side) => this.#connections[side]).find((each) => each?.state === 'established')
    if (up !== null && up !== undefined) {
      // RFC 4724 §4.2: the peer has restarted and this side has not noticed. But not one that lost a collision just now.
      if (!up.aged || !up.session?.gracefulRestart) return this.#refuse(CEASE.connectionCollision)
      this.#drop(up.side, { kind: 'restarted', detail: 'the peer opened a new connection' })
    }
    this.#drop('in', { kind: 'transport', detail: 'the peer opened a new connection' }, false)
    const connection: Connection = { side: 'in', state: 'connect', capabilities: null, session: null, aged: false }
    this.#connections.in = connection
    this.#do({ do: 'accept' })
    this.#greet(connection)
  }

  /** Sends the OPEN. */
  #greet(connection: Connection): void {
    const { localAs, holdTime, identifier } = this.#config
    const capabilities = this.#config.capabilities()
    const { side } = connection
    connection.state = 'openSent'
    connection.capabilities = capabilities
    if (side === 'out') this.#set('connectRetry', null)
    this.#do({ do: 'send', side, bytes: encodeOpen({ as: localAs, holdTime, identifier, capabilities }) })
    this.#set(`hold:${side}`, OPEN_HOLD_SECONDS)
  }

  #refuse(subcode: number): void {
    this.#do({ do: 'refuse', bytes: encodeNotification({ code: ERROR_CODE.cease, subcode, data: new Uint8Array(0) }) })
  }

  #failed(side: Side, detail: string): void {
    const connection = this.#connections[side]
    if (connection === null) return
    const attempt = connection.state === 'connect'
    const lost = connection.state === 'established'
    this.#drop(side, { kind: 'transport', detail }, !attempt)
    if (attempt) this.#lastError = detail
    this.#retry(false, lost ? RECONNECT_SECONDS : this.#config.connectRetryTime)
  }

  #notify(side: Side, notification: Omit<NotificationMessage, 'type'>): void {
    this.#do({ do: 'send', side, bytes: encodeNotification(notification) })
  }

  /**
   * A Cease. One that means it is wrapped in a hard reset where both sides would otherwise take a NOTIFICATION for a restart and keep
   * the routes (RFC 8538 §3.1).
   */
  #cease({ side, session }: Connection, { subcode, data }: { subcode: number; data: Uint8Array }): void {
    const code = ERROR_CODE.cease
    if (session?.notificationRestart !== true || !FINAL.has(subcode)) return this.#notify(side, { code, subcode, data })
    this.#notify(side, { code, subcode: CEASE.hardReset, data: Uint8Array.of(code, subcode, ...data) })
  }

  /** Ends a connection, telling the peer why. */
  #end(side: Side, error: SessionError, kind: DownKind): void {
    const connection = this.#connections[side]
    if (connection !== null && error.code === ERROR_CODE.cease) {
      this.#cease(connection, error)
      if (connection.session !== null) connection.session = { ...connection.session, notificationRestart: false }
    } else {
      this.#notify(side, error)
    }
    this.#drop(side, { kind, detail: error.message })
    this.#retry(kind === 'notificationSent', RECONNECT_SECONDS)
  }

  /** Forgets a connection, closing it unless the other end did. */
  #drop(side: Side, why: { kind: DownKind; detail: string }, noteworthy = true): void {
    const connection = this.#connections[side]
    if (connection === null) return
    this.#connections[side] = null
    this.#set(`hold:${side}`, null)
    this.#set(`keepalive:${side}`, null)
    this.#do({ do: 'close', side })
    if (noteworthy && why.kind !== 'stopped') this.#lastError = why.detail
    const { session } = connection
    if (connection.state === 'established' && session !== null) this.#do({ do: 'down', down: this.#down(session, why) })
  }

  #down(session: Session, { kind, detail }: { kind: DownKind; detail: string }): Down {
    const asked = session.gracefulRestart !== null
    const told = kind === 'notificationSent' || kind === 'notificationReceived' || kind === 'holdTimer'
    const graceful = kind === 'transport' || kind === 'restarted' || (told && session.notificationRestart)
    return { kind, detail, session, graceful: asked && graceful }
  }

  // Messages

  #message(side: Side, message: Message): void {
    const connection = this.#connections[side]
    if (connection === null) return
    if (message.type === 'notification') return this.#notified(side, message)
    switch (connection.state) {
      case 'connect':
        return
      case 'openSent':
        if (message.type === 'open') return this.#opened(connection, message)
        return this.#unexpected(side, message, FSM_ERROR.inOpenSent)
      case 'openConfirm':
        if (message.type === 'keepalive') return this.#confirmed(connection)
        return this.#unexpected(side, message, FSM_ERROR.inOpenConfirm)
      case 'established':
        if (message.type === 'open') return this.#unexpected(side, message, FSM_ERROR.inEstablished)
        this.#hold(connection)
        if (message.type !== 'keepalive') this.#do({ do: 'deliver', message })
    }
  }

  #unexpected(side: Side, message: Message, subcode: number): void {
    this.#end(side, new SessionError(ERROR_CODE.fsm, subcode, `${message.type} in ${this.state}`), 'notificationSent')
  }

  #error(side: Side, error: SessionError): void {
    if (this.#connections[side] !== null) this.#end(side, error, 'notificationSent')
  }

  #notified(side: Side, message: NotificationMessage): void {
    const connection = this.#connections[side]
    const detail = `the peer says: ${describeNotification(message)}`
    const hard = withinHardReset(message) !== message
    // A hard reset is what it is in spite of RFC 8538; so is a message before the session was up.
    if (hard && connection?.session) connection.session = { ...connection.session, notificationRestart: false }
    this.#drop(side, { kind: 'notificationReceived', detail })
    const broken =
      message.code === ERROR_CODE.open || message.code === ERROR_CODE.update || message.code === ERROR_CODE.fsm
    this.#retry(broken, this.#config.connectRetryTime)
  }

  #opened(connection: Connection, open: OpenMessage): void {
    const { side, capabilities } = connection
    if (capabilities === null) return
    let session: Session
    try {
      session = negotiate(this.#config, capabilities, open, side)
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      return this.#end(side, error, 'notificationSent')
    }
    if (this.#collides(connection, open)) return
    connection.session = session
    connection.state = 'openConfirm'
    this.#do({ do: 'send', side, bytes: KEEPALIVE_BYTES })
    this.#keepalive(connection)
    this.#hold(connection)
  }

  /**
   * RFC 4271 §6.8, RFC 6286 §2.3: true when this connection was the one to go.
   *
   * A rival in OpenSent counts, too: this OPEN tells whose it is. Deciding only when both are in OpenConfirm, one end may have seen
   * the loser established when the other one drops it.
   */
  #collides(connection: Connection, open: OpenMessage): boolean {
    const rival = this.#connections[other(connection.side)]
    if (rival === null || rival.state === 'connect') return false
    const { identifier, localAs } = this.#config
    const larger = identifier === open.identifier ? localAs > open.as : identifier > open.identifier
    const keep: Side = rival.state === 'established' ? rival.side : larger ? 'out' : 'in'
    const side = other(keep)
    this.#notify(side, { code: ERROR_CODE.cease, subcode: CEASE.connectionCollision, data: new Uint8Array(0) })
    this.#drop(side, { kind: 'notificationSent', detail: 'collision' }, false)
    return side === connection.side
  }

  #confirmed(connection: Connection): void {
    const { session, side } = connection
    if (session === null) return
    connection.state = 'established'
    this.#lastError = null
    this.#hold(connection)
    const rival = this.#connections[other(side)]
    if (rival !== null) {
      // It got no further than OpenSent: its OPEN would find this one established.
      if (rival.state !== 'connect') {
        this.#notify(rival.side, {
          code: ERROR_CODE.cease,
          subcode: CEASE.connectionCollision,
          data: new Uint8Array(0),
        })
      }
      this.#drop(rival.side, { kind: 'notificationSent', detail: 'collision' }, false)
    }
    this.#set('connectRetry', null)
    this.#do({ do: 'up', session })
  }

  #hold(connection: Connection): void {
    const seconds = connection.session?.holdTime ?? 0
    this.#set(`hold:${connection.side}`, seconds === 0 ? null : seconds)
  }

  #keepalive(connection: Connection): void {
    const seconds = connection.session?.holdTime ?? 0
    this.#set(`keepalive:${connection.side}`, seconds === 0 ? null : this.#jitter(seconds / 3))
  }
}
