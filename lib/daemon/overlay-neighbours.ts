// The neighbours the kernel holds on the VXLAN device. The resolver makes them; here they are corrected when an address moves
// behind another MAC, and swept when they are dead. The resolver answers only when it is asked, which for a live entry
// happens after it has aged (about ten seconds, spec/dataplane §3.6).
import type { IPAddress } from '../ip/index.ts'
import {
  isNotFound,
  NUD_FAILED,
  NUD_REACHABLE,
  NUD_STALE,
  request,
  type Request,
  type RouteSocket,
} from '../netlink/index.ts'
import type { Logger } from '../telemetry/log.ts'

/** With more entries than this, a dump of what the kernel holds is cheaper than telling it of each. */
const DUMP_ABOVE = 64

export class OverlayNeighbours {
  readonly #socket: RouteSocket
  readonly #log: Logger
  readonly #macOf: (address: IPAddress) => number | null
  readonly #sweeping: NodeJS.Timeout | null
  #link = 0
  #correcting: Promise<void> | null = null
  /** Something changed while the dump was under way. */
  #again = false

  /**
   * @param sweepMs between sweeps, 0 for none
   * @param macOf what an address resolves to now; null for nothing known
   */
  constructor(socket: RouteSocket, log: Logger, sweepMs: number, macOf: (address: IPAddress) => number | null) {
    this.#socket = socket
    this.#log = log
    this.#macOf = macOf
    this.#sweeping = sweepMs > 0 ? setInterval(() => void this.sweep(), sweepMs).unref() : null
  }

  /**
   * Index of the VXLAN device, 0 for none. What the kernel holds on a device that is new here is of an earlier daemon's
   * knowledge: pods may have moved since, and nothing told of it will be told again.
   */
  setLink(index: number): void {
    if (index === this.#link) return
    this.#link = index
    if (index !== 0) void this.#correctAll()
  }

  stop(): void {
    if (this.#sweeping !== null) clearInterval(this.#sweeping)
  }

  /**
   * Give existing neighbours of these addresses their new MAC; addresses without one are left alone. Of many entries (a
   * start, a node that changed) those that concern the kernel are found by one dump of the device's neighbours, however
   * many such calls come close together.
   *
   * Equivalent to: `ip neigh change ADDRESS lladdr MAC dev LINK nud reachable`
   */
  async push(entries: readonly (readonly [IPAddress, number])[]): Promise<void> {
    const index = this.#link
    if (index === 0) return
    if (entries.length > DUMP_ABOVE) return this.#correctAll()
    await this.#carryOut('neigh change', () =>
      Promise.resolve(entries.map(([dst, mac]) => request.neighChange({ index, dst, mac, state: NUD_REACHABLE }))),
    )
  }

  /** Give every neighbour of the device that leads elsewhere the MAC that is right now; resolves when that is done. */
  #correctAll(): Promise<void> {
    this.#again = true
    this.#correcting ??= (async () => {
      while (this.#again && this.#link !== 0) {
        this.#again = false
        await this.#correct(this.#link)
      }
      this.#correcting = null
    })()
    return this.#correcting
  }

  async #correct(index: number): Promise<void> {
    await this.#carryOut('neigh change', async () => {
      const neighbours = await this.#socket.neighbours({ index })
      return neighbours.flatMap(({ dst, mac }) => {
        const right = dst === null || mac === null ? null : this.#macOf(dst)
        if (right === null || right === mac) return []
        return [request.neighChange({ index, dst, mac: right, state: NUD_REACHABLE })]
      })
    })
  }

  /**
   * Delete what has failed or gone stale.
   *
   * Equivalent to: `ip neigh flush dev LINK nud stale; ip neigh flush dev LINK nud failed`
   */
  async sweep(): Promise<void> {
    const index = this.#link
    if (index === 0) return
    await this.#carryOut('neigh flush', async () => {
      const neighbours = await this.#socket.neighbours({ index })
      const dead = neighbours.filter(({ state }) => state === NUD_STALE || state === NUD_FAILED)
      return dead.map(({ dst }) => request.neighDelete({ index, dst }))
    })
  }

  async #carryOut(operation: string, requests: () => Promise<Request[]>): Promise<void> {
    try {
      const failure = (await this.#socket.apply(await requests())).find((error) => error !== null && !isNotFound(error))
      if (failure) throw failure
    } catch (error) {
      this.#log.warn({ err: error, operation }, 'neighbours on the overlay keep their state until they age')
    }
  }
}
