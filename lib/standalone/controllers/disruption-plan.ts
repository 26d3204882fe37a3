// How many pods of a PodDisruptionBudget may go now (pkg/controller/disruption). Pure.
import { isReady, isTerminating } from './pods.ts'
import type { Pod } from './types.ts'

export interface BudgetSpec {
  /** A number of pods or a share of those expected, `"50%"`. */
  readonly minAvailable?: number | string
  readonly maxUnavailable?: number | string
}

export interface BudgetCounts {
  readonly expectedPods: number
  readonly desiredHealthy: number
  readonly currentHealthy: number
  readonly disruptionsAllowed: number
}

/**
 * @param expected how many pods the workloads of these pods want; with `minAvailable` as a number it does not count
 * @param disrupted when each pod that was allowed to go was so; they count as unhealthy until they have gone
 */
export function countBudget(
  { minAvailable, maxUnavailable }: BudgetSpec,
  pods: readonly Pod[],
  expected: number,
  disrupted: Readonly<Record<string, string>>,
): BudgetCounts {
  const healthy = pods.filter(
    (pod) => isReady(pod) && !isTerminating(pod) && disrupted[pod.metadata.name] === undefined,
  )
  let expectedPods = expected
  let desiredHealthy: number
  if (maxUnavailable !== undefined) desiredHealthy = Math.max(0, expected - scaled(maxUnavailable, expected))
  else if (typeof minAvailable === 'string') desiredHealthy = scaled(minAvailable, expected)
  else {
    desiredHealthy = minAvailable ?? 1
    expectedPods = pods.length
  }
  const currentHealthy = healthy.length
  const spare = expectedPods <= 0 ? 0 : currentHealthy - desiredHealthy
  return { expectedPods, desiredHealthy, currentHealthy, disruptionsAllowed: Math.max(0, spare) }
}

/** A share is rounded up, on both sides, as Kubernetes does. */
function scaled(value: number | string, total: number): number {
  return typeof value === 'number' ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100)
}
