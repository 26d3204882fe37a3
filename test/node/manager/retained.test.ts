// Addresses kept for pods that do not come back (manager.md D44): counted, explained, and given up when an expiry says so.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, PODS, type IPInstance } from '../../../lib/api/index.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig, type Rig } from './rig.ts'

const limitMs = 20_000

async function reserve(rig: Rig, pod: string): Promise<IPInstance> {
  await rig.pod(pod, { statefulSet: 'fake' })
  await rig.served(pod, 1, limitMs)
  await rig.deletePod(pod)
  return await eventually(async () => {
    const [instance] = await rig.instances(pod)
    return instance?.spec?.binding?.nodeName === '' && instance.status?.updateTimestamp ? instance : null
  }, limitMs)
}

const held = (rig: Rig, instance: IPInstance): Promise<string> =>
  rig.client.get<IPInstance>(IPINSTANCES, instance.metadata).then((object) => object.spec?.binding?.held ?? '(nothing)')

const series = async (registry: Registry, name: string): Promise<number> =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await registry.metrics())?.[1])

test('D44: what is retained is counted; without an owner it is told, and says that only its own deletion ends it', () =>
  withRig(async (rig) => {
    const registry = new Registry()
    const manager = rig.manager({ registry })
    await manager.leading
    await fixture(rig)
    const kept = await reserve(rig, 'web-0')
    const other = await reserve(rig, 'web-1')
    await eventually(async () => (await series(registry, 'hybridnet_ipam_retained_addresses')) === 2, limitMs)
    assert.is(await series(registry, 'hybridnet_ipam_orphaned_addresses'), 0)
    assert.is(await held(rig, kept), 'for the pod to come back, until StatefulSet fake is deleted')

    // As `kubectl delete statefulset --cascade=orphan` leaves it.
    await rig.client.patch('merge', IPINSTANCES, kept.metadata, { metadata: { ownerReferences: null } })
    await eventually(async () => (await series(registry, 'hybridnet_ipam_orphaned_addresses')) === 1, limitMs)
    await eventually(async () => (await held(rig, kept)).endsWith('until this object is deleted'), limitMs)
    const told = await eventually(
      async () => (await rig.events('IPInstance', kept.metadata.name, 'IPOrphaned'))[0] ?? null,
      limitMs,
    )
    assert.match(told, /delete this object/)

    // Written by the original: the next leader explains it.
    await manager.stop()
    await rig.client.patch('merge', IPINSTANCES, other.metadata, { spec: { binding: { held: null } } })
    const next = new Registry()
    await rig.manager({ registry: next }).leading
    await eventually(async () => (await held(rig, other)).startsWith('for the pod to come back'), limitMs)
    assert.is(await series(next, 'hybridnet_ipam_orphaned_addresses'), 1)

    await rig.client.delete(IPINSTANCES, kept.metadata)
    await eventually(async () => (await series(next, 'hybridnet_ipam_retained_addresses')) === 1, limitMs)
    assert.is(await series(next, 'hybridnet_ipam_orphaned_addresses'), 0)
  }))

test('D44: an expiry frees what no pod came back for, and nothing that a pod has or waits for', () =>
  withRig(async (rig) => {
    const registry = new Registry()
    const manager = rig.manager({ registry, retainedExpiryMs: 3_600_000 })
    await manager.leading
    await fixture(rig)
    const gone = await reserve(rig, 'gone-0')
    const until = await eventually(async () => / or (\S+Z)$/.exec(await held(rig, gone))?.[1] ?? null, limitMs)
    const left = Date.parse(until) - Date.parse(present(gone.status?.updateTimestamp))
    assert.ok(left > 3_590_000 && left < 3_660_000, `an hour after the reservation, not ${left} ms`)
    const waits = await reserve(rig, 'waits-0')
    await rig.pod('runs-0', { statefulSet: 'fake' })
    await rig.served('runs-0', 1, limitMs)
    await manager.stop()

    // No scheduler has found a node for it yet.
    await rig.create(PODS, {
      metadata: { name: 'waits-0', namespace: 'default' },
      spec: { containers: [{ name: 'test', image: 'test' }] },
    })
    await rig.manager({ registry: new Registry(), retainedExpiryMs: 1000 }).leading
    await eventually(async () => (await rig.instances('gone-0')).length === 0, limitMs)
    assert.match((await rig.events('IPInstance', gone.metadata.name, 'IPExpired'))[0] ?? '', /gone-0/)
    // A look at the others, which come after it in the same queue.
    const late = await reserve(rig, 'late-0')
    await eventually(async () => (await rig.instances('late-0')).length === 0, limitMs)
    assert.is.not(late.metadata.uid, gone.metadata.uid)
    assert.is((await rig.instances('waits-0'))[0]?.metadata.uid, waits.metadata.uid)
    assert.is((await rig.instances('runs-0'))[0]?.spec?.binding?.nodeName, 'node1')
  }))

test.run()
