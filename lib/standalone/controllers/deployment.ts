// Deployments: a ReplicaSet for each template there was, the newest one growing while the others shrink
// (pkg/controller/deployment). deployment-plan.ts says how far in one step, deployment-status.ts what is told of it.
// Every write to a ReplicaSet carries the version it was decided on, so that a cache that is behind costs a retry.
import { ApiError, deepEqual, mergePatchBetween, objectKey } from '../../kube/index.ts'
import { ownedOrOrphaned } from './caches.ts'
import { claim } from './claim.ts'
import { Controller, type ControllerOptions, unlessGone } from './controller.ts'
import { deadlineIn, deploymentStatus, type Found, isComplete } from './deployment-status.ts'
import {
  annotations,
  isRolling,
  isScaling,
  limits,
  newSize,
  oldSizes,
  replicasOf,
  scaledSizes,
  sizeOf,
  type Sizes,
} from './deployment-plan.ts'
import { isFinished, timestamp } from './pods.ts'
import { canonical, controllerReference, hashOf, withoutLabel } from './template.ts'
import { DEPLOYMENTS, type Deployment, REPLICA_SETS, type ReplicaSet } from './types.ts'

const hashLabel = 'pod-template-hash'

/** Annotations of a Deployment that are its own, not its revisions'. */
const ownAnnotations: readonly string[] = [
  'kubectl.kubernetes.io/last-applied-configuration',
  'deprecated.deployment.rollback.to',
  ...Object.values(annotations),
]

export class DeploymentController extends Controller {
  constructor(options: ControllerOptions) {
    super(options, 'deployment-controller')
  }

  protected watch(): void {
    const { deployments, replicaSets, pods } = this.caches
    deployments.onChange(({ key }) => this.queue.add(key))
    this.watchOwned(replicaSets, deployments)
    // Recreate waits for the last pod to be gone.
    pods.onChange(({ type, object }) => {
      if (type !== 'deleted') return
      for (const deployment of deployments.store.byIndex('namespace', object.metadata.namespace)) {
        if (!isRolling(deployment)) this.queue.add(objectKey(deployment.metadata))
      }
    })
  }

  protected async sync(key: string): Promise<number | void> {
    const deployment = this.caches.deployments.store.get(key)
    if (deployment === undefined) return
    const { metadata, spec } = deployment
    const claimant = { resource: DEPLOYMENTS, metadata, selector: spec.selector }
    const candidates = ownedOrOrphaned(this.caches.replicaSets, metadata)
    const sets = await claim(this.client, claimant, REPLICA_SETS, candidates)
    const present = newestOf(deployment, sets)
    const old = sets.filter((set) => set !== present)
    if (metadata.deletionTimestamp !== undefined) return this.#report(deployment, sets, present, null)
    if (spec.paused === true || isScaling(deployment, sets)) {
      const fresh = present === null ? null : await this.#refresh(deployment, present, old)
      await this.#resize(deployment, sets, scaledSizes(deployment, old, fresh), spec.paused !== true)
      return this.#report(deployment, sets, fresh, present === null ? null : 'found')
    }
    if (!isRolling(deployment) && (await this.#stopOld(deployment, old))) {
      return this.#report(deployment, sets, present, null)
    }
    const found: Found = present === null ? 'created' : 'found'
    const fresh = present === null ? await this.#create(deployment, old) : await this.#refresh(deployment, present, old)
    const all = [...old, fresh]
    const size = newSize(deployment, all, sizeOf(fresh))
    if (size !== sizeOf(fresh)) await this.#resize(deployment, all, new Map([[fresh.metadata.name, size]]))
    else if (isRolling(deployment)) await this.#resize(deployment, all, oldSizes(deployment, old, fresh))
    if (isComplete(deployment, deployment.status ?? {})) await this.#cleanUp(deployment, old)
    return this.#report(deployment, all, fresh, found)
  }

  /** Recreate: everything old goes first. @returns whether something old is left */
  async #stopOld(deployment: Deployment, old: readonly ReplicaSet[]): Promise<boolean> {
    const active = old.filter((set) => sizeOf(set) > 0)
    await this.#resize(deployment, old, new Map(active.map((set) => [set.metadata.name, 0])))
    const pods = old.flatMap((set) => this.caches.pods.store.byIndex('owner', set.metadata.uid))
    return active.length > 0 || pods.some((pod) => !isFinished(pod))
  }

