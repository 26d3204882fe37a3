// What the cluster makes of a node that is not well, as pure functions: conditions of one that is silent, taints, and when
// its pods have to go. After kube-controller-manager's node-lifecycle and taint-eviction controllers
// (k8s.io/kubernetes/pkg/controller/nodelifecycle, pkg/controller/tainteviction).
//
// Not here: zones with their rates of eviction, beyond the rule that nothing is evicted when no node at all is ready.
import { type Taint, tolerating, type Toleration } from '../taints.ts'
import type { Condition } from './types.ts'

/** The fields of a Node these rules read. */
export interface HealthNode {
  readonly metadata: { readonly name: string }
  readonly spec?: { readonly unschedulable?: boolean; readonly taints?: readonly Taint[] }
  readonly status?: { readonly conditions?: readonly Condition[] }
}

const notReady = 'node.kubernetes.io/not-ready'
const unreachable = 'node.kubernetes.io/unreachable'
const unschedulable = 'node.kubernetes.io/unschedulable'

/** Taints by condition and the status that calls for it. */
const conditionTaints: readonly (readonly [string, string, string])[] = [
  ['Ready', 'False', notReady],
  ['Ready', 'Unknown', unreachable],
  ['MemoryPressure', 'True', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'True', 'node.kubernetes.io/disk-pressure'],
  ['PIDPressure', 'True', 'node.kubernetes.io/pid-pressure'],
  ['NetworkUnavailable', 'True', 'node.kubernetes.io/network-unavailable'],
]
const managed = new Set([unschedulable, ...conditionTaints.map(([, , key]) => key)])

export const readiness = (node: HealthNode): Condition['status'] =>
  node.status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown'

/** Conditions a kubelet alone can vouch for: what its silence makes of them. null when they say so already. */
export function silentConditions(node: HealthNode, now: string): readonly Condition[] | null {
  const present = node.status?.conditions ?? []
  const vouched = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']
  const wanted = vouched.map((type): Condition => {
    const before = present.find((condition) => condition.type === type)
    if (before?.status === 'Unknown') return before
    const reason = before === undefined ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown'
    const message = before === undefined ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.'
    return { ...before, type, status: 'Unknown', reason, message, lastTransitionTime: now }
  })
  if (wanted.every((condition) => present.includes(condition))) return null
  return [...present.filter(({ type }) => !vouched.includes(type)), ...wanted]
}

/**
 * The taints a node ought to have; those of others are kept. null when it has them.
 *
 * @param evicting false: no NoExecute taints, whatever the node's state
 * @param now RFC 3339
 */
export function wantedTaints(node: HealthNode, evicting: boolean, now: string): readonly Taint[] | null {
  const present = node.spec?.taints ?? []
  const status = (type: string): string | undefined =>
    node.status?.conditions?.find((condition) => condition.type === type)?.status ??
    (type === 'Ready' ? 'Unknown' : undefined)
  const own: Taint[] = conditionTaints
    .filter(([type, value]) => status(type) === value)
    .map(([, , key]) => ({ key, effect: 'NoSchedule' }))
  if (node.spec?.unschedulable === true) own.push({ key: unschedulable, effect: 'NoSchedule', timeAdded: now })
  const ready = readiness(node)
  if (ready !== 'True' && evicting) {
    own.push({ key: ready === 'False' ? notReady : unreachable, effect: 'NoExecute', timeAdded: now })
  }
  const same = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect
  const ours = (taint: Taint): boolean => managed.has(taint.key) && ['NoSchedule', 'NoExecute'].includes(taint.effect)
  const kept = present.filter((taint) => !ours(taint) || own.some((wanted) => same(taint, wanted)))
  const added = own.filter((wanted) => !present.some((taint) => same(taint, wanted)))
  return added.length === 0 && kept.length === present.length ? null : [...kept, ...added]
}

/**
 * When a pod has to leave a node: milliseconds since 1970, 0 for at once; null when it may stay.
 */
export function evictionTime(tolerations: readonly Toleration[], taints: readonly Taint[]): number | null {
  const executing = taints.filter(({ effect }) => effect === 'NoExecute')
  let earliest: number | null = null
  for (const taint of executing) {
    const matching = tolerating(tolerations, taint)
    if (matching.length === 0) return 0
    const seconds = matching.map(({ tolerationSeconds }) => tolerationSeconds ?? Infinity)
    const since = Date.parse(taint.timeAdded ?? '')
    const until = (Number.isNaN(since) ? 0 : since) + Math.max(0, Math.min(...seconds)) * 1000
    if (Number.isFinite(until) && (earliest === null || until < earliest)) earliest = until
  }
  return earliest
}
