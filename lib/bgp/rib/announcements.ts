// What this speaker announces: one table for all peers. Routes with equal attributes share one set, so that they go out in the same
// messages and comparing two routes is comparing two references.
import type { Prefix } from '../../ip/index.ts'
import type { LargeCommunity } from '../codec/index.ts'
import { routeKey, type RouteKey } from './keys.ts'

export interface AnnouncedRoute {
  readonly prefix: Prefix
  /** COMMUNITY has the well-known ones. */
  readonly communities?: readonly number[]
  readonly largeCommunities?: readonly LargeCommunity[]
  readonly med?: number
}

/** Of one or more routes; equal sets are the same object. */
export interface AttributeSet {
  readonly communities: readonly number[]
  readonly largeCommunities: readonly LargeCommunity[]
  readonly med: number | null
}

export interface TableRoute {
  readonly prefix: Prefix
  readonly set: AttributeSet
}

export class Announcements {
  readonly #routes = new Map<RouteKey, TableRoute>()
  readonly #sets = new Map<string, AttributeSet>()

  get size(): number {
    return this.#routes.size
  }

  get(key: RouteKey): TableRoute | undefined {
    return this.#routes.get(key)
  }

  keys(): IterableIterator<RouteKey> {
    return this.#routes.keys()
  }

  /** Adds the route, or replaces that of its prefix; its key when that changed anything, null otherwise. */
  set(route: AnnouncedRoute): RouteKey | null {
    const key = routeKey(route.prefix)
    const set = this.#intern(route)
    if (this.#routes.get(key)?.set === set) return null
    this.#routes.set(key, { prefix: route.prefix, set })
    return key
  }

  /** Whether it was there. */
  delete(key: RouteKey): boolean {
    return this.#routes.delete(key)
  }

  // Sets are few (one per kind of network) and stay.
  #intern({
    communities = [],
    largeCommunities = [],
    med = null,
  }: Partial<AttributeSet> | AnnouncedRoute): AttributeSet {
    const ordered = [...new Set(communities)].sort((a, b) => a - b)
    const text = `${ordered.join(' ')}|${largeCommunities.map((each) => each.join(':')).join(' ')}|${med ?? ''}`
    let set = this.#sets.get(text)
    if (set === undefined) {
      set = { communities: ordered, largeCommunities, med }
      this.#sets.set(text, set)
    }
    return set
  }
}
