// The status of a Deployment, as a pure function (pkg/controller/deployment/progress.go, sync.go).
import { availableOf, limits, replicasOf, sizeOf, sum } from './deployment-plan.ts'
import { setCondition } from './pods.ts'
import type { Condition, Deployment, ReplicaSet } from './types.ts'

export type DeploymentStatus = NonNullable<Deployment['status']>

/** What happened to the new ReplicaSet in this pass. */
export type Found = 'created' | 'found' | null

/** All wanted pods are of the new template and available, and there are no others. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const replicas = replicasOf(deployment)
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  )
}

export function deploymentStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  fresh: ReplicaSet | null,
  found: Found,
  now: string,
): DeploymentStatus {
  const before = deployment.status ?? {}
  const available = sum(all, availableOf)
  const total = sum(all, sizeOf)
  const next = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: sum(all, (set) => set.status?.replicas ?? 0),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum(all, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas: available,
    ...(total > available ? { unavailableReplicas: total - available } : {}),
    ...(before.collisionCount === undefined ? {} : { collisionCount: before.collisionCount }),
  }
  const enough = available >= replicasOf(deployment) - limits(deployment).maxUnavailable
  let conditions = withUpdateTime(before.conditions ?? [], available_(enough), now)
  conditions = withUpdateTime(
    conditions,
    progress(deployment, next, fresh, found, conditions),
    now,
    moved(before, next),
  )
  const failure = all.flatMap((set) => set.status?.conditions ?? []).find(({ type }) => type === 'ReplicaFailure')
  conditions =
    failure === undefined
      ? conditions.filter(({ type }) => type !== 'ReplicaFailure')
      : withUpdateTime(conditions, failure, now)
  return { ...next, conditions }
}

const available_ = (enough: boolean): Condition => ({
  type: 'Available',
  status: enough ? 'True' : 'False',
  reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
  message: enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
})

/** Whether a roll has come further since the last status. */
function moved(before: DeploymentStatus, next: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0)
  return (
    (next.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(next) < old(before) ||
    (next.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (next.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  )
}

function progress(
  deployment: Deployment,
  next: DeploymentStatus,
  fresh: ReplicaSet | null,
  found: Found,
  conditions: readonly Condition[],
): Condition | null {
  const type = 'Progressing'
  const present = conditions.find((condition) => condition.type === type)
  const subject = fresh === null ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${fresh.metadata.name}"`
  if (deployment.spec.paused === true) {
    return { type, status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' }
  }
  if (present?.reason === 'DeploymentPaused') {
    return { type, status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  }
  if (fresh !== null && isComplete(deployment, next)) {
    return {
      type,
      status: 'True',
      reason: 'NewReplicaSetAvailable',
      message: `${subject} has successfully progressed.`,
    }
  }
  if (found === 'created') {
    const message = `Created new replica set "${fresh?.metadata.name ?? ''}"`
    return { type, status: 'True', reason: 'NewReplicaSetCreated', message }
  }
  // A roll that is over stays so while its pods come and go.
  if (present?.reason === 'NewReplicaSetAvailable' && next.replicas === next.updatedReplicas) return present
  if (found === 'found' && present === undefined) {
    const message = `Found new replica set "${fresh?.metadata.name ?? ''}"`
    return { type, status: 'True', reason: 'FoundNewReplicaSet', message }
  }
  if (moved(deployment.status ?? {}, next) || present?.reason === 'NewReplicaSetAvailable') {
    return { type, status: 'True', reason: 'ReplicaSetUpdated', message: `${subject} is progressing.` }
  }
  if (present !== undefined && deadlineIn(deployment, present) === 0) {
    return {
      type,
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: `${subject} has timed out progressing.`,
    }
  }
  return present ?? null
}

/** Milliseconds until a roll that does not move counts as failed; 0 when it does, null when nothing is awaited. */
export function deadlineIn(deployment: Deployment, progressing: Condition | undefined): number | null {
  const seconds = deployment.spec.progressDeadlineSeconds ?? 600
  // The largest int32 is how `apply` says never.
  if (progressing === undefined || seconds >= 0x7fffffff || deployment.spec.paused === true) return null
  if (progressing.reason === 'NewReplicaSetAvailable' || progressing.status === 'False') return null
  const since = Date.parse(progressing.lastUpdateTime ?? '')
  return Number.isNaN(since) ? null : Math.max(0, since + seconds * 1000 - Date.now())
}

function withUpdateTime(
  present: readonly Condition[],
  wanted: Condition | null,
  now: string,
  touch = false,
): readonly Condition[] {
  if (wanted === null) return present
  const next = setCondition(present, wanted, now, touch && wanted.status === 'True')
  return next.map((condition) =>
    condition.type === wanted.type && next !== present ? { ...condition, lastUpdateTime: now } : condition,
  )
}
