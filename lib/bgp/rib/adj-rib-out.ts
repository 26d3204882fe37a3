// What one peer has been told, and what it has to be told: the difference to the table, packed into few messages.
import { familyOf, type Family, type Prefix } from '../../ip/index.ts'
import {
  COMMUNITY,
  encodeAnnouncements,
  encodeWithdrawals,
  unicast,
  type NextHop,
  type PathAttributes,
} from '../codec/index.ts'
import type { Session } from '../fsm/index.ts'
import type { Announcements, AttributeSet } from './announcements.ts'
import { keyFamily, type RouteKey } from './keys.ts'

/** LOCAL_PREF of own routes towards internal peers, the value everybody assumes. */
const LOCAL_PREF = 100

/** What an update needs to know beside the routes. */
export interface ExportPolicy {
  readonly localAs: number
  /** Next hop of own routes per family; routes of a family without one are not announced. */
  readonly nextHops: { readonly 4: NextHop | null; readonly 6: NextHop | null }
}

export interface Flush {
  readonly messages: Buffer[]
  /** Routes that could not be sent, and why; they count as withdrawn. */
  readonly refused: readonly { readonly prefixes: readonly Prefix[]; readonly reason: string }[]
}

export class AdjRibOut {
  readonly #table: Announcements
  readonly #policy: ExportPolicy
  readonly #told = new Map<RouteKey, { readonly prefix: Prefix; readonly set: AttributeSet }>()
  readonly #dirty = new Set<RouteKey>()

  constructor(table: Announcements, policy: ExportPolicy) {
    this.#table = table
    this.#policy = policy
  }

  /** Routes the peer has. */
  get size(): number {
    return this.#told.size
  }

  /** Whether flush() would have something to look at. */
  get pending(): boolean {
    return this.#dirty.size > 0
  }

  has(key: RouteKey): boolean {
    return this.#told.has(key)
  }

  /** The route of the key has changed. */
  mark(key: RouteKey): void {
    this.#dirty.add(key)
  }

  /** A new session: the peer knows nothing. */
  reset(): void {
    this.#told.clear()
    this.#dirty.clear()
    for (const key of this.#table.keys()) this.#dirty.add(key)
  }

  /** The peer wants to hear all routes of the family again. */
  resend(family: Family): void {
    for (const key of this.#told.keys()) {
      if (keyFamily(key) !== family) continue
      this.#told.delete(key)
      this.#dirty.add(key)
    }
  }

  /** The messages that tell the peer all changes since the last call: withdrawals first, then announcements by attributes. */
  flush(session: Session): Flush {
    const gone: Record<Family, Prefix[]> = { 4: [], 6: [] }
    const groups = new Map<AttributeSet, Record<Family, Prefix[]>>()
    for (const key of this.#dirty) {
      const told = this.#told.get(key)
      const route = this.#table.get(key)
      const wanted = route !== undefined && this.#exports(keyFamily(key), session, route.set) ? route : undefined
      if (wanted?.set === told?.set) continue
      if (wanted === undefined) {
        if (told !== undefined) gone[keyFamily(key)].push(told.prefix)
        this.#told.delete(key)
        continue
      }
      let group = groups.get(wanted.set)
      if (group === undefined) groups.set(wanted.set, (group = { 4: [], 6: [] }))
      group[keyFamily(key)].push(wanted.prefix)
      this.#told.set(key, wanted)
    }
    this.#dirty.clear()
    return this.#encode(session, gone, groups)
  }

  #exports(family: Family, session: Session, set: AttributeSet): boolean {
    if (!session.families.has(unicast(family)) || set.communities.includes(COMMUNITY.noAdvertise)) return false
    const hop = this.#policy.nextHops[family]
    return hop !== null && (familyOf(hop.nextHop) === family || session.extendedNextHop)
  }

  #encode(
    session: Session,
    gone: Record<Family, Prefix[]>,
    groups: ReadonlyMap<AttributeSet, Record<Family, Prefix[]>>,
  ): Flush {
    const messages: Buffer[] = []
    const refused: { prefixes: readonly Prefix[]; reason: string }[] = []
    const { fourOctetAs, maxBytes } = session
    for (const family of [4, 6] as const) {
      if (gone[family].length > 0) messages.push(...encodeWithdrawals(family, gone[family], maxBytes))
    }
    for (const [set, prefixes] of groups) {
      for (const family of [4, 6] as const) {
        const hop = this.#policy.nextHops[family]
        if (prefixes[family].length === 0 || hop === null) continue
        const attributes = this.#attributes(set, session)
        try {
          messages.push(...encodeAnnouncements(family, hop, attributes, prefixes[family], { fourOctetAs, maxBytes }))
        } catch (error) {
          if (!(error instanceof RangeError)) throw error
          // RFC 8654 §5: what does not fit the peer's messages is withdrawn from it.
          refused.push({ prefixes: prefixes[family], reason: error.message })
          messages.push(...encodeWithdrawals(family, prefixes[family], maxBytes))
        }
      }
    }
    return { messages, refused }
  }

  #attributes(set: AttributeSet, { external }: Session): PathAttributes {
    return {
      origin: 0,
      asPath: external ? [{ type: 'sequence', asns: [this.#policy.localAs] }] : [],
      ...(set.med === null ? {} : { med: set.med }),
      ...(external ? {} : { localPref: LOCAL_PREF }),
      ...(set.communities.length === 0 ? {} : { communities: set.communities }),
      ...(set.largeCommunities.length === 0 ? {} : { largeCommunities: set.largeCommunities }),
    }
  }
}
