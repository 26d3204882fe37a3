// Request paths of kinds and objects.
import type { ObjectRef, ResourceType } from './types.ts'

/** Path of a kind's collection, in one namespace or over all (`namespace` null or absent). */
export function collectionPath(resource: ResourceType, namespace?: string | null): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  if (!namespace) return `${root}/${resource.plural}`
  if (!resource.namespaced) {
    throw new TypeError(`${resource.kind} is cluster-scoped, but namespace '${namespace}' was given`)
  }
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${resource.plural}`
}

/**
 * Path of one object, or of a subresource of it.
 *
 * @throws TypeError when the name, or the namespace of a namespaced kind, is missing
 */
export function objectPath(resource: ResourceType, ref: ObjectRef, subresource?: string): string {
  if (!ref.name) throw new TypeError(`${resource.kind}: the object's name is empty, expected metadata.name`)
  if (resource.namespaced && !ref.namespace) {
    throw new TypeError(`${resource.kind} '${ref.name}': the namespace is empty, expected metadata.namespace`)
  }
  const path = `${collectionPath(resource, resource.namespaced ? ref.namespace : null)}/${encodeURIComponent(ref.name)}`
  return subresource ? `${path}/${subresource}` : path
}

/** Query text with a leading '?', without the parameters that are undefined, null, false or ''; '' when none is left. */
export function queryText(parameters: Readonly<Record<string, string | number | boolean | null | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== false && value !== '') query.set(name, String(value))
  }
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}
