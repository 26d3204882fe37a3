// Defects of the original's controllers (manager.md §7), by number: a manager over HTTP does not have them. Those whose place
// is elsewhere: D6, D11, D12, D30 in pods, D20, D9 in faults, D31, D45, D60 in stateful, D44 in retained.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, NETWORKS, PODS, SUBNETS, type IPInstance, type Network } from '../../../lib/api/index.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig, type PodOptions, type Rig } from './rig.ts'

const limitMs = 20_000
const N = 'networking.alibaba.com/'
const FINALIZER = `${N}ip-allocated`

const pool = (addresses: string, more: Record<string, string> = {}): PodOptions => ({
  statefulSet: 'fake',
  annotations: { 'network-type': 'Overlay', 'ip-pool': addresses, ...more },
})

async function end(rig: Rig, pod: string): Promise<void> {
  await rig.deletePod(pod)
  await eventually(async () => (await rig.client.find(PODS, { namespace: 'default', name: pod })) === null, limitMs)
}

const failure = (rig: Rig, pod: string): Promise<string> =>
  eventually(async () => (await rig.events('Pod', pod, 'IPAllocationFail'))[0] ?? null, limitMs)

/** An IPInstance as somebody else wrote it. */
function foreign(name: string, ip: string, binding: object, more: object = {}): object {
  return {
    metadata: { name, namespace: 'default', finalizers: [FINALIZER], ...more },
    spec: {
      network: 'underlay-network',
      subnet: 'underlay-subnet',
      address: { version: '4', ip, mac: '02:12:34:00:00:99' },
      binding: { referredObject: { kind: 'Pod', name: 'x', uid: 'x' }, ...binding },
    },
  }
}

const gone = (rig: Rig, name: string): Promise<unknown> =>
  eventually(async () => (await rig.client.find(IPINSTANCES, { namespace: 'default', name })) === null, limitMs)

test('D2, D32, D46: an ip-pool keeps what is in it, with its MAC, drops the rest, and converts family and network', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await fixture(rig)
    await rig.pod('web-0', pool('100.10.0.50'))
    const [first] = await rig.served('web-0', 1, limitMs)
    await end(rig, 'web-0')
    // The same pool element: the same object, never deleted in between.
    await rig.pod('web-0', pool('100.10.0.50'))
    const [second] = await rig.served('web-0', 1, limitMs)
    assert.is(second?.metadata.uid, first?.metadata.uid, 'D2')
    await end(rig, 'web-0')
    // A family more, with a mac-pool: one MAC for both, the one that is there.
    const dual = { 'ip-family': 'DualStack', 'mac-pool': '00:16:ea:ae:3c:40' }
    await rig.pod('web-0', pool('100.10.0.50/fe80::50', dual))
    const [four, six] = await rig.served('web-0', 2, limitMs)
    assert.is(four?.metadata.uid, first?.metadata.uid, 'D32: kept while the other family is added')
    assert.is(six?.spec?.address.ip, 'fe80::50/120')
    assert.is(six?.spec?.address.mac, first?.spec?.address.mac, 'D46')
    await end(rig, 'web-0')
    // Another network.
    await rig.pod('web-0', {
      statefulSet: 'fake',
      annotations: { 'specified-network': 'underlay-network', 'ip-pool': '192.168.56.77' },
    })
    const moved = await eventually(async () => {
      const all = await rig.instances('web-0')
      return all.length === 1 && all[0]?.spec?.network === 'underlay-network' ? all[0] : null
    }, limitMs)
    assert.is(moved.spec?.address.ip, '192.168.56.77/24')
  }))

test('D7, D9, D47: a retained address may be named by its namespace at once, by no other; no MAC of 8 bytes', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await fixture(rig)
    await rig.namespace('other')
    await rig.pod('old-0', pool('100.10.0.60'))
    await rig.served('old-0', 1, limitMs)
    await rig.pod('early-0', pool('100.10.0.60'))
    assert.match(await failure(rig, 'early-0'), /100\.10\.0\.60 .* is held by default\/old-0/)
    await end(rig, 'early-0')
    await end(rig, 'old-0')
    await rig.pod('abroad-0', { ...pool('100.10.0.60'), namespace: 'other' })
    assert.match(await failure(rig, 'abroad-0'), /in another namespace/)
    await rig.pod('new-0', pool('100.10.0.60'))
    const [taken] = await rig.served('new-0', 1, limitMs)
    assert.is(taken?.spec?.address.ip, '100.10.0.60/24')
    assert.is((await rig.instances()).length, 1, 'one object of it')
    await rig.pod('mac-0', { statefulSet: 'fake', annotations: { 'mac-pool': '00:11:22:33:44:55:66:77' } })
    assert.match(await failure(rig, 'mac-0'), /is not a unicast MAC address of 6 bytes/)
  }))

