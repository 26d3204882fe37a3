// List, then watch, for ever: the loop under every informer.
//
//   list (paged snapshot) ── replace ──► watch from its version ──► ends ──► watch from the last version seen
//     ▲                                     │
//     └── 410, or a line that cannot be read┘      any other error: back off, then watch again from the last version seen
//
// The last version seen is that of the newest event or bookmark, so that a quiet or heavily filtered watch resumes without
// a list. Every failure waits with exponential back-off and jitter; the loop ends only by its signal. Long-lived watches
// are spread by a random server-side time-out, as client-go does.
import type { Logger } from '../telemetry/log.ts'
import { Backoff, jittered, sleep, type BackoffOptions } from './backoff.ts'
import type { KubeClient } from './client.ts'
import { ApiError, RequestError, errorText, isGone } from './errors.ts'
import type { Selection } from './list.ts'
import type { KubeObject, ResourceType } from './types.ts'
import type { WatchEventType } from './watch.ts'

export interface ReflectorOptions extends Selection {
  readonly resource: ResourceType
  readonly pageSize?: number | undefined
  /**
   * Take the first list from the server's cache (`resourceVersion=0`): far cheaper for it when every node of a cluster
   * starts at once, but possibly behind by seconds until the watch has caught up, and in one response whatever the page
   * size. Later lists are always of the newest state.
   */
  readonly fromCache?: boolean | undefined
  /** A watch lives for a random time between this and twice this; 300 s. */
  readonly watchSeconds?: number | undefined
  /** Silence on a watch that means a dead connection; 120 s, twice the bookmark interval of kube-apiserver. */
  readonly inactivityMs?: number | undefined
  readonly backoff?: BackoffOptions | undefined
  readonly logger?: Logger | undefined
}

export interface ReflectorSink<I> {
  /** What to keep of a listed object; null leaves it out. */
  project(raw: KubeObject): I | null
  /** The complete current state. The watch begins after this resolves. */
  replace(items: I[], resourceVersion: string, signal: AbortSignal): Promise<void>
  apply(type: WatchEventType, raw: KubeObject): void
  /** The events that arrived together have been applied. */
  flush(): void
}

/** For metrics and status pages. Times are milliseconds since the epoch, null before the first. */
export interface ReflectorHealth {
  readonly lastSync: number | null
  readonly lastEvent: number | null
  /** Last sign of life of the server: event, bookmark, accepted watch or list. */
  readonly lastContact: number | null
  readonly lists: number
  /** Lists after the first: 410s and unreadable lines. */
  readonly relists: number
  readonly watches: number
  readonly events: number
  readonly bookmarks: number
  readonly errors: number
  readonly unreadableLines: number
  readonly lastError: string | null
  readonly resourceVersion: string | null
}

/** A watch shorter than this without any event counts as a failure, so that a server that hangs up cannot make us spin. */
const shortWatchMs = 1000
const maxRefusals = 3

