// ReplicaSets: as many pods of a template as are wanted (pkg/controller/replicaset). Pods are made in growing batches, so
// that a template that is refused costs one request, and given up least useful first.
import { PODS } from '../../api/index.ts'
import { deepEqual, errorText } from '../../kube/index.ts'
import { ownedOrOrphaned } from './caches.ts'
import { claim } from './claim.ts'
import { Controller, type ControllerOptions, unlessGone } from './controller.ts'
import { Expectations } from './expectations.ts'
import { availableIn, byUselessness, isActive, isReady, isTerminating, setCondition, timestamp } from './pods.ts'
import { selects } from './selector.ts'
import { controllerReference, podFromTemplate } from './template.ts'
import { type Pod, REPLICA_SETS, type ReplicaSet } from './types.ts'

export class ReplicaSetController extends Controller {
  readonly #expectations = new Expectations()

  constructor(options: ControllerOptions) {
    super(options, 'replicaset-controller')
  }

  protected watch(): void {
    const { pods, replicaSets } = this.caches
    replicaSets.onChange(({ key }) => this.queue.add(key))
    this.watchOwned(pods, replicaSets, (pod) => this.#expectations.observed(pod.metadata.uid))
  }

  protected async sync(key: string): Promise<number | void> {
    const set = this.caches.replicaSets.store.get(key)
    if (set === undefined) return this.#expectations.forget(key)
    const wait = this.#expectations.wait(key, (uid) => {
      const [pod] = this.caches.pods.store.byIndex('uid', uid)
      return pod === undefined ? 'absent' : isTerminating(pod) ? 'terminating' : 'present'
    })
    if (wait > 0) return wait
    const { metadata, spec } = set
    const candidates = ownedOrOrphaned(this.caches.pods, metadata).filter(isActive)
    const claimant = { resource: REPLICA_SETS, metadata, selector: spec.selector }
    const pods = await claim(this.client, claimant, PODS, candidates)
    const failure = metadata.deletionTimestamp === undefined ? await this.#scale(key, set, pods) : null
    const again = await this.#report(set, pods, failure)
    if (failure !== null) throw failure
    return again
  }

  /** @returns what went wrong, for the status; null when nothing did */
  async #scale(key: string, set: ReplicaSet, pods: readonly Pod[]): Promise<Error | null> {
    const missing = (set.spec.replicas ?? 1) - pods.length
    try {
      if (missing > 0) await this.#create(key, set, missing)
      if (missing < 0) await this.#delete(key, set, [...pods].sort(byUselessness).slice(0, -missing))
      return null
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  async #create(key: string, set: ReplicaSet, missing: number): Promise<void> {
    const { metadata, spec } = set
    const pod = podFromTemplate(spec.template, {
      namespace: metadata.namespace,
      generateName: `${metadata.name}-`,
      ownerReferences: [controllerReference(REPLICA_SETS, metadata)],
    })
    for (let made = 0, batch = 1; made < missing; made += batch, batch *= 2) {
      const results = await Promise.allSettled(
        Array.from({ length: Math.min(batch, missing - made) }, async () => {
          const created = (await this.client.create(PODS, pod)) as unknown as Pod
          this.#expectations.created(key, created.metadata.uid)
          this.event(REPLICA_SETS, metadata, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
        }),
      )
      const failed = results.find((result) => result.status === 'rejected')
      if (failed === undefined) continue
      const why = errorText(failed.reason)
      this.event(REPLICA_SETS, metadata, 'Warning', 'FailedCreate', `Error creating: ${why}`)
      throw failed.reason
    }
  }

  async #delete(key: string, { metadata }: ReplicaSet, surplus: readonly Pod[]): Promise<void> {
    for (const pod of surplus) {
      const { namespace, name, uid } = pod.metadata
      if (!(await unlessGone(this.client.delete(PODS, { namespace, name }, { preconditions: { uid } })))) continue
      this.#expectations.deleted(key, uid)
      this.event(REPLICA_SETS, metadata, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`)
    }
  }

  /** @returns milliseconds until the next pod becomes available, if one will by time alone */
  async #report(set: ReplicaSet, pods: readonly Pod[], failure: Error | null): Promise<number | void> {
    const { metadata, spec, status = {} } = set
    const waits = pods.map((pod) => availableIn(pod, spec.minReadySeconds ?? 0, Date.now()))
    const conditions = (status.conditions ?? []).filter(({ type }) => type !== 'ReplicaFailure')
    const next = {
      replicas: pods.length,
      fullyLabeledReplicas: pods.filter((pod) =>
        selects({ matchLabels: spec.template.metadata?.labels ?? {} }, pod.metadata.labels),
      ).length,
      readyReplicas: pods.filter(isReady).length,
      availableReplicas: waits.filter((wait) => wait === 0).length,
      observedGeneration: metadata.generation ?? 0,
      conditions: failure === null ? conditions : setCondition(status.conditions ?? [], failed(failure), timestamp()),
    }
    const none = next.conditions.length === 0 && status.conditions === undefined
    if (!deepEqual(next, { conditions: [], ...pick(status, next) })) {
      const { namespace, name, uid } = metadata
      const body = { metadata: { uid }, status: none ? { ...next, conditions: undefined } : next }
      await unlessGone(this.client.patchStatus('merge', REPLICA_SETS, { namespace, name }, body))
    }
    const later = waits.filter((wait) => wait !== null && wait > 0)
    return later.length === 0 ? undefined : Math.min(...(later as number[]))
  }
}

const failed = (error: Error): { type: string; status: 'True'; reason: string; message: string } => ({
  type: 'ReplicaFailure',
  status: 'True',
  reason: 'FailedCreate',
  message: error.message,
})

/** The members of `from` that `like` has. */
function pick(from: object, like: object): object {
  return Object.fromEntries(Object.entries(from).filter(([key]) => key in like))
}
