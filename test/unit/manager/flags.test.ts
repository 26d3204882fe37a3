// The command line of the manager: what the original's manifests pass is taken, what cannot be meant is refused.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { managerFlags, parseConcurrency } from '../../../lib/main/manager.ts'
import { parseFlags } from '../../../lib/main/flags.ts'

test("the chart's command line is taken", () => {
  const { values } = parseFlags(managerFlags, [
    '--default-ip-retain=false',
    '--feature-gates=MultiCluster=false,VMIPRetain=false',
    '--controller-concurrency=Pod=1,IPAM=1,IPInstance=500',
    '--kube-client-qps=300',
    '--kube-client-burst=600',
    '--metrics-port=9899',
  ])
  assert.is(values['default-ip-retain'], false)
  assert.equal(parseConcurrency(values['controller-concurrency']), { pod: 1, ipInstance: 100 })
})

test('concurrency is clamped, unknown names and no numbers are refused', () => {
  assert.equal(parseConcurrency(['Node=-3', 'Quota=7']), { node: 1 })
  for (const bad of ['Nope=1', 'Pod', 'Pod=x', '']) {
    assert.throws(() => parseConcurrency([bad]), /expected NAME=NUMBER with NAME one of Pod, IPInstance/)
  }
})

test.run()
