// The feature gates of all programs: one reading of one flag.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { daemonFlags } from '../../../lib/main/daemon-flags.ts'
import { parseFeatureGates } from '../../../lib/main/feature-gates.ts'
import { UsageError, parseFlags } from '../../../lib/main/flags.ts'
import { managerFlags } from '../../../lib/main/manager.ts'
import { webhookFlags } from '../../../lib/main/webhook.ts'

const refused = (entries: readonly string[], message: RegExp, absent: readonly 'MultiCluster'[] = []): void => {
  try {
    parseFeatureGates(entries, absent)
    assert.unreachable(`taken: ${entries.join()}`)
  } catch (error) {
    assert.instance(error, UsageError)
    assert.match((error as Error).message, message)
  }
}

test('gates are off, and turned on by name or with all of their stage', () => {
  assert.equal(parseFeatureGates([]), { MultiCluster: false, VMIPRetain: false })
  assert.equal(parseFeatureGates(['VMIPRetain=true']), { MultiCluster: false, VMIPRetain: true })
  assert.equal(parseFeatureGates(['AllAlpha=true']), { MultiCluster: true, VMIPRetain: true })
  assert.equal(parseFeatureGates(['AllBeta=true']), { MultiCluster: false, VMIPRetain: false })
  const named = { MultiCluster: false, VMIPRetain: true }
  assert.equal(parseFeatureGates(['AllAlpha=true', 'MultiCluster=false']), named)
  assert.equal(parseFeatureGates(['MultiCluster=false', 'AllAlpha=1']), named, 'whatever the order')
  assert.equal(parseFeatureGates(['VMIPRetain=T', 'MultiCluster=0']), named)
  assert.equal(parseFeatureGates(['VMIPRetain=false', 'VMIPRetain=true']), named, 'the last of a name')
})

test('mistakes name the entry and what was expected', () => {
  refused(['DualStack=true'], /'DualStack=true': expected one of MultiCluster, VMIPRetain, AllAlpha, AllBeta/)
  refused(['VMIPRetain=maybe'], /'VMIPRetain=maybe': expected VMIPRetain=true or VMIPRetain=false/)
  refused(['VMIPRetain'], /'VMIPRetain': expected VMIPRetain=true/)
  refused(['VMIPRetain=true=false'], /expected VMIPRetain=true/)
  refused([''], /'': expected one of/)
})

test('a gate that a program does not have is refused, not ignored', () => {
  refused(['MultiCluster=true'], /does not have MultiCluster yet; leave it out/, ['MultiCluster'])
  refused(['AllAlpha=true'], /does not have MultiCluster yet; add MultiCluster=false/, ['MultiCluster'])
  const gates = parseFeatureGates(['AllAlpha=true', 'MultiCluster=false'], ['MultiCluster'])
  assert.equal(gates, { MultiCluster: false, VMIPRetain: true })
})

test("every program takes the chart's flag", () => {
  for (const flags of [managerFlags, webhookFlags, daemonFlags]) {
    const { values } = parseFlags(flags, ['--feature-gates=MultiCluster=false,VMIPRetain=true'])
    const given = (values as { 'feature-gates': readonly string[] })['feature-gates']
    assert.is(parseFeatureGates(given).VMIPRetain, true)
  }
})

test.run()
