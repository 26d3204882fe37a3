// Desired state: who asks for which record. Pure data structure.
//
// A contributor (a pod address, a tunnel endpoint, all subnets, the node) owns a set of records and replaces it as a
// whole; only the keys that differ are reported, so an event costs what its contributor's records cost. Several may ask
// for the same key. They nearly always ask for the same thing; when not, the contributor that sorts first wins, so that
// the result depends on who asks and never on the order in which they came.
import { keyOf, linksOf, sameRecord, type DataplaneRecord } from './state.ts'

export interface DesiredEntry {
  readonly record: DataplaneRecord
  /** Who asks for it: "pod default/web-0", "subnets", ... */
  readonly contributor: string
}

/** A key whose wanted record appeared (old null), changed, or is wanted no longer (now null). */
export interface DesiredChange {
  readonly key: string
  readonly old: DataplaneRecord | null
  readonly now: DataplaneRecord | null
}

export class DesiredStore {
  readonly #contributions = new Map<string, Map<string, DataplaneRecord>>()
  /** Every contributor of a key, only where there are several. */
  readonly #shared = new Map<string, Set<string>>()
  readonly #entries = new Map<string, DesiredEntry>()
  readonly #byLink = new Map<string, Set<string>>()
  readonly #conflicts = new Set<string>()

  get size(): number {
    return this.#entries.size
  }

  get(key: string): DesiredEntry | undefined {
    return this.#entries.get(key)
  }

  entries(): Iterable<readonly [string, DesiredEntry]> {
    return this.#entries
  }

  contributors(): Iterable<string> {
    return this.#contributions.keys()
  }

  /** Keys the contributor asks for. */
  keysOf(contributor: string): Iterable<string> {
    return this.#contributions.get(contributor)?.keys() ?? []
  }

  /** Keys of records that need the device. */
  keysOnLink(name: string): Iterable<string> {
    return this.#byLink.get(name) ?? []
  }

  /** Keys for which contributors ask for different things. */
  conflicts(): readonly string[] {
    return [...this.#conflicts].sort()
  }

  /** Replaces what the contributor asks for; an empty list removes it. */
  set(contributor: string, records: readonly DataplaneRecord[]): DesiredChange[] {
    const old = this.#contributions.get(contributor)
    const now = new Map<string, DataplaneRecord>()
    for (const record of records) now.set(keyOf(record), record)
    if (now.size === 0) this.#contributions.delete(contributor)
    else this.#contributions.set(contributor, now)
    const changes: DesiredChange[] = []
    for (const [key, record] of now) {
      const before = old?.get(key)
      if (before !== undefined && sameRecord(before, record)) {
        now.set(key, before)
        continue
      }
      if (before === undefined) this.#claim(key, contributor)
      this.#resolve(key, contributor, changes)
    }
    if (old !== undefined) {
      for (const key of old.keys()) {
        if (now.has(key)) continue
        this.#release(key, contributor)
        this.#resolve(key, null, changes)
      }
    }
    return changes
  }

  #claim(key: string, contributor: string): void {
    const shared = this.#shared.get(key)
    if (shared !== undefined) {
      shared.add(contributor)
      return
    }
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#shared.set(key, new Set([entry.contributor, contributor]))
  }

  #release(key: string, contributor: string): void {
    const shared = this.#shared.get(key)
    if (shared === undefined) return
    shared.delete(contributor)
  }

  /** Decides the key anew. `only` is its contributor when nobody shares the key. */
  #resolve(key: string, only: string | null, changes: DesiredChange[]): void {
    const shared = this.#shared.get(key)
    const names = shared === undefined ? (only === null ? [] : [only]) : [...shared].sort()
    if (shared !== undefined && shared.size < 2) this.#shared.delete(key)
    const [winner] = names
    const record = winner === undefined ? undefined : this.#contributions.get(winner)?.get(key)
    const conflict =
      record !== undefined &&
      names.some((name) => !sameRecord(record, this.#contributions.get(name)?.get(key) ?? record))
    if (conflict) this.#conflicts.add(key)
    else this.#conflicts.delete(key)
    const before = this.#entries.get(key)
    if (winner === undefined || record === undefined) {
      if (before === undefined) return
      this.#entries.delete(key)
      this.#index(key, before.record, null)
      changes.push({ key, old: before.record, now: null })
      return
    }
    this.#entries.set(key, { record, contributor: winner })
    if (before !== undefined && sameRecord(before.record, record)) return
    this.#index(key, before?.record ?? null, record)
    changes.push({ key, old: before?.record ?? null, now: record })
  }

  #index(key: string, old: DataplaneRecord | null, now: DataplaneRecord | null): void {
    for (const link of old === null ? [] : linksOf(old)) {
      const keys = this.#byLink.get(link)
      keys?.delete(key)
      if (keys?.size === 0) this.#byLink.delete(link)
    }
    for (const link of now === null ? [] : linksOf(now)) {
      const keys = this.#byLink.get(link)
      if (keys === undefined) this.#byLink.set(link, new Set([key]))
      else keys.add(key)
    }
  }
}
