// The demo's proof, proven: a whole cluster passes it, and it notices what is broken on purpose.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { connectAll, endpointsOf, type Endpoints } from '../../lib/main/demo-connect.ts'
import { createPods, waitForPods } from '../../lib/main/demo-pods.ts'
import { judge, type Judged } from '../../lib/main/demo-report.ts'
import {
  Cluster,
  createOverlay,
  echoPort,
  EchoServer,
  logTails,
  overlayEnvironment,
} from '../../lib/standalone/index.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import { chosenControlPlane } from '../support/control-plane.ts'
import { requireSandbox } from '../support/sandbox.ts'

requireSandbox()
const pods = 6
const cluster = await Cluster.start({
  ...chosenControlPlane(),
  nodes: 3,
  environment: overlayEnvironment,
  log: silentLogger(),
})
let outside: EchoServer
let endpoints: Endpoints
test.after(() => cluster.stop())

async function connectAndJudge(): Promise<Judged[]> {
  const { connections, lostFrames } = await connectAll(cluster, endpoints)
  assert.is(lostFrames, 0)
  return judge(connections, endpoints.overlay)
}
const faults = (judged: readonly Judged[]): string[] =>
  judged
    .filter(({ fault }) => fault !== null)
    .map(({ connection: { from, to, family }, fault }) => `IPv${family} ${from.name} -> ${to.name}: ${fault}`)

test('every connection is as it must be, by what was captured', async () => {
  await createOverlay(cluster.client)
  await createPods(cluster.client, pods)
  const running = await waitForPods(cluster, pods, AbortSignal.timeout(60_000), () => undefined).catch(
    (error: Error) => {
      console.error(logTails(cluster.directory))
      throw error
    },
  )
  outside = await EchoServer.listen(cluster.fabric.outside.namespace, echoPort)
  endpoints = await endpointsOf(cluster, running)
  const judged = await connectAndJudge()
  assert.equal(faults(judged), [])
  const paths = new Set(judged.map(({ connection }) => `${connection.family} ${connection.seen?.path}`))
  assert.equal([...paths].sort(), ['4 local', '4 nat', '4 vxlan', '6 local', '6 nat', '6 vxlan'])
})

test('a node whose tunnel is down, with nobody to repair it, is found out', async () => {
  const node = cluster.node('node1')
  // Stopped, not ended: the supervisor would start another.
  assert.ok(node.daemon?.kill('SIGSTOP'))
  try {
    const down = await node.exec(['ip', 'link', 'set', 'eth0.vxlan4', 'down'])
    assert.is(down.code, 0, down.stderr)
    const judged = await connectAndJudge()
    const broken = judged.filter(({ fault }) => fault !== null)
    const isCrossing = ({ connection: { from, to } }: Judged): boolean =>
      from.node !== to.node && (from.node === 'node1' || to.node === 'node1')
    assert.ok(broken.length > 0, 'it is found out')
    assert.equal(faults(judged.filter((verdict) => !isCrossing(verdict))), [], 'only what crosses node1 fails')
    const tunnelled = judged.filter((verdict) => isCrossing(verdict) && verdict.expected.path === 'vxlan')
    assert.is(tunnelled.filter(({ fault }) => fault === null).length, 0, 'and all that needs its tunnel does')
  } finally {
    node.daemon?.kill('SIGCONT')
  }
})

test('the host outside stops answering and is missed', async () => {
  await outside.close()
  const missed = faults(await connectAndJudge()).filter((fault) => fault.includes('-> outside'))
  assert.ok(missed.length > 0)
  assert.ok(
    missed.every((fault) => fault.includes('ECONNREFUSED')),
    missed.join('\n'),
  )
})

test.run()
