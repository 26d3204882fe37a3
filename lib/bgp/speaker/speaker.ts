// The speaker: many peers, one table of routes to announce, one choice of gateways.
//
// Changes of one turn of the event loop go out together at its end: routes of equal attributes in as few messages as hold them, and
// no timer in between (RFC 4271 §9.2.1.1's 30 s between advertisements are for routes of others; these are the node's own).
//
// Graceful restart, this side restarting (RFC 4724 §4.1): `close({ graceful: true })` ends connections without a word, a speaker
// started with `restarting` says so in its OPEN messages, and End-of-RIB goes out once `routesComplete()` was called. Until then
// peers keep what the former process announced. There is no deferral: own routes depend on nobody's.
import type { Socket } from 'node:net'
import { addressKey, formatAddress, type Family, type IPAddress, type Prefix } from '../../ip/index.ts'
import { CEASE, checkAs } from '../codec/index.ts'
import {
  Announcements,
  Gateways,
  routeKey,
  type AnnouncedRoute,
  type Candidate,
  type GatewayChange,
  type RouteKey,
} from '../rib/index.ts'
import { resolvePeer, samePeer, type ResolvedPeer } from './config.ts'
import { Listener } from './listener.ts'
import { Peer, type PeerContext } from './peer.ts'
import type { PeerConfig, PeerStatus, SpeakerConfig, SpeakerEvent } from './types.ts'
import { WithdrawDelay } from './withdraw-delay.ts'

const DEFAULT_PORT = 179
const DEFAULT_MAX_PATHS = 16

export class Speaker {
  readonly #config: SpeakerConfig
  readonly #context: PeerContext
  readonly #table = new Announcements()
  readonly #gateways: Gateways
  readonly #peers = new Map<string, Peer>()
  readonly #listener: Listener | null
  readonly #delay: WithdrawDelay
  #complete = false
  #scheduled: NodeJS.Immediate | null = null
  #closed = false

