// One peer: its state machine, connections, timers and routes. All decisions are the machines'; this carries them out.
import { Socket } from 'node:net'
import { familyOf, formatAddress, hostPrefix, type Family, type Prefix } from '../../ip/index.ts'
import { connectTcp, setTcpOptions, type NetworkNamespace, type TcpOptions } from '../../netlink/index.ts'
import {
  CEASE,
  encodeCommunication,
  encodeEndOfRib,
  encodeRouteRefresh,
  MAX_MESSAGE_BYTES,
  MESSAGE_TYPE,
  SessionError,
  unicast,
  unicastFamily,
  type RouteRefreshMessage,
  type UpdateMessage,
} from '../codec/index.ts'
import {
  GracefulRestart,
  PeerMachine,
  type Down,
  type GracefulAction,
  type GracefulTimer,
  type MachineAction,
  type MachineEvent,
  type Session,
  type Side,
  type TimerName,
} from '../fsm/index.ts'
import { AdjRibIn, AdjRibOut, type Announcements, type ExportPolicy, type RouteKey } from '../rib/index.ts'
import { offerOf } from './capabilities.ts'
import type { ResolvedPeer } from './config.ts'
import { Connection, dismiss } from './connection.ts'
import { descriptorOf } from './listener.ts'
import { Timers } from './timers.ts'
import type { PeerStatus, SpeakerEvent } from './types.ts'

/** Until End-of-RIB of a peer that is back. */
const END_OF_RIB_SECONDS = 360

/** Where the type stands in a message. */
const TYPE_OFFSET = 18

/** What all peers of a speaker share. */
export interface PeerContext {
  readonly namespace: NetworkNamespace
  readonly identifier: number
  readonly hostname: string | null
  readonly policy: ExportPolicy
  readonly table: Announcements
  /** A former process left routes with the peers. */
  readonly restarting: () => boolean
  /** All routes are in the table: End-of-RIB may be sent. */
  readonly complete: () => boolean
  readonly emit: (event: SpeakerEvent) => void
  /** The peer's route of the key came, went or changed. */
  readonly routeChanged: (key: RouteKey, prefix: Prefix) => void
}

export class Peer {
  readonly config: ResolvedPeer
  readonly received: AdjRibIn
  readonly told: AdjRibOut
  readonly #context: PeerContext
  readonly #machine: PeerMachine
  readonly #graceful: GracefulRestart
  readonly #timers = new Timers<TimerName>((timer) => this.#handle({ type: 'timer', timer }))
  readonly #gracefulTimers = new Timers<GracefulTimer>((timer) => this.#apply(this.#graceful.timer(timer)))
  readonly #connections: { out: Connection | null; in: Connection | null } = { out: null, in: null }
  readonly #refreshes = new Set<Family>()
  readonly #ended = new Set<Family>()
  /** The peer's connection that waits for the machine's answer. */
  #visitor: Socket | null = null
  #attempt = 0
  #identifier = 0
  /** Its restart is over: the peer has had End-of-RIB of every family. */
  #restarted = false
  #establishedAt: number | null = null
  #sessions = 0
  readonly #counts = { messagesIn: 0, messagesOut: 0, updatesIn: 0, updatesOut: 0, refreshesIn: 0 }
  #problems = 0
  #lastProblem: string | null = null

