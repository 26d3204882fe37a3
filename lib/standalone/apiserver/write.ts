// Create, update and delete: the one way into the store, for requests and for the controllers alike.
//
// Everything after a request's body has arrived runs in one go, so a read-check-write here is atomic without locks. Only
// admission may take time: writes are written as generators that stop where it looks at them, and go on with what it made
// of the object. Requests run them through admission/, the controllers of this server without a stop (`unadmitted`). After
// a stop everything is checked again that may have changed meanwhile.
import type { Context } from './context.ts'
import { copyMember, editable } from './decode.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  fieldError,
  forbidden,
  invalid,
  modifiedMessage,
  notFound,
} from './errors.ts'
import { clone, equal, timestamp } from './json.ts'
import { carryOver, generateName, newUid, specChanged, validateMeta, validateMetaUpdate } from './meta.ts'
import { trackUpdate } from './patch/managed.ts'
import { hasStatus } from './registry.ts'
import type { Resource } from './registry.ts'
import { applyDefaults } from './schema/prune.ts'
import { validate } from './schema/validate.ts'
import { serve, toStored } from './served.ts'
import { objectKey } from './store.ts'
import type { Stored } from './store.ts'
import type { KubeObject } from './types.ts'

export interface WriteOptions {
  /** Go through everything, store nothing. */
  readonly dryRun: boolean
  /** Who is recorded in managedFields; null records nobody (the server's own writes). */
  readonly manager: string | null
}

export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

/** Part of an object that a request may write: the whole but status, or one part only. */
export type Part = '' | 'status' | 'finalize' | 'binding' | 'scale'

/** A write where admission may look at it. */
export interface AdmissionPoint {
  readonly phase: 'mutating' | 'validating'
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly resource: Resource
  readonly subresource: string
  readonly namespace: string
  /** Empty while a new object has only a generateName. */
  readonly name: string
  /** As served; null for a delete. */
  readonly object: KubeObject | null
  readonly old: KubeObject | null
  readonly dryRun: boolean
}

/** A write that stops at its admission points and is sent the admitted object, null for a delete. */
export type Steps<T> = Generator<AdmissionPoint, T, KubeObject | null>

/** Run a write as if nobody admitted anything: for this server's own controllers. */
export function unadmitted<T>(steps: Steps<T>): T {
  let step = steps.next()
  while (step.done !== true) step = steps.next(step.value.object)
  return step.value
}

/** {@link createSteps} without admission. */
export const create = (...parameters: Parameters<typeof createSteps>): KubeObject =>
  unadmitted(createSteps(...parameters))

/** {@link updateSteps} without admission. */
export const update = (...parameters: Parameters<typeof updateSteps>): KubeObject =>
  unadmitted(updateSteps(...parameters))

/** {@link removeSteps} without admission. */
export const remove = (...parameters: Parameters<typeof removeSteps>): Deleted => unadmitted(removeSteps(...parameters))

/** How often an update that names no version is begun again because somebody else was faster. */
const attempts = 5