test('D8, D52, D62: whatever an IPInstance says, it goes; foreign finalizers stay; removed by hand it is a release', () =>
  withRig(async (rig) => {
    const manager = rig.manager()
    await manager.leading
    await fixture(rig)
    const lost = foreign('10-99-0-1', '10.99.0.1/24', {}) as { spec: Record<string, unknown> }
    await rig.create(IPINSTANCES, { ...lost, spec: { ...lost.spec, network: 'nowhere', subnet: 'nowhere' } })
    await rig.client.delete(IPINSTANCES, { namespace: 'default', name: '10-99-0-1' })
    await gone(rig, '10-99-0-1')

    const other = 'example.com/hold'
    const name = '192-168-56-2'
    await rig.create(IPINSTANCES, foreign(name, '192.168.56.2/24', {}, { finalizers: [FINALIZER, other] }))
    await rig.client.delete(IPINSTANCES, { namespace: 'default', name })
    await eventually(async () => {
      const { metadata } = await rig.client.get<IPInstance>(IPINSTANCES, { namespace: 'default', name })
      return metadata.finalizers?.join() === other
    }, limitMs)
    assert.is(manager.allocator?.subnetUsage('underlay-subnet')?.used, 0, 'counts as free')
    await rig.pod('next')
    const [next] = await rig.served('next', 1, limitMs)
    assert.is(next?.spec?.address.ip, '192.168.56.3/24', 'is not handed out while its object is there')
    await rig.client.patch('merge', IPINSTANCES, { namespace: 'default', name }, { metadata: { finalizers: null } })
    await gone(rig, name)

    const by = { namespace: 'default', name: '192-168-56-9' }
    await rig.create(IPINSTANCES, foreign(by.name, '192.168.56.9/24', { podName: 'hand' }, { finalizers: [] }))
    await eventually(() => manager.allocator?.subnetUsage('underlay-subnet')?.used === 2, limitMs)
    await rig.client.delete(IPINSTANCES, by)
    await eventually(() => manager.allocator?.subnetUsage('underlay-subnet')?.used === 1, limitMs)
  }))

test('D14, D15, D64: series show the present, for what has nothing and after a restart too; no warnings at birth', () =>
  withRig(async (rig) => {
    const manager = rig.manager()
    await manager.leading
    await fixture(rig)
    await rig.pod('one')
    await rig.served('one', 1, limitMs)
    await rig.subnet('empty', 'underlay-network', '10.5.0.0/24', { start: '10.5.0.9', end: '10.5.0.8' })
    await eventually(async () => {
      const { status } = await rig.client.get<Network>(NETWORKS, { name: 'underlay-network' })
      return status?.statistics?.used === 1 && status.subnetList?.includes('empty')
    }, limitMs)
    await manager.stop()
    const registry = new Registry()
    await rig.manager({ registry }).leading
    for (const line of [
      'ip_usage{networkName="underlay-network",ipFamily="ipv4",usageType="used"} 1',
      'ip_usage{networkName="underlay-network",ipFamily="dualstack",usageType="available"} 0',
      'subnet_ip_usage{subnetName="underlay-subnet",networkName="underlay-network",usageType="used"} 1',
      'subnet_ip_usage{subnetName="empty",networkName="underlay-network",usageType="total"} 0',
    ]) {
      await eventually(async () => (await registry.metrics()).includes(`${line}\n`), limitMs)
    }
    for (const name of ['underlay-network', 'overlay-network']) {
      assert.equal(await rig.events('Network', name, 'UpdateStatusFail'), [])
    }
    for (const name of ['underlay-subnet', 'overlay-ipv4-subnet', 'overlay-ipv6-subnet', 'empty']) {
      assert.equal(await rig.events('Subnet', name, 'UpdateStatusFail'), [])
    }
  }))

test('D29, D43: a pod that has its address is not told off for its configuration; one that failed gives it back', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await fixture(rig)
    const pod = await rig.pod('well')
    await rig.served('well', 1, limitMs)
    // Before the network's status listed the node it may have been told so.
    const before = await rig.events('Pod', 'well', 'IPAllocationFail')
    await rig.client.patch('merge', PODS, pod.metadata, {
      metadata: { annotations: { [`${N}specified-network`]: 'no-such-network' } },
    })
    const failed = await rig.pod('failed')
    await rig.served('failed', 1, limitMs)
    await rig.client.patchStatus('merge', PODS, failed.metadata, {
      status: { phase: 'Failed', reason: 'Error', containerStatuses: [{ name: 'test', state: { terminated: {} } }] },
    })
    await eventually(async () => (await rig.instances('failed')).length === 0, limitMs)
    assert.equal(await rig.events('Pod', 'well', 'IPAllocationFail'), before)
    assert.is((await rig.instances('well')).length, 1)
  }))

