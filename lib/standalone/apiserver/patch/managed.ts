// metadata.managedFields: who wrote which fields. Every write by a client passes here; server-side apply decides by it.
import { isObject, own, setOwn, text, timestamp } from '../json.ts'
import { apiVersionOf } from '../registry.ts'
import type { Resource } from '../registry.ts'
import type { Json, JsonObject, KubeObject } from '../types.ts'
import { differenceBelow, emptySet, fromFieldsV1, isEmpty, toFieldsV1, union } from './fields.ts'
import type { FieldSet } from './fields.ts'
import { compare } from './typed.ts'

export interface ManagerEntry {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string
  readonly fields: FieldSet
}

export function readManagers(value: readonly Json[] | undefined): ManagerEntry[] {
  return (value ?? []).filter(isObject).flatMap((entry): ManagerEntry[] => {
    // `managedFields: [{}]` is how a client asks to forget everything.
    if (text(entry, 'manager') === '' && text(entry, 'operation') === '') return []
    return [
      {
        manager: text(entry, 'manager'),
        operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
        apiVersion: text(entry, 'apiVersion'),
        subresource: text(entry, 'subresource'),
        time: text(entry, 'time'),
        fields: fromFieldsV1(entry['fieldsV1']),
      },
    ]
  })
}

/** The real server's order of entries. */
function inOrder(a: ManagerEntry, b: ManagerEntry): number {
  for (const key of ['operation', 'time', 'manager', 'apiVersion', 'subresource'] as const) {
    if (a[key] !== b[key]) return a[key] < b[key] ? -1 : 1
  }
  return 0
}

export function writeManagers(meta: KubeObject['metadata'], entries: readonly ManagerEntry[]): void {
  const kept = entries.filter(({ fields }) => !isEmpty(fields))
  if (kept.length === 0) {
    delete meta.managedFields
    return
  }
  meta.managedFields = kept
    .sort(inOrder)
    .map(({ manager, operation, apiVersion, subresource, time, fields }): JsonObject => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource === '' ? {} : { subresource }),
    }))
}

/** Members of metadata that nobody owns. */
const unownedMeta = ['name', 'namespace', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'uid', 'generation', 'managedFields', 'resourceVersion'] // prettier-ignore

/** The part of an object that has owners. */
export function ownedPart(object: KubeObject): JsonObject {
  const result: JsonObject = {}
  for (const [key, value] of Object.entries(object)) {
    if (key !== 'apiVersion' && key !== 'kind' && key !== 'metadata' && value !== undefined) setOwn(result, key, value)
  }
  const meta: JsonObject = {}
  for (const [key, value] of Object.entries(object.metadata)) {
    if (!unownedMeta.includes(key) && value !== undefined) setOwn(meta, key, value)
  }
  if (Object.keys(meta).length > 0) result['metadata'] = meta
  return result
}

/**
 * Record in `next.metadata.managedFields` what an update by `manager` has changed; others lose what it changed.
 *
 * @param old what was there; undefined for a create
 * @param part the subresource written
 */
export function trackUpdate(
  resource: Resource,
  next: KubeObject,
  old: KubeObject | undefined,
  part: string,
  manager: string,
): void {
  // A client may edit the list itself; most send back what they read or nothing.
  const present =
    own(next.metadata, 'managedFields') === undefined ? old?.metadata.managedFields : next.metadata.managedFields
  const { changed, removed } = compare(old === undefined ? undefined : ownedPart(old), ownedPart(next), resource.schema)
  if (isEmpty(changed) && isEmpty(removed)) {
    if (present !== undefined) next.metadata.managedFields = present
    return
  }
  const apiVersion = apiVersionOf(resource)
  const touched = union(changed, removed)
  let mine: ManagerEntry = {
    manager,
    operation: 'Update',
    apiVersion,
    subresource: part,
    time: timestamp(),
    fields: emptySet,
  }
  const others: ManagerEntry[] = []
  for (const entry of readManagers(present)) {
    const same =
      entry.manager === manager &&
      entry.operation === 'Update' &&
      entry.apiVersion === apiVersion &&
      entry.subresource === part
    if (same) mine = { ...mine, fields: differenceBelow(entry.fields, removed) }
    else others.push({ ...entry, fields: differenceBelow(entry.fields, touched) })
  }
  writeManagers(next.metadata, [...others, { ...mine, fields: union(mine.fields, changed) }])
}
