// A local, indexed, always current copy of the objects of one kind, and a stream of changes to it.
//
// Guarantees: the store is changed before handlers hear of it; per key, events form added (modified)* deleted, and all of
// such a sequence are about one object: a name deleted and created again unseen is told as deleted and added (client-go
// says modified), with no turn of the event loop in between; after a re-list the vanished objects are deleted first (an address freed and given to another pod
// meanwhile is never held twice), then what is not the same as before is told. Events older than what the store has of an
// object are left out. Handlers run
// synchronously and must be quick (put a key into a WorkQueue); one that throws is logged and disturbs no other. One object
// that cannot be projected or indexed is logged, counted and left as it was.
//
// A server that has gone back in time (restored from a backup, or replaced by an empty one) may not yet have what we know. With
// `rewindHoldMs` what its list lacks is kept for that long, as it was, unless the server tells of it; then it is deleted, but
// only on the word of a view that is current: neither in the middle of a list nor while no watch is open. An object that a list
// shows older than it was seen says the same of the server, though the list's own version may be newer (etcd restored with its
// revision bumped).
//
// It does not write, does not resync periodically, and keeps nothing of an object but what `project` returns.
import { isDeepStrictEqual } from 'node:util'
import { longLivedAbort } from './abort.ts'
import type { Logger } from '../telemetry/log.ts'
import { yieldToLoop, type BackoffOptions } from './backoff.ts'
import type { KubeClient } from './client.ts'
import { Reflector, type ReflectorHealth } from './reflector.ts'
import { MutableStore, type Entry, type IndexFunction, type Store } from './store.ts'
import { objectKey, type KubeObject, type ResourceType } from './types.ts'
import { isOlder } from './versions.ts'
import type { WatchEventType } from './watch.ts'

export interface InformerOptions<T> {
  readonly resource: ResourceType
  /** One namespace; all when null or absent. */
  readonly namespace?: string | null | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
  /** What to keep of an object, decided at the edge; null: treat it as absent. Objects whole unless given. */
  readonly project?: ((raw: KubeObject) => T | null) | undefined
  /** Let the server send only `metadata` (PartialObjectMetadata). */
  readonly metadataOnly?: boolean | undefined
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>> | undefined
  /** Objects a page of the list; 500. */
  readonly pageSize?: number | undefined
  /** Take the first list from the server's cache: cheaper for it, possibly seconds old. See ReflectorOptions. */
  readonly fromCache?: boolean | undefined
  /** Server-side life of a watch, randomised up to twice this; 300 s. */
  readonly watchSeconds?: number | undefined
  /** Silence that means a dead watch; 120 s. */
  readonly inactivityMs?: number | undefined
  readonly backoff?: BackoffOptions | undefined
  /** How long to keep what is missing after the server went back in time, milliseconds; 0 unless given. */
  readonly rewindHoldMs?: number | undefined
  /** Told when the server has gone back in time and the store shows its list, and what is kept of before. */
  readonly onRewind?: (() => void) | undefined
  readonly logger?: Logger | undefined
}

/** A change of the store. For deletions `object` is the last state known, `old` what the store held. */
export type InformerEvent<T> =
  | { readonly type: 'added'; readonly key: string; readonly object: T; readonly old: null }
  | { readonly type: 'modified'; readonly key: string; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly key: string; readonly object: T; readonly old: T }

export interface InformerHealth extends ReflectorHealth {
  readonly synced: boolean
  readonly size: number
  /** Objects a projection or index function failed on. */
  readonly badObjects: number
  /** Events older than what the store had. */
  readonly staleEvents: number
  readonly handlerErrors: number
  /** Objects kept that the server does not have, since it went back in time. */
  readonly held: number
}

type Handler<E> = (events: E) => void

interface Item<T> {
  readonly key: string
  /** null: keep what the store has. */
  readonly entry: Entry<T> | null
}

/** Longest time a replacement works before it lets the event loop turn. */
const sliceMs = 5

export class Informer<T = KubeObject> {
  readonly store: Store<T>
  /** Resolves when the first list is in the store and handlers know it; rejects when stopped before. */
  readonly synced: Promise<void>
  readonly resource: ResourceType

  readonly #options: InformerOptions<T>
  readonly #store: MutableStore<T>
  readonly #reflector: Reflector<Item<T>>
  readonly #handlers = new Handlers<InformerEvent<T>>()
  readonly #batchHandlers = new Handlers<readonly InformerEvent<T>[]>()
  readonly #stopping = longLivedAbort()
  #running: Promise<void> | null = null
  #batch: InformerEvent<T>[] = []
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null
  #isSynced = false
  #badObjects = 0
  #staleEvents = 0
  /** Keys that only our memory has. */
  readonly #held = new Set<string>()
  /** Their time is over; a current view is waited for. */
  #releaseDue = false
  #release: NodeJS.Timeout | null = null
  #handlerErrors = 0

