// Sets of fields, as metadata.managedFields keeps them (the fieldsV1 form of structured-merge-diff).
//
// A set is a trie. Its edges are `f:NAME` for members, `k:{"key":value}` for elements of lists that are maps, `v:VALUE` for
// elements of sets; a node that is itself in the set and has others below it is written with a `.` member.
import { isObject } from '../json.ts'
import type { Json, JsonObject } from '../types.ts'

export interface FieldSet {
  /** Whether the field itself is in the set. */
  readonly self: boolean
  readonly below: ReadonlyMap<string, FieldSet>
}

export const emptySet: FieldSet = { self: false, below: new Map() }
export const leaf: FieldSet = { self: true, below: new Map() }

export const isEmpty = (set: FieldSet): boolean => !set.self && set.below.size === 0

export function fromFieldsV1(value: Json | undefined): FieldSet {
  if (!isObject(value)) return emptySet
  const below = new Map<string, FieldSet>()
  let self = Object.keys(value).length === 0
  for (const [edge, child] of Object.entries(value)) {
    if (edge === '.') self = true
    else below.set(edge, fromFieldsV1(child))
  }
  return { self, below }
}

export function toFieldsV1(set: FieldSet): JsonObject {
  const result: JsonObject = {}
  if (set.self && set.below.size > 0) result['.'] = {}
  for (const edge of [...set.below.keys()].sort()) {
    const child = set.below.get(edge)
    if (child !== undefined) result[edge] = toFieldsV1(child)
  }
  return result
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (isEmpty(a)) return b
  if (isEmpty(b)) return a
  const below = new Map(a.below)
  for (const [edge, child] of b.below) {
    const known = below.get(edge)
    below.set(edge, known === undefined ? child : union(known, child))
  }
  return { self: a.self || b.self, below }
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map<string, FieldSet>()
  for (const [edge, child] of a.below) {
    const other = b.below.get(edge)
    const rest = other === undefined ? child : difference(child, other)
    if (!isEmpty(rest)) below.set(edge, rest)
  }
  return { self: a.self && !b.self, below }
}

/** As `difference`, taking away also everything below a field of `b`: for fields that are gone or replaced as a whole. */
export function differenceBelow(a: FieldSet, b: FieldSet): FieldSet {
  if (b.self && b.below.size === 0) return emptySet
  const below = new Map<string, FieldSet>()
  for (const [edge, child] of a.below) {
    const other = b.below.get(edge)
    const rest = other === undefined ? child : differenceBelow(child, other)
    if (!isEmpty(rest)) below.set(edge, rest)
  }
  return { self: a.self && !b.self, below }
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const below = new Map<string, FieldSet>()
  for (const [edge, child] of a.below) {
    const other = b.below.get(edge)
    const both = other === undefined ? emptySet : intersection(child, other)
    if (!isEmpty(both)) below.set(edge, both)
  }
  return { self: a.self && b.self, below }
}

/** Every field of a set as its path of edges. */
export function* paths(set: FieldSet, prefix: readonly string[] = []): Generator<readonly string[]> {
  if (set.self) yield prefix
  for (const [edge, child] of set.below) yield* paths(child, [...prefix, edge])
}

/** A path as the real server shows it: `.spec.containers[name="a"].image`. */
export function showPath(path: readonly string[]): string {
  return path
    .map((edge) => {
      const rest = edge.slice(2)
      if (edge.startsWith('f:')) return `.${rest}`
      if (edge.startsWith('v:')) return `[=${rest}]`
      const keys = Object.entries(JSON.parse(rest) as JsonObject)
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
    })
    .join('')
}
