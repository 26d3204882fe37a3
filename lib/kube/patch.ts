// JSON merge patches (RFC 7396) as data: computed from two states, so that an unchanged object costs no request. Pure.

type Json = Record<string, unknown>

/**
 * The merge patch that makes `after` of `before`; null when they are equal. Members that are undefined count as absent.
 * Arrays are replaced whole. A null inside `after` cannot be expressed by a merge patch and counts as absent too.
 */
export function mergePatchBetween(before: unknown, after: unknown): Json | null {
  const patch = between(asObject(before), asObject(after))
  return Object.keys(patch).length === 0 ? null : patch
}

/** What a server makes of `target` by the patch. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const result: Json = { ...asObject(target) }
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else setOwn(result, name, applyMergePatch(result[name], value))
  }
  return result
}

function between(before: Json, after: Json): Json {
  const patch: Json = {}
  for (const name of Object.keys(before)) {
    if (before[name] !== undefined && !present(after, name)) setOwn(patch, name, null)
  }
  for (const name of Object.keys(after)) {
    if (!present(after, name)) continue
    const old = Object.hasOwn(before, name) ? before[name] : undefined
    const value = after[name]
    if (isObject(old) && isObject(value)) {
      const inner = between(old, value)
      if (Object.keys(inner).length > 0) setOwn(patch, name, inner)
    } else if (!deepEqual(old, value)) setOwn(patch, name, value)
  }
  return patch
}

/** A plain assignment to `__proto__` would not make a member. */
function setOwn(target: Json, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
}

const present = (object: Json, name: string): boolean =>
  Object.hasOwn(object, name) && object[name] !== undefined && object[name] !== null

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

const asObject = (value: unknown): Json => (isObject(value) ? value : {})

/** Equality of JSON values; absent and undefined members are the same. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, index) => deepEqual(value, b[index]))
  }
  if (!isObject(a) || !isObject(b)) return false
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const left = Object.hasOwn(a, name) ? a[name] : undefined
    const right = Object.hasOwn(b, name) ? b[name] : undefined
    if (!deepEqual(left, right)) return false
  }
  return true
}
