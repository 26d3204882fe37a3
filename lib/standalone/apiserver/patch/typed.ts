// Objects as server-side apply sees them: which fields there are, how two objects differ field by field, how one is merged
// into another. Maps are granular unless marked atomic; lists are atomic unless marked a map or a set.
import { clone, equal, isObject, own, setOwn } from '../json.ts'
import { propertyOf } from '../schema/prune.ts'
import type { Schema } from '../schema/types.ts'
import type { Json, JsonObject } from '../types.ts'
import { emptySet, isEmpty, leaf } from './fields.ts'
import type { FieldSet } from './fields.ts'

/** Keys of list elements that may be left out, with what they then are. */
const keyDefaults: Readonly<Record<string, Json>> = { protocol: 'TCP' }

type Shape = 'leaf' | 'map' | 'keyed' | 'set'

function shapeOf(value: Json | undefined, schema: Schema | undefined): Shape {
  if (isObject(value)) return schema?.['x-kubernetes-map-type'] === 'atomic' ? 'leaf' : 'map'
  if (!Array.isArray(value)) return 'leaf'
  const kind = schema?.['x-kubernetes-list-type']
  if (kind === 'map' && value.every(isObject)) return 'keyed'
  return kind === 'set' ? 'set' : 'leaf'
}

/** The edge of a list element in a set of fields. */
function edgeOf(item: Json, shape: Shape, schema: Schema | undefined): string {
  if (shape === 'set' || !isObject(item)) return `v:${JSON.stringify(item)}`
  const keys: JsonObject = {}
  for (const key of [...(schema?.['x-kubernetes-list-map-keys'] ?? [])].sort()) {
    const value = own(item, key) ?? schema?.items?.properties?.[key]?.default ?? keyDefaults[key]
    if (value !== undefined) keys[key] = value
  }
  return `k:${JSON.stringify(keys)}`
}

interface Child {
  readonly value: Json
  readonly schema: Schema | undefined
}

/** The parts of a value by edge; empty for leaves. */
function childrenOf(value: Json | undefined, schema: Schema | undefined): Map<string, Child> {
  const children = new Map<string, Child>()
  const shape = shapeOf(value, schema)
  if (shape === 'map' && isObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (member !== undefined)
        children.set(`f:${key}`, { value: member, schema: schema === undefined ? undefined : propertyOf(schema, key) })
    }
  } else if (shape !== 'leaf' && Array.isArray(value)) {
    for (const item of value) children.set(edgeOf(item, shape, schema), { value: item, schema: schema?.items })
  }
  return children
}

/** All fields of a value. */
export function fieldsOf(value: Json, schema: Schema | undefined): FieldSet {
  const children = childrenOf(value, schema)
  if (children.size === 0) return leaf
  const below = new Map<string, FieldSet>()
  for (const [edge, child] of children) {
    const set = fieldsOf(child.value, child.schema)
    // Elements of lists are fields themselves, besides what is in them.
    below.set(edge, edge.startsWith('f:') ? set : { self: true, below: set.below })
  }
  return { self: false, below }
}

export interface Difference {
  /** Fields that are new or have another value. */
  readonly changed: FieldSet
  readonly removed: FieldSet
}

const nothing: Difference = { changed: emptySet, removed: emptySet }

export function compare(before: Json | undefined, after: Json | undefined, schema: Schema | undefined): Difference {
  if (before === after) return nothing
  if (before === undefined)
    return { changed: after === undefined ? emptySet : fieldsOf(after, schema), removed: emptySet }
  if (after === undefined) return { changed: emptySet, removed: fieldsOf(before, schema) }
  const shape = shapeOf(after, schema)
  if (shape === 'leaf' || shapeOf(before, schema) !== shape)
    return equal(before, after) ? nothing : { changed: fieldsOf(after, schema), removed: emptySet }
  const old = childrenOf(before, schema)
  const now = childrenOf(after, schema)
  const changed = new Map<string, FieldSet>()
  const removed = new Map<string, FieldSet>()
  for (const [edge, child] of now) {
    const found = compare(old.get(edge)?.value, child.value, child.schema)
    const isNewElement = !old.has(edge) && !edge.startsWith('f:')
    const set = isNewElement ? { self: true, below: found.changed.below } : found.changed
    if (!isEmpty(set)) changed.set(edge, set)
    if (!isEmpty(found.removed)) removed.set(edge, found.removed)
  }
  for (const [edge, child] of old) {
    if (now.has(edge)) continue
    const gone = fieldsOf(child.value, child.schema)
    removed.set(edge, edge.startsWith('f:') ? gone : { self: true, below: gone.below })
  }
  return { changed: { self: false, below: changed }, removed: { self: false, below: removed } }
}

/** `live` with everything `config` says; neither is changed. */
export function mergeTyped(live: Json | undefined, config: Json, schema: Schema | undefined): Json {
  const shape = shapeOf(config, schema)
  if (shape === 'leaf' || live === undefined || shapeOf(live, schema) !== shape) return clone(config)
  if (isObject(live) && isObject(config)) {
    const result: JsonObject = { ...live }
    for (const [key, value] of Object.entries(config)) {
      if (value === undefined) continue
      setOwn(result, key, mergeTyped(own(live, key), value, schema === undefined ? undefined : propertyOf(schema, key)))
    }
    return result
  }
  if (!Array.isArray(live) || !Array.isArray(config)) return clone(config)
  const wanted = childrenOf(config, schema)
  const result = live.map((item) => {
    const edge = edgeOf(item, shape, schema)
    const mine = wanted.get(edge)
    wanted.delete(edge)
    return mine === undefined ? item : mergeTyped(item, mine.value, schema?.items)
  })
  for (const { value } of wanted.values()) result.push(clone(value))
  return result
}

/** `value` without the fields of a set; undefined when nothing is left of it. */
export function withoutFields(value: Json, fields: FieldSet, schema: Schema | undefined): Json | undefined {
  if (fields.self && fields.below.size === 0) return undefined
  if (isObject(value)) {
    const result: JsonObject = { ...value }
    for (const [edge, set] of fields.below) {
      const key = edge.slice(2)
      const member = own(result, key)
      if (!edge.startsWith('f:') || member === undefined) continue
      const rest = withoutFields(member, set, schema === undefined ? undefined : propertyOf(schema, key))
      if (rest === undefined) Reflect.deleteProperty(result, key)
      else setOwn(result, key, rest)
    }
    return Object.keys(result).length === 0 ? undefined : result
  }
  if (!Array.isArray(value)) return value
  const shape = shapeOf(value, schema)
  const rest = value.flatMap((item): Json[] => {
    const set = fields.below.get(edgeOf(item, shape, schema))
    if (set === undefined) return [item]
    if (set.self) return []
    const kept = withoutFields(item, set, schema?.items)
    return kept === undefined ? [] : [kept]
  })
  return rest.length === 0 ? undefined : rest
}
