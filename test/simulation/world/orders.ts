// What happens to the cluster from outside, as a list of orders with their moments, made from the seed before anything runs. An
// order that makes no sense when its time comes does nothing; so any part of a list is a list, and a failing one shrinks.
import type { IPFamily } from '../../../lib/api/index.ts'
import type { Dice } from '../engine/dice.ts'

export type Order = { readonly at: number } & (
  | {
      readonly kind: 'pod'
      readonly namespace: string
      readonly name: string
      readonly family: IPFamily
      readonly network: 'Overlay' | 'Underlay'
    }
  | { readonly kind: 'delete'; readonly namespace: string; readonly name: string; readonly forced: boolean }
  | {
      readonly kind: 'finish'
      readonly namespace: string
      readonly name: string
      readonly how: 'Succeeded' | 'Failed' | 'Evicted'
    }
  | { readonly kind: 'scale'; readonly namespace: string; readonly set: string; readonly replicas: number }
  | { readonly kind: 'drop-set'; readonly namespace: string; readonly set: string }
  | { readonly kind: 'retain'; readonly namespace: string; readonly set: string; readonly retain: boolean }
  | { readonly kind: 'reboot'; readonly node: string }
  | { readonly kind: 'crash'; readonly manager: number }
  | { readonly kind: 'terminate'; readonly manager: number }
  | { readonly kind: 'pause'; readonly manager: number; readonly ms: number; readonly suspended: boolean }
  | { readonly kind: 'wall'; readonly manager: number; readonly ms: number }
  | { readonly kind: 'partition'; readonly manager: number; readonly ms: number }
  | { readonly kind: 'watches'; readonly manager: number; readonly how: 'cut' | 'mute' | 'gone' }
  | { readonly kind: 'compact' }
  | { readonly kind: 'drop-lease' }
)

export type OrderKind = Order['kind']

export interface OrderPlan {
  readonly count: number
  /** All orders fall before that moment. */
  readonly withinMs: number
  readonly weights: Readonly<Record<OrderKind, number>>
  readonly namespaces: readonly string[]
  readonly podNames: readonly string[]
  readonly sets: readonly string[]
  readonly maxReplicas: number
  readonly families: readonly IPFamily[]
  readonly underlay: number
  readonly nodes: readonly string[]
  readonly managers: number
}

export function makeOrders(dice: Dice, plan: OrderPlan): Order[] {
  const orders = Array.from({ length: plan.count }, () => {
    const at = Math.floor(dice.between(0, plan.withinMs))
    return { at, ...makeOrder(dice, plan) } as Order
  })
  // Some pods go before they have come.
  const regrets = orders.flatMap((order): Order[] => {
    if (order.kind !== 'pod' || !dice.chance(0.25)) return []
    const { namespace, name } = order
    const at = order.at + Math.floor(dice.between(0, 3000))
    return [{ at, kind: 'delete', namespace, name, forced: dice.chance(0.5) }]
  })
  return [...orders, ...regrets].sort((a, b) => a.at - b.at)
}

function makeOrder(dice: Dice, plan: OrderPlan): object {
  const kind = dice.weighted(plan.weights)
  const namespace = dice.pick(plan.namespaces)
  const name = dice.pick(plan.podNames)
  const set = dice.pick(plan.sets)
  const manager = dice.below(plan.managers)
  switch (kind) {
    case 'pod': {
      const network = dice.chance(plan.underlay) ? 'Underlay' : 'Overlay'
      // The underlay of the simulated cluster has IPv4 only.
      const family = network === 'Underlay' ? 'IPv4Only' : dice.pick(plan.families)
      return { kind, namespace, name, family, network }
    }
    case 'delete': {
      const target = dice.chance(0.5) ? name : `${set}-${dice.below(plan.maxReplicas)}`
      return { kind, namespace, name: target, forced: dice.chance(0.15) }
    }
    case 'finish':
      return { kind, namespace, name, how: dice.pick(['Succeeded', 'Failed', 'Evicted']) }
    case 'scale':
      return { kind, namespace, set, replicas: dice.below(plan.maxReplicas + 1) }
    case 'retain':
      return { kind, namespace, set, retain: dice.chance(0.6) }
    case 'drop-set':
      return { kind, namespace, set }
    case 'reboot':
      return { kind, node: dice.pick(plan.nodes) }
    case 'pause':
      return { kind, manager, ms: Math.floor(dice.between(500, 25_000)), suspended: dice.chance(0.4) }
    case 'wall':
      return { kind, manager, ms: Math.floor(dice.between(-20_000, 20_000)) }
    case 'partition':
      return { kind, manager, ms: Math.floor(dice.between(500, 30_000)) }
    case 'watches':
      return { kind, manager, how: dice.pick(['cut', 'mute', 'gone']) }
    case 'crash':
    case 'terminate':
      return { kind, manager }
    case 'compact':
    case 'drop-lease':
      return { kind }
  }
}
