// A benchmark refuses any namespace that is not fresh.
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { deviceNames, requireFreshNamespace, startedInSandbox } from '../../../benchmarks/support/sandbox.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()

test('a fresh namespace is accepted, one with devices is refused by name', () => {
  assert.ok(deviceNames().includes('lo'))
  requireFreshNamespace()
  execFileSync('ip', ['link', 'add', 'd7', 'type', 'veth', 'peer', 'name', 'd8'])
  assert.throws(() => requireFreshNamespace(), /in use: it has .*d7/)
  execFileSync('ip', ['link', 'del', 'd7'])
  requireFreshNamespace()
})

test('the namespace of the machine is refused', () => {
  const host = process.env['HYBRIDNET_HOST_NETNS']
  try {
    delete process.env['HYBRIDNET_HOST_NETNS']
    assert.throws(() => requireFreshNamespace(), /network namespace of its own/)
  } finally {
    if (host !== undefined) process.env['HYBRIDNET_HOST_NETNS'] = host
  }
  assert.not.ok(startedInSandbox(), 'the test runner is not the benchmark')
})

test.run()
