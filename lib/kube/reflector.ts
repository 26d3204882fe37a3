// List, then watch, for ever: the loop under every informer.
//
//   list (paged snapshot) ── replace ──► watch from its version ──► ends ──► watch from the last version seen
//     ▲                                     │
//     └── the view is in doubt              any other error: back off, then watch again from the last version seen
//
// The last version seen is that of the newest event or bookmark, so that a quiet or heavily filtered watch resumes without
// a list; it never moves back. In doubt is a view
// - whose version the server has forgotten (410) or, as a list of one object shows after a 504, has not reached: another
//   server, or one restored from a backup;
// - of which a line could not be read;
// - whose watch the server refuses, or ends at once, three times in a row for another reason than overload;
// - of which accepted watches have shown nothing, no event and no bookmark, for twice the time that is taken for a dead
//   connection: the server may be waiting for a version that never comes;
// - when another reflector of the same client has seen the server go back in time (history.ts).
//
// Every failure, and every end within a second, waits with exponential back-off and jitter; progress makes it short again.
// The loop ends only by its signal. Long-lived watches are spread by a random server-side time-out, as client-go does.
//
// Not noticed: a server with another history that has come past every version seen before anybody asks it.
import type { Logger } from '../telemetry/log.ts'
import { Backoff, jittered, sleep, type BackoffOptions } from './backoff.ts'
import type { KubeClient } from './client.ts'
import { ApiError, RequestError, errorText, isGone } from './errors.ts'
import type { Selection } from './list.ts'
import { objectKey, type KubeObject, type ResourceType } from './types.ts'
import { isOlder } from './versions.ts'
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

/** What it throws about one object is counted and logged, and costs that object only. */
export interface ReflectorSink<I> {
  /** What to keep of a listed object; null leaves it out. */
  project(raw: KubeObject): I | null
  /**
   * The complete current state. The watch begins after this resolves. `rewound`: it is older than what was seen before, so
   * what it lacks need not be gone.
   */
  replace(items: I[], rewound: boolean, signal: AbortSignal): Promise<void>
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
  /** Lists after the first: views in doubt. */
  readonly relists: number
  readonly watches: number
  readonly events: number
  readonly bookmarks: number
  readonly errors: number
  readonly unreadableLines: number
  /** Objects without a name or that the sink failed on, and events of unknown types. */
  readonly skipped: number
  /** Lists of an older version than was seen before: the server was replaced or restored. */
  readonly rewinds: number
  readonly lastError: string | null
  readonly resourceVersion: string | null
}

/** Moments of one watch, null before they came; milliseconds of performance.now(). */
interface WatchLife {
  /** Accepted by the server. */
  openedAt: number | null
  /** Last event or bookmark. */
  progressAt: number | null
}

/** A watch shorter than this waits before the next, so that a server that hangs up cannot make us spin. */
const shortWatchMs = 1000
/** A watch that lived this long was no failure, whatever ended it. */
const steadyWatchMs = 30_000
const maxRefusals = 3
/** A server that asks for more patience does not get it. */
const longestWaitMs = 120_000