  async #create(deployment: Deployment, old: readonly ReplicaSet[]): Promise<ReplicaSet> {
    const { metadata, spec, status = {} } = deployment
    const hash = hashOf(spec.template, status.collisionCount ?? 0)
    const name = `${metadata.name}-${hash}`
    const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash }
    const { selector } = spec
    const size = newSize(deployment, old, 0)
    const revision = String(highestRevision(old) + 1)
    const set = {
      metadata: {
        name,
        namespace: metadata.namespace,
        labels,
        ownerReferences: [controllerReference(DEPLOYMENTS, metadata)],
        annotations: { ...inherited(deployment), [annotations.revision]: revision, ...this.#sizing(deployment) },
      },
      spec: {
        replicas: size,
        ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
        selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
        template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      },
    }
    await this.#setRevision(deployment, revision)
    try {
      const made = (await this.client.create(REPLICA_SETS, set)) as unknown as ReplicaSet
      const message = `Scaled up replica set ${name} from 0 to ${size}`
      this.event(DEPLOYMENTS, metadata, 'Normal', 'ScalingReplicaSet', message)
      return made
    } catch (error) {
      if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
      return await this.#collided(deployment, name, error)
    }
  }

  /** The name is taken: by what this very pass made earlier, or by another template of the same hash. */
  async #collided(deployment: Deployment, name: string, error: ApiError): Promise<ReplicaSet> {
    const { namespace, uid } = deployment.metadata
    const there = await this.client.find<ReplicaSet>(REPLICA_SETS, { namespace, name })
    const owned = there?.metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid)
    if (there !== null && owned === true && newestOf(deployment, [there]) !== null) return there
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1
    const ref = { namespace, name: deployment.metadata.name }
    await this.client.patchStatus('merge', DEPLOYMENTS, ref, { metadata: { uid }, status: { collisionCount } })
    throw error
  }

  /** Give the newest ReplicaSet the highest revision and what the Deployment says of it. */
  async #refresh(deployment: Deployment, fresh: ReplicaSet, old: readonly ReplicaSet[]): Promise<ReplicaSet> {
    const { spec } = deployment
    const before = fresh.metadata.annotations ?? {}
    const own = revisionOf(fresh)
    const wanted = Math.max(own, highestRevision(old) + 1)
    const history = before[annotations.history]
    const after = {
      ...before,
      ...inherited(deployment),
      [annotations.revision]: String(wanted),
      ...(wanted === own || own === 0
        ? {}
        : { [annotations.history]: history === undefined ? String(own) : `${history},${own}` }),
    }
    await this.#setRevision(deployment, String(wanted))
    const patch = mergePatchBetween(
      { metadata: { annotations: before }, spec: { minReadySeconds: fresh.spec.minReadySeconds ?? 0 } },
      { metadata: { annotations: after }, spec: { minReadySeconds: spec.minReadySeconds ?? 0 } },
    )
    if (patch === null) return fresh
    return await this.#patchSet(fresh, patch)
  }

  #sizing(deployment: Deployment): Record<string, string> {
    const replicas = replicasOf(deployment)
    return {
      [annotations.desired]: String(replicas),
      [annotations.max]: String(replicas + limits(deployment).maxSurge),
    }
  }

  async #setRevision({ metadata }: Deployment, revision: string): Promise<void> {
    if (metadata.annotations?.[annotations.revision] === revision) return
    const { namespace, name, uid } = metadata
    const body = { metadata: { uid, annotations: { [annotations.revision]: revision } } }
    await this.client.patch('merge', DEPLOYMENTS, { namespace, name }, body)
  }

  /** Bring ReplicaSets to sizes; `note` also writes down for which wanted number that was. */
  async #resize(deployment: Deployment, sets: readonly ReplicaSet[], sizes: Sizes, note = true): Promise<void> {
    const sizing = note ? this.#sizing(deployment) : {}
    for (const set of sets) {
      const before = sizeOf(set)
      const size = sizes.get(set.metadata.name) ?? before
      const noted = { ...set.metadata.annotations, ...(size > 0 ? sizing : {}) }
      if (size === before && deepEqual(noted, set.metadata.annotations ?? {})) continue
      await this.#patchSet(set, { metadata: { annotations: noted }, spec: { replicas: size } })
      if (size === before) continue
      const direction = size > before ? 'up' : 'down'
      const message = `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${size}`
      this.event(DEPLOYMENTS, deployment.metadata, 'Normal', 'ScalingReplicaSet', message)
    }
  }

  async #patchSet({ metadata }: ReplicaSet, patch: object): Promise<ReplicaSet> {
    const { namespace, name, uid, resourceVersion } = metadata
    const given = (patch as { metadata?: object }).metadata
    const body = { ...patch, metadata: { ...given, uid, resourceVersion } }
    return await this.client.patch<ReplicaSet>('merge', REPLICA_SETS, { namespace, name }, body)
  }

  /** Delete the oldest of the ReplicaSets that are only kept for a rollback. */
  async #cleanUp({ spec }: Deployment, old: readonly ReplicaSet[]): Promise<void> {
    const idle = old.filter(
      ({ metadata, spec, status }) =>
        spec.replicas === 0 && (status?.replicas ?? 0) === 0 && metadata.deletionTimestamp === undefined,
    )
    const surplus = old.length - (spec.revisionHistoryLimit ?? 10)
    if (surplus <= 0) return
    for (const { metadata } of idle.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, surplus)) {
      const { namespace, name, uid } = metadata
      await unlessGone(this.client.delete(REPLICA_SETS, { namespace, name }, { preconditions: { uid } }))
    }
  }

  /** @returns milliseconds until the roll counts as failed */
  async #report(
    deployment: Deployment,
    all: readonly ReplicaSet[],
    fresh: ReplicaSet | null,
    found: Found,
  ): Promise<number | void> {
    const status = deploymentStatus(deployment, all, fresh, found, timestamp())
    const patch = mergePatchBetween(deployment.status ?? {}, status)
    if (patch !== null && !deepEqual(withoutZeros(status), withoutZeros(deployment.status ?? {}))) {
      const { namespace, name, uid } = deployment.metadata
      await unlessGone(
        this.client.patchStatus('merge', DEPLOYMENTS, { namespace, name }, { metadata: { uid }, status: patch }),
      )
    }
    const progressing = status.conditions?.find(({ type }) => type === 'Progressing')
    const left = deadlineIn(deployment, progressing)
    // The condition's time is in whole seconds.
    return left === null || left === 0 ? undefined : left + 1000
  }
}

/** What a client may leave out. */
const withoutZeros = (status: object): object =>
  Object.fromEntries(Object.entries(status).filter(([, value]) => value !== 0))

/** The ReplicaSet of the Deployment's own template; the oldest, should there be two. */
export function newestOf({ spec }: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | null {
  const wanted = canonical(withoutLabel(spec.template, hashLabel))
  const same = sets.filter((set) => canonical(withoutLabel(set.spec.template, hashLabel)) === wanted)
  const age = (set: ReplicaSet): string => set.metadata.creationTimestamp ?? ''
  return same.sort((a, b) => (age(a) < age(b) ? -1 : 1))[0] ?? null
}

const revisionOf = ({ metadata }: ReplicaSet): number => Number(metadata.annotations?.[annotations.revision] ?? 0) || 0
const highestRevision = (sets: readonly ReplicaSet[]): number => Math.max(0, ...sets.map(revisionOf))

function inherited({ metadata }: Deployment): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata.annotations ?? {}).filter(([key]) => !ownAnnotations.includes(key)))
}
