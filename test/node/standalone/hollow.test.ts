// Fifty hollow nodes, a real manager and the embedded API server: what the API shows of them is what it shows of real ones.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, LEASES, NODEINFOS, NODES, PODS, type IPInstance, type NodeInfo } from '../../../lib/api/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'
import { HollowFleet } from '../../../lib/standalone/hollow/index.ts'
import { Heartbeats } from '../../../lib/standalone/hollow/heartbeats.ts'
import { createOverlay } from '../../../lib/standalone/overlay.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { Rig } from '../manager/rig.ts'

const COUNT = 50
const PATIENCE_MS = 60_000

interface Pod extends KubeObject {
  readonly spec: { readonly nodeName?: string }
  readonly status?: {
    readonly phase?: string
    readonly hostIP?: string
    readonly podIP?: string
    readonly podIPs?: readonly { readonly ip: string }[]
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}

let rig: Rig
let fleet: HollowFleet

const newFleet = (): HollowFleet =>
  new HollowFleet({
    client: rig.client,
    count: COUNT,
    defaultFamily: 'DualStack',
    heartbeatMs: 500,
    log: silentLogger(),
  })

const allRunning = (count: number): Promise<Pod[]> =>
  eventually(async () => {
    const { items } = await rig.client.list<Pod>(PODS)
    return items.length === count && items.every(({ status }) => status?.phase === 'Running') ? items : null
  }, PATIENCE_MS)

const addressesByPod = async (): Promise<Map<string, string[]>> => {
  const { items } = await rig.client.list<IPInstance>(IPINSTANCES)
  const sorted = items.sort((a, b) => (a.spec?.address.version ?? '').localeCompare(b.spec?.address.version ?? ''))
  const byPod = new Map<string, string[]>()
  for (const { spec } of sorted) {
    const pod = spec?.binding?.podName ?? ''
    byPod.set(pod, [...(byPod.get(pod) ?? []), spec?.address.ip.split('/')[0] ?? ''])
  }
  return byPod
}

test.before(async () => {
  rig = await Rig.start()
  await createOverlay(rig.client)
  rig.manager({ defaults: { networkType: 'Overlay', ipFamily: 'DualStack' } })
  fleet = newFleet()
  await fleet.start()
})
test.after(async () => {
  await fleet.stop()
  await rig.close()
})

test('every node is there, ready, with its endpoint and a lease that goes on', async () => {
  const { items: nodes } = await rig.client.list<Pod>(NODES)
  assert.is(nodes.length, COUNT)
  for (const { status } of nodes)
    assert.ok(status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'))
  const { items: infos } = await rig.client.list<NodeInfo>(NODEINFOS)
  const endpoints = infos.map(({ spec }) => `${spec?.vtepInfo?.ip} ${spec?.vtepInfo?.mac}`)
  assert.is(new Set(endpoints).size, COUNT)
  const uids = new Set(nodes.map(({ metadata }) => metadata.uid))
  for (const info of infos) assert.ok(uids.has(info.metadata.ownerReferences?.[0]?.uid ?? ''), 'owned by its node')

  const renewals = async (): Promise<Map<string, string>> => {
    const { items } = await rig.client.list<KubeObject>(LEASES, { namespace: 'kube-node-lease' })
    return new Map(
      items.map(({ metadata, spec }) => [metadata.name ?? '', (spec as { renewTime: string }).renewTime] as const),
    )
  }
  const first = await renewals()
  assert.is(first.size, COUNT)
  await eventually(async () => {
    const now = await renewals()
    return [...first].every(([name, time]) => (now.get(name) ?? '') > time)
  }, PATIENCE_MS)
  assert.is(fleet.status().failedBeats, 0)
})

test('a lease that was removed is made again', async () => {
  const ref = { namespace: 'kube-node-lease', name: 'hollow-7' }
  await rig.client.delete(LEASES, ref)
  await eventually(async () => (await rig.client.find(LEASES, ref)) !== null, PATIENCE_MS)
})

test('pods run with the addresses of their IPInstances, on real and hollow nodes told apart', async () => {
  for (let index = 0; index < 2 * COUNT; index++)
    await rig.pod(`web-${index}`, { node: `hollow-${(index % COUNT) + 1}` })
  const pods = await allRunning(2 * COUNT)
  const addresses = await addressesByPod()
  for (const { metadata, spec, status } of pods) {
    const podIPs = status?.podIPs?.map(({ ip }) => ip) ?? []
    assert.is(podIPs.length, 2)
    assert.equal(podIPs, addresses.get(metadata.name ?? ''))
    assert.is(status?.podIP, podIPs[0])
    assert.is(metadata.annotations?.['cni.projectcalico.org/podIPs'], podIPs.join(','))
    assert.is(status?.hostIP, fleet.nodes.find(({ name }) => name === spec.nodeName)?.address)
    assert.ok(status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'))
  }
  const { items } = await rig.client.list<IPInstance>(IPINSTANCES)
  assert.ok(
    items.every(({ status }) => /^[0-9a-f]{64}$/.test(status?.sandboxID ?? '')),
    'each is in use by a sandbox',
  )

  await rig.node('real')
  await rig.pod('elsewhere', { node: 'real' })
  await rig.served('elsewhere', 2, PATIENCE_MS)
  assert.is(fleet.status().pods, 2 * COUNT)
  await rig.deletePod('elsewhere')
})

test('a pod that asks for one family waits for one', async () => {
  await rig.pod('single', { node: 'hollow-1', annotations: { 'ip-family': 'IPv4Only' } })
  const pods = await allRunning(2 * COUNT + 1)
  assert.is(pods.find(({ metadata }) => metadata.name === 'single')?.status?.podIPs?.length, 1)
})

test('a new fleet takes the objects over and writes nothing about pods that run', async () => {
  await fleet.stop()
  const versions = async (): Promise<string[]> => {
    const { items } = await rig.client.list<Pod>(PODS)
    return items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
  }
  const before = await versions()
  fleet = newFleet()
  await fleet.start()
  await eventually(() => fleet.status().pods === 2 * COUNT + 1 && fleet.status().waiting === 0, PATIENCE_MS)
  assert.equal(await versions(), before)
  assert.is(fleet.status().started, 0)
})

test('deleted pods go, and their addresses with them', async () => {
  for (let index = 0; index < 2 * COUNT; index++) {
    await rig.client.delete(PODS, { namespace: 'default', name: `web-${index}` })
  }
  await eventually(async () => (await rig.client.list(PODS)).items.length === 1, PATIENCE_MS)
  await eventually(async () => (await rig.client.list(IPINSTANCES)).items.length === 1, PATIENCE_MS)
  await eventually(() => fleet.status().pods === 1, PATIENCE_MS)
})

test('a count out of range is refused', () => {
  assert.throws(() => new HollowFleet({ client: rig.client, count: -1, log: silentLogger() }), /count is -1/)
})

test('heartbeats: each node in its turn, one at a time, none lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), async (count) => {
      const beats = new Array<number>(count).fill(0)
      const underWay = new Set<number>()
      const heartbeats = new Heartbeats(count, 20, async (node) => {
        assert.not(underWay.has(node), 'two beats of a node at once')
        underWay.add(node)
        await new Promise((resolve) => setTimeout(resolve, 1))
        beats[node] = (beats[node] ?? 0) + 1
        underWay.delete(node)
      })
      heartbeats.start()
      await eventually(() => beats.every((number) => number >= 2), PATIENCE_MS)
      await heartbeats.stop()
      assert.is(underWay.size, 0)
    }),
    { numRuns: 5 },
  )
})

test.run()