test('D42: a new leader that finds a dying and a living object of one pod serves the pod as it is', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const annotations = { 'ip-retain': 'false' }
    const pod = await rig.pod('web-0', { statefulSet: 'fake', annotations })
    const binding = (podUID: string) => ({ podName: 'web-0', podUID, nodeName: 'node1' })
    const old = foreign('192-168-56-20', '192.168.56.20/24', binding('earlier'), {
      finalizers: [FINALIZER, 'example.com/hold'],
    })
    await rig.create(IPINSTANCES, foreign('192-168-56-10', '192.168.56.10/24', binding(present(pod.metadata.uid))))
    await rig.create(IPINSTANCES, old)
    await rig.client.delete(IPINSTANCES, { namespace: 'default', name: '192-168-56-20' })
    await rig.manager().leading
    await rig.pod('after')
    await rig.served('after', 1, limitMs)
    const now = (await rig.instances('web-0')).filter(({ metadata }) => !metadata.deletionTimestamp)
    assert.equal(
      now.map(({ metadata }) => metadata.name),
      ['192-168-56-10'],
    )
    await rig.client.patch(
      'merge',
      IPINSTANCES,
      { namespace: 'default', name: '192-168-56-20' },
      { metadata: { finalizers: null } },
    )
  }))

test('D49: many allocations are few writes of the statuses, and the last one is right', () =>
  withRig(async (rig) => {
    await rig.manager({ statusIntervalMs: 1000 }).leading
    await fixture(rig)
    let writes = 0
    const watcher = new Set<string>()
    const started = performance.now()
    await Promise.all(Array.from({ length: 60 }, (_, index) => rig.pod(`many-${index}`)))
    await eventually(
      async () => {
        const { metadata, status } = await rig.client.get<Network>(NETWORKS, { name: 'underlay-network' })
        if (!watcher.has(metadata.resourceVersion ?? '')) writes++
        watcher.add(metadata.resourceVersion ?? '')
        return status?.statistics?.used === 60
      },
      limitMs,
      5,
    )
    const seconds = (performance.now() - started) / 1000
    assert.ok(writes <= seconds + 4, `${writes} versions in ${seconds.toFixed(1)} s`)
    console.log(`60 pods: ${writes} versions of the network in ${seconds.toFixed(1)} s`)
  }))

test('D35, D54: the nodes of a GlobalBGP network follow the label; an Underlay network without a selector has none', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await rig.node('node1', { rack: '1' })
    await rig.network('global', { type: 'GlobalBGP' })
    await rig.network('nobody', { type: 'Underlay', netID: 3 })
    await rig.subnet('nobody', 'nobody', '10.3.0.0/24', { gateway: '10.3.0.1' })
    const nodes = (name: string, expected: string[]): Promise<unknown> =>
      eventually(async () => {
        const { status } = await rig.client.get<Network>(NETWORKS, { name })
        return status?.nodeList?.join() === expected.join()
      }, limitMs)
    await nodes('global', [])
    await rig.network('bgp', { type: 'Underlay', mode: 'BGP', netID: 65000, nodeSelector: { rack: '1' } })
    await nodes('global', ['node1'])
    await nodes('nobody', [])
    await rig.client.delete(NETWORKS, { name: 'bgp' })
    await nodes('global', [])
    await rig.client.delete(SUBNETS, { name: 'nobody' })
  }))

test('finalizers the original left go when their objects do, others stay', () =>
  withRig(async (rig) => {
    const metrics = `${N}metrics-registered`
    const metadata = (name: string) => ({ name, finalizers: [metrics, 'example.com/hold'] })
    await rig.create(NETWORKS, { metadata: metadata('left'), spec: { type: 'Underlay', netID: 4 } })
    await rig.create(SUBNETS, {
      metadata: metadata('left'),
      spec: { network: 'left', range: { version: '4', cidr: 'not read any more' } },
    })
    await rig.create(PODS, {
      metadata: { name: 'left', namespace: 'default', finalizers: [FINALIZER] },
      spec: { nodeName: 'node1', containers: [{ name: 'test', image: 'test' }] },
    })
    await rig.create(IPINSTANCES, foreign('192-168-56-2', '192.168.56.2/24', { podName: 'left' }))
    await rig.client.delete(NETWORKS, { name: 'left' })
    await rig.client.delete(SUBNETS, { name: 'left' })
    await rig.deletePod('left')
    await rig.client.delete(IPINSTANCES, { namespace: 'default', name: '192-168-56-2' })
    await rig.manager().leading
    for (const kind of [NETWORKS, SUBNETS]) {
      await eventually(async () => {
        const object = await rig.client.get<Network>(kind, { name: 'left' })
        return object.metadata.finalizers?.join() === 'example.com/hold'
      }, limitMs)
      await rig.client.patch('merge', kind, { name: 'left' }, { metadata: { finalizers: null } })
    }
    await eventually(
      async () => (await rig.client.find(PODS, { namespace: 'default', name: 'left' })) === null,
      limitMs,
    )
    await gone(rig, '192-168-56-2')
  }))

test.run()
