// What kinds there are: the built-in ones and those of CustomResourceDefinitions, by group, version and plural.
import type { FieldError } from './errors.ts'
import type { Schema } from './schema/types.ts'
import type { FieldReader } from './selectors.ts'
import type { Json, KubeObject } from './types.ts'

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format?: string
  readonly description?: string
  /** 0 is always shown, more only in wide output. */
  readonly priority?: number
  readonly value: (object: KubeObject, now: Date) => Json
}

/**
 * What is special about a kind. Objects handed to `prepare*` are the request's own and are changed in place; `old` is stored
 * and is not. The same hooks run for the status subresource, after the parts that it must not touch were put back.
 */
export interface Strategy {
  /** Which names are good: a DNS label, an RFC 1035 label, a DNS subdomain or any path segment. Default subdomain. */
  readonly names?: 'label' | 'label1035' | 'subdomain' | 'path'
  /** A status sent with a create is kept: kubelets register nodes with theirs. */
  readonly keepStatus?: boolean
  /** Fill what the server fills, on create and update. */
  readonly defaults?: (object: KubeObject) => void
  /** What built-in admission adds to new objects, before webhooks see them. */
  readonly admit?: (object: KubeObject) => void
  readonly prepareCreate?: (object: KubeObject) => void
  readonly prepareUpdate?: (object: KubeObject, old: KubeObject) => void
  readonly validate?: (object: KubeObject) => FieldError[]
  readonly validateUpdate?: (object: KubeObject, old: KubeObject) => FieldError[]
  /** After an object is there or gone for good; `undefined` for absent. Never for dry runs. */
  readonly changed?: (object: KubeObject | undefined, old: KubeObject | undefined) => void
  /** Seconds an object may take to end; 0 removes at once. Only pods take their time. */
  readonly gracePeriod?: (object: KubeObject, asked: number | undefined) => number
  /** Whether something besides metadata.finalizers keeps a deleted object: the finalizers in a namespace's spec. */
  readonly held?: (object: KubeObject) => boolean
  /** Why the object may not be deleted, or null. */
  readonly undeletable?: (object: KubeObject) => string | null
}

/** Where the subresource `scale` finds what it shows: members from the root. */
export interface ScalePaths {
  readonly spec: readonly string[]
  readonly status: readonly string[]
  /** Of a text; empty when there is none. */
  readonly selector: readonly string[]
}

export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  /** Where the store keeps it: versions of one kind share it. */
  readonly collection: string
  /** apiVersion of stored objects. */
  readonly storedApiVersion: string
  /** `status` is also what makes status a part of its own; others: `binding`, `eviction`, `finalize`. */
  readonly subresources: readonly string[]
  /** Whether metadata.generation counts changes of the wanted state. */
  readonly generation: boolean
  /** Whether an update must say which version it changes. */
  readonly versionedUpdates: boolean
  /** Whether DELETE answers with the object instead of a Status. */
  readonly returnsDeleted: boolean
  /** Whether PUT of a name that is not there creates it. */
  readonly createsOnUpdate?: boolean
  /** Of custom kinds with the subresource `scale`; workloads have theirs where everybody knows. */
  readonly scale?: ScalePaths | undefined
  readonly custom: boolean
  readonly schema: Schema
  /** Name of the type in schema/builtin; null for custom kinds. */
  readonly typeName: string | null
  readonly fields: ReadonlyMap<string, FieldReader>
  readonly columns: readonly Column[]
  readonly strategy: Strategy
  /** Between this version and the stored one, where they differ by more than apiVersion. */
  readonly convert?: {
    readonly toStored: (object: KubeObject) => KubeObject
    readonly fromStored: (object: KubeObject) => KubeObject
  }
}

export const apiVersionOf = (resource: { group: string; version: string }): string =>
  resource.group === '' ? resource.version : `${resource.group}/${resource.version}`

export const hasStatus = (resource: Resource): boolean => resource.subresources.includes('status')

export class Registry {
  readonly #resources = new Map<string, Resource>()

  add(resource: Resource): void {
    this.#resources.set(`${apiVersionOf(resource)}/${resource.plural}`, resource)
  }

  remove(resource: Resource): void {
    this.#resources.delete(`${apiVersionOf(resource)}/${resource.plural}`)
  }

  /** By apiVersion (`v1`, `apps/v1`) and plural. */
  find(apiVersion: string, plural: string): Resource | undefined {
    return this.#resources.get(`${apiVersion}/${plural}`)
  }

  byKind(apiVersion: string, kind: string): Resource | undefined {
    return this.all().find((resource) => resource.kind === kind && apiVersionOf(resource) === apiVersion)
  }

  /** The resource whose version is what is stored in a collection. */
  byCollection(collection: string): Resource | undefined {
    return this.all().find(
      (resource) => resource.collection === collection && apiVersionOf(resource) === resource.storedApiVersion,
    )
  }

  all(): Resource[] {
    return [...this.#resources.values()]
  }

  /** Groups with their versions, preferred (first added) first; the core group is `''`. */
  groups(): Map<string, string[]> {
    const groups = new Map<string, string[]>()
    for (const { group, version } of this.#resources.values()) {
      const versions = groups.get(group) ?? []
      if (!versions.includes(version)) versions.push(version)
      groups.set(group, versions)
    }
    return groups
  }

  ofVersion(group: string, version: string): Resource[] {
    return this.all().filter((resource) => resource.group === group && resource.version === version)
  }
}
