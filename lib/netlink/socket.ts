// rtnetlink for one namespace: batches of requests and dumps, on a native thread of the socket's own.
//
// A batch crosses to the addon as one packed array and goes out 128 messages a send with one ACK each (the FDB's 64);
// refusals come back by position. Large batches and dumps are packed and unpacked in slices, so that the event loop is never
// held for more than a few milliseconds. Order: what was submitted first is carried out first.
//
// Not here: retries of refused requests, and any opinion about them.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Family } from '../ip/index.ts'
import { addon, type NativeSocket } from './addon.ts'
import { unpackAddr } from './addr.ts'
import { RequestBatch } from './batch.ts'
import * as C from './constants.ts'
import { describe } from './describe.ts'
import { asNetlinkError, isNotFound, NetlinkError } from './errors.ts'
import {
  addressQuery,
  fdbQuery,
  neighbourQuery,
  routeQuery,
  ruleQuery,
  type AddressFilter,
  type DumpQuery,
  type NeighbourFilter,
  type RouteFilter,
} from './filters.ts'
import { AddrLayout, NeighLayout, RouteLayout, RuleLayout, STREAM_HEADER } from './layout.ts'
import { IFLA, selectLink, unpackLink } from './link.ts'
import { unpackNeigh } from './neigh.ts'
import type { NetworkNamespace } from './namespace.ts'
import type { Request } from './request.ts'
import { routeSlots, unpackRoute } from './route.ts'
import { unpackRule } from './rule.ts'
import type { Addr, Link, Neigh, Route, Rule } from './types.ts'
import { ObjectReader, type Unpacker } from './unpack.ts'

/** Requests packed between two turns of the event loop: about 1 ms, and several sends for the native thread. */
const SLICE = 2048
const ADDR: Unpacker<Addr> = { stride: AddrLayout.Words, unpack: unpackAddr }
const ROUTE: Unpacker<Route> = { stride: RouteLayout.Words, unpack: unpackRoute, slots: routeSlots }
const RULE: Unpacker<Rule> = { stride: RuleLayout.Words, unpack: unpackRule }
const NEIGH: Unpacker<Neigh> = { stride: NeighLayout.Words, unpack: unpackNeigh }
const EINVAL = 22
/** RTEXT_FILTER_SKIP_STATS: counters are a third of a link's message and nobody here reads them. */
const SKIP_STATS = 8

/** One refused request of a packed batch. */
export interface BatchRefusal {
  /** Position in the batch. */
  readonly position: number
  readonly errno: number
  readonly extack: string
  readonly offset: number
}

/** Calls of run() not yet sent, as columns: an object less per call. */
class Waiting {
  readonly requests: Request[] = []
  readonly resolves: (() => void)[] = []
  readonly rejects: ((error: Error) => void)[] = []
}

export class RouteSocket {
  readonly #native: NativeSocket
  #closed = false
  #waiting = new Waiting()
  /** The end of the last sliced batch still being packed. */
  #packing: Promise<unknown> | null = null

  private constructor(native: NativeSocket) {
    this.#native = native
  }

  /**
   * Opens a socket that belongs to the namespace for life; the namespace may be closed afterwards.
   *
   * @throws NetlinkError when the namespace cannot be entered (EPERM) or no socket opened
   */
  static open(namespace: NetworkNamespace): RouteSocket {
    const { Socket } = addon()
    try {
      return new RouteSocket(new Socket(namespace.fd))
    } catch (error) {
      throw asNetlinkError(error, `open rtnetlink socket in ${namespace.path}`)
    }
  }

  /** Waits for the message in progress; whatever still waits fails with ECANCELED. Repeating it does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#native.close()
  }

  /** Dumps repeated because a change interrupted them, since open. */
  get interruptedDumps(): number {
    return this.#native.interruptedDumps()
  }

