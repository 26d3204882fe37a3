// Stateful pods keep their addresses (manager.md §2.8, §2.11, and P-4 to P-28 of the original's suite).
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, NODES, PODS, type IPInstance, type Pod } from '../../../lib/api/index.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig, type PodOptions, type Rig } from './rig.ts'

const N = 'networking.alibaba.com/'

async function withManager(body: (rig: Rig) => Promise<void>): Promise<void> {
  await withRig(async (rig) => {
    await rig.manager().leading
    await fixture(rig)
    await body(rig)
  })
}

const overlay = (texts: Record<string, string> = {}): Record<string, string> => ({
  'network-type': 'Overlay',
  ...texts,
})

async function podGone(rig: Rig, name: string): Promise<void> {
  await eventually(async () => (await rig.client.find(PODS, { namespace: 'default', name })) === null, 8000)
}

async function reserved(rig: Rig, pod: string, count = 1): Promise<IPInstance[]> {
  return await eventually(async () => {
    const found = (await rig.instances(pod)).filter((instance) => !instance.spec?.binding?.nodeName)
    return found.length === count ? found : null
  }, 8000)
}

const texts = (instances: readonly IPInstance[]): string[] =>
  instances.map(({ metadata, spec }) => `${metadata.name} ${spec?.address.mac ?? ''}`)

async function restart(rig: Rig, name: string, options: PodOptions): Promise<Pod> {
  await rig.deletePod(name)
  await podGone(rig, name)
  return await rig.pod(name, { statefulSet: 'fake', ...options })
}

test('bound, reserved when the pod leaves, back to the same pod on another node', () =>
  withManager(async (rig) => {
    const annotations = overlay({ 'ip-family': 'DualStack' })
    const first = await rig.pod('web-3', { statefulSet: 'fake', node: 'node3', annotations })
    const before = await rig.served('web-3', 2)
    const [instance] = before
    assert.equal(present(instance).metadata.ownerReferences, first.metadata.ownerReferences)
    assert.equal(present(instance).spec?.binding?.referredObject, {
      kind: 'StatefulSet',
      name: 'fake',
      uid: await rig.statefulSet('fake', 'default'),
    })
    assert.equal(present(instance).spec?.binding?.stateful, { index: 3 })
    const stored = await rig.client.get<Pod>(PODS, first.metadata)
    assert.equal(stored.metadata.finalizers, [`${N}ip-allocated`])
    await rig.client.patchStatus('merge', IPINSTANCES, present(instance).metadata, {
      status: { sandboxID: 'box', nodeName: 'node3', podName: 'web-3', podNamespace: 'default' },
    })

    await rig.deletePod('web-3')
    const kept = await reserved(rig, 'web-3', 2)
    assert.equal(texts(kept), texts(before))
    for (const { metadata, spec } of kept) {
      assert.is(spec?.binding?.nodeName, '')
      assert.is(spec?.binding?.podUID, undefined)
      assert.is(spec?.binding?.podName, 'web-3')
      assert.is(metadata.labels?.[`${N}node`], undefined)
      assert.is(metadata.labels?.[`${N}pod-uid`], undefined)
      assert.is(metadata.labels?.[`${N}pod`], 'web-3')
      await eventually(async () => {
        const live = await rig.client.get<IPInstance>(IPINSTANCES, metadata)
        return !live.status?.sandboxID && !live.status?.podName && Boolean(live.status?.updateTimestamp)
      })
    }
    await podGone(rig, 'web-3')

    // Without its annotations: what is kept decides.
    const second = await rig.pod('web-3', { statefulSet: 'fake', node: 'node1' })
    const after = await rig.served('web-3', 2)
    assert.equal(texts(after), texts(before))
    for (const { metadata, spec } of after) {
      assert.is(spec?.binding?.podUID, second.metadata.uid)
      assert.is(spec?.binding?.nodeName, 'node1')
      assert.is(metadata.labels?.[`${N}node`], 'node1')
      assert.is(metadata.labels?.[`${N}pod-uid`], second.metadata.uid)
      assert.equal(metadata.finalizers, [`${N}ip-allocated`])
    }
  }))

