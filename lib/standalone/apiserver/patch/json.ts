// JSON patch (RFC 6902).
import { StatusError, badRequest } from '../errors.ts'
import { clone, equal, isObject, own, setOwn, text } from '../json.ts'
import type { Json, JsonObject } from '../types.ts'

/** A patch that does not fit the object it is for: 422. As from the real server, what is wrong stays in its log (`cause`). */
export function unprocessable(message: string): StatusError {
  const error = new StatusError(422, 'Invalid', 'the server rejected our request due to an error in our request', {})
  return Object.assign(error, { cause: new Error(message) })
}

/**
 * The patched value; `target` is not changed.
 *
 * @throws StatusError 400 for a malformed patch, 422 for one that does not apply
 */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) {
    const what = isObject(patch) ? 'object' : typeof patch
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${what} into Go value of type []handlers.jsonPatchOp`,
    )
  }
  if (patch.length > 10_000)
    throw new StatusError(413, 'RequestEntityTooLarge', 'The allowed maximum operations in a JSON patch is 10000')
  // One member more than the document, so that the whole document can be replaced like any other value.
  const root: JsonObject = { document: clone(target) }
  for (const [index, operation] of patch.entries()) {
    if (!isObject(operation)) throw badRequest(`JSON patch operation ${index}: expected an object`)
    apply(root, operation, index)
  }
  return root['document'] ?? null
}

function apply(root: JsonObject, operation: JsonObject, index: number): void {
  const { path, from, value } = operation
  const op: string = text(operation, 'op')
  const where = `JSON patch operation ${index} (${JSON.stringify(operation['op'] ?? null)} ${JSON.stringify(path ?? null)})`
  if (typeof path !== 'string') throw badRequest(`${where}: path: expected a string`)
  const needValue = (): Json => {
    if (value === undefined) throw badRequest(`${where}: value is missing`)
    return clone(value)
  }
  const needFrom = (): string => {
    if (typeof from !== 'string') throw badRequest(`${where}: from: expected a string`)
    return from
  }
  switch (op) {
    case 'add':
      add(root, path, needValue(), where)
      return
    case 'remove':
      remove(root, path, where)
      return
    case 'replace': {
      const wanted = needValue()
      // A member that is not there is added, against the RFC, as the real server does.
      const { parent, last } = holder(root, path, where)
      if (Array.isArray(parent) || own(parent, last) !== undefined) remove(root, path, where)
      add(root, path, wanted, where)
      return
    }
    case 'move': {
      const source = needFrom()
      if (path.startsWith(`${source}/`)) throw unprocessable(`${where}: cannot move a value into itself`)
      add(root, path, remove(root, source, where), where)
      return
    }
    case 'copy':
      add(root, path, clone(get(root, needFrom(), where)), where)
      return
    case 'test':
      if (!equal(get(root, path, where), needValue())) throw unprocessable(`${where}: testing value ${path} failed`)
      return
    default:
      throw unprocessable(`${where}: op: expected add, remove, replace, move, copy or test`)
  }
}

function steps(path: string, where: string): string[] {
  if (path !== '' && !path.startsWith('/')) throw badRequest(`${where}: ${JSON.stringify(path)} is no JSON pointer`)
  return [
    'document',
    ...path
      .split('/')
      .slice(1)
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')),
  ]
}

/** What holds the last step of a path. */
function holder(root: JsonObject, path: string, where: string): { parent: Json[] | JsonObject; last: string } {
  const all = steps(path, where)
  let parent: Json | undefined = root
  for (const step of all.slice(0, -1)) {
    if (Array.isArray(parent)) parent = parent[indexOf(step, parent.length - 1, where)]
    else parent = isObject(parent) ? own(parent, step) : undefined
  }
  if (typeof parent !== 'object' || parent === null) throw unprocessable(`${where}: path does not exist`)
  return { parent, last: all.at(-1) ?? '' }
}

function indexOf(step: string, max: number, where: string): number {
  if (!/^(0|[1-9]\d*)$/.test(step) || Number(step) > max)
    throw unprocessable(`${where}: ${JSON.stringify(step)} is no index of the list`)
  return Number(step)
}

function get(root: JsonObject, path: string, where: string): Json {
  const { parent, last } = holder(root, path, where)
  const value = Array.isArray(parent) ? parent[indexOf(last, parent.length - 1, where)] : own(parent, last)
  if (value === undefined) throw unprocessable(`${where}: path does not exist`)
  return value
}

function add(root: JsonObject, path: string, value: Json, where: string): void {
  const { parent, last } = holder(root, path, where)
  if (!Array.isArray(parent)) setOwn(parent, last, value)
  else parent.splice(last === '-' ? parent.length : indexOf(last, parent.length, where), 0, value)
}

function remove(root: JsonObject, path: string, where: string): Json {
  const value = get(root, path, where)
  const { parent, last } = holder(root, path, where)
  if (Array.isArray(parent)) parent.splice(Number(last), 1)
  else Reflect.deleteProperty(parent, last)
  return value
}
