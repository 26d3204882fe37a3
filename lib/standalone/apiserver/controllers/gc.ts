// The garbage collector: deletes objects whose owners are gone, and works off the finalizers of foreground and orphan
// deletion. In a real cluster the controller manager does this.
//
// An object is looked at when it appears or changes with owners, and when one of its owners goes. Owners are known by uid;
// an owner of a kind that is not served here is taken to exist, since nothing can be known of it.
import type { Context } from '../context.ts'
import { StatusError } from '../errors.ts'
import type { Resource } from '../registry.ts'
import type { Stored } from '../store.ts'
import type { KubeObject, OwnerReference } from '../types.ts'
import { remove, update } from '../write.ts'

/** Objects looked at in one turn of the event loop. */
const BATCH = 200

interface Reference {
  readonly collection: string
  readonly key: string
}

const silent = { dryRun: false, manager: null, unversioned: true } as const

/** Returns what stops it. */
export function runGarbageCollector(context: Context): () => void {
  const { store, registry, log } = context
  /** uid → where it is; every object of the store. */
  const known = new Map<string, Reference>()
  /** uid of an owner → the uids that name it. */
  const dependents = new Map<string, Set<string>>()
  const owners = new Map<string, readonly string[]>()
  const due = new Set<string>()
  let scheduled: NodeJS.Immediate | null = null

  const schedule = (uid: string): void => {
    due.add(uid)
    scheduled ??= setImmediate(run)
  }

  const run = (): void => {
    scheduled = null
    let budget = BATCH
    for (const uid of due) {
      if (budget-- === 0) {
        scheduled = setImmediate(run)
        return
      }
      due.delete(uid)
      try {
        look(uid)
      } catch (error) {
        // Gone meanwhile is what was wanted.
        if (error instanceof StatusError && error.code === 404) continue
        log.error({ uid, object: known.get(uid), err: error }, 'garbage collection')
      }
    }
  }

  const remember = (uid: string, reference: Reference, object: KubeObject): void => {
    known.set(uid, reference)
    const now = (object.metadata.ownerReferences ?? []).map((owner) => owner.uid)
    const before = owners.get(uid) ?? []
    if (now.length === 0 && before.length === 0) return
    for (const owner of before) if (!now.includes(owner)) unlink(owner, uid)
    for (const owner of now) {
      let set = dependents.get(owner)
      if (set === undefined) dependents.set(owner, (set = new Set()))
      set.add(uid)
    }
    if (now.length === 0) owners.delete(uid)
    else owners.set(uid, now)
  }

  const unlink = (owner: string, uid: string): void => {
    const set = dependents.get(owner)
    set?.delete(uid)
    if (set?.size === 0) dependents.delete(owner)
  }

  const find = (uid: string): { stored: Stored; resource: Resource } | null => {
    const reference = known.get(uid)
    if (reference === undefined) return null
    const stored = store.get(reference.collection, reference.key)
    const resource = registry.byCollection(reference.collection)
    return stored === undefined || resource === undefined ? null : { stored, resource }
  }

  /** Whether an owner is there; `null` when that cannot be known. */
  const exists = (owner: OwnerReference, dependent: KubeObject): boolean | null => {
    const reference = known.get(owner.uid)
    if (reference !== undefined) {
      const namespace = store.get(reference.collection, reference.key)?.object.metadata.namespace
      return namespace === undefined || namespace === dependent.metadata.namespace
    }
    return registry.byKind(owner.apiVersion, owner.kind) === undefined ? null : false
  }

  const look = (uid: string): void => {
    const found = find(uid)
    if (found === null) return
    const { object } = found.stored
    const finalizers = object.metadata.finalizers ?? []
    if (object.metadata.deletionTimestamp !== undefined) {
      if (finalizers.includes('orphan')) orphan(uid, found.resource, object)
      else if (finalizers.includes('foregroundDeletion')) foreground(uid, found.resource, object)
      return
    }
    const references = object.metadata.ownerReferences ?? []
    if (references.length === 0) return
    const states = references.map((owner) => ({ owner, there: exists(owner, object) }))
    if (states.every(({ there }) => there !== false)) return
    const { name = '', namespace = '' } = object.metadata
    if (states.some(({ there }) => there !== false)) {
      // Some owners are left: only the references to the others go.
      const kept = new Set(states.filter(({ there }) => there !== false).map(({ owner }) => owner.uid))
      dropOwners(found.resource, object, (owner) => kept.has(owner.uid))
      return
    }
    log.debug({ object: `${found.resource.kind}/${namespace}/${name}` }, 'deleted: its owners are gone')
    remove(context, found.resource, namespace, name, {
      dryRun: false,
      propagation: 'Background',
      preconditions: { uid },
    })
  }

  const dropOwners = (resource: Resource, object: KubeObject, keep: (owner: OwnerReference) => boolean): void => {
    const { name = '', namespace = '' } = object.metadata
    const change = (copy: KubeObject): KubeObject => {
      const rest = (copy.metadata.ownerReferences ?? []).filter(keep)
      if (rest.length === 0) delete copy.metadata.ownerReferences
      else copy.metadata.ownerReferences = rest
      return copy
    }
    update(context, resource, namespace, name, '', change, silent)
  }

  const dropFinalizer = (resource: Resource, object: KubeObject, finalizer: string): void => {
    const { name = '', namespace = '' } = object.metadata
    const change = (copy: KubeObject): KubeObject => {
      copy.metadata.finalizers = (copy.metadata.finalizers ?? []).filter((one) => one !== finalizer)
      return copy
    }
    update(context, resource, namespace, name, '', change, silent)
  }

  const orphan = (uid: string, resource: Resource, object: KubeObject): void => {
    for (const dependent of [...(dependents.get(uid) ?? [])]) {
      const found = find(dependent)
      if (found !== null) dropOwners(found.resource, found.stored.object, (owner) => owner.uid !== uid)
    }
    dropFinalizer(resource, object, 'orphan')
  }

  /** Deletes the dependents; the owner goes when none is left that blocks it. */
  const foreground = (uid: string, resource: Resource, object: KubeObject): void => {
    let blocking = 0
    for (const dependent of [...(dependents.get(uid) ?? [])]) {
      const found = find(dependent)
      if (found === null) continue
      const { metadata } = found.stored.object
      if (metadata.deletionTimestamp === undefined) {
        const preconditions = { uid: dependent }
        remove(context, found.resource, metadata.namespace ?? '', metadata.name ?? '', {
          dryRun: false,
          propagation: 'Foreground',
          preconditions,
        })
      }
      const blocks = (metadata.ownerReferences ?? []).some(
        (owner) => owner.uid === uid && owner.blockOwnerDeletion === true,
      )
      if (blocks && find(dependent) !== null) blocking++
    }
    if (blocking === 0) dropFinalizer(resource, object, 'foregroundDeletion')
  }

  const stop = store.subscribe('', ({ collection, type, current }) => {
    const { uid = '' } = current.object.metadata
    if (type === 'DELETED') {
      const formerOwners = owners.get(uid) ?? []
      known.delete(uid)
      owners.delete(uid)
      for (const owner of formerOwners) {
        unlink(owner, uid)
        if (known.has(owner)) schedule(owner)
      }
      for (const dependent of dependents.get(uid) ?? []) schedule(dependent)
      return
    }
    remember(uid, { collection, key: current.key }, current.object)
    const { ownerReferences, finalizers, deletionTimestamp } = current.object.metadata
    if ((ownerReferences?.length ?? 0) > 0 || (deletionTimestamp !== undefined && (finalizers?.length ?? 0) > 0))
      schedule(uid)
  })
  return () => {
    stop()
    if (scheduled !== null) clearImmediate(scheduled)
  }
}
