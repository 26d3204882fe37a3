// Allocator decisions to IPInstance objects, and the truth back. Every outcome is one of three:
//
//   done       the answer is the new object; the allocator learns it from there
//   not done   the server refused: the decision is undone
//   unknown    no answer: the object is read live by its name, and what is found decides; if nothing is found the claim stands
//              and the same object is written again at the pod's next turn (manager.md §6.5 "unknown outcome")
import { IPINSTANCES, addressToName, type IPInstance } from '../api/index.ts'
import type { Allocator, AddressRecord, Claim } from '../ipam/index.ts'
import { formatAddress } from '../ip/index.ts'
import { ApiError, FencedError, isAlreadyExists, isConflict, isNotFound, type KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Cluster } from './cluster.ts'
import { bindPatch, newInstance, reservePatch, reserveStatusPatch, type Holder } from './decide/instance-object.ts'
import { instanceOf, viewsOf, type Instance } from './views/instance.ts'
import type { PodView } from './views/pod.ts'

/** How the addresses of one pod are written. */
export interface Binding extends Holder {
  /** Of new objects; an existing object keeps its own. */
  readonly mac: number
}

export class InstanceStore {
  readonly #client: KubeClient
  readonly #allocator: Allocator
  readonly #cluster: Cluster
  readonly #log: Logger

  /** @param client with fenced writes */
  constructor(client: KubeClient, allocator: Allocator, cluster: Cluster, log: Logger) {
    this.#client = client
    this.#allocator = allocator
    this.#cluster = cluster
    this.#log = log.child({ component: 'instance-store' })
  }

