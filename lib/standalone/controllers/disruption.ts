// The status of PodDisruptionBudgets, by which evictions are allowed (pkg/controller/disruption).
import { deepEqual } from '../../kube/index.ts'
import { controllerOf } from './claim.ts'
import { Controller, type ControllerOptions, unlessGone } from './controller.ts'
import { countBudget } from './disruption-plan.ts'
import { isFinished, setCondition, timestamp } from './pods.ts'
import { selects } from './selector.ts'
import { DISRUPTION_BUDGETS, type DisruptionBudget, type Pod } from './types.ts'

/** A pod that was allowed to go and has not begun to within this time is counted again. */
const disruptionTimeoutMs = 120_000

export class DisruptionController extends Controller {
  constructor(options: ControllerOptions) {
    super(options, 'disruption-controller')
  }

  protected watch(): void {
    const { budgets, pods } = this.caches
    budgets.onChange(({ key }) => this.queue.add(key))
    pods.onChange(({ object, old }) => {
      for (const { metadata, spec } of budgets.store.byIndex('namespace', object.metadata.namespace)) {
        const covered = [object, old].some((pod) => pod !== null && covers(spec, pod))
        if (covered) this.queue.add(`${metadata.namespace}/${metadata.name}`)
      }
    })
  }

  protected async sync(key: string): Promise<number | void> {
    const budget = this.caches.budgets.store.get(key)
    if (budget === undefined) return
    const { metadata, spec, status } = budget
    const pods = this.caches.pods.store
      .byIndex('namespace', metadata.namespace)
      .filter((pod) => !isFinished(pod) && covers(spec, pod))
    const { disruptedPods, again } = stillExpected(status?.disruptedPods ?? {}, pods)
    const counts = countBudget(spec, pods, this.#expected(pods), disruptedPods)
    const allowed = counts.disruptionsAllowed > 0
    const condition = {
      type: 'DisruptionAllowed',
      status: allowed ? 'True' : 'False',
      reason: allowed ? 'SufficientPods' : 'InsufficientPods',
      message: '',
      observedGeneration: metadata.generation ?? 0,
    } as const
    const wanted = {
      ...counts,
      observedGeneration: metadata.generation ?? 0,
      conditions: setCondition(status?.conditions ?? [], condition, timestamp()),
      ...(Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
    }
    if (!deepEqual(wanted, status ?? {})) {
      await unlessGone(this.client.updateStatus(DISRUPTION_BUDGETS, { ...budget, status: wanted }))
    }
    return again
  }

  /** What the workloads behind these pods want, each counted once; a pod of none stands for itself. */
  #expected(pods: readonly Pod[]): number {
    const { replicaSets, deployments, statefulSets } = this.caches
    const wanted = new Map<string, number>()
    for (const pod of pods) {
      const owner = controllerOf(pod.metadata)
      const [set] = owner === undefined ? [] : replicaSets.store.byIndex('uid', owner)
      const [stateful] = owner === undefined ? [] : statefulSets.store.byIndex('uid', owner)
      const above = set === undefined ? undefined : controllerOf(set.metadata)
      const [deployment] = above === undefined ? [] : deployments.store.byIndex('uid', above)
      const workload = deployment ?? set ?? stateful
      wanted.set(workload?.metadata.uid ?? pod.metadata.uid, workload === undefined ? 1 : (workload.spec.replicas ?? 1))
    }
    return [...wanted.values()].reduce((sum, count) => sum + count, 0)
  }
}

/** A budget without a selector covers nothing, one with an empty selector everything. */
const covers = ({ selector }: DisruptionBudget['spec'], { metadata }: Pod): boolean =>
  selector !== undefined && selects(selector, metadata.labels)

/** Pods that were allowed to go and are still about to. */
function stillExpected(
  disrupted: Readonly<Record<string, string>>,
  pods: readonly Pod[],
): { disruptedPods: Record<string, string>; again: number | undefined } {
  const disruptedPods: Record<string, string> = {}
  let again: number | undefined
  for (const [name, since] of Object.entries(disrupted)) {
    const pod = pods.find(({ metadata }) => metadata.name === name)
    const left = Date.parse(since) + disruptionTimeoutMs - Date.now()
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || !(left > 0)) continue
    disruptedPods[name] = since
    again = Math.min(again ?? left, left)
  }
  return { disruptedPods, again }
}
