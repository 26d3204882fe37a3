// Schemas as OpenAPI documents write them: built-in types by name and reference, custom ones in place.
import type { Resource } from '../registry.ts'
import { builtinTypes } from '../schema/builtin.ts'
import type { Schema } from '../schema/types.ts'
import type { Json, JsonObject } from '../types.ts'

/** Where named types are: `#/components/schemas/` in version 3, `#/definitions/` in version 2. */
export type RefPrefix = '#/components/schemas/' | '#/definitions/'

export const typeName = (title: string): string => `io.k8s.api.${title}`

/** Extensions and plain members that are passed on. */
const passed = [
  'format', 'description', 'nullable', 'default', 'enum', 'required', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf',
  'minLength', 'maxLength', 'pattern', 'minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties', 'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-int-or-string', 'x-kubernetes-embedded-resource', 'x-kubernetes-list-type', 'x-kubernetes-list-map-keys', 'x-kubernetes-map-type',
  'x-kubernetes-patch-merge-key', 'x-kubernetes-patch-strategy',
] as const // prettier-ignore

const isNamed = (schema: Schema): boolean => schema.title !== undefined && builtinTypes().has(schema.title)

/**
 * A schema in a document.
 *
 * @param named adds the name of each built-in type that is referred to
 */
export function openApiSchema(schema: Schema, refs: RefPrefix, named: Set<string>, top = false): JsonObject {
  if (!top && schema.title !== undefined && isNamed(schema)) return reference(schema, schema.title, refs, named)
  const version2 = refs === '#/definitions/'
  const result: JsonObject = {}
  for (const member of passed) {
    if (schema[member] !== undefined && !(version2 && member === 'nullable')) result[member] = schema[member] as Json
  }
  if (schema['x-kubernetes-int-or-string'] === true) {
    // As the real document writes Go's IntOrString and Quantity.
    if (schema.format === 'quantity') return { type: 'string' }
    if (schema.anyOf === undefined) return { ...result, type: 'string', format: 'int-or-string' }
  }
  if (schema.type !== undefined) result['type'] = schema.type
  else if (schema['x-kubernetes-preserve-unknown-fields'] === true) result['type'] = 'object'
  if (schema.properties !== undefined) {
    result['properties'] = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, openApiSchema(property, refs, named)]),
    )
  }
  if (schema.items !== undefined) result['items'] = openApiSchema(schema.items, refs, named)
  if (typeof schema.additionalProperties === 'boolean') result['additionalProperties'] = schema.additionalProperties
  else if (schema.additionalProperties !== undefined)
    result['additionalProperties'] = openApiSchema(schema.additionalProperties, refs, named)
  if (version2) return result
  for (const member of ['allOf', 'anyOf', 'oneOf'] as const) {
    if (schema[member] !== undefined) result[member] = schema[member].map((part) => openApiSchema(part, refs, named))
  }
  if (schema.not !== undefined) result['not'] = openApiSchema(schema.not, refs, named)
  return result
}

/** What a field says besides its type stands beside the reference. */
function reference(schema: Schema, title: string, refs: RefPrefix, named: Set<string>): JsonObject {
  named.add(title)
  const $ref = refs + typeName(title)
  const extras: JsonObject = {}
  const strategy = schema['x-kubernetes-patch-strategy']
  if (strategy !== undefined) extras['x-kubernetes-patch-strategy'] = strategy
  if (refs === '#/definitions/') return { ...extras, $ref }
  return { ...extras, allOf: [{ $ref }], default: {} }
}

export const gvkOf = (resource: Resource): JsonObject => ({
  group: resource.group,
  version: resource.version,
  kind: resource.kind,
})

/** Name of a resource's own definition in a document. */
export function definitionName(resource: Resource): string {
  if (resource.typeName !== null) return typeName(resource.typeName)
  return [...resource.group.split('.').reverse(), resource.version, resource.kind].join('.')
}

/** The definitions of some resources and of everything they refer to, by name. */
export function definitions(resources: readonly Resource[], refs: RefPrefix): JsonObject {
  const result: JsonObject = {}
  const named = new Set<string>()
  for (const resource of resources) {
    const schema = openApiSchema(resource.schema, refs, named, true)
    result[definitionName(resource)] = { ...schema, 'x-kubernetes-group-version-kind': [gvkOf(resource)] }
  }
  const types = builtinTypes()
  // A set hands out what is added while it is walked.
  for (const title of named) {
    const schema = types.get(title)
    if (schema !== undefined) result[typeName(title)] ??= openApiSchema(schema, refs, named, true)
  }
  return result
}