test('an evicted pod of a set is reserved while it still exists, and the next one has its address', () =>
  withManager(async (rig) => {
    const pod = await rig.pod('out-0', { statefulSet: 'fake' })
    const before = await rig.served('out-0')
    await rig.client.patchStatus('merge', PODS, pod.metadata, {
      status: {
        phase: 'Failed',
        reason: 'Evicted',
        containerStatuses: [{ name: 'test', state: { terminated: { exitCode: 137 } } }],
      },
    })
    const kept = await reserved(rig, 'out-0')
    assert.equal(texts(kept), texts(before))
    assert.match(
      await eventually(async () => (await rig.events('Pod', 'out-0', 'IPReserveSucceed'))[0] ?? null),
      /reserved 192\.168\.56\.2/,
    )
    const left = await rig.client.get<Pod>(PODS, pod.metadata)
    assert.equal(left.metadata.finalizers ?? [], [], 'nothing holds it any more')
    await restart(rig, 'out-0', {})
    assert.equal(texts(await rig.served('out-0')), texts(before))
  }))

test('a retained address counts as used and is given to nobody else', () =>
  withManager(async (rig) => {
    await rig.pod('keep-0', { statefulSet: 'fake' })
    const [kept] = await rig.served('keep-0')
    await rig.deletePod('keep-0')
    await reserved(rig, 'keep-0')
    await rig.pod('other')
    const [other] = await rig.served('other')
    assert.is.not(other?.spec?.address.ip, kept?.spec?.address.ip)
  }))

test('D45: nothing is reserved while a container runs, unless its node is gone', () =>
  withManager(async (rig) => {
    const pod = await rig.pod('busy-0', { statefulSet: 'fake' })
    await rig.served('busy-0')
    const running = (on: boolean) => ({
      status: { containerStatuses: [{ name: 'test', state: on ? { running: {} } : { terminated: { exitCode: 0 } } }] },
    })
    await rig.client.patchStatus('merge', PODS, pod.metadata, running(true))
    await rig.deletePod('busy-0')
    await new Promise((resolve) => setTimeout(resolve, 1000))
    assert.is((await rig.served('busy-0')).length, 1, 'still bound')
    await rig.client.patchStatus('merge', PODS, pod.metadata, running(false))
    await reserved(rig, 'busy-0')
    await podGone(rig, 'busy-0')

    const lost = await rig.pod('lost-0', { statefulSet: 'fake', node: 'node2' })
    await rig.served('lost-0')
    await rig.client.patchStatus('merge', PODS, lost.metadata, running(true))
    await rig.deletePod('lost-0')
    await rig.client.delete(NODES, { name: 'node2' })
    await reserved(rig, 'lost-0')
    await podGone(rig, 'lost-0')
  }))

for (const [what, strand] of [
  ['that cannot be heard, deleted by force,', { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } }],
  ['out of service', { spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] } }],
] as const) {
  test(`a pod of a node ${what} leaves though its container is said to run`, () =>
    withManager(async (rig) => {
      const pod = await rig.pod('stuck-0', { statefulSet: 'fake', node: 'node2' })
      await rig.served('stuck-0')
      const containerStatuses = [{ name: 'test', state: { running: {} } }]
      await rig.client.patchStatus('merge', PODS, pod.metadata, { status: { containerStatuses } })
      await rig.deletePod('stuck-0')
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.is((await rig.served('stuck-0')).length, 1, 'still bound')
      if ('status' in strand) await rig.client.patchStatus('merge', NODES, { name: 'node2' }, strand)
      else await rig.client.patch('merge', NODES, { name: 'node2' }, strand)
      await reserved(rig, 'stuck-0')
      await podGone(rig, 'stuck-0')
    }))
}

test('D31: ip-retain: false gives the address back and takes a new one', () =>
  withManager(async (rig) => {
    const annotations = { 'ip-retain': 'false' }
    await rig.pod('free-0', { statefulSet: 'fake', annotations })
    const [before] = await rig.served('free-0')
    await restart(rig, 'free-0', { annotations })
    const [after] = await rig.served('free-0')
    assert.is.not(after?.spec?.address.ip, before?.spec?.address.ip)
    assert.is((await rig.instances()).length, 1)

    // Kept so far, not wanted any more.
    await rig.pod('change-0', { statefulSet: 'fake' })
    const [kept] = await rig.served('change-0')
    await restart(rig, 'change-0', { annotations })
    await eventually(async () => {
      const now = await rig.instances('change-0')
      return now.length === 1 && now[0]?.spec?.address.ip !== kept?.spec?.address.ip
    })
  }))

