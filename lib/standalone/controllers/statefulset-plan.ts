// The next steps of a StatefulSet, as a pure function (pkg/controller/statefulset/stateful_set_control.go). Pods go up in
// the order of their ordinals and down in the reverse one; OrderedReady takes one step at a time and waits for each pod to
// be available, Parallel does not wait. A roll replaces the highest ordinals first, one at a time, either way.
import { availableIn, isFinished, isReady, isTerminating } from './pods.ts'
import type { Pod, StatefulSet } from './types.ts'

export const revisionLabel = 'controller-revision-hash'

export type Step =
  | { readonly do: 'create'; readonly ordinal: number; readonly revision: string }
  | { readonly do: 'delete'; readonly pod: Pod }

export interface Plan {
  readonly steps: readonly Step[]
  /** Milliseconds until a pod that is waited for becomes available by time alone; null: a watch tells. */
  readonly again: number | null
}

/** The ordinal in a pod's name; null when it is no pod of the set. */
export function ordinalOf(set: string, pod: string): number | null {
  if (!pod.startsWith(`${set}-`)) return null
  const rest = pod.slice(set.length + 1)
  return /^(0|[1-9]\d{0,8})$/.test(rest) ? Number(rest) : null
}

export const revisionOf = (pod: Pod): string => pod.metadata.labels?.[revisionLabel] ?? ''

/** Exists, has not ended, runs and is ready: what the next ordinal waits for. */
export const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isReady(pod)

interface Revisions {
  readonly current: string
  readonly update: string
}

/** @param pods those of the set, by ordinal */
export function planStatefulSet(
  set: StatefulSet,
  pods: ReadonlyMap<number, Pod>,
  { current, update }: Revisions,
  now: number,
): Plan {
  const { spec } = set
  const start = spec.ordinals?.start ?? 0
  const end = start + (spec.replicas ?? 1)
  const rolling = (spec.updateStrategy?.type ?? 'RollingUpdate') === 'RollingUpdate'
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0
  const ordered = (spec.podManagementPolicy ?? 'OrderedReady') === 'OrderedReady'
  const availability = (pod: Pod): number | null =>
    isRunningAndReady(pod) && !isTerminating(pod) ? availableIn(pod, spec.minReadySeconds ?? 0, now) : null
  const steps: Step[] = []

  for (let ordinal = start; ordinal < end; ordinal++) {
    const pod = pods.get(ordinal)
    if (pod === undefined) {
      steps.push({ do: 'create', ordinal, revision: rolling && ordinal < start + partition ? current : update })
      if (ordered) return { steps, again: null }
    } else if (isFinished(pod) && !isTerminating(pod)) {
      steps.push({ do: 'delete', pod })
      if (ordered) return { steps, again: null }
    } else if (ordered) {
      const wait = availability(pod)
      if (wait !== 0) return { steps, again: wait }
    }
  }

  const condemned = [...pods].filter(([ordinal]) => ordinal < start || ordinal >= end).sort(([a], [b]) => b - a)
  // The lowest pod that is not well may go before others are well again: else a broken one would block its own removal.
  const firstUnhealthy = [...pods].sort(([a], [b]) => a - b).find(([, pod]) => availability(pod) === null)?.[0]
  for (const [ordinal, pod] of condemned) {
    if (isTerminating(pod)) {
      if (ordered) return { steps, again: null }
      continue
    }
    const wait = availability(pod)
    if (ordered && wait !== 0 && ordinal !== firstUnhealthy) return { steps, again: wait }
    steps.push({ do: 'delete', pod })
    if (ordered) return { steps, again: null }
  }
  if (!rolling || steps.length > 0) return { steps, again: null }

  for (let ordinal = end - 1; ordinal >= start + partition; ordinal--) {
    const pod = pods.get(ordinal)
    if (pod === undefined) return { steps, again: null }
    if (revisionOf(pod) !== update && !isTerminating(pod)) return { steps: [{ do: 'delete', pod }], again: null }
    const wait = availability(pod)
    if (wait !== 0) return { steps, again: wait }
  }
  return { steps, again: null }
}

/** What is told of a StatefulSet; the current revision becomes the updated one when a roll is through. */
export function statefulSetStatus(
  set: StatefulSet,
  pods: readonly Pod[],
  { current, update }: Revisions,
  now: number,
): NonNullable<StatefulSet['status']> {
  const { spec, metadata, status: before } = set
  const wanted = spec.replicas ?? 1
  const staying = pods.filter((pod) => !isTerminating(pod) && !isFinished(pod))
  const counted = {
    observedGeneration: metadata.generation ?? 0,
    replicas: pods.length,
    readyReplicas: pods.filter(isRunningAndReady).length,
    availableReplicas: pods.filter(
      (pod) => isRunningAndReady(pod) && availableIn(pod, spec.minReadySeconds ?? 0, now) === 0,
    ).length,
    currentReplicas: staying.filter((pod) => revisionOf(pod) === current).length,
    updatedReplicas: staying.filter((pod) => revisionOf(pod) === update).length,
    currentRevision: current,
    updateRevision: update,
    collisionCount: before?.collisionCount ?? 0,
  }
  const through = [counted.updatedReplicas, counted.readyReplicas, counted.replicas].every((count) => count === wanted)
  if ((spec.updateStrategy?.type ?? 'RollingUpdate') !== 'RollingUpdate' || !through) return counted
  return { ...counted, currentRevision: update, currentReplicas: counted.updatedReplicas }
}
