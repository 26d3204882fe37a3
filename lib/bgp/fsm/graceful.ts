// What becomes of a peer's routes when its session is lost and comes back: the receiving side of graceful restart (RFC 4724 §4.2,
// RFC 8538), long-lived graceful restart (RFC 9494 §4.3), and refreshes with marks (RFC 7313 §4). Pure, like the peer's machine.
//
// Each family of a peer is fresh, stale or long-lived stale. The restarting side is not here: it is two bits in an OPEN and an
// End-of-RIB at the right time (speaker.ts).
import type { Family } from '../../ip/index.ts'
import { unicast, unicastFamily } from '../codec/index.ts'
import type { Down, Session } from './types.ts'

export type GracefulTimer = 'restart' | 'endOfRib' | `longLived:${Family}` | `refresh:${Family}`

export type GracefulAction =
  /** All routes of the family become stale; they keep being used. */
  | { readonly do: 'mark'; readonly family: Family }
  /** Routes that are still stale go. */
  | { readonly do: 'sweep'; readonly family: Family }
  /** Routes that are stale become the last choice, and those with the community NO_LLGR go. */
  | { readonly do: 'demote'; readonly family: Family }
  /** All routes of the family go. */
  | { readonly do: 'drop'; readonly family: Family }
  | { readonly do: 'timer'; readonly timer: GracefulTimer; readonly seconds: number | null }

export interface GracefulLimits {
  /** Seconds that routes are kept for a peer that is away, whatever it asks for. */
  readonly restartTime: number
  /** Seconds from the new session to its End-of-RIB. */
  readonly endOfRibTime: number
  /** The same as restartTime for long-lived stale routes; 0 turns them off. */
  readonly longLivedTime: number
}

const FAMILIES: readonly Family[] = [4, 6]

export class GracefulRestart {
  readonly #limits: GracefulLimits
  readonly #stale = new Map<Family, 'stale' | 'longLived'>()
  /** The session that was lost last. */
  #lost: Session | null = null

  constructor(limits: GracefulLimits) {
    this.#limits = limits
  }

  /** Families with stale routes. */
  get stale(): readonly Family[] {
    return [...this.#stale.keys()]
  }

  /** The session has ended. */
  down({ session, graceful }: Down): GracefulAction[] {
    this.#lost = session
    const actions: GracefulAction[] = [
      { do: 'timer', timer: 'endOfRib', seconds: null },
      ...FAMILIES.map((family) => ({ do: 'timer', timer: `refresh:${family}`, seconds: null }) as const),
    ]
    const asked = graceful ? session.gracefulRestart : null
    for (const family of FAMILIES) {
      const before = this.#stale.get(family)
      // The time of long-lived stale routes goes on over further losses (RFC 9494 §4.3).
      if (before === 'longLived' && asked !== null) continue
      if (asked?.families.some((each) => each.family === unicast(family)) !== true) {
        actions.push(...this.#drop(family))
        continue
      }
      // RFC 4724 §4.2: what is left from before the restart before this one has had its time.
      if (before === 'stale') actions.push({ do: 'sweep', family })
      this.#stale.set(family, 'stale')
      actions.push({ do: 'mark', family })
    }
    if (this.#stale.size === 0) return actions
    const seconds = Math.min(asked?.restartTime ?? 0, this.#limits.restartTime)
    if (seconds === 0) return [...actions, ...this.timer('restart')]
    return [...actions, { do: 'timer', timer: 'restart', seconds }]
  }

  /** A new session is up. */
  up(session: Session): GracefulAction[] {
    const actions: GracefulAction[] = [{ do: 'timer', timer: 'restart', seconds: null }]
    for (const family of this.stale) {
      const kept = [...(session.gracefulRestart?.families ?? []), ...session.longLived].some(
        (each) => each.family === unicast(family) && each.forwarding,
      )
      // RFC 4724 §4.2: what the peer did not keep forwarding, it must not be sent any more.
      if (!kept || !session.families.has(unicast(family))) actions.push(...this.#drop(family))
    }
    if (this.#stale.size > 0) actions.push({ do: 'timer', timer: 'endOfRib', seconds: this.#limits.endOfRibTime })
    return actions
  }

  /** The peer has sent all it has. */
  endOfRib(family: Family): GracefulAction[] {
    return this.#sweep(family)
  }

  /** The peer begins to send all it has again, because it was asked to (RFC 7313). */
  refreshBegin(family: Family): GracefulAction[] {
    return [
      { do: 'mark', family },
      { do: 'timer', timer: `refresh:${family}`, seconds: this.#limits.endOfRibTime },
    ]
  }

  refreshEnd(family: Family): GracefulAction[] {
    return [
      { do: 'sweep', family },
      { do: 'timer', timer: `refresh:${family}`, seconds: null },
    ]
  }

  timer(timer: GracefulTimer): GracefulAction[] {
    if (timer === 'restart') return this.stale.flatMap((family) => this.#expired(family))
    if (timer === 'endOfRib') return this.stale.flatMap((family) => this.#sweep(family))
    const [kind, family] = timer.split(':') as ['longLived' | 'refresh', '4' | '6']
    if (kind === 'refresh') return this.refreshEnd(family === '4' ? 4 : 6)
    return this.#sweep(family === '4' ? 4 : 6)
  }

  /** The peer did not come back in time. */
  #expired(family: Family): GracefulAction[] {
    if (this.#stale.get(family) === 'longLived') return []
    const offered = this.#lost?.longLived.find((each) => unicastFamily(each.family) === family)
    const seconds = Math.min(offered?.staleTime ?? 0, this.#limits.longLivedTime)
    if (seconds === 0) return this.#drop(family)
    this.#stale.set(family, 'longLived')
    return [
      { do: 'demote', family },
      { do: 'timer', timer: `longLived:${family}`, seconds },
    ]
  }

  #drop(family: Family): GracefulAction[] {
    this.#stale.delete(family)
    return [
      { do: 'drop', family },
      { do: 'timer', timer: `longLived:${family}`, seconds: null },
    ]
  }

  #sweep(family: Family): GracefulAction[] {
    if (!this.#stale.delete(family)) return []
    const actions: GracefulAction[] = [
      { do: 'sweep', family },
      { do: 'timer', timer: `longLived:${family}`, seconds: null },
    ]
    if (this.#stale.size === 0) actions.push({ do: 'timer', timer: 'endOfRib', seconds: null })
    return actions
  }
}