test('ip-pool gives each ordinal its address, and another one when the pool changes', () =>
  withManager(async (rig) => {
    const pool = (text: string): PodOptions => ({
      statefulSet: 'fake',
      annotations: { 'specified-network': 'overlay-network', 'ip-pool': text },
    })
    const addresses = ['100.10.0.150', '100.10.0.160', '100.10.0.170']
    for (const index of [0, 1, 2]) await rig.pod(`pool-${index}`, pool(addresses.join(',')))
    for (const index of [0, 1, 2]) {
      const [instance] = await rig.served(`pool-${index}`)
      assert.is(instance?.spec?.address.ip, `${addresses[index] ?? ''}/24`)
      assert.is(instance?.spec?.binding?.stateful?.index, index)
    }
    const [same] = await rig.served('pool-0')
    await restart(rig, 'pool-0', pool('100.10.0.150,100.10.0.160'))
    const [again] = await rig.served('pool-0')
    assert.equal(texts([present(again)]), texts([present(same)]), 'the same object and MAC')

    await restart(rig, 'pool-0', pool('100.10.0.152,100.10.0.160'))
    await eventually(async () => {
      const now = (await rig.instances('pool-0')).filter((instance) => !instance.metadata.deletionTimestamp)
      return now.length === 1 && now[0]?.spec?.address.ip === '100.10.0.152/24' && now[0].spec.binding?.nodeName !== ''
    }, 8000)

    for (const [name, text, reason] of [
      ['bad-0', 'nonsense', /not an IPv4 or IPv6 address/],
      ['bad-5', '100.10.0.1', /none for ordinal 5/],
      ['taken-0', '100.10.0.160', /held by default\/pool-1/],
      ['six-0', 'fe80::20', /does not fit the ip-family IPv4Only/],
    ] as const) {
      await rig.pod(name, pool(text))
      assert.match(await eventually(async () => (await rig.events('Pod', name, 'IPAllocationFail'))[0] ?? null), reason)
    }
  }))

test('mac-pool gives each ordinal its MAC, which it keeps; a MAC in use is refused', () =>
  withManager(async (rig) => {
    const pool = { 'mac-pool': '00:16:ea:ae:3c:40,0800.200a.8c6d,08-00-20-0A-0A-40' }
    for (const index of [0, 1, 2]) await rig.pod(`mac-${index}`, { statefulSet: 'fake', annotations: pool })
    const macs = await Promise.all(
      [0, 1, 2].map(async (index) => (await rig.served(`mac-${index}`))[0]?.spec?.address.mac),
    )
    assert.equal(macs, ['00:16:ea:ae:3c:40', '08:00:20:0a:8c:6d', '08:00:20:0a:0a:40'])
    await restart(rig, 'mac-0', {})
    assert.is((await rig.served('mac-0'))[0]?.spec?.address.mac, '00:16:ea:ae:3c:40')
    await rig.pod('thief-0', { statefulSet: 'other', annotations: pool })
    assert.match(
      await eventually(async () => (await rig.events('Pod', 'thief-0', 'IPAllocationFail'))[0] ?? null),
      /00:16:ea:ae:3c:40 is used by IPInstance default\//,
    )
    await rig.pod('plain-0', { annotations: pool })
    assert.match((await rig.served('plain-0'))[0]?.spec?.address.mac ?? '', /^02:12:34:/)
  }))

test('objects deleted by hand while the pod goes do not keep it', () =>
  withManager(async (rig) => {
    await rig.pod('clean-0', { statefulSet: 'fake', annotations: overlay({ 'ip-family': 'DualStack' }) })
    const instances = await rig.served('clean-0', 2)
    await Promise.all([
      rig.deletePod('clean-0'),
      ...instances.map((instance) => rig.client.delete(IPINSTANCES, instance.metadata).catch(() => undefined)),
    ])
    await podGone(rig, 'clean-0')
    await eventually(async () => (await rig.instances('clean-0')).length === 0, 8000)
  }))

test('D60: a pod whose kind is not stateful any more loses the finalizer', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const manager = rig.manager()
    await rig.pod('was-0', { statefulSet: 'fake' })
    await rig.served('was-0')
    await manager.stop()
    await rig.deletePod('was-0')
    await rig.manager({ defaults: { statefulKinds: ['Tidb'] } }).leading
    await podGone(rig, 'was-0')
  }))

test.run()
