// Watches: the changes of a collection as a stream of JSON lines, from now or from a version in the past.
import type { ServerResponse } from 'node:http'
import type { Context } from './context.ts'
import type { StatusError } from './errors.ts'
import { expiredVersion, fieldError, invalid } from './errors.ts'
import { selectorOf, versionParameter } from './read.ts'
import { apiVersionOf } from './registry.ts'
import type { Resource } from './registry.ts'
import { count, flag } from './request.ts'
import type { Wanted } from './respond.ts'
import type { Predicate } from './selectors.ts'
import { serveJson } from './served.ts'
import { Stored } from './store.ts'
import type { Change, ChangeType } from './store.ts'
import { partialMetadata, table } from './tables/render.ts'
import type { JsonObject, KubeObject } from './types.ts'

/** A reader that lets more than this pile up is cut off; it starts again from its last version. Bytes. */
const BACKLOG = 64 * 1024 * 1024
const newline = Buffer.from('}\n')
const DEFAULT_TIMEOUT = [1800, 3600] as const

/**
 * Start a watch and return; it runs until the client, its time-out or the server ends it.
 *
 * @throws StatusError 400 and 422 for wrong parameters; what happens later is told in the stream
 */
export function startWatch(
  context: Context,
  resource: Resource,
  namespace: string,
  query: URLSearchParams,
  wanted: Wanted,
  response: ServerResponse,
): void {
  const predicate = selectorOf(resource, query)
  const from = versionParameter(query)
  const bookmarks = flag(query, 'allowWatchBookmarks')
  const initial = initialEvents(query, from)
  const [shortest, longest] = DEFAULT_TIMEOUT
  const timeout = count(query, 'timeoutSeconds') ?? shortest + Math.random() * (longest - shortest)
  const watch = new Watch(context, resource, namespace, predicate, wanted, response)
  watch.start(from, initial, bookmarks, timeout)
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
  ): void {
    const { store, closing, bookmarkIntervalMs } = this.#context
    this.#response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
    this.#response.flushHeaders()
    // A version from the future is one of an earlier life of this server.
    if (initial === 'none' && from !== undefined && (from < store.history.compacted || from > store.version)) {
      this.#send('ERROR', Buffer.from(JSON.stringify(expiredVersion(from, store.history.compacted).body)))
      this.#end()
      return
    }
    if (initial === 'none') {
      for (const change of store.history.since(from ?? store.version)) this.#onChange(change)
    } else {
      for (const [, stored] of store.collection(this.#resource.collection).entries(this.#prefix)) {
        if (this.#predicate === null || this.#predicate(stored.object)) this.#send('ADDED', this.#encode(stored))
      }
      if (initial === 'marked') this.#bookmark({ 'k8s.io/initial-events-end': 'true' })
    }
    this.#ends.push(store.subscribe(this.#resource.collection, (change) => this.#onChange(change)))
    const stop = (): void => this.#end()
    const timer = setTimeout(
      () => {
        if (bookmarks) this.#bookmark()
        this.#end()
      },
      Math.min(timeoutSeconds * 1000, 0x7fffffff),
    )
    this.#ends.push(() => clearTimeout(timer))
    if (bookmarks) {
      const ticker = setInterval(() => this.#bookmark(), bookmarkIntervalMs)
      this.#ends.push(() => clearInterval(ticker))
    }
    closing.addEventListener('abort', stop)
    this.#ends.push(() => closing.removeEventListener('abort', stop))
    this.#response.on('close', stop)
    if (closing.aborted) stop()
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

  #send(type: ChangeType | 'BOOKMARK' | 'ERROR', object: Buffer): void {
    if (this.#ended) return
    this.#pending.push(Buffer.from(`{"type":"${type}","object":`), object, newline)
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
