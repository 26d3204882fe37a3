// JSON merge patch (RFC 7386).
import { clone, isObject, own, setOwn } from '../json.ts'
import type { Json, JsonObject } from '../types.ts'

/** The patched value; `target` is not changed. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return clone(patch)
  const result: JsonObject = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue
    if (value === null) Reflect.deleteProperty(result, key)
    else setOwn(result, key, mergePatch(own(result, key), value))
  }
  return result
}
