// Heartbeats of very many nodes from one timer, spread evenly: node k of n beats k/n of an interval after the round began.
// A node whose last beat is still under way is skipped, so that a slow server is not buried; it beats again in the next round.

/** Between two looks at who is due; a share of the nodes beats in each, milliseconds. */
const TICK_MS = 50

export class Heartbeats {
  readonly #count: number
  readonly #intervalMs: number
  readonly #beat: (node: number) => Promise<void>
  readonly #underWay = new Map<number, Promise<void>>()
  #timer: NodeJS.Timeout | null = null
  #startedAt = 0
  /** Beats that have been due since the start. */
  #due = 0
  #skipped = 0

  /**
   * @param beat of node 0 to count - 1; must not reject
   * @param intervalMs between two beats of one node
   */
  constructor(count: number, intervalMs: number, beat: (node: number) => Promise<void>) {
    this.#count = count
    this.#intervalMs = intervalMs
    this.#beat = beat
  }

  /** Beats left out because the one before was not over. */
  get skipped(): number {
    return this.#skipped
  }

  start(): void {
    if (this.#timer !== null || this.#count === 0) return
    this.#startedAt = performance.now()
    this.#due = 0
    this.#timer = setInterval(() => this.#tick(), Math.min(TICK_MS, this.#intervalMs))
  }

  /** Resolves when no beat is under way any more. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    await Promise.all(this.#underWay.values())
  }

  #tick(): void {
    const rounds = (performance.now() - this.#startedAt) / this.#intervalMs
    const due = Math.floor(rounds * this.#count)
    // After a long stall nobody needs to catch up on more than one round.
    this.#due = Math.max(this.#due, due - this.#count)
    for (; this.#due < due; this.#due++) this.#one(this.#due % this.#count)
  }

  #one(node: number): void {
    if (this.#underWay.has(node)) {
      this.#skipped++
      return
    }
    this.#underWay.set(
      node,
      this.#beat(node).finally(() => this.#underWay.delete(node)),
    )
  }
}
