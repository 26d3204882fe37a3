// An API server restored from a backup: no address of a pod that runs is given to another one, and what the backup lacks is
// written again as it was, by the manager that knew it and by one that only knows what the pods report.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, PODS, type IPInstance } from '../../../lib/api/index.ts'
import { parseAddress } from '../../../lib/ip/index.ts'
import type { Manager } from '../../../lib/manager/index.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig, type Rig } from './rig.ts'
import { dual } from './soundness.ts'

const patience = 40_000
const overlay = { 'network-type': 'Overlay' }
const node = 'node3'

/** A backup is older than a moment: what is written after it must not soon come past what was seen. */
async function grow(rig: Rig, { metadata }: IPInstance): Promise<void> {
  for (let index = 0; index < 300; index++) {
    await rig.client.patch('merge', IPINSTANCES, metadata, { metadata: { annotations: { index: String(index) } } })
  }
}

/** What a kubelet reports of a pod that runs, or has ended. */
async function report(rig: Rig, name: string, addresses: readonly string[], phase = 'Running'): Promise<void> {
  const state = phase === 'Running' ? { running: {} } : { terminated: { exitCode: 0 } }
  const status = {
    phase,
    podIP: addresses[0],
    podIPs: addresses.map((ip) => ({ ip })),
    containerStatuses: [{ name: 'test', image: 'test', imageID: '', ready: true, restartCount: 0, state }],
  }
  await rig.client.patchStatus('merge', PODS, { name, namespace: 'default' }, { status })
}

const ips = (instances: readonly IPInstance[]): string[] =>
  instances.map((instance) => (instance.spec?.address.ip ?? '').split('/')[0] ?? '')
const macs = (instances: readonly IPInstance[]): unknown[] => instances.map((instance) => instance.spec?.address.mac)

const phaseOf = (manager: Manager, address: string): string | undefined =>
  manager.allocator?.record('overlay-ipv4-subnet', parseAddress(address))?.phase

test('what the manager knew and the backup lacks is written again: same address, same MAC', () =>
  withRig(async (rig) => {
    await fixture(rig)
    await rig.pod('plain', { node, annotations: dual })
    await rig.pod('web-0', { node, annotations: dual, statefulSet: 'web' })
    const { version } = rig.server
    const manager = rig.manager()
    await manager.leading
    const before = [...(await rig.served('plain', 2, patience)), ...(await rig.served('web-0', 2, patience))]
    await grow(rig, present(before[0]))
    await rig.server.restart({ state: version })
    assert.equal(await rig.instances(), [])
    await rig.pod('new', { node, annotations: dual })
    const after = [...(await rig.served('plain', 2, patience)), ...(await rig.served('web-0', 2, patience))]
    assert.equal(ips(after), ips(before))
    assert.equal(macs(after), macs(before))
    const fresh = await rig.served('new', 2, patience)
    assert.not(ips(fresh).some((ip) => ips(before).includes(ip)))
    await eventually(() => assert.equal(manager.report()?.heldWithoutInstance, []), patience)
  }))

test('a new leader knows by the pods alone: reported addresses are theirs, whoever asks first', () =>
  withRig(async (rig) => {
    await fixture(rig)
    await rig.pod('plain', { node, annotations: dual })
    await rig.pod('ended', { node, annotations: overlay })
    const { version } = rig.server
    const first = rig.manager()
    await first.leading
    const before = await rig.served('plain', 2, patience)
    const ended = await rig.served('ended', 1, patience)
    await first.stop()
    await rig.server.restart({ state: version })
    // What the kubelets say again; the IPInstances are of after the backup.
    await report(rig, 'plain', ips(before))
    await report(rig, 'ended', ips(ended), 'Succeeded')
    for (let index = 0; index < 6; index++) await rig.pod(`a-${index}`, { node, annotations: overlay })
    await rig.manager().leading
    const after = await rig.served('plain', 2, patience)
    assert.equal(ips(after), ips(before))
    assert.is(new Set(macs(after)).size, 1)
    const others: string[] = []
    for (let index = 0; index < 6; index++) others.push(...ips(await rig.served(`a-${index}`, 1, patience)))
    assert.not(others.some((ip) => ips(before).includes(ip)))
    assert.ok(
      ips(ended).every((ip) => others.includes(ip)),
      'what a finished pod had is free',
    )
  }))

