// Takes out members that a schema does not know, and puts in defaults, as the real API server does to custom resources.
import { clone, isObject, own, setOwn } from '../json.ts'
import type { Json, JsonObject } from '../types.ts'
import { memberPath } from './types.ts'
import type { Schema } from './types.ts'

/** Members of an embedded object that stay whether its schema names them or not. */
const envelope = new Set(['apiVersion', 'kind', 'metadata'])

/**
 * Remove unknown members of `value` in place.
 *
 * @returns the paths removed
 */
export function prune(schema: Schema, value: Json, path = '', removed: string[] = []): string[] {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) {
      for (const [index, item] of value.entries()) prune(schema.items, item, `${path}[${index}]`, removed)
    }
    return removed
  }
  if (!isObject(value)) return removed
  const whole = schema['x-kubernetes-embedded-resource'] === true
  const keep = schema['x-kubernetes-preserve-unknown-fields'] === true
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    const here = memberPath(path, key)
    const property = propertyOf(schema, key)
    if (property !== undefined) prune(property, member, here, removed)
    else if (!keep && schema.additionalProperties !== true && !(whole && envelope.has(key))) {
      delete value[key]
      removed.push(here)
    }
  }
  return removed
}

/** Fill absent members that have a default, in place, depth first; a null where null is not allowed counts as absent, and goes. */
export function applyDefaults(schema: Schema, value: Json): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(schema.items, item)
    return
  }
  if (!isObject(value)) return
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    const member = own(value, key)
    if (property.default !== undefined && (member === undefined || (member === null && property.nullable !== true)))
      setOwn(value, key, clone(property.default))
  }
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    const property = propertyOf(schema, key)
    if (property === undefined) continue
    const room = property.nullable === true || property['x-kubernetes-preserve-unknown-fields'] === true
    if (member === null && !room) delete value[key]
    else applyDefaults(property, member)
  }
}

/** Drop nulls where the schema has no room for them, as decoding into Go's types does; in place. */
export function dropNulls(schema: Schema, value: Json): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) dropNulls(schema.items, item)
    return
  }
  if (!isObject(value)) return
  for (const [key, member] of Object.entries(value)) {
    const property = propertyOf(schema, key)
    if (property === undefined || member === undefined) continue

    if (member === null && property['x-kubernetes-preserve-unknown-fields'] !== true) delete value[key]
    else dropNulls(property, member)
  }
}

/** The schema of one member, or undefined when the schema says nothing about it. */
export function propertyOf(schema: Schema, key: string): Schema | undefined {
  if (schema.properties !== undefined && Object.hasOwn(schema.properties, key)) return schema.properties[key]
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
}

/** `value` as an object to fill, made in `parent` when absent. */
export function ensureObject(parent: JsonObject, key: string): JsonObject {
  const found = own(parent, key)
  if (isObject(found)) return found
  const made: JsonObject = {}
  setOwn(parent, key, made)
  return made
}