  /**
   * Writes the objects of claims: creates those of new addresses, re-binds those that exist. All are tried; what
   * succeeded stays, and is completed at the next turn.
   *
   * @throws the first error
   */
  async write(claims: readonly Claim[], binding: Binding): Promise<void> {
    const results = await Promise.allSettled(
      claims.map((claim) => (claim.record.uid === '' ? this.#create(claim, binding) : this.#bind(claim, binding))),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason as Error
  }

  /** Deletes the very objects of these records. What does not exist any more counts as deleted. */
  async remove(records: readonly AddressRecord[]): Promise<void> {
    const results = await Promise.allSettled(records.map((record) => this.#remove(record)))
    for (const result of results) if (result.status === 'rejected') throw result.reason as Error
  }

  /** Deletes one object, if it is still that one. */
  async delete(instance: Pick<Instance, 'namespace' | 'name' | 'uid'>): Promise<void> {
    try {
      await this.#client.delete(IPINSTANCES, instance, { preconditions: { uid: instance.uid } })
    } catch (error) {
      // Gone, or another object of the name by now: either way that object is deleted.
      if (!isNotFound(error) && !(error instanceof ApiError && error.status === 409)) throw error
    }
  }

  /**
   * Brings the object to the reserved form, and clears what the daemon reported. Idempotent.
   *
   * @throws ApiError (isConflict) when the object is not as last seen any more
   */
  async reserve(instance: Instance, dropPod = false): Promise<void> {
    let version = String(instance.version)
    if (!instance.reserved) {
      const patch = reservePatch(instance, dropPod)
      const reserved = await this.#client.patch<IPInstance>('merge', IPINSTANCES, instance, patch)
      this.#learn(reserved)
      version = reserved.metadata.resourceVersion ?? version
    }
    if (!instance.reserved || instance.statusLeft) {
      const patch = reserveStatusPatch(version, new Date())
      this.#learn(await this.#client.patchStatus<IPInstance>('merge', IPINSTANCES, instance, patch))
    }
  }

  /**
   * Settles a claim whose pod is gone: what exists is learnt (its owner's end collects it), what does not is given up.
   */
  async settle(record: AddressRecord): Promise<void> {
    if (record.phase !== 'claimed') return
    const ref = { namespace: record.namespace, name: addressToName(record.address) }
    const found = await this.#client.find<IPInstance>(IPINSTANCES, ref)
    if (found !== null) this.#learn(found)
    this.#allocator.abandon(record)
  }

  async #create(claim: Claim, binding: Binding): Promise<void> {
    const { pod } = binding
    const object = newInstance(claim, binding, binding.mac)
    try {
      this.#learn(await this.#client.create(IPINSTANCES, object))
    } catch (error) {
      if (isAlreadyExists(error)) return await this.#meet(claim, binding)
      if (error instanceof FencedError) throw error
      if (isDefinite(error)) {
        this.#allocator.abandon(claim.record)
        throw error
      }
      // No answer, or an error that may have come after the write.
      const found = await this.#client.find<IPInstance>(IPINSTANCES, object.metadata)
      if (found === null) throw error
      this.#log.info({ object: `IPInstance/${pod.namespace}/${object.metadata.name}` }, 'created in spite of an error')
      await this.#meet(claim, binding, found)
    }
  }

  /** An object of the name is there already: ours from an earlier attempt, or somebody else's. */
  async #meet(claim: Claim, binding: Binding, known?: IPInstance): Promise<void> {
    const { pod } = binding
    const ref = { namespace: pod.namespace, name: addressToName(claim.address) }
    const object = known ?? (await this.#client.find<IPInstance>(IPINSTANCES, ref))
    if (object === null) throw new Error(`IPInstance ${ref.namespace}/${ref.name} vanished while it was looked at`)
    const instance = instanceOf(object)
    this.#learn(object)
    if (!instance.terminating && instance.podUID === pod.uid) return
    if (!instance.terminating && instance.podName === pod.name) return await this.#bind(claim, binding)
    // The address is its holder's; ours is given up and the pod gets another one.
    this.#allocator.abandon(claim.record)
    throw new Error(
      `${formatAddress(claim.address)} is held by IPInstance ${ref.namespace}/${ref.name}` +
        (instance.terminating ? ', which is being deleted' : ` of pod ${instance.podName}`),
    )
  }

  async #bind(claim: Claim, holder: Holder): Promise<void> {
    const { record } = claim
    const instance = this.#cluster.instanceAt(record.namespace, record.address)
    const ref = { namespace: record.namespace, name: instance?.name ?? addressToName(record.address) }
    const patch = bindPatch(claim, holder, instance?.finalizers ?? [])
    try {
      this.#learn(await this.#client.patch<IPInstance>('merge', IPINSTANCES, ref, patch))
    } catch (error) {
      if (error instanceof FencedError) throw error
      // A conflict may be with this very patch, sent again because its first answer got lost.
      if ((!isDefinite(error) || isConflict(error)) && (await this.#isBound(ref, holder.pod))) return
      // Also when nothing could be learnt: the pod comes back and the same patch is sent again. Left as it is, the record
      // would say that the pod is served.
      this.#allocator.restore(claim)
      throw error
    }
  }

  /** Whether the object is bound to that life of the pod, as far as the server can be asked. */
  async #isBound(ref: { namespace: string; name: string }, pod: PodView): Promise<boolean> {
    try {
      const found = await this.#client.find<IPInstance>(IPINSTANCES, ref)
      if (found === null) return false
      this.#learn(found)
      return instanceOf(found).podUID === pod.uid
    } catch (error) {
      this.#log.debug({ object: `IPInstance/${ref.namespace}/${ref.name}`, err: error }, 'unknown whether it was bound')
      return false
    }
  }

  async #remove(record: AddressRecord): Promise<void> {
    if (record.phase === 'claimed') return await this.settle(record)
    const instance = this.#cluster.instanceAt(record.namespace, record.address)
    const name = instance?.name ?? addressToName(record.address)
    await this.delete({ namespace: record.namespace, name, uid: record.uid })
  }

  /** The allocator hears of an object as the server has just shown it. */
  #learn(object: IPInstance): void {
    for (const view of viewsOf(instanceOf(object))) this.#allocator.observe(view)
  }
}

/** The server looked at the request and refused it: nothing was written. */
function isDefinite(error: unknown): boolean {
  return error instanceof ApiError && error.status < 500
}
