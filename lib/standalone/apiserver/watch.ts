// Watches: the changes of a collection as a stream of JSON lines, from now or from a version in the past.
import type { ServerResponse } from 'node:http'
import type { Context } from './context.ts'
import type { StatusError } from './errors.ts'
import { expiredVersion, fieldError, invalid } from './errors.ts'
import { Pace } from './pace.ts'
import { selectorOf, versionParameter } from './read.ts'
import { apiVersionOf } from './registry.ts'
import type { Resource } from './registry.ts'
import { count, flag } from './request.ts'
import { drained } from './respond.ts'
import type { Wanted } from './respond.ts'
import type { Predicate } from './selectors.ts'
import { serveJson } from './served.ts'
import { Stored } from './store.ts'
import type { Change, ChangeType } from './store.ts'
import { partialMetadata, table } from './tables/render.ts'
import type { JsonObject, KubeObject } from './types.ts'

/** A reader that lets more than this pile up is cut off; it starts again from its last version. Bytes. */
const BACKLOG = 64 * 1024 * 1024
/** Bytes of the beginning that are collected before they are sent. */
const SLICE = 256 * 1024
const newline = Buffer.from('}\n')
const head = (type: string): Buffer => Buffer.from(`{"type":"${type}","object":`)
const heads = {
  ADDED: head('ADDED'),
  MODIFIED: head('MODIFIED'),
  DELETED: head('DELETED'),
  BOOKMARK: head('BOOKMARK'),
  ERROR: head('ERROR'),
}
const DEFAULT_TIMEOUT = [1800, 3600] as const

/**
 * Start a watch and return; it runs until the client, its time-out or the server ends it.
 *
 * @param staleVersion of a fault: a watch that begins with all objects begins with those of this version
 * @throws StatusError 400 and 422 for wrong parameters; what happens later is told in the stream
 */
export function startWatch(
  context: Context,
  resource: Resource,
  namespace: string,
  query: URLSearchParams,
  wanted: Wanted,
  response: ServerResponse,
  staleVersion: number | null = null,
): void {
  const predicate = selectorOf(resource, query)
  const from = versionParameter(query)
  const bookmarks = flag(query, 'allowWatchBookmarks')
  const initial = initialEvents(query, from)
  const [shortest, longest] = DEFAULT_TIMEOUT
  const timeout = count(query, 'timeoutSeconds') ?? shortest + Math.random() * (longest - shortest)
  const watch = new Watch(context, resource, namespace, predicate, wanted, response)
  watch.start(from, initial, bookmarks, timeout, staleVersion)
}

