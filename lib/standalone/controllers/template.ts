// What workloads make of their pod template: a hash that names it, and pods. Pure.
import type { OwnerReference, ResourceType } from '../../kube/index.ts'
import { apiVersionOf } from '../../kube/index.ts'
import type { Meta, PodTemplate } from './types.ts'

/** JSON with sorted members: equal values have equal text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
  return `{${members.join(',')}}`
}

/** Without vowels and look-alikes, so that no hash is a word (k8s.io/apimachinery/pkg/util/rand). */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** A short name of a value: FNV-1a of its canonical text, in letters that are good in names and labels. */
export function hashOf(value: unknown, collisions = 0): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(`${canonical(value)}${collisions === 0 ? '' : collisions}`)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return String(hash).replaceAll(/\d/g, (digit) => alphabet[Number(digit)] ?? '')
}

/** A template without one label: two templates that differ in nothing else are the same. */
export function withoutLabel(template: PodTemplate, label: string): PodTemplate {
  const { [label]: dropped, ...labels } = template.metadata?.labels ?? {}
  return dropped === undefined ? template : { ...template, metadata: { ...template.metadata, labels } }
}

/** The ownerReference of the one controller of an object. */
export function controllerReference(resource: ResourceType, { name, uid }: Meta): OwnerReference {
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

/** A new pod of a template; give it a name or generateName. */
export function podFromTemplate(
  template: PodTemplate,
  metadata: {
    readonly namespace: string
    readonly ownerReferences: readonly OwnerReference[]
    readonly name?: string
    readonly generateName?: string
    readonly labels?: Readonly<Record<string, string>>
  },
): { metadata: Omit<typeof metadata, 'labels'> & Record<string, unknown>; spec: PodTemplate['spec'] } {
  const { labels, annotations, finalizers } = template.metadata ?? {}
  return {
    metadata: {
      ...metadata,
      labels: { ...labels, ...metadata.labels },
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
    },
    spec: template.spec,
  }
}
