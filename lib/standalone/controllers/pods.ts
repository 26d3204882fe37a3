// What controllers ask about a pod. Pure.
import type { Condition, Pod } from './types.ts'

const condition = (pod: Pod, type: string): Condition | undefined =>
  (pod.status?.conditions ?? []).find((candidate) => candidate.type === type)

export const isReady = (pod: Pod): boolean => condition(pod, 'Ready')?.status === 'True'

export const isTerminating = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined

export const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

/** Counts as a replica: neither ended nor on its way out. */
export const isActive = (pod: Pod): boolean => !isFinished(pod) && !isTerminating(pod)

/**
 * Milliseconds until a pod has been ready for `minReadySeconds`: 0 when it is available, null when it is not ready.
 *
 * @param now milliseconds since 1970
 */
export function availableIn(pod: Pod, minReadySeconds: number, now: number): number | null {
  const ready = condition(pod, 'Ready')
  if (ready?.status !== 'True') return null
  if (minReadySeconds === 0) return 0
  const since = Date.parse(ready.lastTransitionTime ?? '')
  return Number.isNaN(since) ? null : Math.max(0, since + minReadySeconds * 1000 - now)
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export const timestamp = (): string => new Date().toISOString().replace(/\.\d+Z$/, 'Z')

/** Pods in the order in which a ReplicaSet gives them up (pkg/controller ActivePods): least useful first. */
export function byUselessness(a: Pod, b: Pod): number {
  const unbound = Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName))
  if (unbound !== 0) return unbound
  const phases = ['Pending', 'Unknown', 'Running']
  const phase = phases.indexOf(a.status?.phase ?? 'Pending') - phases.indexOf(b.status?.phase ?? 'Pending')
  if (phase !== 0) return phase
  const unready = Number(isReady(a)) - Number(isReady(b))
  if (unready !== 0) return unready
  // The younger one goes.
  const age = (pod: Pod): string => pod.metadata.creationTimestamp ?? ''
  if (age(a) !== age(b)) return age(a) > age(b) ? -1 : 1
  return a.metadata.name < b.metadata.name ? -1 : 1
}

/** A condition with times: changed only as far as it says something new. */
export function setCondition(
  present: readonly Condition[],
  wanted: Condition,
  now: string,
  touch = false,
): readonly Condition[] {
  const before = present.find(({ type }) => type === wanted.type)
  const same =
    before?.status === wanted.status && before.reason === wanted.reason && before.message === wanted.message && !touch
  if (same) return present
  const since = before?.status === wanted.status ? (before.lastTransitionTime ?? now) : now
  return [...present.filter(({ type }) => type !== wanted.type), { ...wanted, lastTransitionTime: since }]
}