/** Whether the stream begins with all objects: as before watch-list, or because it was asked for. */
function initialEvents(query: URLSearchParams, from: number | undefined): 'none' | 'plain' | 'marked' {
  if (query.get('sendInitialEvents') === null) {
    if ((query.get('resourceVersionMatch') ?? '') !== '') {
      throw wrongOption(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      )
    }
    return from === undefined || from === 0 ? 'plain' : 'none'
  }
  if (query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw wrongOption('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
  if (!flag(query, 'sendInitialEvents')) return 'none'
  return flag(query, 'allowWatchBookmarks') ? 'marked' : 'plain'
}

const wrongOption = (field: string, why: string): StatusError =>
  invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', [fieldError.forbidden(field, why)])

class Watch {
  readonly #context: Context
  readonly #resource: Resource
  readonly #prefix: string
  readonly #predicate: Predicate | null
  readonly #wanted: Wanted
  readonly #response: ServerResponse
  readonly #ends: (() => void)[] = []
  #pending: Buffer[] = []
  #scheduled = false
  #ended = false
  #sentColumns = false
  /** Bytes in #pending. */
  #size = 0
  /** All changes so far have been told: a bookmark may say so. */
  #live = false

  constructor(
    context: Context,
    resource: Resource,
    namespace: string,
    predicate: Predicate | null,
    wanted: Wanted,
    response: ServerResponse,
  ) {
    this.#context = context
    this.#resource = resource
    this.#prefix = namespace === '' ? '' : `${namespace}/`
    this.#predicate = predicate
    this.#wanted = wanted
    this.#response = response
  }

  start(
    from: number | undefined,
    initial: 'none' | 'plain' | 'marked',
    bookmarks: boolean,
    timeoutSeconds: number,
    staleVersion: number | null,
  ): void {
    const { store, closing, bookmarkIntervalMs } = this.#context
    this.#response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
    this.#response.flushHeaders()
    // A version from the future is one of an earlier life of this server.
    if (initial === 'none' && from !== undefined && (from < store.history.compacted || from > store.version)) {
      this.#expire(from)
      return
    }
    const stop = (): void => this.#end()
    const timer = setTimeout(
      () => {
        if (bookmarks && this.#live) this.#bookmark()
        this.#end()
      },
      Math.min(timeoutSeconds * 1000, 0x7fffffff),
    )
    this.#ends.push(() => clearTimeout(timer))
    if (bookmarks) {
      const ticker = setInterval(() => this.#live && this.#bookmark(), bookmarkIntervalMs)
      this.#ends.push(() => clearInterval(ticker))
    }
    closing.addEventListener('abort', stop)
    this.#ends.push(() => closing.removeEventListener('abort', stop))
    this.#response.on('close', stop)
    if (closing.aborted) stop()
    else
      void this.#begin(
        initial === 'none' ? (from ?? store.version) : null,
        initial === 'marked',
        staleVersion ?? store.version,
      )
  }

  /**
   * All that is there at `start` (`from` null), then the changes after it as far as the ring tells, then live. In slices, and no faster
   * than the reader reads. Never rejects.
   */
  async #begin(from: number | null, marked: boolean, start: number): Promise<void> {
    const { store, log } = this.#context
    const pace = new Pace()
    try {
      let version = from ?? start
      if (from === null) {
        const collection = await store.collectionAt(this.#resource.collection, start)
        for (const [, stored] of collection.entries(this.#prefix)) {
          if (this.#predicate === null || this.#predicate(stored.object)) this.#send('ADDED', this.#encode(stored))
          if (!(await this.#keepPace(pace))) return
        }
      }
      while (version < store.version) {
        if (version < store.history.compacted) {
          this.#expire(version)
          return
        }
        for (const change of store.history.since(version)) {
          this.#onChange(change)
          version = change.version
          // The ring turns while others write: go on from where it is then.
          if (pace.due() || this.#size >= SLICE) break
        }
        if (!(await this.#keepPace(pace))) return
      }
      if (marked) this.#bookmark({ 'k8s.io/initial-events-end': 'true' })
      this.#ends.push(store.subscribe(this.#resource.collection, (change) => this.#onChange(change)))
      this.#live = true
    } catch (error) {
      log.error({ resource: this.#resource.plural, err: error }, 'watch failed')
      this.#response.destroy()
    } finally {
      pace.done()
    }
  }

  /** Send when there is enough, wait for a slow reader, let others work. @returns false when the watch has ended */
  async #keepPace(pace: Pace): Promise<boolean> {
    if (this.#size >= SLICE) {
      this.#flush()
      if (this.#response.writableNeedDrain) {
        pace.done()
        if (!(await drained(this.#response))) return false
        // A socket that took all at once says so in the same turn.
        await pace.breathe()
      }
    }
    if (pace.due()) await pace.breathe()
    return !this.#ended
  }

  #expire(from: number): void {
    this.#send('ERROR', Buffer.from(JSON.stringify(expiredVersion(from, this.#context.store.history.compacted).body)))
    this.#end()
  }

  #onChange(change: Change): void {
    if (change.collection !== this.#resource.collection || !change.current.key.startsWith(this.#prefix)) return
    const seen = this.#translate(change)
    if (seen === null) return
    this.#send(seen.type, this.#encode(seen.stored))
  }

  /** What a change is to someone who sees only what the selectors let through. */
  #translate({ type, current, previous, version }: Change): { type: ChangeType; stored: Stored } | null {
    if (this.#predicate === null) return { type, stored: current }
    const before = previous !== undefined && this.#predicate(previous.object)
    const after = type !== 'DELETED' && this.#predicate(current.object)
    if (after) return { type: before ? 'MODIFIED' : 'ADDED', stored: current }
    if (!before || previous === undefined) return null
    if (type === 'DELETED') return { type, stored: current }
    const object = { ...previous.object, metadata: { ...previous.object.metadata, resourceVersion: String(version) } }
    return { type: 'DELETED', stored: new Stored(current.key, object, version) }
  }

  #encode(stored: Stored): Buffer {
    const { as, version } = this.#wanted.representation
    if (as === 'object') return serveJson(this.#resource, stored)
    return Buffer.from(JSON.stringify(this.#represent(stored.object, as, version)))
  }

  #represent(object: KubeObject, as: 'Table' | 'PartialObjectMetadata', version: string): JsonObject {
    if (as === 'PartialObjectMetadata') return partialMetadata(object, version)
    const withColumns = !this.#sentColumns
    this.#sentColumns = true
    return table(this.#resource, [object], this.#wanted.includeObject, version, withColumns)
  }

  /** Tells the client how far it has come, so that it can go on from there. */
  #bookmark(annotations?: { [key: string]: string }): void {
    const { as, version } = this.#wanted.representation
    const metadata = {
      resourceVersion: String(this.#context.store.version),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    }
    const object = { kind: this.#resource.kind, apiVersion: apiVersionOf(this.#resource), metadata }
    const body: JsonObject =
      as === 'Table'
        ? {
            ...table(this.#resource, [], 'None', version, !this.#sentColumns),
            metadata: { resourceVersion: metadata.resourceVersion },
            rows: [],
          }
        : as === 'PartialObjectMetadata'
          ? { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata }
          : object
    this.#send('BOOKMARK', Buffer.from(JSON.stringify(body)))
  }

  #send(type: keyof typeof heads, object: Buffer): void {
    if (this.#ended) return
    this.#pending.push(heads[type], object, newline)
    this.#size += object.length
    if (this.#scheduled) return
    this.#scheduled = true
    // Many changes in one turn of the event loop go out in one write.
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#pending.length === 0 || this.#response.destroyed || this.#response.writableEnded) return
    const bytes = Buffer.concat(this.#pending)
    this.#pending = []
    this.#size = 0
    this.#response.write(bytes)
    if (this.#response.writableLength > BACKLOG) {
      this.#context.log.warn({ resource: this.#resource.plural }, 'watch ended: its reader is too slow')
      this.#end()
      this.#response.destroy()
    }
  }

  #end(): void {
    if (this.#ended) return
    this.#flush()
    this.#ended = true
    for (const end of this.#ends) end()
    this.#response.end()
  }
}
