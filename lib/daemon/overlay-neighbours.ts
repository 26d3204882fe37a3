// The neighbours the kernel holds on the VXLAN device. The resolver makes them; here they are corrected when an address moves
// behind another MAC, and swept when they are dead. The resolver answers only when it is asked, which for a live entry
// happens after it has aged (about ten seconds, spec/dataplane §3.6).
//
// Which there are is known from one dump of a new device and the kernel's notifications since, so that the many addresses the
// kernel has no neighbour of cost one look-up each. Level, not edge: a neighbour that leads elsewhere is corrected when its
// address moves and when a notification shows it, whichever comes last. So an answer of the resolver that crosses a
// move is corrected, too.
import type { NeighbourListener } from '../dataplane/index.ts'
import type { IPAddress } from '../ip/index.ts'
import { longLivedAbort, sleep } from '../kube/index.ts'
import {
  isNotFound,
  NUD_FAILED,
  NUD_PERMANENT,
  NUD_REACHABLE,
  NUD_STALE,
  request,
  type Neigh,
  type Request,
  type RouteSocket,
} from '../netlink/index.ts'
import type { Logger } from '../telemetry/log.ts'

/** Between two attempts to read the device's neighbours. */
const RETRY_MS = 1000
const KEPT = 'neighbours on the overlay keep their state until they age'

export class OverlayNeighbours implements NeighbourListener {
  readonly #socket: Pick<RouteSocket, 'neighbours' | 'apply'>
  readonly #log: Logger
  readonly #macOf: (address: IPAddress) => number | null
  readonly #sweeping: NodeJS.Timeout | null
  readonly #stopping = longLivedAbort()
  #link = 0
  /** MACs of the neighbours on the device. May have some more that are gone, never lacks one for long. */
  readonly #held = new Map<IPAddress, number>()
  #reading = false
  /** Another device or lost notifications while the dump was under way. */
  #again = false

  /**
   * @param sweepMs between sweeps, 0 for none
   * @param macOf what an address resolves to now; null for nothing known
   */
  constructor(
    socket: Pick<RouteSocket, 'neighbours' | 'apply'>,
    log: Logger,
    sweepMs: number,
    macOf: (address: IPAddress) => number | null,
  ) {
    this.#socket = socket
    this.#log = log
    this.#macOf = macOf
    this.#sweeping = sweepMs > 0 ? setInterval(() => void this.sweep(), sweepMs).unref() : null
  }

  /** How many the kernel is known to hold. */
  get size(): number {
    return this.#held.size
  }

  /**
   * Index of the VXLAN device, 0 for none. What the kernel holds on a device that is new here is of an earlier daemon's
   * knowledge: pods may have moved since, and nothing told of it will be told again.
   */
  setLink(index: number): void {
    if (index === this.#link) return
    this.#link = index
    this.lost()
  }

  stop(): void {
    this.#link = 0
    this.#stopping.abort()
    if (this.#sweeping !== null) clearInterval(this.#sweeping)
  }

  /** These addresses now stand behind these MACs: existing neighbours get them, none is made. */
  push(entries: readonly (readonly [IPAddress, number])[]): void {
    const wrong = entries.filter(([address, mac]) => (this.#held.get(address) ?? mac) !== mac)
    if (wrong.length > 0) void this.#correct(wrong)
  }

  /** From the kernel: what a neighbour is now. */
  changed(neigh: Neigh, gone: boolean): void {
    const { index, dst, mac, state } = neigh
    if (index !== this.#link || dst === null) return
    if (gone || mac === null) {
      this.#held.delete(dst)
      return
    }
    this.#held.set(dst, mac)
    const right = this.#macOf(dst)
    // What a person has pinned is corrected when the address moves, not fought over.
    if (right !== null && right !== mac && (state & NUD_PERMANENT) === 0) void this.#correct([[dst, right]])
  }

  /** Notifications were lost: what there is has to be read. */
  lost(): void {
    this.#held.clear()
    this.#again = true
    if (!this.#reading) void this.#readAll()
  }

  async #readAll(): Promise<void> {
    this.#reading = true
    while (this.#again && this.#link !== 0) {
      this.#again = false
      if (await this.#read(this.#link)) continue
      this.#again = true
      await sleep(RETRY_MS, this.#stopping.signal).catch(() => undefined)
    }
    this.#reading = false
  }

  /** @returns false when it has to be tried again */
  async #read(index: number): Promise<boolean> {
    let neighbours: readonly Neigh[]
    try {
      neighbours = await this.#socket.neighbours({ index })
    } catch (error) {
      this.#log.warn({ err: error, operation: 'neigh show' }, KEPT)
      return false
    }
    // The other device is the next to be read.
    if (index !== this.#link) return true
    const wrong: (readonly [IPAddress, number])[] = []
    for (const { dst, mac } of neighbours) {
      // A notification that came meanwhile is newer.
      if (dst === null || mac === null || this.#held.has(dst)) continue
      this.#held.set(dst, mac)
      const right = this.#macOf(dst)
      if (right !== null && right !== mac) wrong.push([dst, right])
    }
    await this.#correct(wrong)
    return true
  }

  /** Equivalent to: `ip neigh change ADDRESS lladdr MAC dev LINK nud reachable` */
  async #correct(entries: readonly (readonly [IPAddress, number])[]): Promise<void> {
    const index = this.#link
    if (index === 0) return
    const requests = entries.map(([dst, mac]) => request.neighChange({ index, dst, mac, state: NUD_REACHABLE }))
    await this.#apply('neigh change', requests)
  }

  /**
   * Delete what has failed or gone stale.
   *
   * Equivalent to: `ip neigh flush dev LINK nud stale; ip neigh flush dev LINK nud failed`
   */
  async sweep(): Promise<void> {
    const index = this.#link
    if (index === 0) return
    try {
      const neighbours = await this.#socket.neighbours({ index })
      const dead = neighbours.filter(({ state }) => state === NUD_STALE || state === NUD_FAILED)
      await this.#apply(
        'neigh flush',
        dead.map(({ dst }) => request.neighDelete({ index, dst })),
      )
    } catch (error) {
      this.#log.warn({ err: error, operation: 'neigh show' }, KEPT)
    }
  }

  async #apply(operation: string, requests: readonly Request[]): Promise<void> {
    if (requests.length === 0) return
    try {
      const failure = (await this.#socket.apply(requests)).find((error) => error !== null && !isNotFound(error))
      if (failure) throw failure
    } catch (error) {
      this.#log.warn({ err: error, operation }, KEPT)
    }
  }
}
