// A map from addresses to values in blocks of 64 neighbours. A plain Map would do but for one thing: V8 keeps a deleted entry
// in its hash chain until the table is rebuilt, so the few free addresses of a nearly full subnet, taken and given back
// in turn, grow chains of thousands, and a look-up costs hundreds of microseconds. Here that churn happens in arrays.
import type { IPAddress } from '../ip/index.ts'

const BITS = 6
const SIZE = 1 << BITS
/** Empty blocks kept for reuse before they are swept, unless they are the lesser part. */
const SPARE = 64

interface Block<T> {
  readonly slots: (T | undefined)[]
  used: number
}

function blockOf(address: IPAddress): IPAddress {
  return typeof address === 'number' ? address >>> BITS : address >> 6n
}

function slotOf(address: IPAddress): number {
  return typeof address === 'number' ? address & (SIZE - 1) : Number(address & 63n)
}

/** Of one family: the blocks of an IPv4 and an IPv6 address never meet. */
export class AddressMap<T extends object> {
  readonly #blocks = new Map<IPAddress, Block<T>>()
  #size = 0
  #empty = 0

  get size(): number {
    return this.#size
  }

  get(address: IPAddress): T | undefined {
    return this.#blocks.get(blockOf(address))?.slots[slotOf(address)]
  }

  set(address: IPAddress, value: T): void {
    const key = blockOf(address)
    let block = this.#blocks.get(key)
    if (block === undefined) {
      block = { slots: new Array<T | undefined>(SIZE).fill(undefined), used: 0 }
      this.#blocks.set(key, block)
      this.#empty++
    }
    const slot = slotOf(address)
    if (block.slots[slot] === undefined) {
      if (block.used++ === 0) this.#empty--
      this.#size++
    }
    block.slots[slot] = value
  }

  delete(address: IPAddress): boolean {
    const block = this.#blocks.get(blockOf(address))
    const slot = slotOf(address)
    if (block?.slots[slot] === undefined) return false
    block.slots[slot] = undefined
    this.#size--
    if (--block.used === 0 && ++this.#empty > SPARE && this.#empty * 2 > this.#blocks.size) this.#sweep()
    return true
  }

  /** By block in order of first use, within a block by address. */
  *values(): IterableIterator<T> {
    for (const { slots, used } of this.#blocks.values()) {
      if (used === 0) continue
      for (const value of slots) if (value !== undefined) yield value
    }
  }

  #sweep(): void {
    for (const [key, block] of this.#blocks) if (block.used === 0) this.#blocks.delete(key)
    this.#empty = 0
  }
}
