// Makes a failing scenario small: drops orders, then kinds of trouble, as long as the same rule is still broken. What remains
// runs on the same chances, since every stream of them is drawn apart.
import { NO_FAULTS, type FaultRates } from './server/faults.ts'
import type { Scenario } from './scenario.ts'
import { simulate, type Variant } from './simulation.ts'
import type { Order } from './world/orders.ts'

export interface Shrunk {
  readonly scenario: Scenario
  readonly runs: number
}

/** @param maxRuns after so many runs what there is is good enough */
export async function shrink(scenario: Scenario, rule: string, variant?: Variant, maxRuns = 400): Promise<Shrunk> {
  let best = scenario
  let runs = 0
  const stillFails = async (candidate: Scenario): Promise<boolean> => {
    if (runs >= maxRuns) return false
    runs++
    const { violation } = await simulate(candidate, { variant })
    if (violation?.rule !== rule) return false
    best = candidate
    return true
  }

  // Half of the orders, then quarters, down to single ones (delta debugging).
  for (let size = Math.ceil(best.orders.length / 2); size >= 1;) {
    let removed = false
    for (let from = 0; from < best.orders.length;) {
      const orders: Order[] = best.orders.toSpliced(from, size)
      if (await stillFails({ ...best, orders })) removed = true
      else from += size
    }
    if (size === 1 && !removed) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  for (const fault of Object.keys(NO_FAULTS) as (keyof FaultRates)[]) {
    if (best.link.faults[fault] === 0) continue
    await stillFails({ ...best, link: { ...best.link, faults: { ...best.link.faults, [fault]: 0 } } })
  }
  await stillFails({ ...best, clocks: { ...best.clocks, maxDrift: 0, maxAheadMs: 0, slowMs: 0 } })
  await stillFails({ ...best, link: { ...best.link, delays: { typicalMs: 5, slow: 0, slowMs: 0 } } })
  await stillFails({ ...best, link: { ...best.link, watchLagMs: 0 } })
  await stillFails({ ...best, pageSize: 500 })
  for (let managers = 1; managers < best.managers; managers++) if (await stillFails({ ...best, managers })) break
  return { scenario: best, runs }
}