/** @returns the object as the version of `resource` serves it */
export function* createSteps(
  context: Context,
  resource: Resource,
  namespace: string,
  given: KubeObject,
  options: WriteOptions,
): Steps<KubeObject> {
  let body = given
  let meta = body.metadata
  if (meta.resourceVersion !== undefined && meta.resourceVersion !== '') {
    throw badRequest('resourceVersion should not be set on objects to be created')
  }
  placeInNamespace(resource, namespace, body)
  if (resource.namespaced) requireActiveNamespace(context, resource, namespace, body)
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink'])
    Reflect.deleteProperty(meta, field)
  fillInNew(resource, body)
  resource.strategy.admit?.(body)
  const point = {
    operation: 'CREATE',
    resource,
    subresource: '',
    namespace,
    old: null,
    dryRun: options.dryRun,
  } as const
  const admitted = yield { ...point, phase: 'mutating', name: meta.name ?? '', object: body }
  if (admitted !== null && admitted !== body) {
    body = admitted
    meta = body.metadata
    placeInNamespace(resource, namespace, body)
    fillInNew(resource, body)
  }
  const collides = (name: string): boolean =>
    context.store.get(resource.collection, objectKey(meta.namespace, name)) !== undefined
  if ((meta.name ?? '') === '' && (meta.generateName ?? '') !== '') {
    do meta.name = generateName(meta.generateName ?? '')
    while (collides(meta.name))
  }
  meta.uid = newUid()
  meta.creationTimestamp = timestamp()
  if (resource.generation) meta.generation = 1
  else delete meta.generation
  resource.strategy.prepareCreate?.(body)
  const errors = [
    ...validateMeta(resource, body),
    ...(resource.custom ? validate(resource.schema, body) : []),
    ...(resource.strategy.validate?.(body) ?? []),
  ]
  if (errors.length > 0) throw invalid(resource, meta.name ?? meta.generateName ?? '', errors)
  const name = meta.name ?? ''
  if (collides(name)) throw alreadyExists(resource, name)
  yield { ...point, phase: 'validating', name, object: body }
  if (collides(name)) throw alreadyExists(resource, name)
  if (resource.namespaced) requireActiveNamespace(context, resource, namespace, body)
  if (options.manager !== null) trackUpdate(resource, body, undefined, '', options.manager)
  const object = toStored(resource, body)
  if (options.dryRun) return serve(resource, object)
  const stored = context.store.put(resource.collection, objectKey(meta.namespace, name), object)
  resource.strategy.changed?.(stored.object, undefined)
  return serve(resource, stored.object)
}

/**
 * Change an object.
 *
 * @param change gets a copy it may edit, as served, and returns the wanted object
 * @returns the object as served; when nothing changed, the one that was there
 */
export function* updateSteps(
  context: Context,
  resource: Resource,
  namespace: string,
  name: string,
  part: Part,
  change: (copy: KubeObject) => KubeObject,
  options: WriteOptions & { readonly unversioned?: boolean },
): Steps<KubeObject> {
  for (let attempt = 1; ; attempt++) {
    const written = yield* tryUpdate(context, resource, namespace, name, part, change, options)
    if (written !== null) return written
    // One that names a version fails by itself the next time.
    if (attempt === attempts) throw conflict(resource, name, modifiedMessage)
  }
}

/** @returns null when the object changed while it was being admitted */
function* tryUpdate(
  context: Context,
  resource: Resource,
  namespace: string,
  name: string,
  part: Part,
  change: (copy: KubeObject) => KubeObject,
  options: WriteOptions & { readonly unversioned?: boolean },
): Steps<KubeObject | null> {
  const key = objectKey(namespace, name)
  const before = context.store.get(resource.collection, key)
  if (before === undefined) throw notFound(resource, name)
  const old = serve(resource, before.object)
  const wanted = change(editable(old))
  const meta = wanted.metadata
  if ((meta.name ?? '') === '' && part !== '') meta.name = name
  if (meta.name !== name) {
    throw badRequest(`the name of the object (${meta.name ?? ''}) does not match the name on the URL (${name})`)
  }
  placeInNamespace(resource, namespace, wanted)
  checkVersion(resource, name, wanted, old, options.unversioned === true)
  let next = joinParts(resource, part, wanted, old)
  carryOver(next.metadata, old.metadata)
  fillIn(resource, next)
  const reviewed = part !== 'binding' && part !== 'scale'
  const point = {
    operation: 'UPDATE',
    resource,
    subresource: part,
    namespace,
    name,
    old,
    dryRun: options.dryRun,
  } as const
  const admitted = reviewed ? yield { ...point, phase: 'mutating', object: next } : next
  if (admitted !== null && admitted !== next) {
    next = joinParts(resource, part, admitted, old)
    carryOver(next.metadata, old.metadata)
    fillIn(resource, next)
  }
  resource.strategy.prepareUpdate?.(next, old)
  if (resource.generation && specChanged(next, old)) next.metadata.generation = (old.metadata.generation ?? 0) + 1
  const errors = [
    ...validateMeta(resource, next),
    ...validateMetaUpdate(next, old),
    ...(resource.custom ? validate(resource.schema, next) : []),
    ...(resource.strategy.validate?.(next) ?? []),
    // A binding is the one way to give a pod its node.
    ...(part === 'binding' ? [] : (resource.strategy.validateUpdate?.(next, old) ?? [])),
  ]
  if (errors.length > 0) throw invalid(resource, name, errors)
  if (reviewed) yield { ...point, phase: 'validating', object: next }
  if (context.store.get(resource.collection, key) !== before) return null
  if (options.manager !== null) trackUpdate(resource, next, old, part, options.manager)
  return commit(context, resource, before, old, next, options.dryRun)
}