test('objects of before are what they are, whatever was known of them after', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const manager = rig.manager()
    await manager.leading
    await rig.pod('web-0', { node, annotations: overlay, statefulSet: 'web' })
    await rig.pod('plain', { node, annotations: overlay })
    const [web] = await rig.served('web-0', 1, patience)
    const [plain] = await rig.served('plain', 1, patience)
    // Something else holds it, so that its end stays on the way.
    await rig.client.patch('merge', IPINSTANCES, present(plain).metadata, {
      metadata: { finalizers: ['networking.alibaba.com/ip-allocated', 'test/kept'] },
    })
    const { version } = rig.server
    await rig.client.delete(IPINSTANCES, present(plain).metadata)
    await rig.deletePod('web-0')
    const [webIP = '', plainIP = ''] = ips([present(web), present(plain)])
    await eventually(() => assert.is(phaseOf(manager, webIP), 'reserved'), patience)
    await eventually(() => assert.is(phaseOf(manager, plainIP), 'quarantined'), patience)
    await grow(rig, present(plain))
    await rig.server.restart({ state: version })
    await eventually(() => assert.is(phaseOf(manager, webIP), 'live'), patience)
    await eventually(() => assert.is(phaseOf(manager, plainIP), 'live'), patience)
    const [again] = await rig.served('web-0', 1, patience)
    assert.is(again?.metadata.uid, web?.metadata.uid)
  }))

test('an IPInstance that vanishes: the pod that runs gets it again, what still runs holds its address', () =>
  withRig(async (rig) => {
    await fixture(rig)
    await rig.network('tiny', { type: 'Underlay', netID: 7, nodeSelector: { tiny: 'yes' } })
    await rig.subnet('tiny', 'tiny', '10.7.0.0/29', { gateway: '10.7.0.1', end: '10.7.0.3' })
    await rig.node('tiny1', { tiny: 'yes' })
    const manager = rig.manager()
    await manager.leading
    await rig.pod('runs', { node: 'tiny1' })
    await rig.pod('leaves', { node: 'tiny1' })
    const [runs] = await rig.served('runs', 1, patience)
    const [leaves] = await rig.served('leaves', 1, patience)
    await report(rig, 'runs', ips([present(runs)]))
    await report(rig, 'leaves', ips([present(leaves)]))
    const ref = { name: 'leaves', namespace: 'default' }
    await rig.client.patch('merge', PODS, ref, { metadata: { finalizers: ['test/kept'] } })
    await rig.client.delete(PODS, ref, { gracePeriodSeconds: 30 })
    for (const { metadata } of [present(leaves), present(runs)]) {
      await rig.client.patch('merge', IPINSTANCES, metadata, { metadata: { finalizers: null } })
      await rig.client.delete(IPINSTANCES, metadata)
    }
    await rig.pod('waits', { node: 'tiny1' })
    const again = await eventually(async () => {
      const [instance] = await rig.instances('runs')
      return instance !== undefined && instance.metadata.uid !== runs?.metadata.uid ? instance : null
    }, patience)
    assert.equal(ips([again]), ips([present(runs)]))
    assert.equal(macs([again]), macs([present(runs)]))
    assert.equal(await rig.instances('waits'), [], 'no address is free')
    const held = present(manager.report()).heldWithoutInstance
    assert.equal(
      held.map(({ address, pod }) => [address, pod]),
      [[ips([present(leaves)])[0], 'default/leaves']],
    )
    assert.match(held[0]?.held ?? '', /run with it/)
    // Nothing of it runs any more.
    await report(rig, 'leaves', ips([present(leaves)]), 'Succeeded')
    assert.equal(ips(await rig.served('waits', 1, patience)), ips([present(leaves)]))
  }))

test.run()