  constructor(config: ResolvedPeer, context: PeerContext) {
    const { as: remoteAs, families, accept, maxPrefixes } = config
    const { identifier, policy, table } = context
    const { localAs } = policy
    this.config = config
    this.#context = context
    this.received = new AdjRibIn({ localAs, remoteAs, identifier, accept, maxPrefixes })
    this.told = new AdjRibOut(table, policy)
    const capabilities = () =>
      offerOf({
        ...config,
        as: localAs,
        restarting: context.restarting() && !this.#restarted,
        hostname: context.hostname,
      })
    this.#machine = new PeerMachine({ ...config, localAs, remoteAs, identifier, families, capabilities })
    this.#graceful = new GracefulRestart({
      restartTime: 4095,
      endOfRibTime: END_OF_RIB_SECONDS,
      longLivedTime: config.longLivedTime,
    })
  }

  /** The peer's BGP identifier, of the last session. */
  get identifier(): number {
    return this.#identifier
  }

  get session(): Session | null {
    return this.#machine.session
  }

  start(): void {
    this.#handle({ type: 'start' })
  }

  /**
   * Ends the session and forgets the peer's routes.
   *
   * @param subcode one of CEASE; null to leave routes with a peer that does graceful restart, as before a restart
   */
  stop(subcode: number | null, communication = ''): void {
    const leave = subcode === null && Boolean(this.session?.gracefulRestart)
    const notification = leave
      ? null
      : { subcode: subcode ?? CEASE.administrativeShutdown, data: encodeCommunication(communication) }
    this.#handle({ type: 'stop', notification })
    this.#timers.stop()
    this.#gracefulTimers.stop()
    for (const family of [4, 6] as const) this.received.remove(family, false, this.#context.routeChanged)
  }

  /** Ends the session and begins again. */
  reset(communication: string): void {
    this.stop(CEASE.administrativeReset, communication)
    this.start()
  }

  /** A connection that the peer opened. */
  incoming(socket: Socket): void {
    this.#visitor = socket
    this.#handle({ type: 'incoming' })
    // Neither accepted nor refused: the machine has no use for it.
    this.#takeVisitor()?.destroy()
  }

  #refuse(bytes: Buffer): void {
    const socket = this.#takeVisitor()
    if (socket !== null) dismiss(socket, bytes)
  }

  #takeVisitor(): Socket | null {
    const socket = this.#visitor
    this.#visitor = null
    return socket
  }

  /** Asks the peer to send its routes again (RFC 2918); false when it cannot. */
  requestRefresh(family: Family): boolean {
    const { session } = this
    if (session?.routeRefresh !== true || !session.families.has(unicast(family))) return false
    this.#send(session.side, encodeRouteRefresh(unicast(family), 'request'))
    return true
  }

  /** Sends what has changed. Does nothing while the peer has not read what was sent before: draining calls it again. */
  flush(): void {
    const { session } = this
    const connection = session === null ? null : this.#connections[session.side]
    if (session === null || connection === null || connection.congested) return
    const enhanced = [...this.#refreshes].filter(() => session.enhancedRouteRefresh)
    for (const family of enhanced) this.#send(session.side, encodeRouteRefresh(unicast(family), 'begin'))
    for (const family of this.#refreshes) this.told.resend(family)
    this.#refreshes.clear()
    const { messages, refused } = this.told.flush(session)
    for (const bytes of messages) this.#send(session.side, bytes)
    for (const { prefixes, reason } of refused)
      this.#problem(`${prefixes.length} routes are not for this peer: ${reason}`)
    for (const family of enhanced) this.#send(session.side, encodeRouteRefresh(unicast(family), 'end'))
    if (this.#context.complete()) this.#endOfRib(session)
  }

  #endOfRib(session: Session): void {
    for (const family of this.config.families) {
      if (this.#ended.has(family) || !session.families.has(unicast(family))) continue
      this.#ended.add(family)
      this.#send(session.side, encodeEndOfRib(family))
    }
    this.#restarted = true
  }

  status(): PeerStatus {
    const { session } = this
    return {
      address: this.config.address,
      as: this.config.as,
      state: this.#machine.state,
      establishedAt: this.#establishedAt,
      sessions: this.#sessions,
      lastError: this.#machine.lastError,
      families: this.#familiesOf(session),
      holdTime: session?.holdTime ?? null,
      identifier: session?.remote.identifier ?? null,
      routesIn: this.received.size,
      routesOut: session === null ? 0 : this.told.size,
      stale: this.#graceful.stale,
      ...this.#counts,
      updateProblems: this.#problems,
      lastProblem: this.#lastProblem,
    }
  }

  #familiesOf(session: Session | null): Family[] {
    return [...(session?.families ?? [])].map(unicastFamily).filter((family) => family !== null)
  }

  // The machine's actions

  #handle(event: MachineEvent): void {
    const from = this.#machine.state
    for (const action of this.#machine.handle(event)) this.#carryOut(action)
    const to = this.#machine.state
    if (from !== to) this.#context.emit({ type: 'state', peer: this.config.address, from, to })
  }

  #carryOut(action: MachineAction): void {
    switch (action.do) {
      case 'connect':
        void this.#connect()
        return
      case 'accept':
        this.#accept()
        return
      case 'refuse':
        this.#refuse(action.bytes)
        return
      case 'send':
        this.#send(action.side, action.bytes)
        return
      case 'close':
        if (action.side === 'out') this.#attempt++
        this.#connections[action.side]?.close()
        this.#connections[action.side] = null
        return
      case 'timer':
        this.#timers.set(action.timer, action.seconds)
        return
      case 'up':
        this.#up(action.session)
        return
      case 'deliver':
        this.#deliver(action.message)
        return
      case 'down':
        this.#down(action.down)
    }
  }

  #send(side: Side, bytes: Buffer): void {
    this.#counts.messagesOut++
    if (bytes[TYPE_OFFSET] === MESSAGE_TYPE.update) this.#counts.updatesOut++
    this.#connections[side]?.write(bytes)
  }

  /** External peers are neighbours unless said otherwise (RFC 4271 §5.1.3), internal ones may be anywhere. */
  #tcpOptions(): TcpOptions {
    const { ttlSecurity, multihop, as } = this.config
    if (ttlSecurity) return { ttl: 255, minTtl: 255 }
    return as === this.#context.policy.localAs ? {} : { ttl: multihop }
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt
    const { address, port, password, localAddress, index, connectRetryTime } = this.config
    let fd: number
    try {
      fd = await connectTcp(this.#context.namespace, address, port, {
        ...this.#tcpOptions(),
        ...(localAddress === null ? {} : { local: localAddress }),
        index,
        timeout: connectRetryTime * 1000,
        md5: password === null ? [] : [{ peer: hostPrefix(address), key: password }],
      })
    } catch (error) {
      if (attempt !== this.#attempt) return
      this.#handle({ type: 'failed', side: 'out', detail: error instanceof Error ? error.message : String(error) })
      return
    }
    const socket = new Socket({ fd, readable: true, writable: true })
    if (attempt !== this.#attempt) {
      socket.destroy()
      return
    }
    this.#connections.out = this.#connection('out', socket)
    this.#handle({ type: 'connected' })
  }

  #accept(): void {
    const socket = this.#takeVisitor()
    const fd = socket === null ? null : descriptorOf(socket)
    if (socket === null) return
    this.#connections.in = this.#connection('in', socket)
    try {
      if (fd !== null) setTcpOptions(fd, familyOf(this.config.address), this.#tcpOptions())
    } catch (error) {
      this.#problem(error instanceof Error ? error.message : String(error))
    }
  }

  #connection(side: Side, socket: Socket): Connection {
    return new Connection(socket, {
      context: () => ({
        updates: this.#machine.context(side),
        maxBytes: this.#machine.sessionOf(side)?.maxBytes ?? MAX_MESSAGE_BYTES,
      }),
      onMessage: (message) => {
        this.#counts.messagesIn++
        if (message.type === 'update') this.#counts.updatesIn++
        this.#handle({ type: 'message', side, message })
      },
      onError: (error) => this.#handle({ type: 'error', side, error }),
      onEnd: (detail) => this.#handle({ type: 'failed', side, detail }),
      onDrain: () => this.flush(),
    })
  }

  #up(session: Session): void {
    this.#establishedAt = Date.now()
    this.#sessions++
    this.#identifier = session.remote.identifier
    this.#ended.clear()
    this.#refreshes.clear()
    this.told.reset()
    this.#apply(this.#graceful.up(session))
    this.#context.emit({ type: 'up', peer: this.config.address, families: this.#familiesOf(session) })
    this.flush()
  }

  #down(down: Down): void {
    this.#establishedAt = null
    this.#apply(this.#graceful.down(down))
    this.#context.emit({ type: 'down', peer: this.config.address, detail: down.detail, graceful: down.graceful })
  }

  #problem(detail: string): void {
    this.#problems++
    this.#lastProblem = detail
    this.#context.emit({
      type: 'problem',
      peer: this.config.address,
      detail: `${formatAddress(this.config.address)}: ${detail}`,
    })
  }

  // Routes

  #deliver(message: UpdateMessage | RouteRefreshMessage): void {
    if (message.type === 'route-refresh') return this.#refresh(message)
    for (const problem of message.problems) this.#problem(`${problem.detail} (${problem.handling})`)
    try {
      this.received.update(message, this.#context.routeChanged)
    } catch (error) {
      const { session } = this
      if (!(error instanceof SessionError) || session === null) throw error
      this.#handle({ type: 'error', side: session.side, error })
      return
    }
    const { endOfRib } = message
    if (endOfRib === null) return
    this.#apply(this.#graceful.endOfRib(endOfRib))
    this.#context.emit({ type: 'endOfRib', peer: this.config.address, family: endOfRib })
  }

  #refresh({ family: code, kind }: RouteRefreshMessage): void {
    const { session } = this
    const family = unicastFamily(code)
    if (family === null || session === null || !session.families.has(code)) return
    if (kind === 'request') {
      this.#counts.refreshesIn++
      this.#refreshes.add(family)
      this.flush()
    } else if (session.enhancedRouteRefresh && kind === 'begin') {
      this.#apply(this.#graceful.refreshBegin(family))
    } else if (session.enhancedRouteRefresh && kind === 'end') {
      this.#apply(this.#graceful.refreshEnd(family))
    }
  }

  #apply(actions: readonly GracefulAction[]): void {
    const { routeChanged } = this.#context
    for (const action of actions) {
      switch (action.do) {
        case 'mark':
          this.received.mark(action.family)
          break
        case 'sweep':
          this.received.remove(action.family, true, routeChanged)
          break
        case 'demote':
          this.received.demote(action.family, routeChanged)
          break
        case 'drop':
          this.received.remove(action.family, false, routeChanged)
          break
        case 'timer':
          this.#gracefulTimers.set(action.timer, action.seconds)
      }
    }
  }
}
