// Strategic merge patch, for built-in kinds: a merge patch that knows which lists are maps by a key or sets.
//
// Directives: `$patch: delete | replace | merge` in objects and list elements, `$deleteFromPrimitiveList/NAME`,
// `$setElementOrder/NAME`, `$retainKeys` (k8s.io/apimachinery/pkg/util/strategicpatch).
import { badRequest } from '../errors.ts'
import { clone, equal, isObject, own, setOwn } from '../json.ts'
import { propertyOf } from '../schema/prune.ts'
import type { Schema } from '../schema/types.ts'
import type { Json, JsonObject } from '../types.ts'

const DELETE_FROM = '$deleteFromPrimitiveList/'
const ORDER = '$setElementOrder/'

/**
 * The patched object; `target` is not changed.
 *
 * @throws StatusError 400 for an element without its list's key or an unknown directive
 */
export function strategicPatch(target: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  return mergeObject(target, patch, schema, '')
}

function mergeObject(target: JsonObject, patch: JsonObject, schema: Schema | undefined, path: string): JsonObject {
  const directive = own(patch, '$patch')
  if (directive === 'replace') return withoutDirectives(patch)
  if (directive === 'delete') return {}
  if (directive !== undefined && directive !== 'merge')
    throw badRequest(`${path}: Unknown patch type found: ${JSON.stringify(directive)}`)
  const result: JsonObject = { ...target }
  retainKeys(result, patch, path)
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined || key === '$patch' || key === '$retainKeys') continue
    if (key.startsWith(DELETE_FROM)) {
      const name = key.slice(DELETE_FROM.length)
      const current = own(result, name)
      if (Array.isArray(current) && Array.isArray(value))
        setOwn(
          result,
          name,
          current.filter((item) => !value.some((gone) => equal(gone, item))),
        )
      continue
    }
    if (key.startsWith(ORDER)) continue
    if (value === null) {
      Reflect.deleteProperty(result, key)
      continue
    }
    const property = schema === undefined ? undefined : propertyOf(schema, key)
    setOwn(result, key, mergeValue(own(result, key), value, property, `${path}.${key}`))
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(ORDER) || !Array.isArray(order)) continue
    const name = key.slice(ORDER.length)
    const current = own(result, name)
    if (Array.isArray(current))
      setOwn(result, name, inOrder(current, order, schema === undefined ? undefined : propertyOf(schema, name)))
  }
  return result
}

function mergeValue(current: Json | undefined, value: Json, schema: Schema | undefined, path: string): Json {
  if (Array.isArray(value)) return mergeList(Array.isArray(current) ? current : [], value, schema, path)
  if (!isObject(value)) return value
  return mergeObject(isObject(current) ? current : {}, value, schema, path)
}

function mergeList(current: readonly Json[], patch: readonly Json[], schema: Schema | undefined, path: string): Json[] {
  const merges = schema?.['x-kubernetes-patch-strategy']?.split(',').includes('merge') === true
  const replaced = patch.some((item) => isObject(item) && item['$patch'] === 'replace')
  if (!merges || replaced) {
    return patch
      .filter((item) => !isObject(item) || item['$patch'] === undefined)
      .map((item) => (isObject(item) ? withoutDirectives(item) : clone(item)))
  }
  const key = schema?.['x-kubernetes-patch-merge-key']
  if (key === undefined) {
    const result = [...current]
    for (const item of patch) if (!result.some((known) => equal(known, item))) result.push(clone(item))
    return result
  }
  let result = [...current]
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`${path}: expected a list of objects`)
    const identity = own(item, key)
    if (identity === undefined)
      throw badRequest(`${path}: map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)
    const same = (known: Json): boolean => isObject(known) && equal(own(known, key), identity)
    if (item['$patch'] === 'delete') {
      result = result.filter((known) => !same(known))
      continue
    }
    const index = result.findIndex(same)
    const known = result[index]
    if (isObject(known))
      result[index] = mergeObject(known, item, schema?.items, `${path}[${key}=${JSON.stringify(identity)}]`)
    else result.push(mergeObject({}, item, schema?.items, path))
  }
  return result
}

/** `$retainKeys` lists the members that may stay: for unions such as a volume's source. */
function retainKeys(target: JsonObject, patch: JsonObject, path: string): void {
  const keys = own(patch, '$retainKeys')
  if (keys === undefined) return
  if (!Array.isArray(keys)) throw badRequest(`${path}: $retainKeys: expected a list of strings`)
  for (const key of Object.keys(target)) if (!keys.includes(key)) Reflect.deleteProperty(target, key)
}

/** Elements in the wanted order; those the order does not name keep their place after the one before them. */
function inOrder(current: readonly Json[], order: readonly Json[], schema: Schema | undefined): Json[] {
  const key = schema?.['x-kubernetes-patch-merge-key']
  const identity = (item: Json | undefined): string =>
    JSON.stringify(key !== undefined && isObject(item) ? (own(item, key) ?? null) : (item ?? null))
  const places = new Map(order.map((item, index) => [identity(item), index]))
  const named = current
    .filter((item) => places.has(identity(item)))
    .sort((a, b) => (places.get(identity(a)) ?? 0) - (places.get(identity(b)) ?? 0))
  const result: Json[] = []
  // Walk the current list: a slot of a named element takes the next named one, others stay where they are.
  let next = 0
  for (const item of current) result.push(places.has(identity(item)) ? (named[next++] ?? item) : item)
  return result
}

/** The content of a patch taken as a value. */
function withoutDirectives(value: JsonObject): JsonObject {
  const result: JsonObject = {}
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined || member === null || key.startsWith('$')) continue
    if (isObject(member)) setOwn(result, key, withoutDirectives(member))
    else if (Array.isArray(member))
      setOwn(
        result,
        key,
        member.map((item) => (isObject(item) ? withoutDirectives(item) : clone(item))),
      )
    else setOwn(result, key, member)
  }
  return result
}