  /**
   * Sends all requests in order; a refused one does not stop the rest.
   *
   * @returns per request null, or why it was refused
   * @throws NetlinkError when the socket is closed
   */
  async apply(requests: readonly Request[]): Promise<readonly (NetlinkError | null)[]> {
    this.#flush()
    const results: (NetlinkError | null)[] = new Array<NetlinkError | null>(requests.length).fill(null)
    while (this.#packing !== null) await this.#packing
    if (requests.length <= SLICE) {
      await this.#applySlice(requests, 0, requests.length, results)
      return results
    }
    const packing = this.#applySlices(requests, results)
    this.#packing = packing.packed
    void packing.packed.then(() => (this.#packing = null))
    await packing.answered
    return results
  }

  #applySlices(
    requests: readonly Request[],
    results: (NetlinkError | null)[],
  ): { packed: Promise<void>; answered: Promise<unknown> } {
    const answers: Promise<void>[] = []
    const pack = async (): Promise<void> => {
      for (let start = 0; start < requests.length; start += SLICE) {
        const answer = this.#applySlice(requests, start, Math.min(start + SLICE, requests.length), results)
        // Its failure is reported below, by Promise.all; until then it is not an unhandled one.
        answer.catch(() => undefined)
        answers.push(answer)
        await nextTurn()
      }
    }
    const packed = pack()
    return { packed, answered: packed.then(() => Promise.all(answers)) }
  }

  async #applySlice(
    requests: readonly Request[],
    start: number,
    end: number,
    results: (NetlinkError | null)[],
  ): Promise<void> {
    const batch = new RequestBatch(end - start)
    /** Position in the batch → position in `requests`; null while the two run in step. */
    let positions: number[] | null = null
    for (let i = start; i < end; i++) {
      const request = requests[i]
      if (request === undefined) continue
      try {
        batch.add(request)
        positions?.push(i)
      } catch (error) {
        positions ??= Array.from({ length: i - start }, (_, n) => start + n)
        const reason = error instanceof Error ? error.message : String(error)
        results[i] = new NetlinkError(EINVAL, describe(request), reason)
      }
    }
    for (const { position, errno, extack, offset } of await this.applyPacked(batch)) {
      const i = positions === null ? start + position : (positions[position] ?? start)
      const request = requests[i]
      const operation = request === undefined ? 'request' : describe(request)
      results[i] = new NetlinkError(errno, operation, extack, offset)
    }
  }

  /**
   * Sends a packed batch; it must not be added to afterwards.
   *
   * @returns the refused ones only
   */
  async applyPacked(batch: RequestBatch): Promise<readonly BatchRefusal[]> {
    if (batch.count === 0) return []
    const refused = await this.#call(() => this.#native.batch(batch.words, batch.size, batch.count))
    if (refused === null) return []
    const [numbers, texts] = refused
    return texts.map((extack, i) => ({
      position: numbers[i * 3] ?? 0,
      errno: numbers[i * 3 + 1] ?? 0,
      offset: numbers[i * 3 + 2] ?? 0,
      extack,
    }))
  }

  /**
   * Sends one request. What is asked for in one turn of the event loop goes out together.
   *
   * @throws NetlinkError when it is refused
   */
  run(request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      const { requests, resolves, rejects } = this.#waiting
      const count = requests.push(request)
      resolves.push(resolve)
      rejects.push(reject)
      if (count === 1) queueMicrotask(this.#flush)
      // The kernel may as well begin while the caller goes on asking; and no answer wakes more than a slice of callers.
      else if (count === SLICE) this.#flush()
    })
  }