  constructor(client: KubeClient, options: InformerOptions<T>) {
    this.resource = options.resource
    this.#options = options
    this.#store = new MutableStore<T>(options.indexes)
    this.store = this.#store
    this.synced = new Promise((resolve, reject) => (this.#settle = { resolve, reject }))
    // Whoever awaits it sees the rejection; nobody having to is no crash.
    this.synced.catch(() => undefined)
    this.#reflector = new Reflector<Item<T>>(client, options, {
      project: (raw) => this.#project(raw),
      replace: (items, rewound, signal) => this.#replace(items, rewound || this.#isPast(items), signal),
      apply: (type, raw) => this.#apply(type, raw),
      flush: () => {
        this.#flush()
        if (this.#releaseDue) this.#letGo()
      },
    })
  }

  /** Whether the first list is in the store. */
  get isSynced(): boolean {
    return this.#isSynced
  }

  /**
   * Call `handler` for each change from now on; objects already in the store are told as added first.
   *
   * @returns ends it
   */
  onChange(handler: (event: InformerEvent<T>) => void): () => void {
    const remove = this.#handlers.add(handler)
    for (const event of this.#present()) this.#call(handler, event, event.key)
    return remove
  }

  /** As onChange, but with all changes that arrived together (one read of a watch, one slice of a list) in one call. */
  onBatch(handler: (events: readonly InformerEvent<T>[]) => void): () => void {
    // Changes not flushed yet are in the store, hence among those told here.
    this.#flush()
    const remove = this.#batchHandlers.add(handler)
    const present = [...this.#present()]
    if (present.length > 0) this.#call(handler, present, 'batch')
    return remove
  }

  /** Begin; idempotent. Register handlers before, or get the state by replay. */
  start(): this {
    if (this.#stopping.signal.aborted) throw new Error(`informer of ${this.resource.plural}: started after stop()`)
    this.#running ??= this.#reflector.run(this.#stopping.signal)
    return this
  }

  /** End the watch; resolves when nothing runs any more. The store stays readable. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`informer of ${this.resource.plural} was stopped`))
    if (this.#release !== null) clearTimeout(this.#release)
    this.#release = null
    this.#settle?.reject(this.#stopping.signal.reason as Error)
    await this.#running
  }

  health(): InformerHealth {
    return {
      ...this.#reflector.health(),
      synced: this.#isSynced,
      size: this.#store.size,
      badObjects: this.#badObjects,
      staleEvents: this.#staleEvents,
      handlerErrors: this.#handlerErrors,
      held: this.#held.size,
    }
  }

  /** Whether the store only remembers the object: the server, which went back in time, does not have it. */
  isHeld(key: string): boolean {
    return this.#held.has(key)
  }

  *#present(): Generator<InformerEvent<T>> {
    for (const key of this.#store.keys()) {
      const object = this.#store.get(key)
      if (object !== undefined) yield { type: 'added', key, object, old: null }
    }
  }

  #project(raw: KubeObject): Item<T> | null {
    const key = objectKey(raw.metadata)
    const { resourceVersion = '', uid = '' } = raw.metadata
    try {
      const value = this.#options.project ? this.#options.project(raw) : (raw as T)
      if (value === null) return null
      const old = this.#store.entry(key)
      const same = old !== undefined && old.resourceVersion === resourceVersion && old.uid === uid
      // After a restore from a backup the same version may be of another content.
      return { key, entry: same && isDeepStrictEqual(old.value, value) ? null : { resourceVersion, uid, value } }
    } catch (error) {
      this.#bad(key, error)
      return this.#store.has(key) ? { key, entry: null } : null
    }
  }

  async #replace(items: Item<T>[], rewound: boolean, signal: AbortSignal): Promise<void> {
    let sliceEnd = performance.now() + sliceMs
    const breathe = async (): Promise<void> => {
      this.#flush()
      await yieldToLoop()
      signal.throwIfAborted()
      sliceEnd = performance.now() + sliceMs
    }
    if (this.#store.size > 0) {
      const present = new Set<string>()
      for (const { key } of items) {
        present.add(key)
        this.#held.delete(key)
        if (performance.now() >= sliceEnd) await breathe()
      }
      for (const key of this.#store.keys()) {
        if (!present.has(key)) this.#lacks(key, rewound)
        if (performance.now() >= sliceEnd) await breathe()
      }
    }
    for (const { key, entry } of items) {
      if (entry !== null) this.#put(key, entry)
      if (performance.now() >= sliceEnd) await breathe()
    }
    this.#flush()
    if (rewound) this.#rewound()
    else if (this.#releaseDue) this.#deleteHeld()
    this.#isSynced = true
    this.#settle?.resolve()
  }

  #apply(type: WatchEventType, raw: KubeObject): void {
    const key = objectKey(raw.metadata)
    const { resourceVersion = '', uid = '' } = raw.metadata
    const old = this.#store.entry(key)
    // Whatever its version, the end of an object is its end.
    const itsEnd = type === 'DELETED' && (uid === '' || old?.uid === uid)
    if (old !== undefined && !itsEnd && isOlder(resourceVersion, old.resourceVersion)) {
      this.#staleEvents++
      return
    }
    this.#held.delete(key)
    if (type === 'DELETED') {
      this.#remove(key, raw)
      return
    }
    const item = this.#project(raw)
    if (item === null) this.#remove(key, raw)
    else if (item.entry !== null) this.#put(key, item.entry)
  }

  /** The server's list lacks what the store has. */
  #lacks(key: string, rewound: boolean): void {
    if (this.#held.has(key)) return
    const entry = this.#store.entry(key)
    if (!rewound || entry === undefined || (this.#options.rewindHoldMs ?? 0) === 0) return this.#remove(key, null)
    this.#held.add(key)
    // Versions of the server's other past say nothing about what is to come.
    this.#store.put(key, { ...entry, resourceVersion: '' })
  }

  #rewound(): void {
    const { rewindHoldMs = 0, logger, onRewind } = this.#options
    if (this.#held.size > 0) {
      const fields = { resource: this.resource.plural, objects: this.#held.size, holdMs: rewindHoldMs }
      logger?.warn(fields, 'the API server does not have these objects any more: kept for a time')
      if (this.#release !== null) clearTimeout(this.#release)
      this.#release = setTimeout(() => this.#letGo(), rewindHoldMs)
      this.#releaseDue = false
    }
    onRewind?.()
  }

  /** Whether something listed is older than it was seen. */
  #isPast(items: readonly Item<T>[]): boolean {
    return items.some(({ key, entry }) => {
      const known = entry === null ? undefined : this.#store.entry(key)
      return known?.uid === entry?.uid && isOlder(entry?.resourceVersion ?? '', known?.resourceVersion ?? '')
    })
  }

  #letGo(): void {
    this.#release = null
    this.#releaseDue = !this.#reflector.isCurrent
    if (!this.#releaseDue) this.#deleteHeld()
  }

  #deleteHeld(): void {
    this.#releaseDue = false
    this.#options.logger?.warn({ resource: this.resource.plural, objects: this.#held.size }, 'not seen again: deleted')
    for (const key of this.#held) this.#remove(key, null)
    this.#held.clear()
    this.#flush()
  }

  /** Whether the store has another incarnation under the key. */
  #isAnother(key: string, entry: Entry<T>): boolean {
    const uid = this.#store.entry(key)?.uid ?? ''
    return uid !== '' && entry.uid !== '' && uid !== entry.uid
  }

  #put(key: string, entry: Entry<T>): void {
    if (this.#isAnother(key, entry)) this.#remove(key, null)
    try {
      const old = this.#store.put(key, entry)
      this.#emit(
        old === undefined
          ? { type: 'added', key, object: entry.value, old: null }
          : { type: 'modified', key, object: entry.value, old: old.value },
      )
    } catch (error) {
      this.#bad(key, error)
    }
  }

  #remove(key: string, raw: KubeObject | null): void {
    const old = this.#store.remove(key)
    if (old === undefined) return
    let last: T | null = null
    if (raw !== null) {
      try {
        last = this.#options.project ? this.#options.project(raw) : (raw as T)
      } catch (error) {
        this.#bad(key, error)
      }
    }
    this.#emit({ type: 'deleted', key, object: last ?? old.value, old: old.value })
  }

