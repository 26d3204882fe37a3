// Objects as a version of their kind serves them: only apiVersion differs for custom kinds, events convert.
import { apiVersionOf } from './registry.ts'
import type { Resource } from './registry.ts'
import type { Stored } from './store.ts'
import type { KubeObject } from './types.ts'

/** Whether stored objects go out as they are. */
export const servesStored = (resource: Resource): boolean =>
  resource.convert === undefined && apiVersionOf(resource) === resource.storedApiVersion

/** Not to be changed: it may be the stored object itself. */
export function serve(resource: Resource, object: KubeObject): KubeObject {
  if (resource.convert !== undefined) return resource.convert.fromStored(object)
  const apiVersion = apiVersionOf(resource)
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion }
}

export function serveJson(resource: Resource, stored: Stored): Buffer {
  return servesStored(resource) ? stored.json : Buffer.from(JSON.stringify(serve(resource, stored.object)))
}

/** The reverse, for what a client sent. */
export function toStored(resource: Resource, object: KubeObject): KubeObject {
  if (resource.convert !== undefined) return resource.convert.toStored(object)
  return { ...object, apiVersion: resource.storedApiVersion }
}
