// The parts of Kubernetes object metadata the programs use. Readers tolerate null where the original stored it.

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean | null
  readonly blockOwnerDeletion?: boolean | null
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  /** RFC 3339. */
  readonly creationTimestamp?: string | null
  /** RFC 3339; set while finalizers hold the object. */
  readonly deletionTimestamp?: string | null
  readonly deletionGracePeriodSeconds?: number | null
  readonly labels?: Readonly<Record<string, string>> | null
  readonly annotations?: Readonly<Record<string, string>> | null
  readonly finalizers?: readonly string[] | null
  readonly ownerReferences?: readonly OwnerReference[] | null
}

/** What every object has; the constraint of generic code. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
}

/** metav1.Condition. */
export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
  readonly observedGeneration?: number
}

/** metav1.LabelSelector. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | null
  readonly matchExpressions?: readonly LabelSelectorRequirement[] | null
}

export interface LabelSelectorRequirement {
  readonly key: string
  /** In, NotIn, Exists or DoesNotExist; anything else is an error at use. */
  readonly operator: string
  readonly values?: readonly string[] | null
}

/** Deletion was asked for. */
export function isTerminating(object: KubeObject): boolean {
  const timestamp = object.metadata.deletionTimestamp
  return timestamp !== undefined && timestamp !== null && timestamp !== ''
}

/** The label's value, '' when there is none. */
export function labelOf(object: KubeObject, key: string): string {
  return object.metadata.labels?.[key] ?? ''
}

/** The annotation's value, '' when there is none. */
export function annotationOf(object: KubeObject, key: string): string {
  return object.metadata.annotations?.[key] ?? ''
}

/** "Annotation wins": the annotation if non-empty, else the label (api.md §3.1). */
export function annotationOrLabel(object: KubeObject, key: string): string {
  return annotationOf(object, key) || labelOf(object, key)
}

export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false
}

/** The single owner reference with `controller: true`, null when there is none. */
export function controllerOf(object: KubeObject): OwnerReference | null {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true) ?? null
}

/** "namespace/name", or "name" of a cluster-scoped object. */
export function objectKey(object: KubeObject): string {
  const { namespace, name } = object.metadata
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}