/** What the server fills in. */
function fillIn(resource: Resource, object: KubeObject): void {
  if (resource.custom) applyDefaults(resource.schema, object)
  resource.strategy.defaults?.(object)
}

/** As {@link fillIn}; a new object comes without a status, unless the server says so. */
function fillInNew(resource: Resource, object: KubeObject): void {
  if (hasStatus(resource) && resource.strategy.keepStatus !== true) Reflect.deleteProperty(object, 'status')
  fillIn(resource, object)
}

function commit(
  context: Context,
  resource: Resource,
  before: Stored,
  old: KubeObject,
  next: KubeObject,
  dryRun: boolean,
): KubeObject {
  next.metadata.resourceVersion = old.metadata.resourceVersion ?? ''
  if (dryRun) return next
  if (isGone(resource, next)) {
    const removed = context.store.remove(resource.collection, before.key)
    resource.strategy.changed?.(undefined, before.object)
    if (removed !== undefined) next.metadata.resourceVersion = String(removed.version)
    return next
  }
  if (equal(next, old)) return old
  const stored = context.store.put(resource.collection, before.key, toStored(resource, next))
  resource.strategy.changed?.(stored.object, before.object)
  return serve(resource, stored.object)
}

/** Deleted, nobody holds it any more, and its time is over. */
function isGone(resource: Resource, object: KubeObject): boolean {
  const { deletionTimestamp, finalizers, deletionGracePeriodSeconds } = object.metadata
  if (deletionTimestamp === undefined || (finalizers ?? []).length > 0) return false
  return (deletionGracePeriodSeconds ?? 0) === 0 && resource.strategy.held?.(object) !== true
}

export interface DeleteOptions {
  readonly dryRun: boolean
  /** Seconds. */
  readonly gracePeriod?: number | undefined
  readonly preconditions?: Preconditions | undefined
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined
}

export interface Deleted {
  /** The object as served, at its last. */
  readonly object: KubeObject
  /** Whether it is gone now; otherwise it is marked and waits for finalizers or its grace period. */
  readonly gone: boolean
}

export function* removeSteps(
  context: Context,
  resource: Resource,
  namespace: string,
  name: string,
  options: DeleteOptions,
): Steps<Deleted> {
  const key = objectKey(namespace, name)
  const first = context.store.get(resource.collection, key)
  if (first === undefined) throw notFound(resource, name)
  const seen = serve(resource, first.object)
  checkPreconditions(resource, name, seen, options.preconditions)
  const point = { operation: 'DELETE', resource, subresource: '', namespace, name, dryRun: options.dryRun } as const
  for (const phase of ['mutating', 'validating'] as const) yield { ...point, phase, object: null, old: seen }
  const before = context.store.get(resource.collection, key)
  if (before === undefined) throw notFound(resource, name)
  const old = serve(resource, before.object)
  checkPreconditions(resource, name, old, options.preconditions)
  const refusal = resource.strategy.undeletable?.(old)
  if (refusal !== null && refusal !== undefined) throw forbidden(resource, name, refusal)
  const next = editable(old)
  const meta = next.metadata
  const grace = Math.max(0, Math.trunc(resource.strategy.gracePeriod?.(old, options.gracePeriod) ?? 0))
  setPropagation(next, options.propagation)
  if (meta.deletionTimestamp === undefined) {
    meta.deletionTimestamp = timestamp(new Date(Date.now() + grace * 1000))
    meta.deletionGracePeriodSeconds = grace
    if (meta.generation !== undefined && meta.generation > 0) meta.generation++
  } else if (grace < (meta.deletionGracePeriodSeconds ?? 0)) {
    // A second delete can only shorten the wait; zero is the kubelet saying that everything has ended.
    meta.deletionTimestamp = timestamp(new Date(Date.now() + grace * 1000))
    meta.deletionGracePeriodSeconds = grace
  }
  if (options.dryRun) return { object: next, gone: false }
  resource.strategy.prepareUpdate?.(next, old)
  const gone = isGone(resource, next)
  return { object: commit(context, resource, before, old, next, false), gone }
}

