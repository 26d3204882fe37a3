// What one peer has announced. A route is a prefix and a reference to the path it shares with the others of its UPDATE.
import { formatPrefix, type Family, type IPAddress, type Prefix } from '../../ip/index.ts'
import {
  CEASE,
  COMMUNITY,
  ERROR_CODE,
  firstAs,
  pathContains,
  SessionError,
  type Announcement,
  type PathAttributes,
  type UpdateMessage,
} from '../codec/index.ts'
import { keyFamily, routeKey, type RouteKey } from './keys.ts'

/** Of all routes of one announcement. */
export interface Path {
  readonly nextHop: IPAddress
  readonly linkLocal: bigint | null
  readonly attributes: PathAttributes
}

export interface InRoute {
  readonly prefix: Prefix
  readonly path: Path
  /** From before a restart or refresh that is still going on. */
  stale: boolean
  /** Long-lived stale (RFC 9494): the last choice. */
  demoted: boolean
}

export interface ImportPolicy {
  readonly localAs: number
  readonly remoteAs: number
  readonly identifier: number
  /** `none`: nothing is kept. `default`: 0.0.0.0/0 and ::/0. */
  readonly accept: 'none' | 'default' | 'all'
  /** More routes end the session. */
  readonly maxPrefixes: number
}

export class AdjRibIn {
  readonly #policy: ImportPolicy
  readonly #routes = new Map<RouteKey, InRoute>()

  constructor(policy: ImportPolicy) {
    this.#policy = policy
  }

  get size(): number {
    return this.#routes.size
  }

  get(key: RouteKey): InRoute | undefined {
    return this.#routes.get(key)
  }

  routes(): IterableIterator<InRoute> {
    return this.#routes.values()
  }

  /**
   * Takes an UPDATE and reports to `changed` the key of each route that came, went or changed.
   *
   * @throws SessionError "maximum number of prefixes reached"
   */
  update(message: UpdateMessage, changed: (key: RouteKey, prefix: Prefix) => void): void {
    if (this.#policy.accept === 'none') return
    for (const { prefixes } of message.withdrawn) for (const prefix of prefixes) this.#remove(prefix, changed)
    const acceptable = this.#acceptable(message.attributes)
    for (const announcement of message.announced) {
      if (acceptable) this.#announce(announcement, message.attributes, changed)
      // What replaces an acceptable route withdraws it (RFC 4271 §9.1.2).
      else for (const prefix of announcement.prefixes) this.#remove(prefix, changed)
    }
  }

  #remove(prefix: Prefix, changed: (key: RouteKey, prefix: Prefix) => void): void {
    const key = routeKey(prefix)
    if (this.#routes.delete(key)) changed(key, prefix)
  }

  #announce(
    announcement: Announcement,
    attributes: PathAttributes,
    changed: (key: RouteKey, prefix: Prefix) => void,
  ): void {
    const { nextHop, linkLocal = null, prefixes } = announcement
    const path: Path = { nextHop, linkLocal, attributes }
    const onlyDefault = this.#policy.accept === 'default'
    for (const prefix of prefixes) {
      if (onlyDefault && prefix.length > 0) continue
      const key = routeKey(prefix)
      this.#routes.set(key, { prefix, path, stale: false, demoted: false })
      changed(key, prefix)
    }
    const { maxPrefixes } = this.#policy
    if (this.#routes.size > maxPrefixes) {
      const last = prefixes.at(-1)
      const detail = `more than ${maxPrefixes} routes${last === undefined ? '' : `, with ${formatPrefix(last)}`}`
      throw new SessionError(ERROR_CODE.cease, CEASE.maximumPrefixes, detail)
    }
  }

  /** Loops (RFC 4271 §9.1.2, RFC 4456 §8), and external routes that do not come from the peer's AS (RFC 4271 §6.3). */
  #acceptable({ asPath = [], originatorId, clusterList }: PathAttributes): boolean {
    const { localAs, remoteAs, identifier } = this.#policy
    if (pathContains(asPath, localAs)) return false
    if (localAs !== remoteAs) return firstAs(asPath) === remoteAs
    return originatorId !== identifier && clusterList?.includes(identifier) !== true
  }

  /** All routes of the family become stale. */
  mark(family: Family): void {
    for (const [key, route] of this.#routes) if (keyFamily(key) === family) route.stale = true
  }

  /** Stale routes of the family become the last choice; those that forbid it go. */
  demote(family: Family, changed: (key: RouteKey, prefix: Prefix) => void): void {
    for (const [key, route] of this.#routes) {
      if (keyFamily(key) !== family || !route.stale) continue
      if (route.path.attributes.communities?.includes(COMMUNITY.noLlgr) === true) this.#routes.delete(key)
      else route.demoted = true
      changed(key, route.prefix)
    }
  }

  /** Removes the family's routes, or the stale ones of it. */
  remove(family: Family, onlyStale: boolean, changed: (key: RouteKey, prefix: Prefix) => void): void {
    for (const [key, route] of this.#routes) {
      if (keyFamily(key) !== family || (onlyStale && !route.stale)) continue
      this.#routes.delete(key)
      changed(key, route.prefix)
    }
  }
}
