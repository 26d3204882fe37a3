// Which addresses of a CIDR cannot be picked: holes, and everything somebody holds. Two forms behind one face: a bitmap up
// to 2^20 addresses (128 KiB at most, lazily), runs beyond.
import { firstAddress, lastAddress, rangeSize, type IPAddress, type Prefix } from '../ip/index.ts'
import { Bitmap } from './bitmap.ts'
import { UsedRuns } from './runs.ts'

/** The largest CIDR that gets a bitmap. */
export const BITMAP_LIMIT = 1n << 20n

export interface FreeIndex {
  /** The address cannot be picked from now on. Idempotent. */
  block(address: IPAddress): void
  /** The address can be picked again. Idempotent. */
  unblock(address: IPAddress): void
  isBlocked(address: IPAddress): boolean
  /** The lowest address in [from, to] that can be picked, or null. Both must be inside the CIDR. */
  nextFree(from: IPAddress, to: IPAddress): IPAddress | null
}

class BitmapIndex implements FreeIndex {
  readonly #base: IPAddress
  readonly #bits: Bitmap

  constructor(base: IPAddress, size: number) {
    this.#base = base
    this.#bits = new Bitmap(size)
  }

  block(address: IPAddress): void {
    this.#bits.set(this.#offset(address))
  }

  unblock(address: IPAddress): void {
    this.#bits.clear(this.#offset(address))
  }

  isBlocked(address: IPAddress): boolean {
    return this.#bits.has(this.#offset(address))
  }

  nextFree(from: IPAddress, to: IPAddress): IPAddress | null {
    const offset = this.#bits.nextClear(this.#offset(from), this.#offset(to))
    if (offset < 0) return null
    return typeof this.#base === 'number' ? this.#base + offset : this.#base + BigInt(offset)
  }

  #offset(address: IPAddress): number {
    return typeof this.#base === 'number' ? Number(address) - this.#base : Number(BigInt(address) - this.#base)
  }
}

class RunIndex implements FreeIndex {
  readonly #runs = new UsedRuns()

  block(address: IPAddress): void {
    this.#runs.add(address)
  }

  unblock(address: IPAddress): void {
    this.#runs.delete(address)
  }

  isBlocked(address: IPAddress): boolean {
    return this.#runs.has(address)
  }

  nextFree(from: IPAddress, to: IPAddress): IPAddress | null {
    return this.#runs.nextFree(from, to)
  }
}

/** An index of the CIDR with nothing blocked. */
export function createFreeIndex(cidr: Prefix): FreeIndex {
  const size = rangeSize({ start: firstAddress(cidr), end: lastAddress(cidr) })
  return size <= BITMAP_LIMIT ? new BitmapIndex(firstAddress(cidr), Number(size)) : new RunIndex()
}
