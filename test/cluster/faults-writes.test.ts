// A control plane on a bad day while pods talk: conflicts, lost answers, slow and reset connections. Traffic does not notice, nothing of any kernel is taken
// away, and pods made meanwhile run, at the latest when the fault is over.
import { test } from 'uvu'
import { troubleTests } from './trouble.ts'

/** Everybody but the kubelets, the scheduler and the controllers: the programs under test. */
const agent = '!hybridnet-standalone'

troubleTests({
  'somebody else writes first': {
    faults: [{ agent, verb: 'update|patch|delete', effect: 'conflict', probability: 0.5 }],
  },
  'writes are done and not answered': {
    faults: [{ agent, verb: 'create|update|patch|delete', effect: 'lose', probability: 0.5 }],
  },
  'answers trickle': { faults: [{ agent, effect: 'slow', rate: 8 }], cut: true, compact: true },
  'connections are reset': { faults: [{ agent, effect: 'reset', probability: 0.6 }], cut: true },
})

test.run()
