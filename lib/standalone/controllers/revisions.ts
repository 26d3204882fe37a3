// The templates a StatefulSet has had, as ControllerRevisions (pkg/controller/history). Their data is the strategic merge
// patch that brings the template back, which is what `kubectl rollout history` and `rollout undo` read.
import { ApiError, type KubeClient } from '../../kube/index.ts'
import { type Caches, ownedOrOrphaned } from './caches.ts'
import { claim } from './claim.ts'
import { unlessGone } from './controller.ts'
import { canonical, controllerReference, hashOf } from './template.ts'
import {
  CONTROLLER_REVISIONS,
  type ControllerRevision,
  type PodTemplate,
  STATEFUL_SETS,
  type StatefulSet,
} from './types.ts'

const hashLabel = 'controller.kubernetes.io/hash'

export interface Revision {
  /** Of the ControllerRevision; also the value of the pods' label. */
  readonly name: string
  readonly template: PodTemplate
}

interface RevisionData {
  readonly spec?: { readonly template?: PodTemplate & { readonly $patch?: string } }
}

export class Revisions {
  readonly #client: KubeClient
  readonly #caches: Caches

  constructor(client: KubeClient, caches: Caches) {
    this.#client = client
    this.#caches = caches
  }

  /** The revision pods had when the last roll was through, and the one of the template now, which is made if needed. */
  async of(set: StatefulSet): Promise<{ current: Revision; update: Revision }> {
    const known = await this.#claimed(set)
    const data = { spec: { template: { ...set.spec.template, $patch: 'replace' } } }
    const same = known.find((revision) => canonical(revision.data) === canonical(data))
    const highest = Math.max(0, ...known.map(({ revision }) => revision))
    const update = same === undefined ? await this.#create(set, data, highest + 1) : await this.#newest(same, highest)
    const current = known.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update
    return { current: read(current, set), update: read(update, set) }
  }

  /** Forget the oldest beyond the history limit that nothing uses. @param kept names */
  async cleanUp(set: StatefulSet, kept: ReadonlySet<string>): Promise<void> {
    const idle = this.#caches.revisions.store
      .byIndex('owner', set.metadata.uid)
      .filter(({ metadata }) => !kept.has(metadata.name))
      .sort((a, b) => a.revision - b.revision)
    const surplus = Math.max(0, idle.length - (set.spec.revisionHistoryLimit ?? 10))
    for (const { metadata } of idle.slice(0, surplus)) {
      const { namespace, name, uid } = metadata
      await unlessGone(this.#client.delete(CONTROLLER_REVISIONS, { namespace, name }, { preconditions: { uid } }))
    }
  }

  async #claimed({ metadata, spec }: StatefulSet): Promise<ControllerRevision[]> {
    const claimant = { resource: STATEFUL_SETS, metadata, selector: spec.selector }
    const candidates = ownedOrOrphaned(this.#caches.revisions, metadata)
    const claimed = await claim(this.#client, claimant, CONTROLLER_REVISIONS, candidates)
    return claimed.sort((a, b) => a.revision - b.revision)
  }

  async #create({ metadata, spec, status }: StatefulSet, data: object, revision: number): Promise<ControllerRevision> {
    const hash = hashOf(data, status?.collisionCount ?? 0)
    const name = `${metadata.name}-${hash}`
    const { namespace } = metadata
    const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash }
    const ownerReferences = [controllerReference(STATEFUL_SETS, metadata)]
    const body = { metadata: { name, namespace, labels, ownerReferences }, data, revision }
    try {
      return (await this.#client.create(CONTROLLER_REVISIONS, body)) as unknown as ControllerRevision
    } catch (error) {
      if (!(error instanceof ApiError && error.isAlreadyExists)) throw error
      const there = await this.#client.get<ControllerRevision>(CONTROLLER_REVISIONS, { namespace, name })
      const own = there.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true
      if (own && canonical(there.data) === canonical(data)) return there
      const collisionCount = (status?.collisionCount ?? 0) + 1
      const body = { metadata: { uid: metadata.uid }, status: { collisionCount } }
      await this.#client.patchStatus('merge', STATEFUL_SETS, { namespace, name: metadata.name }, body)
      throw error
    }
  }

  /** A template that came back is the newest again. */
  async #newest(revision: ControllerRevision, highest: number): Promise<ControllerRevision> {
    if (revision.revision === highest) return revision
    const { namespace, name, uid } = revision.metadata
    const body = { metadata: { uid }, revision: highest + 1 }
    return await this.#client.patch<ControllerRevision>('merge', CONTROLLER_REVISIONS, { namespace, name }, body)
  }
}

function read({ metadata, data }: ControllerRevision, set: StatefulSet): Revision {
  const { template } = (data as RevisionData).spec ?? {}
  if (template === undefined) return { name: metadata.name, template: set.spec.template }
  const plain = Object.entries(template).filter(([member]) => member !== '$patch')
  return { name: metadata.name, template: Object.fromEntries(plain) as unknown as PodTemplate }
}
