// Which of the peers' routes are used: route selection of RFC 4271 §9.1 over all peers, with every route that is as good as the best
// one down to the choice between external and internal (equal-cost paths), one next hop each.
//
// There is no cost of the way to a next hop: peers of a node are its neighbours.
import type { IPAddress, Prefix } from '../../ip/index.ts'
import { COMMUNITY, firstAs, pathLength } from '../codec/index.ts'
import type { InRoute } from './adj-rib-in.ts'
import type { RouteKey } from './keys.ts'

export interface Candidate {
  readonly route: InRoute
  readonly external: boolean
  /** The peer's BGP identifier. */
  readonly identifier: number
  readonly peer: IPAddress
}

export interface Gateway {
  /** Next hop. */
  readonly address: IPAddress
  readonly linkLocal: bigint | null
  /** The peer it was heard from. */
  readonly peer: IPAddress
}

export interface GatewayChange {
  readonly prefix: Prefix
  /** In the order of their addresses; empty when the prefix is not reachable by any peer any more. */
  readonly gateways: readonly Gateway[]
}

const DEFAULT_LOCAL_PREF = 100

function lastChoice({ route }: Candidate): boolean {
  return route.demoted || route.path.attributes.communities?.includes(COMMUNITY.llgrStale) === true
}

/** Negative when `a` is better; 0 when both are used together. */
function compare(a: Candidate, b: Candidate): number {
  const left = a.route.path.attributes
  const right = b.route.path.attributes
  const stale = Number(lastChoice(a)) - Number(lastChoice(b))
  if (stale !== 0) return stale
  const preference = (right.localPref ?? DEFAULT_LOCAL_PREF) - (left.localPref ?? DEFAULT_LOCAL_PREF)
  if (preference !== 0) return preference
  const length = pathLength(left.asPath ?? []) - pathLength(right.asPath ?? [])
  if (length !== 0) return length
  const origin = (left.origin ?? 2) - (right.origin ?? 2)
  if (origin !== 0) return origin
  return Number(b.external) - Number(a.external)
}

/** The candidates that are used, at most `limit` next hops. */
export function select(candidates: readonly Candidate[], limit: number): Gateway[] {
  let best: Candidate[] = []
  for (const candidate of candidates) {
    const [first] = best
    const order = first === undefined ? 0 : compare(candidate, first)
    if (order < 0) best = [candidate]
    else if (order === 0) best.push(candidate)
  }
  const cheapest = best.filter((each) => !best.some((rival) => cheaper(rival, each)))
  cheapest.sort((a, b) => a.identifier - b.identifier || (a.peer < b.peer ? -1 : 1))
  const gateways = new Map<IPAddress, Gateway>()
  for (const { route, peer } of cheapest) {
    const { nextHop, linkLocal } = route.path
    if (gateways.size < limit && !gateways.has(nextHop)) gateways.set(nextHop, { address: nextHop, linkLocal, peer })
  }
  return [...gateways.values()].sort((a, b) => (a.address < b.address ? -1 : 1))
}

/** RFC 4271 §9.1.2.2 c: MULTI_EXIT_DISC compares routes of one neighbouring AS only. */
function cheaper(a: Candidate, b: Candidate): boolean {
  const left = a.route.path.attributes
  const right = b.route.path.attributes
  return firstAs(left.asPath ?? []) === firstAs(right.asPath ?? []) && (left.med ?? 0) < (right.med ?? 0)
}

const same = (a: readonly Gateway[], b: readonly Gateway[]): boolean =>
  a.length === b.length &&
  a.every((each, i) => each.address === b[i]?.address && each.linkLocal === b[i].linkLocal && each.peer === b[i].peer)

export class Gateways {
  readonly #limit: number
  readonly #chosen = new Map<RouteKey, GatewayChange>()
  readonly #changed = new Map<RouteKey, Prefix>()

  /** @param limit next hops per prefix */
  constructor(limit: number) {
    this.#limit = limit
  }

  all(): GatewayChange[] {
    return [...this.#chosen.values()]
  }

  /** The candidates of the prefix have changed. */
  mark(key: RouteKey, prefix: Prefix): void {
    this.#changed.set(key, prefix)
  }

  /** Chooses anew where something was marked. */
  settle(candidates: (key: RouteKey) => readonly Candidate[]): GatewayChange[] {
    const changes: GatewayChange[] = []
    for (const [key, prefix] of this.#changed) {
      const gateways = select(candidates(key), this.#limit)
      if (same(gateways, this.#chosen.get(key)?.gateways ?? [])) continue
      const change = { prefix, gateways }
      if (gateways.length === 0) this.#chosen.delete(key)
      else this.#chosen.set(key, change)
      changes.push(change)
    }
    this.#changed.clear()
    return changes
  }
}
