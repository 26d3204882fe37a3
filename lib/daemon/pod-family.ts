// How many addresses a pod must have before it can be wired (spec/api §3.5, as far as the family goes).
//
// The mutating webhook writes the answer on the pod. Without it the rules of lib/api are followed here as in the manager:
// retained addresses, else the pod's own wishes if it has any, else its namespace's, else the default. Which Network that
// leads to, and whether it exists, is the manager's business: the daemon sees the addresses it gave.
import {
  ANNOTATION_HANDLED_BY_WEBHOOK,
  ANNOTATION_IP_FAMILY,
  ANNOTATION_IP_RETAIN,
  isStateful,
  noFamily,
  parseBool,
  parseIPFamily,
  retainedConfiguration,
  wishesNothing,
  type IPFamily,
  type OwnerReference,
  type Wishes,
} from '../api/index.ts'
import type { IPAddress } from '../ip/index.ts'

export interface FamilyDefaults {
  readonly family: IPFamily
  readonly retain: boolean
  readonly statefulKinds: readonly string[]
}

/** An address that was a pod's of this name before. */
export interface KeptAddress {
  readonly address: IPAddress
  readonly network: string
}

export interface FamilyQuestion {
  readonly pod: {
    readonly annotations: Readonly<Record<string, string>>
    readonly wishes: Wishes
    readonly controller: OwnerReference | null
  }
  readonly defaults: FamilyDefaults
  /** What outlived an earlier pod of the name in its namespace, wherever it is bound. Asked only if it matters. */
  readonly retained: () => Promise<readonly KeptAddress[]>
  /** The wishes of the pod's namespace. Asked only if it matters. */
  readonly namespace: () => Promise<Wishes>
}

/** The family, or a sentence on what is wrong with its configuration. */
export async function podFamily(question: FamilyQuestion): Promise<{ family: IPFamily } | { problem: string }> {
  const { pod, defaults } = question
  if (parseBool(pod.annotations[ANNOTATION_HANDLED_BY_WEBHOOK], false)) return parse(pod.wishes, defaults)
  const retain = parseBool(pod.annotations[ANNOTATION_IP_RETAIN], defaults.retain)
  if (retain && isStateful(pod.controller, defaults.statefulKinds)) {
    const retained = retainedConfiguration(await question.retained())
    if (retained !== null) {
      const { family, problem } = retained
      return problem === null ? { family } : { problem }
    }
  }
  return parse(wishesNothing(pod.wishes) ? await question.namespace() : pod.wishes, defaults)
}

function parse({ family: text }: Wishes, defaults: FamilyDefaults): { family: IPFamily } | { problem: string } {
  const family = parseIPFamily(text, defaults.family)
  return family === null ? { problem: `annotation ${ANNOTATION_IP_FAMILY}: ${noFamily(text)}` } : { family }
}
