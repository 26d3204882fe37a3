// The simulated API server's memory: objects of all kinds under one counter of versions, and what changed, for watches and
// for lists of an earlier moment.
import type { KubeObject } from '../../../lib/kube/index.ts'

export interface Stored {
  readonly object: KubeObject
  /** The object as JSON. */
  readonly text: string
}

export interface Change {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  /** Plural of the kind. */
  readonly kind: string
  readonly key: string
  readonly before: Stored | null
  /** What a watch shows; of a deletion the last state. */
  readonly shown: Stored
  /** Who did it. */
  readonly by: string
}

export class Store {
  version = 1000
  readonly #kinds = new Map<string, Map<string, Stored>>()
  /** Changes by kind, in order. */
  readonly #changes = new Map<string, Change[]>()
  /** Watches from before this version are refused. */
  #compacted = 0
  readonly #listeners: ((change: Change) => void)[] = []
  #uids = 0

  get compacted(): number {
    return this.#compacted
  }

  onChange(listener: (change: Change) => void): void {
    this.#listeners.push(listener)
  }

  newUid(): string {
    return `uid-${++this.#uids}`
  }

  get<T = KubeObject>(kind: string, key: string): T | undefined {
    return this.#kinds.get(kind)?.get(key)?.object as T | undefined
  }

  stored(kind: string, key: string): Stored | undefined {
    return this.#kinds.get(kind)?.get(key)
  }

  /** In order of their keys, as the real server lists. */
  list<T = KubeObject>(kind: string): T[] {
    return this.entries(kind).map(([, { object }]) => object as T)
  }

  entries(kind: string): [string, Stored][] {
    return [...(this.#kinds.get(kind) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** The objects of a kind as they were at a version not compacted away. */
  entriesAt(kind: string, version: number): [string, Stored][] {
    const then = new Map<string, Stored>(this.#kinds.get(kind) ?? [])
    for (const change of (this.#changes.get(kind) ?? []).toReversed()) {
      if (change.version <= version) break
      if (change.before === null) then.delete(change.key)
      else then.set(change.key, change.before)
    }
    return [...then].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Changes of a kind after a version. */
  since(kind: string, version: number): Change[] {
    return (this.#changes.get(kind) ?? []).filter((change) => change.version > version)
  }

  /** Forgets what happened before, as etcd's compaction does. */
  compact(): void {
    this.#compacted = this.version
    this.#changes.clear()
  }

  /** Stores an object as it is, with a new version. */
  put(kind: string, key: string, object: KubeObject, by: string): Stored {
    const before = this.stored(kind, key) ?? null
    const stored = this.#stamp(object)
    let objects = this.#kinds.get(kind)
    if (objects === undefined) this.#kinds.set(kind, (objects = new Map<string, Stored>()))
    objects.set(key, stored)
    this.#tell({ type: before === null ? 'ADDED' : 'MODIFIED', kind, key, before, shown: stored, by })
    return stored
  }

  remove(kind: string, key: string, by: string): void {
    const before = this.stored(kind, key)
    if (before === undefined) return
    this.#kinds.get(kind)?.delete(key)
    this.#tell({ type: 'DELETED', kind, key, before, shown: this.#stamp(before.object), by })
  }

  #stamp(object: KubeObject): Stored {
    this.version++
    const stamped = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.version) } }
    return { object: stamped, text: JSON.stringify(stamped) }
  }

  #tell(fields: Omit<Change, 'version'>): void {
    const change: Change = { version: this.version, ...fields }
    const changes = this.#changes.get(change.kind)
    if (changes === undefined) this.#changes.set(change.kind, [change])
    else changes.push(change)
    for (const listener of this.#listeners) listener(change)
  }
}
