// The subnets of one family of one network, in order of their names, with the sticky pointer of manager.md §1.3: one subnet
// is used until it is full, then the next. Picking is a bitmap scan over "cannot serve" bits, whatever the number of
// subnets; the sums over all subnets are kept as their parts change.
import { Bitmap } from './bitmap.ts'
import type { Subnet } from './subnet.ts'

interface Part {
  readonly total: bigint
  readonly used: number
  readonly open: boolean
}

const NOTHING: Part = { total: 0n, used: 0, open: false }

export class FamilyPool {
  readonly #parts = new Map<Subnet, Part>()
  #order: Subnet[] = []
  #positions = new Map<Subnet, number>()
  #closed = new Bitmap(1)
  /** The order or membership changed since it was last laid out. */
  #stale = false
  /** Name of the subnet the pointer stands at; null as long as nothing ever moved it, which means the first. */
  #current: string | null
  #total = 0n
  #used = 0
  #openTotal = 0n
  #openUsed = 0

  constructor(current: string | null) {
    this.#current = current
  }

  get total(): bigint {
    return this.#total
  }

  get used(): number {
    return this.#used
  }

  /** Exact number of free addresses an unspecified request can get. */
  get openAvailable(): bigint {
    return this.#openTotal - BigInt(this.#openUsed)
  }

  /** Name of the subnet at the pointer; empty when there is none. */
  get current(): string {
    this.#layOut()
    return this.#order[this.#start()]?.name ?? ''
  }

  subnets(): readonly Subnet[] {
    this.#layOut()
    return this.#order
  }

  add(subnet: Subnet): void {
    this.#parts.set(subnet, NOTHING)
    this.#stale = true
    this.refresh(subnet)
  }

  remove(subnet: Subnet): void {
    const part = this.#parts.get(subnet)
    if (part === undefined) return
    this.#sum(part, NOTHING)
    this.#parts.delete(subnet)
    this.#stale = true
  }

  /** Takes over what changed in a member. O(1). */
  refresh(subnet: Subnet): void {
    const before = this.#parts.get(subnet)
    if (before === undefined) return
    const { config } = subnet
    const open = config.private !== true && config.draining !== true
    const after = { total: subnet.total, used: subnet.used, open }
    this.#sum(before, after)
    this.#parts.set(subnet, after)
    const position = this.#stale ? undefined : this.#positions.get(subnet)
    if (position !== undefined) this.#mark(position, subnet, open)
  }

  /**
   * The first subnet at or after the pointer, wrapping once, that is open, has a free address and that `accept` takes.
   * The pointer moves there; when there is none it stays.
   */
  pick(accept: (subnet: Subnet) => boolean): Subnet | null {
    const subnet = this.look(accept)
    if (subnet !== null) this.#current = subnet.name
    return subnet
  }

  /** What `pick` would give; the pointer stays. */
  look(accept: (subnet: Subnet) => boolean): Subnet | null {
    this.#layOut()
    const count = this.#order.length
    const start = this.#start()
    for (const [from, to] of [
      [start, count - 1],
      [0, start - 1],
    ] as const) {
      for (let at = this.#next(from, to); at >= 0; at = this.#next(at + 1, to)) {
        const subnet = this.#order[at]
        if (subnet !== undefined && accept(subnet)) return subnet
      }
    }
    return null
  }

  #next(from: number, to: number): number {
    return to < from ? -1 : this.#closed.nextClear(from, to)
  }

  #sum(before: Part, after: Part): void {
    this.#total += after.total - before.total
    this.#used += after.used - before.used
    this.#openTotal += (after.open ? after.total : 0n) - (before.open ? before.total : 0n)
    this.#openUsed += (after.open ? after.used : 0) - (before.open ? before.used : 0)
  }

  #mark(position: number, subnet: Subnet, open: boolean): void {
    if (open && subnet.hasFree) this.#closed.clear(position)
    else this.#closed.set(position)
  }

  /** Position of the pointer: the subnet of that name, or the one that follows where it was. */
  #start(): number {
    if (this.#current === null) return 0
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#order[middle] as Subnet).name < this.#current) low = middle + 1
      else high = middle
    }
    return low < this.#order.length ? low : 0
  }

  #layOut(): void {
    if (!this.#stale) return
    this.#stale = false
    this.#order = [...this.#parts.keys()].sort((a, b) => (a.name < b.name ? -1 : 1))
    this.#positions = new Map(this.#order.map((subnet, position) => [subnet, position]))
    this.#closed = new Bitmap(Math.max(1, this.#order.length))
    for (const [subnet, position] of this.#positions) {
      this.#mark(position, subnet, this.#parts.get(subnet)?.open ?? false)
    }
  }
}
