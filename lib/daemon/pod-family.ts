// How many addresses a pod must have before it can be wired (spec/api §3.5, as far as the family goes).
//
// The mutating webhook writes the answer on the pod. Without it the same rules are followed here: retained addresses, else
// the pod's own configuration if it has any, else its namespace's, else the default.
import {
  ANNOTATION_HANDLED_BY_WEBHOOK,
  ANNOTATION_IP_FAMILY,
  ANNOTATION_IP_RETAIN,
  firstNonEmpty,
  NETWORK_TYPE,
  parseBool,
  parseIPFamily,
  SPECIFIED_NETWORK,
  SPECIFIED_SUBNET,
  type IPFamily,
} from '../api/index.ts'
import type { Family } from '../ip/index.ts'

type Texts = Readonly<Record<string, string>>

/** Labels and annotations of a pod or a namespace. */
export interface Marked {
  readonly annotations: Texts
  readonly labels: Texts
}

export interface FamilyDefaults {
  readonly family: IPFamily
  readonly retain: boolean
  readonly statefulKinds: readonly string[]
}

export interface FamilyQuestion {
  readonly pod: Marked & { readonly ownerKind: string }
  readonly defaults: FamilyDefaults
  /** Families of the IPInstances of the pod's name in its namespace, wherever they are bound. Asked only if it matters. */
  readonly retained: () => Promise<readonly Family[]>
  /** The pod's namespace. Asked only if it matters. */
  readonly namespace: () => Promise<Marked>
}

const configured = [SPECIFIED_NETWORK, SPECIFIED_SUBNET, NETWORK_TYPE] as const

function hasConfiguration(object: Marked): boolean {
  const texts = configured.flatMap((key) => [object.annotations[key], object.labels[key]])
  return firstNonEmpty(object.annotations[ANNOTATION_IP_FAMILY], ...texts) !== ''
}

/** The family, or a sentence on what is wrong with its configuration. */
export async function podFamily(question: FamilyQuestion): Promise<{ family: IPFamily } | { problem: string }> {
  const { pod, defaults } = question
  if (parseBool(pod.annotations[ANNOTATION_HANDLED_BY_WEBHOOK], false)) return parse(pod, defaults)
  const retain = parseBool(pod.annotations[ANNOTATION_IP_RETAIN], defaults.retain)
  if (retain && defaults.statefulKinds.includes(pod.ownerKind)) {
    const families = await question.retained()
    if (families.length > 2 || (families.length === 2 && families[0] === families[1])) {
      return { problem: `the pod has ${families.length} IPInstances, expected one of each family at most` }
    }
    if (families.length === 2) return { family: 'DualStack' }
    if (families.length === 1) return { family: families[0] === 4 ? 'IPv4Only' : 'IPv6Only' }
  }
  return parse(hasConfiguration(pod) ? pod : await question.namespace(), defaults)
}

function parse(object: Marked, defaults: FamilyDefaults): { family: IPFamily } | { problem: string } {
  const text = object.annotations[ANNOTATION_IP_FAMILY]
  const family = parseIPFamily(text, defaults.family)
  if (family !== null) return { family }
  return { problem: `annotation ${ANNOTATION_IP_FAMILY} is "${text ?? ''}", expected IPv4Only, IPv6Only or DualStack` }
}