export class Reflector<I> {
  readonly #client: KubeClient
  readonly #options: ReflectorOptions
  readonly #sink: ReflectorSink<I>
  readonly #backoff: Backoff
  #resourceVersion: string | null = null
  #unreadableLogged = false
  /** Watches refused in a row, other than for overload. */
  #refusals = 0
  #health = {
    lastSync: null as number | null,
    lastEvent: null as number | null,
    lastContact: null as number | null,
    lists: 0,
    relists: 0,
    watches: 0,
    events: 0,
    bookmarks: 0,
    errors: 0,
    unreadableLines: 0,
    lastError: null as string | null,
  }

  constructor(client: KubeClient, options: ReflectorOptions, sink: ReflectorSink<I>) {
    this.#client = client
    this.#options = options
    this.#sink = sink
    this.#backoff = new Backoff({ baseMs: 400, maxMs: 30_000, ...options.backoff })
  }

  health(): ReflectorHealth {
    return { ...this.#health, resourceVersion: this.#resourceVersion }
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let delay: number
      try {
        if (this.#resourceVersion === null) await this.#list(signal)
        if (await this.#watch(this.#resourceVersion ?? '', signal)) continue
        delay = this.#backoff.next()
      } catch (error) {
        if (signal.aborted) return
        delay = this.#failed(error)
      }
      await sleep(delay, signal).catch(() => undefined)
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { resource, namespace, labelSelector, fieldSelector, metadataOnly, pageSize } = this.#options
    if (this.#health.lists > 0) this.#health.relists++
    let items: I[] = []
    let resourceVersion = ''
    const pages = this.#client.listPages<I>(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      pageSize,
      resourceVersion: this.#options.fromCache && this.#health.lists === 0 ? '0' : undefined,
      signal,
      project: (raw) => this.#sink.project(raw),
    })
    for await (const page of pages) {
      if (page.restarted) items = []
      for (const item of page.items) items.push(item)
      resourceVersion = page.resourceVersion
      this.#health.lastContact = Date.now()
    }
    this.#health.lists++
    await this.#sink.replace(items, resourceVersion, signal)
    this.#health.lastSync = Date.now()
    this.#resourceVersion = resourceVersion
  }

  /** One watch. False when it ended so soon that the next must wait. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<boolean> {
    const { resource, namespace, labelSelector, fieldSelector, metadataOnly } = this.#options
    const started = performance.now()
    let received = 0
    this.#health.watches++
    const options = {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      resourceVersion,
      timeoutSeconds: jittered(this.#options.watchSeconds ?? 300, 1),
      inactivityMs: this.#options.inactivityMs ?? 120_000,
      signal,
    }
    await this.#client.watch(resource, options, {
      onOpen: () => {
        this.#health.lastContact = Date.now()
      },
      onEvent: (type, object) => {
        received++
        this.#health.events++
        this.#sink.apply(type, object)
        this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion
      },
      onBookmark: (version) => {
        received++
        this.#health.bookmarks++
        this.#resourceVersion = version
      },
      onBatchEnd: () => {
        this.#health.lastContact = Date.now()
        if (received > 0) {
          this.#refusals = 0
          this.#health.lastEvent = this.#health.lastContact
        }
        this.#sink.flush()
      },
    })
    return received > 0 || performance.now() - started >= shortWatchMs
  }

  /**
   * Whether the server keeps refusing the watch for another reason than overload: it may be the resource version that it
   * cannot serve (one of the future, after a restore from backup, answers 504 for ever). A list finds out.
   */
  #refusedForGood(error: unknown): boolean {
    if (this.#resourceVersion === null || !(error instanceof ApiError)) return false
    if (error.status === 429 || error.status === 503) return false
    if (++this.#refusals < maxRefusals) return false
    this.#refusals = 0
    return true
  }

  /** Count and log a failure, decide whether to list afresh. @returns the delay, milliseconds */
  #failed(error: unknown): number {
    const health = this.#health
    health.errors++
    health.lastError = errorText(error)
    let delay = this.#backoff.next()
    const unreadable = error instanceof RequestError && error.code === 'BADLINE'
    if (isGone(error) || unreadable || this.#refusedForGood(error)) this.#resourceVersion = null
    if (unreadable) health.unreadableLines++
    if (error instanceof ApiError && error.retryAfterSeconds !== null) {
      delay = Math.max(delay, jittered(error.retryAfterSeconds * 1000, 0.2))
    }
    const { logger, resource } = this.#options
    const fields = {
      resource: resource.plural,
      err: error,
      delayMs: Math.round(delay),
      failures: this.#backoff.failures,
    }
    const quiet = unreadable ? this.#unreadableLogged : isGone(error) || (error as RequestError).code === 'STALLED'
    if (unreadable) this.#unreadableLogged = true
    if (quiet) logger?.debug(fields, 'watch interrupted')
    else logger?.warn(fields, 'list or watch failed, trying again')
    return delay
  }
}