  readonly #flush = (): void => {
    const { requests, resolves, rejects } = this.#waiting
    if (requests.length === 0) return
    this.#waiting = new Waiting()
    this.apply(requests).then(
      (results) =>
        results.forEach((error, i) => {
          if (error === null) resolves[i]?.()
          else rejects[i]?.(error)
        }),
      (error: unknown) =>
        rejects.forEach((reject, i) => {
          const request = requests[i]
          reject(asNetlinkError(error, request === undefined ? undefined : describe(request)))
        }),
    )
  }

  /** Equivalent to: `ip -d link show`. */
  async links(): Promise<Link[]> {
    const body = selectLinkDump()
    const words = await this.#query('link dump', C.RTM_GETLINK, C.NLM_F_DUMP, {
      body,
      plain: body,
      conditions: new Uint32Array(),
    })
    const links: Link[] = []
    for (let at = 0; at < words.length;) {
      const length = words[at + 1] ?? 0
      links.push(unpackLink(words, at + STREAM_HEADER, length))
      at += STREAM_HEADER + length + (length & 1)
    }
    return links
  }

  /**
   * Equivalent to: `ip -d link show dev NAME`.
   *
   * @returns null when there is no such device
   */
  async link(nameOrIndex: number | string): Promise<Link | null> {
    const body = selectLink(nameOrIndex).u32(IFLA.EXT_MASK, SKIP_STATS).words()
    try {
      const operation = `link show ${nameOrIndex}`
      const words = await this.#query(operation, C.RTM_GETLINK, 0, { body, plain: null, conditions: new Uint32Array() })
      return words.length === 0 ? null : unpackLink(words, STREAM_HEADER, words[1] ?? 0)
    } catch (error) {
      if (isNotFound(error)) return null
      throw error
    }
  }

  /** Equivalent to: `ip addr show [dev INDEX]`. */
  addresses(filter: AddressFilter = {}): Promise<Addr[]> {
    return this.#objects('addr dump', C.RTM_GETADDR, addressQuery(filter), ADDR)
  }

  /** The same as packed records (AddrLayout). */
  addressesFlat(filter: AddressFilter = {}): Promise<Uint32Array> {
    return this.#dump('addr dump', C.RTM_GETADDR, addressQuery(filter))
  }

  /** Equivalent to: `ip route show table T` (all tables when none is given). A table that does not exist is empty. */
  routes(filter: RouteFilter = {}): Promise<Route[]> {
    const dump = this.#objects(routeDump(filter), C.RTM_GETROUTE, routeQuery(filter), ROUTE)
    return filter.table === undefined ? dump : dump.catch((error: unknown) => emptyIfAbsent(error, []))
  }

  /** The same as packed records (RouteLayout); next-hop records follow a multipath route. */
  routesFlat(filter: RouteFilter = {}): Promise<Uint32Array> {
    const dump = this.#dump(routeDump(filter), C.RTM_GETROUTE, routeQuery(filter))
    return filter.table === undefined ? dump : dump.catch((error: unknown) => emptyIfAbsent(error, new Uint32Array()))
  }

  /** Equivalent to: `ip rule show` or `ip -6 rule show`, in order of priority. */
  rules(family: Family): Promise<Rule[]> {
    return this.#objects('rule dump', C.RTM_GETRULE, ruleQuery(family), RULE)
  }

  /** The same as packed records (RuleLayout). */
  rulesFlat(family: Family): Promise<Uint32Array> {
    return this.#dump('rule dump', C.RTM_GETRULE, ruleQuery(family))
  }

  /** Equivalent to: `ip neigh show [proxy] [dev INDEX]`. */
  neighbours(filter: NeighbourFilter = {}): Promise<Neigh[]> {
    return this.#objects('neigh dump', C.RTM_GETNEIGH, neighbourQuery(filter), NEIGH)
  }

  /** The same as packed records (NeighLayout). */
  neighboursFlat(filter: NeighbourFilter = {}): Promise<Uint32Array> {
    return this.#dump('neigh dump', C.RTM_GETNEIGH, neighbourQuery(filter))
  }

  /** Equivalent to: `bridge fdb show dev INDEX`. */
  fdb(index: number): Promise<Neigh[]> {
    return this.#objects(`fdb dump dev ${index}`, C.RTM_GETNEIGH, fdbQuery(index), NEIGH)
  }

  /** The same as packed records (NeighLayout). */
  fdbFlat(index: number): Promise<Uint32Array> {
    return this.#dump(`fdb dump dev ${index}`, C.RTM_GETNEIGH, fdbQuery(index))
  }

  #dump(operation: string, type: number, query: DumpQuery): Promise<Uint32Array> {
    return this.#query(operation, type, C.NLM_F_DUMP, query)
  }

  async #objects<T>(operation: string, type: number, query: DumpQuery, unpacker: Unpacker<T>): Promise<T[]> {
    const reader = new ObjectReader(unpacker)
    return reader.finish(await this.#query(operation, type, C.NLM_F_DUMP, query, reader.take))
  }

  async #query(
    operation: string,
    type: number,
    flags: number,
    query: { body: Uint32Array; plain: Uint32Array | null; conditions: Uint32Array },
    onPiece?: (words: Uint32Array | null) => void,
  ): Promise<Uint32Array> {
    // What was asked before comes before.
    this.#flush()
    while (this.#packing !== null) await this.#packing
    const { body, plain, conditions } = query
    return this.#call(() => this.#native.query(type, flags, body, plain, conditions, onPiece), operation)
  }

  async #call<T>(start: () => Promise<T>, operation?: string): Promise<T> {
    try {
      return await start()
    } catch (error) {
      throw asNetlinkError(error, operation)
    }
  }
}

function selectLinkDump(): Uint32Array {
  // struct ifinfomsg, IFLA_EXT_MASK
  return Uint32Array.of(0, 0, 0, 0, 8 | (IFLA.EXT_MASK << 16), SKIP_STATS)
}

const routeDump = ({ table }: RouteFilter): string => `route dump${table === undefined ? '' : ` table ${table}`}`

/** The kernel knows no table without routes. */
function emptyIfAbsent<T>(error: unknown, empty: T): T {
  if (error instanceof NetlinkError && error.code === 'ENOENT') return empty
  throw error
}
