// What has to be looked at in the next flush, and why. A plain collection; the engine empties it.
import type { Family } from '../../ip/index.ts'
import type { DirtyKeys } from '../diff.ts'
import { keyOf, type DataplaneRecord } from '../state.ts'
import type { DesiredChange } from '../store.ts'

export class Work {
  readonly #records = new Map<string, DataplaneRecord>()
  readonly #released = new Set<string>()
  readonly #ruleFamilies = new Set<Family>()
  readonly #wished = new Set<string>()
  /** Everything is to be compared. */
  full = false

  get empty(): boolean {
    return !this.full && this.#records.size === 0 && this.#ruleFamilies.size === 0
  }

  /** The wish for a key changed. Set elements are not kept here. */
  wish({ key, old, now }: DesiredChange): void {
    const record = now ?? old
    if (record === null || record.kind === 'element') return
    this.#wished.add(key)
    if (now === null) this.#released.add(key)
    else this.#released.delete(key)
    if (record.kind === 'rule') this.#ruleFamilies.add(record.family)
    else this.#records.set(key, record)
  }

  /** The kernel's side of a record may have changed. */
  look(record: DataplaneRecord): void {
    if (record.kind === 'rule') this.#ruleFamilies.add(record.family)
    else if (record.kind !== 'element') {
      const key = keyOf(record)
      if (!this.#records.has(key)) this.#records.set(key, record)
    }
  }

  lookAtRules(family: Family): void {
    this.#ruleFamilies.add(family)
  }

  /** Empties the collection. */
  take(): { dirty: DirtyKeys; wished: ReadonlySet<string>; full: boolean } {
    const taken = {
      dirty: {
        records: new Map(this.#records),
        released: new Set(this.#released),
        ruleFamilies: new Set(this.#ruleFamilies),
      },
      wished: new Set(this.#wished),
      full: this.full,
    }
    this.#records.clear()
    this.#released.clear()
    this.#ruleFamilies.clear()
    this.#wished.clear()
    this.full = false
    return taken
  }
}
