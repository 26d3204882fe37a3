// The versioned store: every kind of object in a persistent sorted map, one counter for all, and the last changes in a ring.
//
// Each write takes the next value of the counter as the object's resourceVersion and is handed to the watches in that order.
// Objects are parsed JSON that nobody changes once stored; their serialized form is made once, on first use, and shared by
// every list and watch. An older version of a whole collection (for the next page of a list) is made by undoing the
// changes since, which the ring still knows; what it no longer knows is answered with 410 Expired.
import { expiredVersion } from './errors.ts'
import { History } from './history.ts'
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

const SNAPSHOTS = 16

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
  collectionAt(collection: string, version: number): Collection {
    if (version >= this.#version) return this.collection(collection)
    const id = `${collection}@${version}`
    const known = this.#snapshots.get(id)
    if (known !== undefined) {
      this.#snapshots.delete(id)
      this.#snapshots.set(id, known)
      return known
    }
    if (version < this.history.compacted) throw expiredVersion(version, this.history.compacted)
    let map = this.collection(collection)
    for (const change of this.history.backwards(version)) {
      if (change.collection !== collection) continue
      map =
        change.previous === undefined ? map.delete(change.current.key) : map.set(change.previous.key, change.previous)
    }
    this.#snapshots.set(id, map)
    for (const oldest of this.#snapshots.keys()) {
      if (this.#snapshots.size <= SNAPSHOTS) break
      this.#snapshots.delete(oldest)
    }
    return map
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
    for (const listener of this.#listeners.get(change.collection) ?? []) listener(change)
    for (const listener of this.#listeners.get('') ?? []) listener(change)
  }
}
