// A control plane on a bad day while pods talk: refused and late answers. Traffic does not notice, nothing of any kernel is taken
// away, and pods made meanwhile run, at the latest when the fault is over.
import { test } from 'uvu'
import { troubleTests } from './trouble.ts'

/** Everybody but the kubelets, the scheduler and the controllers: the programs under test. */
const agent = '!hybridnet-standalone'

troubleTests({
  'errors of all kinds': {
    faults: [
      { agent, status: 500, probability: 0.4 },
      { agent, status: 429, retryAfter: 1, probability: 0.2 },
    ],
    cut: true,
  },
  'no credentials any more': { faults: [{ agent, status: 401 }], cut: true },
  'no rights any more': { faults: [{ agent, status: 403 }], cut: true },
  'the kinds are unknown': { faults: [{ agent, status: 404, verb: 'list|watch' }], cut: true, compact: true },
  'every answer is late': { faults: [{ agent, latencyMs: 700 }], cut: true },
})

test.run()
