// What a seed stands for: how many managers on what machines, what goes wrong on the way to the API server, and the list of
// orders. Profiles differ in what may happen; the seed draws the rest.
import type { IPFamily } from '../../lib/api/index.ts'
import { Dice } from './engine/dice.ts'
import { NO_FAULTS, type FaultRates, type LinkSettings } from './server/faults.ts'
import { makeOrders, type Order, type OrderKind } from './world/orders.ts'
import type { ClockSettings } from './world/managers.ts'
import type { SetShape } from './world/shapes.ts'

/**
 * calm     one manager, nothing goes wrong
 * crashes  one manager that is killed again and again, nothing else goes wrong
 * faults   two managers or three, everything goes wrong that the fence and the rules of the API allow for
 * zombies  besides, requests outlive their sender's leadership: two objects of an address may meet, and are told apart
 */
export const PROFILES = ['calm', 'crashes', 'faults', 'zombies'] as const
export type Profile = (typeof PROFILES)[number]

export interface Scenario {
  readonly seed: number
  readonly profile: Profile
  readonly managers: number
  readonly clocks: ClockSettings
  readonly link: LinkSettings
  readonly orders: readonly Order[]
  /** Orders and faults end then, milliseconds. */
  readonly endMs: number
  readonly sets: readonly SetShape[]
  readonly namespaces: readonly string[]
  /** Versions the server's cache may be behind for who asks for a cached list. */
  readonly cacheLag: number
  /** Objects a page of a list has at most. */
  readonly pageSize: number
  /** Last address of the small subnet: so tight that pods have to wait in some runs. */
  readonly smallSubnetEnd: string
}

export const NODES = ['node-a', 'node-b', 'node-c'] as const
export const UNDERLAY_NODES = ['node-a', 'node-b'] as const

const CALM_LINK: LinkSettings = {
  faults: NO_FAULTS,
  delays: { typicalMs: 5, slow: 0, slowMs: 0 },
  watchLagMs: 50,
  afterlifeMs: 300,
}

/** How everything is when faults are over. */
export const RESTED_LINK = CALM_LINK

const NAMESPACES = ['red', 'blue']
const FAMILIES: readonly IPFamily[] = ['IPv4Only', 'IPv4Only', 'DualStack', 'IPv6Only']

export function scenarioOf(seed: number, profile: Profile): Scenario {
  const dice = new Dice(seed).split(profile)
  const troubled = profile === 'faults' || profile === 'zombies'
  const managers = troubled ? dice.weighted({ 2: 8, 3: 2 }) : '1'
  const endMs = troubled ? dice.between(60_000, 150_000) : dice.between(30_000, 60_000)
  const sets: SetShape[] = NAMESPACES.flatMap((namespace) =>
    ['db', 'mq'].map((name, index) => ({
      namespace,
      name,
      family: index === 0 ? 'DualStack' : 'IPv4Only',
      retain: dice.pick([null, null, true, false]),
    })),
  )
  const plan = {
    count: Math.floor(troubled ? dice.between(40, 110) : dice.between(30, 70)),
    withinMs: endMs,
    weights: weightsOf(profile),
    namespaces: NAMESPACES,
    podNames: ['a', 'b', 'c', 'd', 'e', 'f'],
    sets: ['db', 'mq'],
    maxReplicas: 3,
    families: FAMILIES,
    underlay: 0.15,
    nodes: NODES,
    managers: Number(managers),
  }
  return {
    seed,
    profile,
    managers: Number(managers),
    clocks: {
      maxDrift: troubled ? 0.01 : 0,
      maxAheadMs: troubled ? 3_600_000 : 0,
      slowMs: troubled && dice.chance(0.3) ? dice.between(0, 2) : 0,
      macBits: dice.pick([6, 7, 24]),
    },
    link: troubled ? linkOf(dice.split('link'), profile) : CALM_LINK,
    orders: makeOrders(dice.split('orders'), plan),
    endMs,
    sets,
    namespaces: NAMESPACES,
    cacheLag: dice.below(30),
    pageSize: dice.pick([2, 5, 500]),
    smallSubnetEnd: dice.pick(['10.1.0.4', '10.1.0.8', '10.1.0.12']),
  }
}

function weightsOf(profile: Profile): Readonly<Record<OrderKind, number>> {
  const troubled = profile === 'faults' || profile === 'zombies'
  return {
    pod: 30,
    delete: 18,
    finish: 6,
    scale: 22,
    'drop-set': 2,
    retain: 2,
    reboot: 2,
    crash: profile === 'crashes' ? 25 : profile === 'zombies' ? 14 : troubled ? 6 : 0,
    terminate: profile === 'calm' ? 0 : 2,
    pause: troubled ? 3 : 0,
    wall: troubled ? 2 : 0,
    partition: troubled ? 4 : 0,
    watches: troubled ? 5 : 0,
    compact: troubled ? 2 : 0,
    'drop-lease': profile === 'zombies' ? 1 : 0,
  }
}

/** Each run has a few kinds of trouble, mild or heavy; all at once would only hide each other. */
function linkOf(dice: Dice, profile: Profile): LinkSettings {
  const rate = (): number => (dice.chance(0.45) ? dice.fraction() ** 2 * 0.15 : 0)
  const watchRate = (): number => (dice.chance(0.4) ? dice.fraction() ** 2 * 0.05 : 0)
  const faults: FaultRates = {
    refused: rate(),
    cutBefore: rate(),
    cutAfter: rate(),
    lostBefore: rate() / 4,
    lostAfter: rate() / 4,
    overload: rate(),
    failed: rate(),
    lateSuccess: rate(),
    conflict: rate(),
    watchCut: watchRate(),
    watchMute: watchRate() / 10,
    watchGone: watchRate(),
  }
  const delays = { typicalMs: dice.between(1, 40), slow: dice.chance(0.5) ? dice.between(0, 0.05) : 0, slowMs: 3500 }
  const zombies = profile === 'zombies'
  return {
    faults,
    delays: zombies ? { ...delays, slow: delays.slow + 0.08, slowMs: 60_000 } : delays,
    watchLagMs: dice.between(10, 4000),
    afterlifeMs: zombies ? 60_000 : 300,
  }
}