  #emit(event: InformerEvent<T>): void {
    // First: a batch handler that is registered by one of the others hears of this event by replay.
    if (this.#batchHandlers.all.length > 0) this.#batch.push(event)
    for (const handler of this.#handlers.all) this.#call(handler, event, event.key)
  }

  #flush(): void {
    if (this.#batch.length === 0) return
    const events = this.#batch
    this.#batch = []
    for (const handler of this.#batchHandlers.all) this.#call(handler, events, 'batch')
  }

  #call<E>(handler: Handler<E>, events: E, key: string): void {
    try {
      handler(events)
    } catch (error) {
      this.#handlerErrors++
      this.#options.logger?.error(
        { resource: this.resource.plural, object: key, err: error },
        'informer handler failed',
      )
    }
  }

  #bad(key: string, error: unknown): void {
    this.#badObjects++
    this.#options.logger?.error(
      { resource: this.resource.plural, object: key, err: error },
      'object cannot be read, skipped',
    )
  }
}

/**
 * Handlers of events. Who is told of one is settled before the first is: a handler that registers another meanwhile must not
 * make it hear of the event by replay and again, and one that ends another must not be outlived by it.
 */
class Handlers<E> {
  all: readonly Handler<E>[] = []

  /** @returns ends it */
  add(handler: Handler<E>): () => void {
    let active = true
    const own: Handler<E> = (events) => {
      if (active) handler(events)
    }
    this.all = [...this.all, own]
    return () => {
      active = false
      this.all = this.all.filter((candidate) => candidate !== own)
    }
  }
}
