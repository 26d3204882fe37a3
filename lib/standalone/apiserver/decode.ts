// From a request's body to an object of its kind: envelope checks, unknown fields, types.
import { badRequest, invalid } from './errors.ts'
import { clone, isObject, own } from './json.ts'
import { apiVersionOf } from './registry.ts'
import type { Resource } from './registry.ts'
import { dropNulls, prune } from './schema/prune.ts'
import type { Schema } from './schema/types.ts'
import { validate } from './schema/validate.ts'
import type { Json, KubeObject } from './types.ts'

/** What to do about fields the kind does not have: take them out silently, with a warning header, or refuse. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

export interface Decoded {
  readonly object: KubeObject
  readonly warnings: readonly string[]
}

/** @throws StatusError 400 for an unknown value of the `fieldValidation` parameter */
export function parseFieldValidation(value: string | null): FieldValidation {
  if (value === null || value === '') return 'Warn'
  if (value === 'Ignore' || value === 'Warn' || value === 'Strict') return value
  throw badRequest(
    `fieldValidation: Unsupported value: ${JSON.stringify(value)}: supported values: "Ignore", "Strict", "Warn"`,
  )
}

/**
 * A whole object of `resource` out of parsed JSON. The value is taken over (and changed).
 *
 * @throws StatusError 400 when it is of another kind, or of wrong types; 422 for wrong types in a custom object
 */
export function decode(resource: Resource, value: Json, fieldValidation: FieldValidation): Decoded {
  const expected = apiVersionOf(resource)
  if (!isObject(value))
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: expected an object`,
    )
  const { apiVersion, kind } = value
  if (kind !== undefined && kind !== '' && kind !== resource.kind) {
    throw badRequest(
      `${show(kind)} in version ${show(apiVersion)} cannot be handled as a ${resource.kind}: no kind ${show(kind)} is registered for this resource`,
    )
  }
  if (apiVersion !== undefined && apiVersion !== '' && apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${show(apiVersion)}) does not match the expected API version (${expected})`,
    )
  }
  value['apiVersion'] = expected
  value['kind'] = resource.kind
  if (value['metadata'] === undefined || value['metadata'] === null) value['metadata'] = {}
  if (!isObject(value['metadata']))
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: metadata: expected an object`,
    )
  const object = value as KubeObject
  if (!resource.custom) dropNulls(resource.schema, object)
  else if (resource.schema.properties?.['metadata'] !== undefined)
    dropNulls(resource.schema.properties['metadata'], object.metadata)
  const unknown = prune(resource.schema, object)
  const complaints = unknown.map((path) => `unknown field "${path}"`)
  if (complaints.length > 0 && fieldValidation === 'Strict')
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${complaints.join(', ')}`,
    )
  if (!resource.custom) {
    checkTypes(resource, object)
    stringifyQuantities(resource.schema, object)
  } else {
    const wrong = validate(resource.schema.properties?.['metadata'] ?? {}, object.metadata, 'metadata', {
      required: false,
    })
    if (wrong.length > 0) throw invalid(resource, object.metadata.name ?? '', wrong)
  }
  return { object, warnings: fieldValidation === 'Warn' ? complaints : [] }
}

/** The schemas of built-in kinds say nothing but types and formats; duplicates in their lists are not an error everywhere. */
function checkTypes(resource: Resource, object: KubeObject): void {
  const wrong = validate(resource.schema, object, '', { required: false }).filter(
    (error) => error.reason !== 'FieldValueDuplicate',
  )
  const first = wrong[0]
  if (first !== undefined) {
    throw badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${first.field}: ${first.message}`,
    )
  }
}

/** Quantities given as numbers become strings, as decoding into Go's types does. */
function stringifyQuantities(schema: Schema, value: Json): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) stringifyQuantities(schema.items, item)
    return
  }
  if (!isObject(value)) return
  for (const [key, member] of Object.entries(value)) {
    const property =
      schema.properties !== undefined && Object.hasOwn(schema.properties, key)
        ? schema.properties[key]
        : typeof schema.additionalProperties === 'object'
          ? schema.additionalProperties
          : undefined
    if (property === undefined || member === undefined) continue
    if (property.format === 'quantity' && typeof member === 'number') value[key] = String(member)
    else stringifyQuantities(property, member)
  }
}

const show = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? ''))

/** A copy that a request may change. */
export const editable = (object: KubeObject): KubeObject => clone(object)

/** Copies status of `from` into `to`, or removes it there when `from` has none. */
export function copyMember(to: KubeObject, from: KubeObject, member: string): void {
  const value = own(from, member)
  if (value === undefined) Reflect.deleteProperty(to, member)
  else to[member] = value
}
