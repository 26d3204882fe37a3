// The local copy of a set of objects: a map by key and any number of named indexes. What is kept per object is what the
// informer's projection returned plus one small entry (key, resource version, value); an index costs one map entry per
// value, and a set only for values shared by several objects.

/** The values under which an index finds an object; must depend on nothing but its arguments. */
export type IndexFunction<T> = (object: T, key: string) => readonly string[]

/** Read access. Objects must not be modified: they are shared by all readers. */
export interface Store<T> {
  readonly size: number
  /** By `namespace/name`, or `name` for cluster-scoped kinds. */
  get(key: string): T | undefined
  has(key: string): boolean
  keys(): IterableIterator<string>
  values(): IterableIterator<T>
  /** A new array of all objects. */
  list(): T[]
  /** The objects an index has under a value, in no particular order. @throws RangeError for an unknown index */
  byIndex(name: string, value: string): T[]
  keysByIndex(name: string, value: string): string[]
  /** The values an index has objects under. */
  indexValues(name: string): IterableIterator<string>
}

/** What is kept of an object. */
export interface Entry<T> {
  readonly resourceVersion: string
  /** Which incarnation of the name it is; '' when the server did not say. */
  readonly uid: string
  readonly value: T
}

/** One index: value → key, or → keys when there are several. */
type IndexMap = Map<string, string | Set<string>>

interface Index<T> {
  readonly name: string
  readonly of: IndexFunction<T>
  readonly map: IndexMap
}

export class MutableStore<T> implements Store<T> {
  readonly #entries = new Map<string, Entry<T>>()
  readonly #indexes: readonly Index<T>[]

  constructor(indexes: Readonly<Record<string, IndexFunction<T>>> = {}) {
    this.#indexes = Object.entries(indexes).map(([name, of]) => ({ name, of, map: new Map() }))
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys()
  }

  *values(): IterableIterator<T> {
    for (const entry of this.#entries.values()) yield entry.value
  }

  list(): T[] {
    return Array.from(this.#entries.values(), (entry) => entry.value)
  }

  byIndex(name: string, value: string): T[] {
    const objects: T[] = []
    for (const key of this.keysByIndex(name, value)) {
      const entry = this.#entries.get(key)
      if (entry) objects.push(entry.value)
    }
    return objects
  }

  keysByIndex(name: string, value: string): string[] {
    const keys = this.#index(name).get(value)
    if (keys === undefined) return []
    return typeof keys === 'string' ? [keys] : [...keys]
  }

  indexValues(name: string): IterableIterator<string> {
    return this.#index(name).keys()
  }

  entry(key: string): Entry<T> | undefined {
    return this.#entries.get(key)
  }

  /**
   * Store an object under a key. When an index function throws on it, nothing has changed.
   *
   * @returns the entry it replaces
   */
  put(key: string, entry: Entry<T>): Entry<T> | undefined {
    const old = this.#entries.get(key)
    const changes = this.#indexes.map((index) => ({
      map: index.map,
      before: old === undefined ? [] : valuesOf(index, old.value, key),
      after: index.of(entry.value, key),
    }))
    this.#entries.set(key, entry)
    for (const { map, before, after } of changes) {
      for (const value of before) if (!after.includes(value)) removeKey(map, value, key)
      for (const value of after) addKey(map, value, key)
    }
    return old
  }

  /** @returns the entry removed */
  remove(key: string): Entry<T> | undefined {
    const old = this.#entries.get(key)
    if (old === undefined) return undefined
    const changes = this.#indexes.map((index) => ({ map: index.map, values: valuesOf(index, old.value, key) }))
    this.#entries.delete(key)
    for (const { map, values } of changes) for (const value of values) removeKey(map, value, key)
    return old
  }

  #index(name: string): IndexMap {
    const index = this.#indexes.find((candidate) => candidate.name === name)
    if (!index) {
      const known = this.#indexes.map((candidate) => candidate.name).join(', ')
      throw new RangeError(`no index '${name}' in this store, it has: ${known || 'none'}`)
    }
    return index.map
  }
}

/** Where an index has an object that is in the store. */
function valuesOf<T>(index: Index<T>, object: T, key: string): readonly string[] {
  try {
    return index.of(object, key)
  } catch (error) {
    // It did not throw when the object was stored: somebody has modified it since. It has to be found nevertheless.
    if (!(error instanceof Error)) throw error
    return [...index.map]
      .filter(([, keys]) => (typeof keys === 'string' ? keys === key : keys.has(key)))
      .map(([v]) => v)
  }
}

function addKey(map: IndexMap, value: string, key: string): void {
  const keys = map.get(value)
  if (keys === undefined) map.set(value, key)
  else if (typeof keys !== 'string') keys.add(key)
  else if (keys !== key) map.set(value, new Set([keys, key]))
}

function removeKey(map: IndexMap, value: string, key: string): void {
  const keys = map.get(value)
  if (keys === key) map.delete(value)
  else if (keys instanceof Set) {
    keys.delete(key)
    if (keys.size === 1) for (const last of keys) map.set(value, last)
  }
}
