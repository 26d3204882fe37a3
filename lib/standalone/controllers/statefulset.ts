// StatefulSets: pods with names and an order (pkg/controller/statefulset). statefulset-plan.ts decides, this reads and
// writes; revisions.ts keeps the templates there were. Names are given, so doing a step twice does no harm: the second
// create finds the name taken, the second delete names a pod that is gone.
// Not here: volume claims (this API has none).
import { PODS } from '../../api/index.ts'
import { ApiError, deepEqual } from '../../kube/index.ts'
import { ownedOrOrphaned } from './caches.ts'
import { claim } from './claim.ts'
import { Controller, type ControllerOptions, unlessGone } from './controller.ts'
import { Revisions } from './revisions.ts'
import { ordinalOf, planStatefulSet, revisionLabel, statefulSetStatus, type Step } from './statefulset-plan.ts'
import { controllerReference, podFromTemplate } from './template.ts'
import { type Pod, type PodTemplate, STATEFUL_SETS, type StatefulSet } from './types.ts'

export class StatefulSetController extends Controller {
  readonly #revisions: Revisions

  constructor(options: ControllerOptions) {
    super(options, 'statefulset-controller')
    this.#revisions = new Revisions(options.client, options.caches)
  }

  protected watch(): void {
    const { pods, statefulSets } = this.caches
    statefulSets.onChange(({ key }) => this.queue.add(key))
    this.watchOwned(pods, statefulSets)
  }

  protected async sync(key: string): Promise<number | void> {
    const set = this.caches.statefulSets.store.get(key)
    if (set === undefined || set.metadata.deletionTimestamp !== undefined) return
    const { metadata, spec } = set
    const candidates = ownedOrOrphaned(this.caches.pods, metadata).filter(
      (pod) => ordinalOf(metadata.name, pod.metadata.name) !== null,
    )
    const claimant = { resource: STATEFUL_SETS, metadata, selector: spec.selector }
    const pods = await claim(this.client, claimant, PODS, candidates)
    const { current, update } = await this.#revisions.of(set)
    const names = { current: current.name, update: update.name }
    const byOrdinal = new Map(pods.map((pod) => [ordinalOf(metadata.name, pod.metadata.name) ?? -1, pod]))
    const { steps, again } = planStatefulSet(set, byOrdinal, names, Date.now())
    const templates = new Map([current, update].map(({ name, template }) => [name, template]))
    try {
      await Promise.all(steps.map((step) => this.#take(set, step, templates)))
    } finally {
      await this.#report(set, statefulSetStatus(set, pods, names, Date.now()))
    }
    const kept = new Set([
      names.current,
      names.update,
      ...pods.map((pod) => pod.metadata.labels?.[revisionLabel] ?? ''),
    ])
    await this.#revisions.cleanUp(set, kept)
    return again ?? undefined
  }

  async #take(set: StatefulSet, step: Step, templates: ReadonlyMap<string, PodTemplate>): Promise<void> {
    const { metadata } = set
    if (step.do === 'delete') {
      const { namespace, name, uid } = step.pod.metadata
      if (!(await unlessGone(this.client.delete(PODS, { namespace, name }, { preconditions: { uid } })))) return
      const message = `delete Pod ${name} in StatefulSet ${metadata.name} successful`
      this.event(STATEFUL_SETS, metadata, 'Normal', 'SuccessfulDelete', message)
      return
    }
    const pod = newPod(set, step.ordinal, step.revision, templates.get(step.revision) ?? set.spec.template)
    const what = `create Pod ${pod.metadata.name} in StatefulSet ${metadata.name}`
    try {
      await this.client.create(PODS, pod)
      this.event(STATEFUL_SETS, metadata, 'Normal', 'SuccessfulCreate', `${what} successful`)
    } catch (error) {
      if (error instanceof ApiError && error.isAlreadyExists) {
        await this.#ensureOwn(pod.metadata.name, metadata)
        return
      }
      const why = error instanceof Error ? error.message : String(error)
      this.event(STATEFUL_SETS, metadata, 'Warning', 'FailedCreate', `${what} failed error: ${why}`)
      throw error
    }
  }

  /** The name is taken: by our own pod that the cache has not shown yet, or by a stranger's, which must go first. */
  async #ensureOwn(name: string, { namespace, uid }: StatefulSet['metadata']): Promise<void> {
    const there = await this.client.find<Pod>(PODS, { namespace, name })
    if (there?.metadata.ownerReferences?.some((owner) => owner.uid === uid) === false || there === null) {
      throw new Error(`pod ${namespace}/${name} exists and is not of this StatefulSet`)
    }
  }

  async #report(set: StatefulSet, status: NonNullable<StatefulSet['status']>): Promise<void> {
    if (deepEqual(status, set.status)) return
    const { namespace, name, uid } = set.metadata
    await unlessGone(
      this.client.patchStatus('merge', STATEFUL_SETS, { namespace, name }, { metadata: { uid }, status }),
    )
  }
}

/** The pod of an ordinal: it has a name, a host name and labels by which it is told from its siblings. */
function newPod(
  { metadata, spec }: StatefulSet,
  ordinal: number,
  revision: string,
  template: PodTemplate,
): ReturnType<typeof podFromTemplate> & { metadata: { name: string } } {
  const name = `${metadata.name}-${ordinal}`
  const pod = podFromTemplate(template, {
    namespace: metadata.namespace,
    name,
    generateName: `${metadata.name}-`,
    ownerReferences: [controllerReference(STATEFUL_SETS, metadata)],
    labels: {
      'statefulset.kubernetes.io/pod-name': name,
      'apps.kubernetes.io/pod-index': String(ordinal),
      [revisionLabel]: revision,
    },
  })
  const network = { hostname: name, ...(spec.serviceName ? { subdomain: spec.serviceName } : {}) }
  return { ...pod, metadata: { ...pod.metadata, name }, spec: { ...pod.spec, ...network } }
}
