// The mirror against the real kernel, where the engine's own tests do not come: the loss of its subscription.
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Mirror } from '../../../lib/dataplane/mirror/mirror.ts'
import { NetworkNamespace, RouteSocket } from '../../../lib/netlink/index.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const sh = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8' })

test('a subscription that is made anew, even during a dump, misses nothing', async () => {
  const namespace = NetworkNamespace.current()
  const socket = RouteSocket.open(namespace)
  const nothing = (): undefined => undefined
  const listener = {
    touched: nothing,
    rulesTouched: nothing,
    linkTouched: nothing,
    factsTouched: nothing,
    doubted: nothing,
    failed: nothing,
  }
  const mirror = new Mirror({ namespace, socket, listener, isOwnTable: () => true })
  try {
    await mirror.start()
    mirror.stop()
    sh('ip link add one type bridge')
    const dump = mirror.refresh(['link', 'addr'])
    mirror.resubscribe()
    await dump
    assert.ok(mirror.doubtful)
    sh('ip link add two type bridge')
    await mirror.resolveDoubts()
    assert.ok(mirror.state.link('one') !== undefined && mirror.state.link('two') !== undefined)
    sh('ip link add three type bridge')
    await eventually(() => mirror.state.link('three') !== undefined, 2000)
  } finally {
    mirror.stop()
    socket.close()
    namespace.close()
  }
})

test.run()
