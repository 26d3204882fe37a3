// A control plane on a bad day while pods talk: broken, silent, expired and stale views. Traffic does not notice, nothing of any kernel is taken
// away, and pods made meanwhile run, at the latest when the fault is over.
import { test } from 'uvu'
import { troubleTests } from './trouble.ts'

/** Everybody but the kubelets, the scheduler and the controllers: the programs under test. */
const agent = '!hybridnet-standalone'

troubleTests({
  'watches are cut in the middle of a line': {
    faults: [{ agent, verb: 'watch', effect: 'half', after: 1 }],
    cut: true,
  },
  'watches fall silent': { faults: [{ agent, verb: 'watch', effect: 'stall', after: 1, times: 12 }], cut: true },
  'lists expire between pages': {
    faults: [{ agent, verb: 'list', effect: 'expire', probability: 0.5 }],
    cut: true,
    compact: true,
  },
  'lists break off': { faults: [{ agent, verb: 'list', effect: 'cut', after: 1 }], cut: true, compact: true },
  'reads are stale': { faults: [{ agent, effect: 'stale', behind: 30 }], cut: true, compact: true },
})

test.run()
