// Objects of a dump, built while the kernel still writes it: the native thread hands over pieces of packed records, and each
// turn of the event loop unpacks a slice of them. Building objects takes about as long as the dump itself; side by side the
// two cost the longer of them.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { wordView, type WordView } from './words.ts'

/** Records unpacked between two turns of the event loop: about 1 ms. */
const SLICE = 2048

/** How a class's records become objects. */
export interface Unpacker<T> {
  /** Words of a record. */
  readonly stride: number
  readonly unpack: (view: WordView, at: number) => T
  /** Records the object at `at` takes; absent: one each. */
  readonly slots?: (words: Uint32Array, at: number) => number
}

export class ObjectReader<T> {
  readonly #unpacker: Unpacker<T>
  #objects: T[] = []
  #pieces: Uint32Array[] = []
  #working: Promise<void> | null = null
  #failure: Error | null = null

  constructor(unpacker: Unpacker<T>) {
    this.#unpacker = unpacker
  }

  /** The next piece; null voids all before it. */
  readonly take = (piece: Uint32Array | null): void => {
    if (piece === null) {
      this.#objects = []
      this.#pieces = []
      return
    }
    this.#pieces.push(piece)
    this.#working ??= this.#work()
  }

  /** All objects, once what was taken is unpacked. */
  async finish(last: Uint32Array): Promise<T[]> {
    this.take(last)
    while (this.#working !== null) await this.#working
    if (this.#failure !== null) throw this.#failure
    return this.#objects
  }

  async #work(): Promise<void> {
    try {
      for (let piece = this.#pieces.shift(); piece !== undefined; piece = this.#pieces.shift()) {
        await this.#unpackPiece(piece)
        if (this.#pieces.length > 0) await nextTurn()
      }
    } catch (error) {
      // finish() reports it; nobody awaits this promise before.
      this.#failure = error instanceof Error ? error : new Error(String(error))
    } finally {
      this.#working = null
    }
  }

  async #unpackPiece(words: Uint32Array): Promise<void> {
    const view = wordView(words)
    const objects = this.#objects
    const slice = SLICE * this.#unpacker.stride
    for (let at = 0; at < words.length;) {
      if (at > 0) await nextTurn()
      // Started anew meanwhile: the rest of this piece is void too.
      if (objects !== this.#objects) return
      at = unpackSlice(view, at, Math.min(words.length, at + slice), this.#unpacker, objects)
    }
  }
}

/** @returns where the next slice starts */
function unpackSlice<T>(view: WordView, start: number, end: number, unpacker: Unpacker<T>, objects: T[]): number {
  const { stride, unpack, slots } = unpacker
  let at = start
  while (at < end) {
    objects.push(unpack(view, at))
    at += slots === undefined ? stride : stride * slots(view.words, at)
  }
  return at
}
