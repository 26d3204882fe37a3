// The shapes of the Kubernetes API that every kind shares. This library knows no kinds beyond Lease and Event; a kind is
// described by a ResourceType and its objects by a type parameter of the caller.

/** Where a kind lives in the API: `/apis/GROUP/VERSION/[namespaces/NS/]PLURAL` (`/api/VERSION/...` for the empty group). */
export interface ResourceType {
  /** API group; '' for the core group. */
  readonly group: string
  readonly version: string
  /** The lower-case plural used in paths. */
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

/** Name and, for namespaced kinds, namespace of one object. An object's `metadata` is one. */
export interface ObjectRef {
  readonly name?: string | undefined
  readonly namespace?: string | undefined
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean | undefined
  readonly blockOwnerDeletion?: boolean | undefined
}

/** `metav1.ObjectMeta`: the fields clients use. Times are RFC 3339 text. */
export interface ObjectMeta {
  name?: string
  generateName?: string
  namespace?: string
  uid?: string
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  finalizers?: string[]
  ownerReferences?: OwnerReference[]
}

/** Any object as the server sends it, before anybody looked at its fields. */
export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata: ObjectMeta
  [field: string]: unknown
}

/** What this library needs to see of an object it is given to write. */
export interface Writable {
  readonly metadata: {
    readonly name?: string | undefined
    readonly generateName?: string | undefined
    readonly namespace?: string | undefined
    readonly resourceVersion?: string | undefined
  }
}

/** `metav1.Status`: the body of every error. */
export interface Status {
  readonly kind?: string
  readonly status?: string
  readonly message?: string
  readonly reason?: string
  readonly code?: number
  readonly details?: StatusDetails
}

export interface StatusDetails {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly uid?: string
  readonly retryAfterSeconds?: number
  readonly causes?: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[]
}

/** The store key of an object: `namespace/name`, or `name` for cluster-scoped ones (client-go's MetaNamespaceKeyFunc). */
export function objectKey(ref: ObjectRef): string {
  const name = ref.name ?? ''
  return ref.namespace ? `${ref.namespace}/${name}` : name
}

/** The reverse of {@link objectKey}. */
export function parseKey(key: string): { namespace?: string; name: string } {
  const slash = key.indexOf('/')
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** `GROUP/VERSION`, or just the version for the core group: the apiVersion of a kind's objects. */
export function apiVersionOf(resource: ResourceType): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}
