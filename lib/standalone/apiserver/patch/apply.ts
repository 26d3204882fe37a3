// Server-side apply: an object is merged in field by field, and each field has owners.
//
// What an applier leaves out and no one else owns is removed; what it sets to another value than another owner did is a
// conflict, unless forced. Not done: moving ownership between API versions of a kind, and taking over from
// `kubectl apply` without --server-side (kubectl does that itself).
import type { Context } from '../context.ts'
import { decode } from '../decode.ts'
import type { FieldValidation } from '../decode.ts'
import { StatusError, badRequest, fieldError, invalid, notFound } from '../errors.ts'
import { clone, equal, isObject, timestamp } from '../json.ts'
import { apiVersionOf } from '../registry.ts'
import type { Resource } from '../registry.ts'
import { objectKey } from '../store.ts'
import type { Json, JsonObject, KubeObject } from '../types.ts'
import { createSteps, updateSteps } from '../write.ts'
import type { Part, Steps } from '../write.ts'
import { difference, differenceBelow, emptySet, intersection, isEmpty, paths, showPath, union } from './fields.ts'
import type { FieldSet } from './fields.ts'
import { ownedPart, readManagers, writeManagers } from './managed.ts'
import type { ManagerEntry } from './managed.ts'
import { compare, fieldsOf, mergeTyped, withoutFields } from './typed.ts'

export interface ApplyOptions {
  readonly manager: string
  /** Take fields over from their owners. */
  readonly force: boolean
  readonly dryRun: boolean
  readonly fieldValidation: FieldValidation
}

export interface Applied {
  readonly object: KubeObject
  readonly created: boolean
  readonly warnings: readonly string[]
}

/** @throws StatusError 409 with every conflict, 422 without a field manager, 400 for a body that is no object of the kind */
export function* applySteps(
  context: Context,
  resource: Resource,
  namespace: string,
  name: string,
  part: Part,
  body: Json,
  options: ApplyOptions,
): Steps<Applied> {
  if (options.manager === '') {
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [
      fieldError.required('fieldManager', 'is required for apply patch'),
    ])
  }
  const { object: config, warnings } = decode(resource, body, options.fieldValidation)
  const meta = config.metadata
  if ((meta.managedFields ?? []).length > 0) throw badRequest('metadata.managedFields must be nil')
  if ((meta.name ?? '') === '') meta.name = name
  if (meta.name !== name)
    throw badRequest(`the name of the object (${meta.name ?? ''}) does not match the name on the URL (${name})`)
  if (part === '' && resource.subresources.includes('status')) Reflect.deleteProperty(config, 'status')
  const fields = fieldsOf(ownedPart(config), resource.schema)
  const entry: ManagerEntry = {
    manager: options.manager,
    operation: 'Apply',
    apiVersion: apiVersionOf(resource),
    subresource: part,
    time: timestamp(),
    fields,
  }
  const stored = context.store.get(resource.collection, objectKey(namespace, name))
  if (stored === undefined) {
    if (part !== '') throw notFound(resource, name)
    writeManagers(meta, [entry])
    const object = yield* createSteps(context, resource, namespace, config, { dryRun: options.dryRun, manager: null })
    return { object, created: true, warnings }
  }
  const change = (live: KubeObject): KubeObject => merge(resource, live, clone(config), entry, options.force)
  const object = yield* updateSteps(context, resource, namespace, name, part, change, {
    dryRun: options.dryRun,
    manager: null,
    unversioned: true,
  })
  return { object, created: false, warnings }
}

function merge(
  resource: Resource,
  live: KubeObject,
  config: KubeObject,
  entry: ManagerEntry,
  force: boolean,
): KubeObject {
  const before = ownedPart(live)
  const wanted = mergeTyped(before, ownedPart(config), resource.schema)
  const isOwn = (other: ManagerEntry): boolean =>
    other.manager === entry.manager && other.operation === 'Apply' && other.subresource === entry.subresource
  const all = readManagers(live.metadata.managedFields)
  const own = all.find(isOwn)
  let others = all.filter((other) => !isOwn(other))

  const { changed, removed } = compare(before, wanted, resource.schema)
  const moved = union(changed, removed)
  const conflicts = others.flatMap((other) => {
    const both = intersection(intersection(other.fields, entry.fields), moved)
    return isEmpty(both) ? [] : [{ other, both }]
  })
  if (conflicts.length > 0 && !force) throw conflictError(conflicts)
  others = others.map((other) => ({
    ...other,
    fields: differenceBelow(other.fields, intersection(entry.fields, moved)),
  }))

  // What this applier had and says no more, unless someone else has it too.
  const dropped = others.reduce(
    (rest, other) => difference(rest, other.fields),
    difference(own?.fields ?? emptySet, entry.fields),
  )
  const result = withoutFields(wanted, dropped, resource.schema) ?? {}
  return assemble(live, config, isObject(result) ? result : {}, own, others, entry)
}

/** The merged parts with the rest of the live object around them. */
function assemble(
  live: KubeObject,
  config: KubeObject,
  parts: JsonObject,
  own: ManagerEntry | undefined,
  others: readonly ManagerEntry[],
  entry: ManagerEntry,
): KubeObject {
  const merged = clone(parts)
  const liveMeta = clone(live.metadata)
  const known = ownedPart(live)['metadata']
  for (const key of Object.keys(isObject(known) ? known : {})) Reflect.deleteProperty(liveMeta, key)
  const metadata = { ...liveMeta, ...(isObject(merged['metadata']) ? merged['metadata'] : {}) }
  if (config.metadata.resourceVersion !== undefined) metadata.resourceVersion = config.metadata.resourceVersion
  if (config.metadata.uid !== undefined) metadata.uid = config.metadata.uid
  const object: KubeObject = { ...merged, apiVersion: live.apiVersion, kind: live.kind, metadata }
  // Nothing new: the time stays too, and the write is none.
  const same =
    own !== undefined && isEmpty(difference(own.fields, entry.fields)) && isEmpty(difference(entry.fields, own.fields))
  const unchanged = same && equal(ownedPart(object), ownedPart(live))
  writeManagers(metadata, [{ ...entry, time: unchanged ? own.time : entry.time }, ...others])
  return object
}

function conflictError(conflicts: readonly { readonly other: ManagerEntry; readonly both: FieldSet }[]): StatusError {
  const sorted = [...conflicts].sort((a, b) => (a.other.manager < b.other.manager ? -1 : 1))
  const causes = sorted.flatMap(({ other, both }) =>
    [...paths(both)].map((path) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${showManager(other)}`,
      field: showPath(path),
    })),
  )
  const first = causes[0]
  const message =
    causes.length === 1 && first !== undefined
      ? `Apply failed with 1 conflict: ${first.message}: ${first.field}`
      : [
          `Apply failed with ${causes.length} conflicts: `,
          sorted
            .flatMap(({ other, both }) => [
              `conflicts with ${showManager(other)}:`,
              ...[...paths(both)].map((path) => `- ${showPath(path)}`),
            ])
            .join('\n'),
        ].join('')
  return new StatusError(409, 'Conflict', message, { causes })
}

function showManager({ manager, operation, apiVersion, subresource }: ManagerEntry): string {
  const below = subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`
  return `${JSON.stringify(manager)}${below}${operation === 'Update' ? ` using ${apiVersion}` : ''}`
}