export class Reflector<I> {
  readonly #client: KubeClient
  readonly #options: ReflectorOptions
  readonly #sink: ReflectorSink<I>
  readonly #backoff: Backoff
  readonly #inactivityMs: number
  #resourceVersion: string | null = null
  /** The newest version seen of this kind since it was last rewound. */
  #newest = ''
  /** Whether versions of this kind are of the counter the other reflectors see; null before that is known. */
  #shared: boolean | null = null
  /** The client's count of rewinds that the view is of. */
  #rewinds = 0
  #unreadableLogged = false
  /** Watches in a row that were refused, other than for overload, or ended at once. */
  #refusals = 0
  /** How long accepted watches have shown nothing, milliseconds. */
  #silentMs = 0
  /** The server may not know our version yet: ask before the next watch. */
  #ahead = false
  #cacheExpired = false
  /** What the sink has is what a list just said, or a watch that has not ended since. */
  #current = false
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
    skipped: 0,
    rewinds: 0,
    lastError: null as string | null,
  }

  constructor(client: KubeClient, options: ReflectorOptions, sink: ReflectorSink<I>) {
    this.#client = client
    this.#options = options
    this.#sink = sink
    this.#backoff = new Backoff({ baseMs: 400, maxMs: 30_000, ...options.backoff })
    this.#inactivityMs = options.inactivityMs ?? 120_000
  }

  health(): ReflectorHealth {
    return { ...this.#health, resourceVersion: this.#resourceVersion }
  }

  /**
   * Whether the sink is up to date as far as can be known: a list was taken over, and the watch that followed goes on; after
   * an interruption, the next watch has shown an event or a bookmark.
   */
  get isCurrent(): boolean {
    return this.#current
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let delay: number
      try {
        if (this.#ahead) await this.#compareHistory(signal)
        if (this.#outlived()) this.#resourceVersion = null
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
    this.#current = false
    const fromCache = this.#options.fromCache && this.#health.lists === 0 && !this.#cacheExpired
    if (this.#health.lists > 0) this.#health.relists++
    let items: I[] = []
    let resourceVersion = ''
    const { history } = this.#client
    const before = { newest: history.newest, rewinds: history.rewinds }
    const pages = this.#client.listPages<I>(this.#options.resource, {
      ...this.#selection(),
      pageSize: this.#options.pageSize,
      resourceVersion: fromCache ? '0' : undefined,
      signal,
      project: (raw) => this.#project(raw),
    })
    try {
      for await (const page of pages) {
        if (page.restarted) items = []
        for (const item of page.items) items.push(item)
        // Should a server not keep its snapshot over the pages, a watch from the first one's version makes up for it.
        if (page.restarted || resourceVersion === '') resourceVersion = page.resourceVersion
        this.#health.lastContact = Date.now()
      }
    } catch (error) {
      this.#cacheExpired ||= isGone(error)
      throw error
    }
    this.#health.lists++
    const rewound = this.#judge(resourceVersion, before)
    // A list from a cache may be behind: it proves nothing.
    this.#shared ??= fromCache === true || !isOlder(resourceVersion, before.newest)
    this.#newest = resourceVersion
    this.#rewinds = history.rewinds
    await this.#sink.replace(items, rewound, signal)
    this.#health.lastSync = Date.now()
    this.#resourceVersion = resourceVersion
    this.#silentMs = 0
    this.#current = true
  }

  /**
   * Whether a list is of an older state than what was seen before it was asked for, by this reflector or by another.
   *
   * @param before what all had seen when the list was asked for
   */
  #judge(resourceVersion: string, before: { readonly newest: string; readonly rewinds: number }): boolean {
    const { history } = this.#client
    const shared = this.#shared === true
    const told = shared && history.rewinds !== this.#rewinds
    const older = isOlder(resourceVersion, this.#newest) || (shared && isOlder(resourceVersion, before.newest))
    // Where another has told meanwhile, it is one event and not two.
    if (older && shared && history.rewinds === before.rewinds) history.rewound(resourceVersion)
    else history.saw(resourceVersion)
    if (!older && !told) return false
    this.#health.rewinds++
    const fields = { resource: this.#options.resource.plural, resourceVersion, before: before.newest }
    this.#options.logger?.warn(fields, 'the API server has gone back in time: restored or replaced')
    return true
  }

  /** Whether the server has gone back in time since the view was listed, as another reflector has seen. */
  #outlived(): boolean {
    return this.#shared === true && this.#client.history.rewinds !== this.#rewinds
  }

  /** One watch. False when it ended so soon that the next must wait. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<boolean> {
    const health = this.#health
    const life: WatchLife = { openedAt: null, progressAt: null }
    const progress = (version: string | undefined): void => {
      life.progressAt = performance.now()
      this.#refusals = 0
      this.#current = true
      if (version === undefined || isOlder(version, this.#newest)) return
      this.#resourceVersion = version
      this.#newest = version
      if (this.#shared === true && !this.#outlived()) this.#client.history.saw(version)
    }
    health.watches++
    const ending = new AbortController()
    const end = (): void => ending.abort()
    const forget = this.#client.history.onRewind(() => {
      if (this.#outlived()) end()
    })
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    const options = {
      ...this.#selection(),
      resourceVersion,
      timeoutSeconds: jittered(this.#options.watchSeconds ?? 300, 1),
      inactivityMs: this.#inactivityMs,
      signal: ending.signal,
    }
    try {
      await this.#client.watch(this.#options.resource, options, {
        onOpen: () => {
          life.openedAt = performance.now()
          health.lastContact = Date.now()
        },
        onEvent: (type, object) => {
          health.events++
          this.#apply(type, object)
          progress(object.metadata.resourceVersion)
        },
        onUnknown: (type) => this.#skip(`event of type ${type}`, null),
        onBookmark: (version) => {
          health.bookmarks++
          progress(version)
        },
        onBatchEnd: () => {
          health.lastContact = Date.now()
          if (life.progressAt !== null) health.lastEvent = health.lastContact
          this.#sink.flush()
        },
      })
    } catch (error) {
      // Ended to look again: no failure.
      if (!this.#outlived() || signal.aborted) throw error
      return true
    } finally {
      forget()
      signal.removeEventListener('abort', end)
      this.#current = false
      this.#account(life)
    }
    if (life.openedAt !== null && performance.now() - life.openedAt >= shortWatchMs) return true
    if (life.progressAt === null) this.#refused()
    return false
  }

  /** What a watch that has ended says about the next. */
  #account({ openedAt, progressAt }: WatchLife): void {
    if (openedAt === null) return
    const time = performance.now()
    if (progressAt !== null || time - openedAt >= steadyWatchMs) this.#backoff.reset()
    this.#silentMs = progressAt === null ? this.#silentMs + time - openedAt : time - progressAt
    if (this.#silentMs < 2 * this.#inactivityMs) return
    this.#silentMs = 0
    this.#resourceVersion = null
  }

  #refused(): void {
    if (++this.#refusals < maxRefusals) return
    this.#refusals = 0
    this.#resourceVersion = null
  }

  /** Ask for one object, and with it for the server's version: when it is older than ours, our view is of another history. */
  async #compareHistory(signal: AbortSignal): Promise<void> {
    const options = { ...this.#selection(), pageSize: 1, project: () => null, signal }
    for await (const page of this.#client.listPages(this.#options.resource, options)) {
      if (this.#resourceVersion !== null && isOlder(page.resourceVersion, this.#resourceVersion)) {
        this.#resourceVersion = null
      }
      break
    }
    this.#ahead = false
  }

  /** Count and log a failure, decide whether to list afresh. @returns the delay, milliseconds */
  #failed(error: unknown): number {
    const health = this.#health
    health.errors++
    health.lastError = errorText(error)
    let delay = this.#backoff.next()
    const unreadable = error instanceof RequestError && error.code === 'BADLINE'
    if (isGone(error) || unreadable) this.#resourceVersion = null
    if (error instanceof ApiError && this.#resourceVersion !== null) {
      if (error.status !== 429 && error.status !== 503) this.#refused()
      this.#ahead = error.status === 504
    }
    if (unreadable) health.unreadableLines++
    if (error instanceof ApiError && error.retryAfterSeconds !== null) {
      delay = Math.min(longestWaitMs, Math.max(delay, jittered(error.retryAfterSeconds * 1000, 0.2)))
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

  #selection(): Selection {
    const { namespace, labelSelector, fieldSelector, metadataOnly } = this.#options
    return { namespace, labelSelector, fieldSelector, metadataOnly }
  }

  #project(raw: KubeObject): I | null {
    try {
      if (typeof raw.metadata?.name !== 'string') throw new TypeError('a listed object has no metadata.name')
      return this.#sink.project(raw)
    } catch (error) {
      this.#skip(objectKey(raw.metadata ?? {}), error)
      return null
    }
  }

  #apply(type: WatchEventType, raw: KubeObject): void {
    try {
      this.#sink.apply(type, raw)
    } catch (error) {
      this.#skip(objectKey(raw.metadata), error)
    }
  }

  #skip(object: string, error: unknown): void {
    this.#health.skipped++
    const fields = { resource: this.#options.resource.plural, object, ...(error === null ? {} : { err: error }) }
    this.#options.logger?.error(fields, 'skipped')
  }
}
