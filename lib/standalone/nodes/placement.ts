// Where a pod may run and where it goes, as pure functions: the part of kube-scheduler this project depends on (node name,
// nodeSelector, required node affinity, taints, cordons), then the node with the fewest pods. Resources, pod affinity,
// topology spread and preemption are not looked at.

import { type Taint, tolerating, type Toleration } from '../taints.ts'

export interface SelectorRequirement {
  readonly key: string
  readonly operator: string
  readonly values?: readonly string[]
}

interface NodeSelectorTerm {
  readonly matchExpressions?: readonly SelectorRequirement[]
  readonly matchFields?: readonly SelectorRequirement[]
}

/** The fields of a Pod that placement reads. */
export interface PlaceablePod {
  readonly spec: {
    readonly nodeSelector?: Readonly<Record<string, string>>
    readonly tolerations?: readonly Toleration[]
    readonly affinity?: {
      readonly nodeAffinity?: {
        readonly requiredDuringSchedulingIgnoredDuringExecution?: {
          readonly nodeSelectorTerms?: readonly NodeSelectorTerm[]
        }
      }
    }
  }
}

/** The fields of a Node that placement reads. */
export interface PlacementNode {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
  readonly unschedulable: boolean
  /** Pods bound to it, terminating ones included. */
  readonly pods: number
}

export type Placement =
  | { readonly node: string }
  /** Why not, in kube-scheduler's words: "0/3 nodes are available: 2 node(s) ..., 1 ...". */
  | { readonly node: null; readonly reason: string }

/** Choose the node of a pod. Ties go to the first name, so that the outcome does not depend on the order of a cache. */
export function place(pod: PlaceablePod, nodes: readonly PlacementNode[]): Placement {
  const refusals = new Map<string, number>()
  let best: PlacementNode | null = null
  for (const node of nodes) {
    const refusal = refuses(pod, node)
    if (refusal !== null) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1)
    else if (best === null || node.pods < best.pods || (node.pods === best.pods && node.name < best.name)) best = node
  }
  if (best !== null) return { node: best.name }
  const reasons = [...refusals].map(([reason, count]) => `${count} ${reason}`).sort()
  const detail = reasons.length === 0 ? 'no nodes available to schedule pods' : reasons.join(', ')
  return { node: null, reason: `0/${nodes.length} nodes are available: ${detail}.` }
}

/** Why the node cannot take the pod; null when it can. */
export function refuses(pod: PlaceablePod, node: PlacementNode): string | null {
  if (node.unschedulable && !tolerates(pod, { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' })) {
    return 'node(s) were unschedulable'
  }
  const taint = node.taints.find((candidate) => candidate.effect !== 'PreferNoSchedule' && !tolerates(pod, candidate))
  if (taint !== undefined) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`
  const selector = Object.entries(pod.spec.nodeSelector ?? {})
  if (!selector.every(([key, value]) => node.labels[key] === value) || !matchesAffinity(pod, node)) {
    return "node(s) didn't match Pod's node affinity/selector"
  }
  return null
}

const tolerates = (pod: PlaceablePod, taint: Taint): boolean => tolerating(pod.spec.tolerations ?? [], taint).length > 0

/** Terms are alternatives, the requirements in a term all count; a term without any matches nothing. */
function matchesAffinity(pod: PlaceablePod, node: PlacementNode): boolean {
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (required === undefined) return true
  return (required.nodeSelectorTerms ?? []).some((term) => {
    const expressions = term.matchExpressions ?? []
    const fields = term.matchFields ?? []
    if (expressions.length + fields.length === 0) return false
    return (
      expressions.every((requirement) => meets(requirement, node.labels[requirement.key])) &&
      fields.every((requirement) => requirement.key === 'metadata.name' && meets(requirement, node.name))
    )
  })
}

function meets({ operator, values = [] }: SelectorRequirement, actual: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return actual !== undefined && values.includes(actual)
    case 'NotIn':
      return actual === undefined || !values.includes(actual)
    case 'Exists':
      return actual !== undefined
    case 'DoesNotExist':
      return actual === undefined
    case 'Gt':
      return actual !== undefined && Number(actual) > Number(values[0])
    case 'Lt':
      return actual !== undefined && Number(actual) < Number(values[0])
    default:
      return false
  }
}
