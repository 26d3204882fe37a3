// How far a Deployment goes in one step, as pure functions (pkg/controller/deployment/util, rolling.go, sync.go): never
// more than replicas + maxSurge pods, never fewer than replicas - maxUnavailable available ones.
import type { Deployment, IntOrPercent, ReplicaSet } from './types.ts'

export const annotations = {
  revision: 'deployment.kubernetes.io/revision',
  /** Revisions this ReplicaSet has had before, when a rollback made it new again. */
  history: 'deployment.kubernetes.io/revision-history',
  desired: 'deployment.kubernetes.io/desired-replicas',
  max: 'deployment.kubernetes.io/max-replicas',
} as const

/** New sizes by ReplicaSet name. */
export type Sizes = ReadonlyMap<string, number>

export const sizeOf = (set: ReplicaSet): number => set.spec.replicas ?? 1
export const availableOf = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0
export const replicasOf = (deployment: Deployment): number => deployment.spec.replicas ?? 1
export const isRolling = (deployment: Deployment): boolean => deployment.spec.strategy?.type !== 'Recreate'
export const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number =>
  sets.reduce((total, set) => total + of(set), 0)

const oldestFirst = (a: ReplicaSet, b: ReplicaSet): number =>
  (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1

/** A number, or a share of `total` (`25%`), rounded. */
export function resolve(value: IntOrPercent, total: number, round: (share: number) => number): number {
  if (typeof value === 'number') return value
  return round((Number.parseInt(value, 10) * total) / 100)
}

/** Pods above and below the wanted number during a roll; never both 0, or it could not move. */
export function limits(deployment: Deployment): { maxSurge: number; maxUnavailable: number } {
  if (!isRolling(deployment)) return { maxSurge: 0, maxUnavailable: 0 }
  const replicas = replicasOf(deployment)
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {}
  const surge = resolve(maxSurge, replicas, Math.ceil)
  const unavailable = resolve(maxUnavailable, replicas, Math.floor)
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : Math.min(unavailable, replicas) }
}

/** Size the new ReplicaSet may have now. @param all the new one included */
export function newSize(deployment: Deployment, all: readonly ReplicaSet[], current: number): number {
  const replicas = replicasOf(deployment)
  if (!isRolling(deployment) || current >= replicas) return replicas
  const room = replicas + limits(deployment).maxSurge - sum(all, sizeOf)
  return room <= 0 ? current : current + Math.min(room, replicas - current)
}

/** What the old ReplicaSets give up now: pods that are not available first, then as many as the new ones stand in for. */
export function oldSizes(deployment: Deployment, old: readonly ReplicaSet[], fresh: ReplicaSet): Sizes {
  const sizes = new Map(old.map((set) => [set.metadata.name, sizeOf(set)]))
  const minAvailable = replicasOf(deployment) - limits(deployment).maxUnavailable
  const all = [...old, fresh]
  const newUnavailable = sizeOf(fresh) - availableOf(fresh)
  const spare = sum(all, sizeOf) - minAvailable - newUnavailable
  if (spare <= 0) return new Map()
  const sorted = [...old].sort(oldestFirst)
  let given = 0
  for (const set of sorted) {
    const down = Math.min(spare - given, Math.max(0, sizeOf(set) - availableOf(set)))
    sizes.set(set.metadata.name, sizeOf(set) - down)
    given += down
  }
  let surplus = sum(all, availableOf) - minAvailable
  for (const set of sorted) {
    const now = sizes.get(set.metadata.name) ?? 0
    const down = Math.max(0, Math.min(now, surplus))
    sizes.set(set.metadata.name, now - down)
    surplus -= down
  }
  return new Map([...sizes].filter(([name, size]) => size !== sizeOf(old.find((set) => set.metadata.name === name)!)))
}

/** The number a ReplicaSet was last scaled for; null when it was never said. */
export function desiredOf(set: ReplicaSet): number | null {
  const value = set.metadata.annotations?.[annotations.desired]
  return value === undefined || !/^\d+$/.test(value) ? null : Number(value)
}

/** Whether `spec.replicas` changed since the ReplicaSets were sized: then they are scaled before the roll goes on. */
export function isScaling(deployment: Deployment, all: readonly ReplicaSet[]): boolean {
  return all.some((set) => {
    const desired = desiredOf(set)
    return sizeOf(set) > 0 && desired !== null && desired !== replicasOf(deployment)
  })
}

/** Sizes after a change of `spec.replicas`: everything to the only one there is, else each its share. */
export function scaledSizes(deployment: Deployment, old: readonly ReplicaSet[], fresh: ReplicaSet | null): Sizes {
  const replicas = replicasOf(deployment)
  const all = [...old, ...(fresh === null ? [] : [fresh])]
  const active = all.filter((set) => sizeOf(set) > 0)
  if (active.length <= 1) {
    const only = active[0] ?? fresh ?? [...old].sort(oldestFirst).at(-1)
    return only === undefined ? new Map() : new Map([[only.metadata.name, replicas]])
  }
  if (
    fresh !== null &&
    desiredOf(fresh) === replicas &&
    sizeOf(fresh) === replicas &&
    availableOf(fresh) === replicas
  ) {
    return new Map(old.filter((set) => sizeOf(set) > 0).map((set) => [set.metadata.name, 0]))
  }
  return isRolling(deployment) ? proportional(deployment, active) : new Map()
}

function proportional(deployment: Deployment, active: readonly ReplicaSet[]): Sizes {
  const replicas = replicasOf(deployment)
  const allowed = replicas > 0 ? replicas + limits(deployment).maxSurge : 0
  const change = allowed - sum(active, sizeOf)
  // The largest takes what rounding leaves; of two of a size, the newer one grows and the older one shrinks.
  const sorted = [...active].sort(
    (a, b) => sizeOf(b) - sizeOf(a) || (change > 0 ? oldestFirst(b, a) : oldestFirst(a, b)),
  )
  const sizes = new Map<string, number>()
  let done = 0
  for (const set of sorted) {
    const before = sizeOf(set)
    const basis = Number(set.metadata.annotations?.[annotations.max] ?? deployment.status?.replicas ?? 0) || before
    const share = replicas === 0 ? -before : Math.round((before * allowed) / basis) - before
    const part = change > 0 ? Math.min(share, change - done) : Math.max(share, change - done)
    sizes.set(set.metadata.name, before + part)
    done += part
  }
  const largest = sorted[0]?.metadata.name ?? ''
  sizes.set(largest, Math.max(0, (sizes.get(largest) ?? 0) + change - done))
  return sizes
}
