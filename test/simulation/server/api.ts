// The rules of the Kubernetes API as far as the manager and the simulated world depend on them: identity, versions, generation,
// preconditions, status subresource, finalizers, graceful deletion of pods, merge patches.
//
// Not here: validation, admission, defaults, field selectors, garbage collection (world/collector.ts).
import { isDeepStrictEqual } from 'node:util'
import { applyMergePatch, objectKey, type KubeObject, type ObjectMeta } from '../../../lib/kube/index.ts'
import { EPOCH } from '../engine/process.ts'
import type { Scheduler } from '../engine/scheduler.ts'
import type { Store } from './store.ts'

/** An answer that is no success. */
export class Refusal extends Error {
  readonly code: number
  readonly reason: string

  constructor(code: number, reason: string, message: string) {
    super(message)
    this.code = code
    this.reason = reason
  }
}

export type PatchKind = 'merge' | 'strategic'

/** Kinds whose status can be written only by its subresource, and whose generation counts changes of the rest. */
const CUSTOM = new Set(['networks', 'subnets', 'ipinstances'])
const SUBRESOURCE = new Set([...CUSTOM, 'pods', 'nodes'])
const POD_GRACE_SECONDS = 30

export class Api {
  readonly store: Store
  readonly #scheduler: Scheduler

  constructor(store: Store, scheduler: Scheduler) {
    this.store = store
    this.#scheduler = scheduler
  }

  create(kind: string, object: KubeObject, by: string): KubeObject {
    const key = objectKey(object.metadata)
    if (this.store.stored(kind, key) !== undefined) {
      throw new Refusal(409, 'AlreadyExists', `${kind} "${key}" already exists`)
    }
    const metadata: ObjectMeta = {
      ...object.metadata,
      uid: this.store.newUid(),
      creationTimestamp: this.time(),
      generation: 1,
    }
    const { status, ...rest } = object
    const made = SUBRESOURCE.has(kind) || status === undefined ? { ...rest, metadata } : { ...rest, metadata, status }
    return this.store.put(kind, key, structuredClone(made), by).object
  }

  get(kind: string, key: string): KubeObject {
    const object = this.store.get(kind, key)
    if (object === undefined) throw new Refusal(404, 'NotFound', `${kind} "${key}" not found`)
    return object
  }

  /** Replaces an object (leases only are). */
  update(kind: string, key: string, object: KubeObject, by: string): KubeObject {
    const old = this.get(kind, key)
    const { resourceVersion } = object.metadata
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) throw changed(kind, key)
    return this.#write(kind, key, old, { ...object, metadata: { ...old.metadata, ...object.metadata } }, by)
  }

  patch(type: PatchKind, kind: string, key: string, body: KubeObject, status: boolean, by: string): KubeObject {
    const old = this.get(kind, key)
    const { resourceVersion, uid } = body.metadata ?? {}
    if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) throw changed(kind, key)
    if (uid !== undefined && uid !== old.metadata.uid) throw changed(kind, key)
    const merged = applyMergePatch(structuredClone(old), type === 'strategic' ? finalizersOf(old, body) : body)
    const patched = merged as KubeObject
    let result: KubeObject = patched
    if (status) result = { ...old, status: patched['status'] }
    else if (SUBRESOURCE.has(kind)) {
      const rest = without(patched, 'status')
      result = old['status'] === undefined ? rest : { ...rest, status: old['status'] }
    }
    return this.#write(kind, key, old, result, by)
  }

  delete(
    kind: string,
    key: string,
    options: { uid?: string | undefined; graceSeconds?: number | undefined },
    by: string,
  ): void {
    const old = this.get(kind, key)
    if (options.uid !== undefined && options.uid !== old.metadata.uid) throw changed(kind, key)
    const bound = kind === 'pods' && Boolean((old['spec'] as { nodeName?: string } | undefined)?.nodeName)
    const finished = ['Succeeded', 'Failed'].includes((old['status'] as { phase?: string } | undefined)?.phase ?? '')
    const grace = bound && !finished ? (options.graceSeconds ?? POD_GRACE_SECONDS) : 0
    if (grace === 0 && (old.metadata.finalizers ?? []).length === 0) {
      this.store.remove(kind, key, by)
      return
    }
    const before = old.metadata.deletionGracePeriodSeconds
    if (old.metadata.deletionTimestamp !== undefined && (before ?? 0) <= grace) return
    const metadata: ObjectMeta = {
      ...old.metadata,
      deletionTimestamp: old.metadata.deletionTimestamp ?? this.time(),
      deletionGracePeriodSeconds: grace,
      generation: (old.metadata.generation ?? 0) + 1,
    }
    this.store.put(kind, key, { ...old, metadata }, by)
  }

  /** RFC 3339, whole seconds. */
  time(): string {
    return new Date(EPOCH + this.#scheduler.now).toISOString().replace(/\.\d+Z$/, 'Z')
  }

  #write(kind: string, key: string, old: KubeObject, wanted: KubeObject, by: string): KubeObject {
    // What the server keeps to itself.
    const { uid, resourceVersion, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation } =
      old.metadata
    const metadata = dropUndefined({
      ...wanted.metadata,
      uid,
      resourceVersion,
      creationTimestamp,
      deletionTimestamp,
      deletionGracePeriodSeconds,
      generation,
    })
    const object = { ...wanted, metadata } as KubeObject
    if (isDeepStrictEqual(old, object)) return old
    if (CUSTOM.has(kind) && !isDeepStrictEqual(old['spec'], object['spec'])) {
      object.metadata.generation = (generation ?? 0) + 1
    }
    const held = (object.metadata.finalizers ?? []).length > 0
    if (deletionTimestamp !== undefined && !held && (deletionGracePeriodSeconds ?? 0) === 0) {
      // As the real server: the update itself is not stored, and answered as if it had been.
      this.store.remove(kind, key, by)
      return object
    }
    return this.store.put(kind, key, object, by).object
  }
}

/** A strategic merge patch of finalizers, the only list anybody patches so, as a merge patch. */
function finalizersOf(old: KubeObject, body: KubeObject): KubeObject {
  const directive = '$deleteFromPrimitiveList/finalizers'
  const { [directive]: deleted, ...metadata } = body.metadata as ObjectMeta & { [directive]?: string[] }
  const kept = (old.metadata.finalizers ?? []).filter((name) => !(deleted ?? []).includes(name))
  return { ...body, metadata: { ...metadata, finalizers: [...new Set([...kept, ...(metadata.finalizers ?? [])])] } }
}

function changed(kind: string, key: string): Refusal {
  return new Refusal(409, 'Conflict', `operation cannot be fulfilled on ${kind} "${key}": the object has been modified`)
}

function without(object: KubeObject, field: string): KubeObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== field)) as unknown as KubeObject
}

function dropUndefined<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T
}
