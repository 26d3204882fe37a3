// A first packet to a remote pod never waits for the daemon's event loop: here it is blocked through the inspector, which
// any Node process opens on SIGUSR1.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { namespaceCommand, type Cluster, type ClusterNode } from '../../lib/standalone/index.ts'
import { eventually } from '../support/eventually.ts'
import { present } from '../support/present.ts'
import { createPod, reported, runningPod, showLogs, startCluster } from './support.ts'

let cluster: Cluster
let failed = true

test.before(
  reported(async () => {
    cluster = await startCluster(2)
    await createPod(cluster, 'here', { node: 'node1' })
    await createPod(cluster, 'there', { node: 'node2' })
  }),
)
test.after(async () => {
  if (failed) showLogs(cluster)
  await cluster.stop()
})

/** Whether the daemon's metrics page answers within some milliseconds. */
async function answers(node: ClusterNode, timeoutMs: number): Promise<boolean> {
  const program = `fetch('http://127.0.0.1:8091/metrics', { signal: AbortSignal.timeout(${timeoutMs}) }).then(() => process.exit(0), () => process.exit(1))`
  return (await node.exec([process.execPath, '-e', program])).code === 0
}

/** Block the event loop of a node's daemon for some seconds; resolves when it is blocked. */
async function block(node: ClusterNode, seconds: number): Promise<() => Promise<void>> {
  process.kill(present(present(node.daemon).state.pid), 'SIGUSR1')
  const [command, ...args] = namespaceCommand(node.host.path, [process.execPath, 'inspect', '127.0.0.1:9229'])
  const debug = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  debug.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await eventually(() => output.includes('debug> '), 10_000, 50)
  debug.stdin.write(
    `exec (() => { const end = Date.now() + ${seconds * 1000}; while (Date.now() < end); return 'released' })()\n`,
  )
  await eventually(async () => !(await answers(node, 300)), 5000, 10)
  return async () => {
    const closed = once(debug, 'close')
    debug.stdin.end('.exit\n')
    await closed
  }
}

test('first packets to a remote pod are resolved at once while the event loop is blocked', async () => {
  const node = cluster.node('node1')
  await runningPod(cluster, 'here')
  const addresses = await runningPod(cluster, 'there')
  // Both daemons know of both pods when the resolver's counters say so; the kernel must not have learnt anything yet.
  await eventually(async () => {
    const { code } = await cluster.exec('here', ['ping', '-c', '1', '-W', '1', present(addresses[0])])
    return code === 0
  }, 10_000)
  await node.exec(['sh', '-c', 'ip neigh flush dev eth0.vxlan4; ip -6 neigh flush dev eth0.vxlan4'])
  const release = await block(node, 4)
  for (const address of addresses) {
    const { stdout } = await cluster.exec('here', ['ping', '-c', '1', '-W', '3', address])
    const time = present(/time=([\d.]+) ms/.exec(stdout), `an answer of ${address} in: ${stdout}`)[1]
    // Without the resolver the kernel falls back to asking all nodes by broadcast, after a second.
    assert.ok(Number(time) < 900, `${address} answered after ${time} ms`)
  }
  assert.not(await answers(node, 300), 'the event loop was blocked all the while')
  await release()
  await eventually(() => answers(node, 1000), 10_000)
  failed = false
})

test.run()
