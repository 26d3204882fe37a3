// Bugs planted on purpose, named by the environment variable CHURN_PLANT: proof that a churn finds what is wrong and that
// shrinking leaves the steps that matter. They are in what surrounds the programs, never in the programs.
import type { Cluster } from '../../../lib/standalone/index.ts'
import type { Step } from './steps.ts'

/** Told of each step when it is done. */
export type Plant = (step: Step) => void

const plants: Readonly<Record<string, (cluster: Cluster) => Plant>> = {
  /** The daemon of a node whose addresses have changed hangs once the Network is written to after that. */
  'deaf-daemon': (cluster) => {
    const moved = new Set<string>()
    return (step) => {
      if (step.do === 'node-address') moved.add(step.node)
      else if (step.do === 'touch-network') {
        for (const node of cluster.nodes) if (moved.delete(node.name)) node.daemon?.kill('SIGSTOP')
      }
    }
  },
}

/** @param name null for none @throws Error naming the plants there are */
export function plantOf(name: string | null): (cluster: Cluster) => Plant {
  if (name === null) return () => () => undefined
  const plant = plants[name]
  if (plant === undefined) throw new Error(`CHURN_PLANT='${name}': expected one of ${Object.keys(plants).join(', ')}`)
  return plant
}