  /** @throws RangeError for an AS or identifier that is none */
  constructor(config: SpeakerConfig) {
    const { namespace, identifier, hostname = null, nextHops, restarting = false } = config
    if (!Number.isInteger(identifier) || identifier < 1 || identifier > 0xffffffff) {
      throw new RangeError(`identifier is ${identifier}, expected 1 to 4294967295`)
    }
    this.#config = config
    this.#gateways = new Gateways(config.maxPaths ?? DEFAULT_MAX_PATHS)
    this.#delay = new WithdrawDelay(config.withdrawDelay ?? 0, (keys) => this.#withdraw(keys))
    this.#context = {
      namespace,
      identifier,
      hostname,
      policy: { localAs: checkAs(config.as), nextHops: { 4: nextHops[4] ?? null, 6: nextHops[6] ?? null } },
      table: this.#table,
      restarting: () => restarting,
      complete: () => this.#complete,
      emit: (event) => this.#emit(event),
      routeChanged: (key, prefix) => {
        this.#gateways.mark(key, prefix)
        this.#schedule()
      },
    }
    const { port = DEFAULT_PORT } = config
    this.#listener =
      port === null
        ? null
        : new Listener(
            namespace,
            port,
            (remote, socket) => this.#visited(remote, socket),
            (detail) => this.#emit({ type: 'problem', peer: null, detail }),
          )
  }

  #emit(event: SpeakerEvent): void {
    if (!this.#closed) this.#config.onEvent(event)
  }

  /**
   * The peers from now on. Those that stay as they are keep their sessions; changed ones begin anew; a bad one is reported as a
   * problem and left out, or left as it was.
   */
  setPeers(configs: readonly PeerConfig[]): void {
    const wanted = new Map<string, ResolvedPeer | null>()
    for (const config of configs) {
      const key = addressKey(config.address)
      if (wanted.has(key)) {
        this.#emit({
          type: 'problem',
          peer: config.address,
          detail: `peer ${formatAddress(config.address)} is there twice`,
        })
        continue
      }
      try {
        wanted.set(key, resolvePeer(config))
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        wanted.set(key, null)
        this.#emit({ type: 'problem', peer: config.address, detail: error.message })
      }
    }
    for (const [key, peer] of this.#peers) {
      const config = wanted.get(key)
      if (config === undefined) this.#remove(key, peer, CEASE.peerDeconfigured)
      else if (config !== null && !samePeer(config, peer.config)) this.#remove(key, peer, CEASE.configurationChange)
    }
    for (const [key, config] of wanted) {
      if (config !== null && !this.#peers.has(key)) this.#add(key, config)
    }
  }

  #add(key: string, config: ResolvedPeer): void {
    const peer = new Peer(config, this.#context)
    this.#peers.set(key, peer)
    const ready = this.#listener?.admit(config.address, config.password) ?? Promise.resolve()
    void ready.then(() => {
      if (this.#peers.get(key) === peer) peer.start()
    })
  }

  #remove(key: string, peer: Peer, subcode: number): void {
    this.#peers.delete(key)
    peer.stop(subcode)
    void this.#listener?.forget(peer.config.address)
  }

  #visited(remote: IPAddress, socket: Socket): void {
    const peer = this.#peers.get(addressKey(remote))
    if (peer === undefined || this.#closed) socket.destroy()
    else peer.incoming(socket)
  }

  /** Adds a route, or replaces that of its prefix. */
  announce(route: AnnouncedRoute): void {
    this.#delay.cancel(routeKey(route.prefix))
    const key = this.#table.set(route)
    if (key === null) return
    for (const peer of this.#peers.values()) peer.told.mark(key)
    this.#schedule()
  }

  /** Withdraws the route of the prefix, after the configured delay; nothing there is no error. */
  withdraw(prefix: Prefix): void {
    const key = routeKey(prefix)
    if (this.#table.get(key) !== undefined) this.#delay.add(key)
  }

  #withdraw(keys: readonly RouteKey[]): void {
    for (const key of keys) {
      if (!this.#table.delete(key)) continue
      for (const peer of this.#peers.values()) peer.told.mark(key)
    }
    this.#schedule()
  }

  /** All routes there are: those missing are withdrawn. Costs the size of the table; single changes go by announce() and withdraw(). */
  setRoutes(routes: Iterable<AnnouncedRoute>): void {
    const kept = new Set<RouteKey>()
    for (const route of routes) {
      kept.add(routeKey(route.prefix))
      this.announce(route)
    }
    for (const key of this.#table.keys()) if (!kept.has(key)) this.#delay.add(key)
  }

  /** Everything this node has to announce was announced: peers may forget what a former process left. */
  routesComplete(): void {
    this.#complete = true
    this.#schedule()
  }

  /** Peers that have been told the route of the prefix. */
  peersTold(prefix: Prefix): IPAddress[] {
    const key = routeKey(prefix)
    const told = [...this.#peers.values()].filter((peer) => peer.session !== null && peer.told.has(key))
    return told.map((peer) => peer.config.address)
  }

  /** What is reachable by which gateways, of the routes that peers' `accept` lets in. */
  gateways(): GatewayChange[] {
    return this.#gateways.all()
  }

  status(): PeerStatus[] {
    return [...this.#peers.values()].map((peer) => peer.status())
  }

  /**
   * Asks a peer to send its routes again.
   *
   * @returns false when there is no such peer, or its session does not do that
   */
  requestRefresh(peer: IPAddress, family: Family): boolean {
    return this.#peers.get(addressKey(peer))?.requestRefresh(family) ?? false
  }

  /** Ends a peer's session and begins a new one; the words reach its operator (RFC 9003). False when there is no such peer. */
  resetPeer(address: IPAddress, communication = ''): boolean {
    const peer = this.#peers.get(addressKey(address))
    peer?.reset(communication)
    return peer !== undefined
  }

  #schedule(): void {
    if (this.#closed) return
    this.#scheduled ??= setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = null
    for (const peer of this.#peers.values()) peer.flush()
    const changes = this.#gateways.settle((key) => this.#candidates(key))
    if (changes.length > 0) this.#emit({ type: 'gateways', changes })
  }

  #candidates(key: RouteKey): Candidate[] {
    const candidates: Candidate[] = []
    for (const { received, config, identifier } of this.#peers.values()) {
      const route = received.get(key)
      if (route === undefined) continue
      candidates.push({ route, external: config.as !== this.#config.as, identifier, peer: config.address })
    }
    return candidates
  }

  /**
   * Ends all sessions and stops listening. No events follow.
   *
   * @param options.graceful leave the routes with peers that do graceful restart, for a process that comes soon
   */
  async close(options: { readonly graceful?: boolean; readonly communication?: string } = {}): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#scheduled !== null) clearImmediate(this.#scheduled)
    this.#delay.stop()
    for (const peer of this.#peers.values()) {
      peer.stop(options.graceful === true ? null : CEASE.administrativeShutdown, options.communication)
    }
    this.#peers.clear()
    await this.#listener?.close()
  }
}
