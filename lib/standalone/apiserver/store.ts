// The versioned store: every kind of object in a persistent sorted map, one counter for all, and the last changes in a ring.
//
// Each write takes the next value of the counter as the object's resourceVersion and is handed to the watches in that order.
// Objects are parsed JSON that nobody changes once stored; their serialized form is made once, on first use, and shared by
// every list and watch. An older version of a whole collection (for the next page of a list) is made by undoing the
// changes since, which the ring still knows; what it no longer knows is answered with 410 Expired.
import { expiredVersion, tooLargeVersion } from './errors.ts'
import { History } from './history.ts'
import { Pace } from './pace.ts'
import { SortedMap } from './sorted.ts'
import type { KubeObject } from './types.ts'

/** One version of one object. */
export class Stored {
  readonly key: string
  readonly object: KubeObject
  readonly version: number
  #json: Buffer | undefined

  constructor(key: string, object: KubeObject, version: number) {
    this.key = key
    this.object = object
    this.version = version
  }

  /** The object as UTF-8 JSON. */
  get json(): Buffer {
    return (this.#json ??= Buffer.from(JSON.stringify(this.object)))
  }
}

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** One change of one object; `current` of a DELETED is the object as it was, with the version of the deletion. */
export interface Change {
  readonly version: number
  readonly collection: string
  readonly type: ChangeType
  readonly current: Stored
  readonly previous: Stored | undefined
}

export type Collection = SortedMap<Stored>

/** `namespace/name` or `name`; also the order of lists. */
export function objectKey(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}

export interface StoreOptions {
  /** Changes kept. */
  readonly historySize: number
}

/** Old versions kept; they share all but the changed parts. */
const SNAPSHOTS = 64

export class Store {
  readonly history: History
  readonly #collections = new Map<string, Collection>()
  readonly #listeners = new Map<string, Set<(change: Change) => void>>()
  /** Recently made old versions: a paged list asks for the same one again and again. */
  readonly #snapshots = new Map<string, Collection>()
  #version = 1

  constructor(options: StoreOptions) {
    this.history = new History(options.historySize)
  }

  /** The version of the last write. */
  get version(): number {
    return this.#version
  }

  /** All objects of a kind now. `collection` is `group/plural`. */
  collection(collection: string): Collection {
    return this.#collections.get(collection) ?? SortedMap.empty<Stored>()
  }

  collections(): IterableIterator<string> {
    return this.#collections.keys()
  }

  get(collection: string, key: string): Stored | undefined {
    return this.#collections.get(collection)?.get(key)
  }

