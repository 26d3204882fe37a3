// Deletes many links for the price of one. Each RTM_DELLINK waits for an RCU grace period (about 20 ms); links that are
// deleted while another deletion is under way are collected, put into one group, and deleted by a single message.
import { isNotFound, request, type Request, type RouteSocket } from '../../netlink/index.ts'

// "hybr" as a number. Nobody else uses it; a link only ever joins it to be deleted.
const doomedGroup = 0x68796272

interface Waiting {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Deletes links of one namespace by index; one that is gone already is success. */
export class LinkReaper {
  readonly #socket: Pick<RouteSocket, 'apply'>
  #waiting: Waiting[] = []
  #running = false

  constructor(socket: Pick<RouteSocket, 'apply'>) {
    this.#socket = socket
  }

  /**
   * Equivalent to: `ip link set dev INDEX group G; ip link delete group G`
   *
   * @throws NetlinkError
   */
  delete(index: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ index, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#deleteAll(batch)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#running = false
  }

  async #deleteAll(batch: readonly Waiting[]): Promise<void> {
    const requests: Request[] =
      batch.length === 1
        ? batch.map(({ index }) => request.linkDelete(index))
        : [
            ...batch.map(({ index }) => request.linkSet(index, { group: doomedGroup })),
            request.linkDelete({ group: doomedGroup }),
          ]
    const results = await this.#socket.apply(requests)
    const groupError = batch.length === 1 ? null : (results[batch.length] ?? null)
    // Without a member the group is not found.
    const common = groupError === null || isNotFound(groupError) ? null : groupError
    batch.forEach(({ resolve, reject }, i) => {
      const error = results[i] ?? null
      if (error !== null && !isNotFound(error)) reject(error)
      else if (error === null && common !== null) reject(common)
      else resolve()
    })
  }
}
