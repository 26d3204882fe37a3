// A map from IP address to a small integer in a few typed arrays: what a node keeps of every remote pod.
//
// A Map with string keys costs some 150 bytes a pod, on every node, for every pod of the cluster. Here an IPv4 address costs
// 8 bytes and an IPv6 address 20, divided by the load (3/8 to 3/4): at most 22 and 54 bytes. Open addressing with linear
// probing; deletion shifts followers back, so there are no tombstones and look-ups stay short for ever.
import { fromBytes, toBytes, type IPAddress } from '../../ip/index.ts'

const INITIAL_SLOTS = 16
/** Stored values are shifted by one: a zero word marks an empty slot. */
const EMPTY = 0
/** The largest value the index can hold. */
export const MAX_VALUE = 0xffff_fffe

/** One family's table: `words` 32-bit words of key and one of value per slot. */
class Table {
  #slots: Uint32Array
  #capacity: number
  size = 0
  readonly #words: number
  readonly #stride: number

  constructor(words: number) {
    this.#words = words
    this.#stride = words + 1
    this.#capacity = INITIAL_SLOTS
    this.#slots = new Uint32Array(this.#capacity * this.#stride)
  }

  get bytes(): number {
    return this.#slots.byteLength
  }

  /** Where the key that begins at `from` belongs. Positions, not subarrays: one of those costs more than a look-up. */
  #home(key: Uint32Array, from: number): number {
    let hash = 0x811c_9dc5
    for (let word = 0; word < this.#words; word++) {
      hash = Math.imul(hash ^ (key[from + word] ?? 0), 0x9e37_79b1)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash, 0x85eb_ca6b)
    return ((hash ^ (hash >>> 13)) >>> 0) & (this.#capacity - 1)
  }

  /** The slot of the key that begins at `from`, or the empty slot where it would go. */
  #find(key: Uint32Array, from = 0): number {
    const mask = this.#capacity - 1
    for (let slot = this.#home(key, from); ; slot = (slot + 1) & mask) {
      const at = slot * this.#stride
      if (this.#slots[at + this.#words] === EMPTY) return slot
      let same = true
      for (let word = 0; word < this.#words && same; word++) same = this.#slots[at + word] === key[from + word]
      if (same) return slot
    }
  }

  get(key: Uint32Array): number | undefined {
    const stored = this.#slots[this.#find(key) * this.#stride + this.#words]
    return stored === undefined || stored === EMPTY ? undefined : stored - 1
  }

  set(key: Uint32Array, value: number): void {
    const at = this.#find(key) * this.#stride
    if (this.#slots[at + this.#words] === EMPTY) {
      this.#slots.set(key, at)
      this.size++
    }
    this.#slots[at + this.#words] = value + 1
    if (this.size * 4 > this.#capacity * 3) this.#resize(this.#capacity * 2)
  }

  delete(key: Uint32Array): boolean {
    const mask = this.#capacity - 1
    let hole = this.#find(key)
    if (this.#slots[hole * this.#stride + this.#words] === EMPTY) return false
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * this.#stride
      if (this.#slots[at + this.#words] === EMPTY) break
      const home = this.#home(this.#slots, at)
      // The entry may fill the hole only if its home does not lie between the hole and itself.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        this.#slots.copyWithin(hole * this.#stride, at, at + this.#stride)
        hole = slot
      }
    }
    this.#slots.fill(EMPTY, hole * this.#stride, (hole + 1) * this.#stride)
    this.size--
    if (this.#capacity > INITIAL_SLOTS && this.size * 8 < this.#capacity) this.#resize(this.#capacity / 2)
    return true
  }

  #resize(capacity: number): void {
    const old = this.#slots
    this.#capacity = capacity
    this.#slots = new Uint32Array(capacity * this.#stride)
    for (let at = 0; at < old.length; at += this.#stride) {
      if (old[at + this.#words] === EMPTY) continue
      const to = this.#find(old, at) * this.#stride
      for (let word = 0; word < this.#stride; word++) this.#slots[to + word] = old[at + word] ?? 0
    }
  }

  /** Each key, in a buffer that is the next one's as well, and its value. */
  *entries(): IterableIterator<[Uint32Array, number]> {
    const key = new Uint32Array(this.#words)
    for (let at = 0; at < this.#slots.length; at += this.#stride) {
      const stored = this.#slots[at + this.#words] ?? EMPTY
      if (stored === EMPTY) continue
      for (let word = 0; word < this.#words; word++) key[word] = this.#slots[at + word] ?? 0
      yield [key, stored - 1]
    }
  }
}

/** See the head of the file. Values are whole numbers from 0 to MAX_VALUE. */
export class AddressIndex {
  readonly #ipv4 = new Table(1)
  readonly #ipv6 = new Table(4)

  get size(): number {
    return this.#ipv4.size + this.#ipv6.size
  }

  /** Bytes held by the tables. */
  get bytes(): number {
    return this.#ipv4.bytes + this.#ipv6.bytes
  }

  get(address: IPAddress): number | undefined {
    return this.#table(address).get(keyOf(address))
  }

  /** @throws RangeError when the value is not a whole number from 0 to MAX_VALUE */
  set(address: IPAddress, value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > MAX_VALUE)
      throw new RangeError(`value ${value} is out of range`)
    this.#table(address).set(keyOf(address), value)
  }

  /** @returns whether the address was there */
  delete(address: IPAddress): boolean {
    return this.#table(address).delete(keyOf(address))
  }

  /** Every entry, in no order; the index must not change meanwhile. */
  *entries(): IterableIterator<[IPAddress, number]> {
    for (const [key, value] of this.#ipv4.entries()) yield [key[0] ?? 0, value]
    for (const [key, value] of this.#ipv6.entries()) yield [addressOf(key), value]
  }

  #table(address: IPAddress): Table {
    return typeof address === 'number' ? this.#ipv4 : this.#ipv6
  }
}

const key4 = new Uint32Array(1)
const key6 = new Uint32Array(4)

/** The words of an address, in a buffer shared by all calls: use before the next call. */
function keyOf(address: IPAddress): Uint32Array {
  if (typeof address === 'number') {
    key4[0] = address
    return key4
  }
  const bytes = toBytes(address)
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  for (let word = 0; word < 4; word++) key6[word] = view.getUint32(word * 4)
  return key6
}

function addressOf(key: Uint32Array): IPAddress {
  const view = new DataView(new ArrayBuffer(16))
  for (let word = 0; word < 4; word++) view.setUint32(word * 4, key[word] ?? 0)
  return fromBytes(new Uint8Array(view.buffer))
}
