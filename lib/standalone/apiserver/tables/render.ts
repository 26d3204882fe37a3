// Tables for kubectl: the columns of a kind and one row for each object.
import { badRequest } from '../errors.ts'
import type { Column, Resource } from '../registry.ts'
import { serve } from '../served.ts'
import type { JsonObject, KubeObject } from '../types.ts'

/** What a row carries of its object. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** @throws StatusError 400 */
export function parseIncludeObject(value: string | null): IncludeObject {
  if (value === null || value === '') return 'Metadata'
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value
  throw badRequest(`unsupported includeObject value: ${JSON.stringify(value)}`)
}

export function columnDefinitions(columns: readonly Column[]): JsonObject[] {
  return columns.map(({ name, type, format, description, priority }) => ({
    name,
    type: type === 'date' ? 'string' : type,
    format: format ?? (name === 'Name' ? 'name' : ''),
    description: description ?? '',
    priority: priority ?? 0,
  }))
}

export function partialMetadata(object: KubeObject, version: string): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata }
}

export function tableRow(
  resource: Resource,
  stored: KubeObject,
  include: IncludeObject,
  version: string,
  now: Date,
): JsonObject {
  const object = serve(resource, stored)
  const cells = resource.columns.map((column) => column.value(object, now))
  if (include === 'None') return { cells }
  return { cells, object: include === 'Object' ? object : partialMetadata(object, version) }
}

/** A whole Table of few objects. */
export function table(
  resource: Resource,
  objects: readonly KubeObject[],
  include: IncludeObject,
  version: string,
  withColumns = true,
): JsonObject {
  const now = new Date()
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: { resourceVersion: objects.at(-1)?.metadata.resourceVersion ?? '' },
    columnDefinitions: withColumns ? columnDefinitions(resource.columns) : null,
    rows: objects.map((object) => tableRow(resource, object, include, version, now)),
  }
}
