// Faults on demand, for tests of clients and for `hybridnet standalone --fault`: what a real control plane does on a bad day.
//
//   server.faults.add({ verb: 'list', resource: 'pods', status: 503, probability: 0.1 })
//   server.faults.add({ verb: 'watch', effect: 'half', after: 3, times: 1 })
//
// Several may hit one request: their waits add up, then the first that ends it does. Chance is seeded: the same requests in
// the same order meet the same faults. A read that the API promises to be current is never stale (stale.ts).
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { longLivedAbort } from '../../../kube/index.ts'
import type { Logger } from '../../../telemetry/log.ts'
import { StatusError, expiredContinue, expiredVersion } from '../errors.ts'
import type { Store } from '../store.ts'
import { checkFault, concerns, type Effect, type Fault, type Target } from './fault.ts'
import { seededRandom } from './random.ts'
import { slowAnswer } from './slow.ts'
import { staleVersion } from './stale.ts'
import { breakAnswer } from './stream.ts'

export { type Fault, FaultError, parseFault } from './fault.ts'

/** A fault that was added. */
export interface ActiveFault {
  readonly fault: Fault
  /** Requests it was about, and those it hit. */
  readonly matched: number
  readonly hit: number
  /** End it; requests it has already hit stay hit. */
  remove(): void
}

/** What a request goes on with. */
export interface Outcome {
  /** Somebody else changes the object first. */
  readonly conflict: boolean
  /** A get, or a watch that begins with all objects, sees them as they were at this version. */
  readonly staleVersion: number | null
}

const untouched: Outcome = { conflict: false, staleVersion: null }

/** Annotation that a conflicting writer changes. */
export const conflictAnnotation = 'hybridnet.standalone/conflicting-writer'

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

interface Entry {
  readonly fault: Fault
  matched: number
  hit: number
}

export class Faults {
  readonly #store: Store
  readonly #log: Logger
  readonly #entries = new Set<Entry>()
  readonly #watches = new Map<ServerResponse, Target>()
  readonly #closing = longLivedAbort()

  /** Connections by their peer: under TLS a request does not know the one that can be reset. */
  readonly #connections = new Map<string, Socket>()
  readonly #random: () => number

  constructor(store: Store, log: Logger, seed = 1) {
    this.#store = store
    this.#log = log
    this.#random = seededRandom(seed)
  }

  /** A connection was accepted. */
  connected(socket: Socket): void {
    const peer = peerOf(socket)
    if (peer === null) return
    this.#connections.set(peer, socket)
    socket.once('close', () => this.#connections.delete(peer))
  }

  /** @throws FaultError naming field, value and what was expected */
  add(fault: Fault): ActiveFault {
    const entry: Entry = { fault: checkFault(fault), matched: 0, hit: 0 }
    this.#entries.add(entry)
    return {
      fault,
      get matched() {
        return entry.matched
      },
      get hit() {
        return entry.hit
      },
      remove: () => void this.#entries.delete(entry),
    }
  }

  /** End all faults. Answers that were stalled stay so until their connection ends; {@link cutWatches} ends those of watches. */
  clear(): void {
    this.#entries.clear()
  }

  /** Close the connections of open watches, without an end. @returns how many */
  cutWatches(resource?: string): number {
    let cut = 0
    for (const [response, target] of [...this.#watches]) {
      if (resource !== undefined && !concerns({ resource }, target)) continue
      response.destroy()
      cut++
    }
    return cut
  }

  /** Forget all changes so far: watches and pages from before get 410. */
  compact(): void {
    this.#store.compact()
  }

  /** Ends waits. */
  close(): void {
    this.#entries.clear()
    this.#closing.abort()
  }

  /**
   * Let faults have their way with a request.
   *
   * @param query may be changed: a stale read becomes an exact one of an older version
   * @returns null when the request has ended here
   * @throws StatusError the answer of an injected error
   */
  async strike(
    target: Target,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Outcome | null> {
    if (target.verb === 'watch') {
      this.#watches.set(response, target)
      response.once('close', () => this.#watches.delete(response))
    }
    const hits = [...this.#entries].filter((entry) => this.#hits(entry, target))
    if (hits.length === 0) return untouched
    const faults = hits.map(({ fault }) => fault)
    this.#log.debug({ target, faults }, 'fault')
    const latency = faults.reduce((total, { latencyMs = 0 }) => total + latencyMs, 0)
    if (latency > 0) await sleep(latency, undefined, { signal: this.#closing.signal })
    let outcome = untouched
    for (const fault of faults) {
      if (fault.status !== undefined) throw this.#error(fault.status, fault, response)
      if (fault.effect === undefined) continue
      if (fault.effect === 'drop') {
        request.socket.destroy()
        return null
      }
      if (fault.effect === 'reset') {
        this.#reset(request.socket)
        return null
      }
      if (fault.effect === 'conflict') outcome = { ...outcome, conflict: true }
      else if (fault.effect === 'stale') outcome = { ...outcome, staleVersion: this.#stale(fault, target, query) }
      else this.#apply(fault, fault.effect, target, query, response)
    }
    return outcome
  }

  #hits(entry: Entry, target: Target): boolean {
    const { skip = 0, times = Infinity, probability = 1 } = entry.fault
    if (entry.hit >= times || !concerns(entry.fault, target)) return false
    entry.matched++
    if (entry.matched <= skip || (probability < 1 && this.#random() >= probability)) return false
    entry.hit++
    return true
  }

  #error(status: number, { retryAfter }: Fault, response: ServerResponse): StatusError {
    if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter))
    return new StatusError(status, reasons[status] ?? '', 'injected fault')
  }

  #apply(fault: Fault, effect: Effect, target: Target, query: URLSearchParams, response: ServerResponse): void {
    const watch = target.verb === 'watch'
    const { after = 0 } = fault
    switch (effect) {
      case 'cut':
      case 'half':
      case 'stall':
      case 'lose':
        breakAnswer(response, { effect, after, watch })
        return
      case 'expire':
        if (!watch && (query.get('continue') ?? '') !== '') throw expiredContinue(undefined)
        if (!watch) throw expiredVersion(Number(query.get('resourceVersion') ?? 0), this.#store.version)
        breakAnswer(response, { effect, after, watch })
        return
      case 'compact':
        this.#store.compact()
        return
      case 'slow':
        slowAnswer(response, fault.rate ?? 1)
        return
      case 'drop':
      case 'reset':
      case 'stale':
      case 'conflict':
        return
    }
  }

  /** The version a lagging replica answers from; a list is asked for exactly that. */
  #stale({ behind = 10 }: Fault, { verb }: Target, query: URLSearchParams): number | null {
    const { version: newest, history } = this.#store
    const version = staleVersion(verb, query, { newest, oldest: history.compacted, behind })
    if (version === null || verb !== 'list') return version
    query.set('resourceVersion', String(version))
    query.set('resourceVersionMatch', 'Exact')
    return null
  }

  /** A TCP reset where there is TCP; a Unix socket is closed. */
  #reset(socket: Socket): void {
    const peer = peerOf(socket)
    const connection = peer === null ? undefined : this.#connections.get(peer)
    if (connection === undefined) socket.destroy()
    else connection.resetAndDestroy()
  }
}

/** Who is at the other end of a TCP connection; null for other kinds and closed ones. */
const peerOf = ({ remoteAddress, remotePort, localPort }: Socket): string | null =>
  remoteAddress === undefined || remotePort === undefined ? null : `${remoteAddress} ${remotePort} ${localPort ?? 0}`