  /**
   * All objects of a kind as they were at `version`.
   *
   * @throws StatusError 410 when that is longer ago than the ring remembers
   */
  async collectionAt(collection: string, version: number): Promise<Collection> {
    if (version >= this.#version) return this.collection(collection)
    const id = `${collection}@${version}`
    const known = this.#snapshots.get(id)
    if (known !== undefined) {
      this.#keep(id, known)
      return known
    }
    if (version < this.history.compacted) throw expiredVersion(version, this.history.compacted)
    let map = this.collection(collection)
    // Taken at once: the ring goes on while this works. Of several changes of an object only the oldest counts.
    const before = new Map<string, Stored | undefined>()
    for (const { collection: where, current, previous } of this.history.backwards(version)) {
      if (where === collection) before.set(current.key, previous)
    }
    const pace = new Pace()
    try {
      for (const [key, previous] of before) {
        map = previous === undefined ? map.delete(key) : map.set(key, previous)
        if (pace.due()) await pace.breathe()
      }
    } finally {
      pace.done()
    }
    this.#keep(id, map)
    return map
  }

  /** Keep what a collection is now for {@link collectionAt}: its next page is about to be asked for. */
  remember(collection: string): void {
    this.#keep(`${collection}@${this.#version}`, this.collection(collection))
  }

  #keep(id: string, map: Collection): void {
    this.#snapshots.delete(id)
    this.#snapshots.set(id, map)
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size <= SNAPSHOTS) break
      this.#snapshots.delete(oldest)
    }
  }

  /** Create or replace; sets metadata.resourceVersion of `object`, which the store owns from then on. */
  put(collection: string, key: string, object: KubeObject): Stored {
    const map = this.collection(collection)
    const previous = map.get(key)
    const version = ++this.#version
    object.metadata.resourceVersion = String(version)
    const current = new Stored(key, object, version)
    this.#collections.set(collection, map.set(key, current))
    this.#record({ version, collection, type: previous === undefined ? 'ADDED' : 'MODIFIED', current, previous })
    return current
  }

  /** Remove; returns the last state carrying the version of the removal, or undefined when there was nothing. */
  remove(collection: string, key: string): Stored | undefined {
    const map = this.collection(collection)
    const previous = map.get(key)
    if (previous === undefined) return undefined
    const version = ++this.#version
    const object = { ...previous.object, metadata: { ...previous.object.metadata, resourceVersion: String(version) } }
    const current = new Stored(key, object, version)
    this.#collections.set(collection, map.delete(key))
    this.#record({ version, collection, type: 'DELETED', current, previous })
    return current
  }

  /**
   * Take over what an earlier life of the store left; the history before is forgotten. Subscribers of all collections hear of
   * each object as ADDED, with the version it had.
   */
  restore(version: number, collections: Iterable<readonly [string, Iterable<readonly [string, KubeObject]>]>): void {
    for (const [collection, objects] of collections) {
      for (const [key, object] of objects) {
        const current = new Stored(key, object, Number(object.metadata.resourceVersion))
        this.#collections.set(collection, this.collection(collection).set(key, current))
        this.#tell({ version: current.version, collection, type: 'ADDED', current, previous: undefined })
      }
    }
    this.#version = version
    this.history.reset(version)
  }

  /**
   * Go back: to `version`, which the ring must remember, or (null) to nothing at all. The counter goes back too and the
   * history is forgotten, as when a cluster is restored from a backup. Subscribers of all collections hear what that changes.
   *
   * @throws StatusError 410 when the version is longer ago than the ring remembers, 504 for one that never was
   */
  async rewind(version: number | null): Promise<void> {
    if (version !== null && version > this.#version) throw tooLargeVersion(version, this.#version)
    const targets = new Map<string, Collection>()
    for (const name of this.collections()) {
      targets.set(name, version === null ? SortedMap.empty() : await this.collectionAt(name, version))
    }
    const before = new Map(this.#collections)
    this.#version = version ?? 1
    this.history.reset(this.#version)
    this.#snapshots.clear()
    for (const [collection, target] of targets) {
      const old = before.get(collection) ?? SortedMap.empty<Stored>()
      this.#collections.set(collection, target)
      for (const [key, current] of old.entries()) {
        if (target.get(key) !== undefined) continue
        this.#tell({ version: this.#version, collection, type: 'DELETED', current, previous: current })
      }
      for (const [key, current] of target.entries()) {
        const previous = old.get(key)
        if (previous === current) continue
        const type = previous === undefined ? 'ADDED' : 'MODIFIED'
        this.#tell({ version: this.#version, collection, type, current, previous })
      }
    }
  }

  /** Hear of every change of a collection, in order, at once. Returns what ends it. */
  subscribe(collection: string, listener: (change: Change) => void): () => void {
    let listeners = this.#listeners.get(collection)
    if (listeners === undefined) this.#listeners.set(collection, (listeners = new Set()))
    const own = listeners
    own.add(listener)
    return () => own.delete(listener)
  }

  /** Forget the changes up to and including `version`; watches from before it get 410. For tests of clients. */
  compact(version = this.#version): void {
    this.history.compact(version)
    this.#snapshots.clear()
  }

  #record(change: Change): void {
    this.history.push(change)
    this.#tell(change)
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners.get(change.collection) ?? []) listener(change)
    for (const listener of this.#listeners.get('') ?? []) listener(change)
  }
}