/** Foreground and orphan deletion are finalizers that the garbage collector works off. */
function setPropagation(object: KubeObject, propagation: DeleteOptions['propagation']): void {
  if (propagation !== 'Foreground' && propagation !== 'Orphan') return
  const finalizer = propagation === 'Foreground' ? 'foregroundDeletion' : 'orphan'
  const finalizers = object.metadata.finalizers ?? []
  if (!finalizers.includes(finalizer)) object.metadata.finalizers = [...finalizers, finalizer]
}

export function checkPreconditions(
  resource: Resource,
  name: string,
  object: KubeObject,
  preconditions: Preconditions | undefined,
): void {
  const { uid, resourceVersion } = object.metadata
  if (preconditions?.uid !== undefined && preconditions.uid !== uid) {
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${uid ?? ''}`,
    )
  }
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
    const versions = `${preconditions.resourceVersion}, ResourceVersion in object meta: ${resourceVersion ?? ''}`
    throw conflict(resource, name, `Precondition failed: ResourceVersion in precondition: ${versions}`)
  }
}

function checkVersion(
  resource: Resource,
  name: string,
  wanted: KubeObject,
  old: KubeObject,
  unversioned: boolean,
): void {
  const { resourceVersion = '', uid = '' } = wanted.metadata
  if (uid !== '' && uid !== old.metadata.uid) {
    // Only a PUT takes it for a precondition.
    if (unversioned) throw invalid(resource, name, [fieldError.invalid('metadata.uid', uid, 'field is immutable')])
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid ?? ''}`,
    )
  }
  if (resourceVersion === '' || resourceVersion === '0') {
    if (!resource.versionedUpdates || unversioned) return
    throw invalid(resource, name, [
      fieldError.invalid('metadata.resourceVersion', '0x0', 'must be specified for an update'),
    ])
  }
  if (resourceVersion !== old.metadata.resourceVersion) throw conflict(resource, name, modifiedMessage)
}

/** What is left of a request's object when only one part of it counts. */
function joinParts(resource: Resource, part: Part, wanted: KubeObject, old: KubeObject): KubeObject {
  switch (part) {
    case '':
      if (hasStatus(resource)) copyMember(wanted, old, 'status')
      return wanted
    case 'status': {
      const next = editable(old)
      copyMember(next, wanted, 'status')
      // As the real server: labels, annotations and finalizers of built-in kinds may come with their status, others' may not.
      if (!resource.custom) {
        for (const member of ['labels', 'annotations', 'finalizers']) {
          if (wanted.metadata[member] !== undefined) next.metadata[member] = clone(wanted.metadata[member])
        }
      }
      if (wanted.metadata.managedFields !== undefined) next.metadata.managedFields = wanted.metadata.managedFields
      return next
    }
    case 'finalize': {
      const next = editable(old)
      copyMember(next, wanted, 'spec')
      return next
    }
    case 'binding':
    case 'scale':
      return wanted
  }
}

function placeInNamespace(resource: Resource, namespace: string, object: KubeObject): void {
  const given = object.metadata.namespace ?? ''
  if (!resource.namespaced) {
    if (given !== '') Reflect.deleteProperty(object.metadata, 'namespace')
    return
  }
  if (given !== '' && given !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  object.metadata.namespace = namespace
}

function requireActiveNamespace(context: Context, resource: Resource, namespace: string, body: KubeObject): void {
  const found = context.store.get('/namespaces', namespace)
  if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace)
  if (found.object.metadata.deletionTimestamp === undefined) return
  // Whoever ends the content may still say so.
  if (resource.kind === 'Event') return
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${namespace} is being terminated`,
    field: 'metadata.namespace',
  }
  throw forbidden(resource, body.metadata.name ?? body.metadata.generateName ?? '', why, [cause])
}
