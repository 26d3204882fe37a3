// Addresses of KubeVirt VirtualMachines (manager.md §2.9, api.md §3.9, gate VMIPRetain) and the defects D24, D25, D36, D57,
// D58 of the original.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  IPINSTANCES,
  PODS,
  VIRTUAL_MACHINES,
  VIRTUAL_MACHINE_INSTANCES,
  podNameLabel,
  type IPInstance,
  type Pod,
} from '../../../lib/api/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'
import { eventually } from '../../support/eventually.ts'
import {
  createInstance,
  createLauncher,
  createMachine,
  installKubeVirt,
  removeKubeVirt,
  type LauncherOptions,
} from '../../support/kubevirt.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig, type Rig } from './rig.ts'

const N = 'networking.alibaba.com/'
const PATIENCE = 30_000
const overlay = { [`${N}network-type`]: 'Overlay' }
const dual = { ...overlay, [`${N}ip-family`]: 'DualStack' }
const here = (name: string): { namespace: string; name: string } => ({ namespace: 'default', name })

async function withMachines(
  body: (rig: Rig) => Promise<void>,
  { kubeVirt = true, ...options }: Parameters<Rig['manager']>[0] & { kubeVirt?: boolean } = {},
): Promise<void> {
  await withRig(async (rig) => {
    if (kubeVirt) await installKubeVirt(rig.client)
    await rig.manager({ virtualMachines: true, ...options }).leading
    await fixture(rig)
    await body(rig)
  })
}

/** A running machine. @returns machine, its instance, its pod */
async function run(
  rig: Rig,
  name: string,
  pod: string,
  options: LauncherOptions = { annotations: overlay },
): Promise<[KubeObject, KubeObject, Pod]> {
  const machine = await createMachine(rig.client, name)
  const instance = await createInstance(rig.client, name, machine)
  return [machine, instance, await createLauncher(rig.client, pod, instance, options)]
}

/** IPInstances bound to the pod, as soon as there are that many. */
const served = (rig: Rig, pod: string, count = 1): Promise<IPInstance[]> => rig.served(pod, count, PATIENCE)

const podGone = (rig: Rig, name: string): Promise<true> =>
  eventually(async () => (await rig.client.find(PODS, here(name))) === null, PATIENCE)

const addresses = (instances: readonly IPInstance[]): string[] =>
  instances.map(({ spec }) => `${spec?.address.ip} ${spec?.address.mac}`)

/** All IPInstances are reserved. */
const reserved = (rig: Rig): Promise<IPInstance[]> =>
  eventually(async () => {
    const found = await rig.instances()
    return found.length > 0 && found.every(({ spec }) => !spec?.binding?.nodeName) ? found : null
  }, PATIENCE)

const failure = (rig: Rig, pod: string): Promise<string> =>
  eventually(async () => (await rig.events('Pod', pod, 'IPAllocationFail'))[0] ?? null, PATIENCE)

test('a machine keeps its addresses over its pods, by its name', () =>
  withMachines(async (rig) => {
    const [machine, instance, pod] = await run(rig, 'vm1', 'virt-launcher-vm1-aaa', { annotations: dual })
    const before = await served(rig, 'virt-launcher-vm1-aaa', 2)
    for (const { metadata, spec } of before) {
      assert.is(metadata.labels?.[`${N}vm`], 'vm1')
      assert.is(metadata.labels?.[`${N}pod`], 'virt-launcher-vm1-aaa')
      const { uid = '' } = machine.metadata
      assert.equal(metadata.ownerReferences, [
        { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'vm1', uid, controller: true, blockOwnerDeletion: false }, // prettier-ignore
      ])
      assert.equal(spec?.binding?.referredObject, { kind: 'VirtualMachine', name: 'vm1', uid })
      assert.is(spec?.binding?.stateful ?? null, null)
      assert.is(spec?.binding?.held, 'until VirtualMachine vm1 is deleted')
    }
    assert.equal((await rig.client.get<Pod>(PODS, pod.metadata)).metadata.finalizers, [`${N}ip-allocated`])

    await rig.client.delete(VIRTUAL_MACHINE_INSTANCES, instance.metadata, { propagationPolicy: 'Orphan' })
    await rig.deletePod('virt-launcher-vm1-aaa')
    await podGone(rig, 'virt-launcher-vm1-aaa')
    for (const { metadata, spec } of await reserved(rig)) {
      assert.equal(Object.keys(metadata.labels ?? {}).sort(), ['network', 'subnet', 'version', 'vm'].map((key) => N + key)) // prettier-ignore
      assert.is(spec?.binding?.podName ?? '', '')
      assert.is(spec?.binding?.podUID ?? '', '')
      assert.is(spec?.binding?.held, 'for its next pod, until VirtualMachine vm1 is deleted')
    }
    assert.is((await rig.events('Pod', 'virt-launcher-vm1-aaa', 'IPReserveSucceed')).length, 1)

    // The next run asks for nothing: what the machine has decides.
    const next = await createInstance(rig.client, 'vm1', machine)
    await createLauncher(rig.client, 'virt-launcher-vm1-bbb', next, { node: 'node3' })
    assert.equal(addresses(await served(rig, 'virt-launcher-vm1-bbb', 2)), addresses(before))
    assert.is((await rig.instances()).length, 2)
    const [bound] = await rig.instances('virt-launcher-vm1-bbb')
    assert.is(present(bound).metadata.labels?.[`${N}pod`], 'virt-launcher-vm1-bbb')
    assert.is(present(bound).spec?.binding?.nodeName, 'node3')
  }))

test('a machine that is deleted takes its addresses with it; nothing is reserved', () =>
  withMachines(async (rig) => {
    const [machine, instance] = await run(rig, 'vm1', 'launcher-a')
    await served(rig, 'launcher-a')
    await rig.client.delete(VIRTUAL_MACHINES, machine.metadata, { propagationPolicy: 'Background' })
    await rig.client.delete(VIRTUAL_MACHINE_INSTANCES, instance.metadata).catch(() => undefined)
    await rig.deletePod('launcher-a').catch(() => undefined)
    await podGone(rig, 'launcher-a')
    await eventually(async () => (await rig.instances()).length === 0, PATIENCE)
    assert.equal(await rig.events('Pod', 'launcher-a', 'IPReserveSucceed'), [])
  }))

test('D24: a pod whose VirtualMachineInstance is gone leaves, and its machine keeps the address', () =>
  withMachines(async (rig) => {
    const [, instance] = await run(rig, 'vm1', 'launcher-a')
    const before = await served(rig, 'launcher-a')
    await rig.client.delete(VIRTUAL_MACHINE_INSTANCES, instance.metadata, { propagationPolicy: 'Orphan' })
    await rig.deletePod('launcher-a')
    await podGone(rig, 'launcher-a')
    assert.equal(addresses(await reserved(rig)), addresses(before))
    // Also with the machine and its kind gone, and the owner taken off the pod.
    await run(rig, 'vm2', 'launcher-b')
    await served(rig, 'launcher-b')
    await rig.client.patch('merge', PODS, here('launcher-b'), { metadata: { ownerReferences: null } })
    await removeKubeVirt(rig.client)
    await rig.deletePod('launcher-b')
    await podGone(rig, 'launcher-b')
  }))

test('D25: the second pod of a machine waits, says why, and gets the address when the first has ended', () =>
  withMachines(async (rig) => {
    const [, instance] = await run(rig, 'vm1', 'source')
    const before = await served(rig, 'source')
    const running = { containerStatuses: [{ name: 'compute', state: { running: {} } }] }
    await rig.client.patchStatus('merge', PODS, here('source'), { status: { phase: 'Running', ...running } })
    await createLauncher(rig.client, 'target', instance, { node: 'node2', annotations: overlay })
    assert.match(
      await failure(rig, 'target'),
      /VirtualMachine "vm1" has 100\.10\.0\.\d+ with its pod source until that has ended; this pod gets them then/,
    )
    assert.is((await rig.instances()).length, 1, 'no second address for one machine')
    // Deleted while its container runs: the address stays with it.
    await rig.client.delete(PODS, here('source'), { gracePeriodSeconds: 30 })
    await eventually(async () => (await rig.client.get<Pod>(PODS, here('source'))).metadata.deletionTimestamp, PATIENCE)
    assert.is((await rig.instances('source')).length, 1)
    const ended = { containerStatuses: [{ name: 'compute', state: { terminated: { exitCode: 0 } } }] }
    await rig.client.patchStatus('merge', PODS, here('source'), { status: ended })
    assert.equal(addresses(await served(rig, 'target')), addresses(before))
    assert.is((await rig.instances()).length, 1)
    for (const message of await rig.events('Pod', 'target', 'IPAllocationFail')) {
      assert.match(message, /^.*VirtualMachine "vm1" has .* with its pod source/, 'it was told nothing else')
    }
  }))

test('D25: two pods of a machine that come at once get one address between them', () =>
  withMachines(async (rig) => {
    const machine = await createMachine(rig.client, 'vm1')
    const instance = await createInstance(rig.client, 'vm1', machine)
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(names.map((name) => createLauncher(rig.client, name, instance, { annotations: overlay })))
    const [first] = await eventually(async () => {
      const found = await rig.instances()
      return found.length > 0 ? found : null
    }, PATIENCE)
    const winner = first?.spec?.binding?.podName ?? ''
    for (const name of names) if (name !== winner) await failure(rig, name)
    assert.is((await rig.instances()).length, 1)
  }))

test('D36: a KubeVirt API that does not answer costs no other pod', () =>
  withMachines(
    async (rig) => {
      const machine = await createMachine(rig.client, 'vm1')
      const instance = await createInstance(rig.client, 'vm1', machine)
      const fault = rig.server.faults.add({ verb: 'get', resource: 'virtualmachineinstances', effect: 'stall' })
      for (let i = 0; i < 10; i++) await createLauncher(rig.client, `launcher-${i}`, instance, { annotations: overlay })
      await eventually(() => fault.hit > 0, PATIENCE)
      await rig.pod('plain')
      await served(rig, 'plain')
      assert.is((await rig.instances()).length, 1, 'pods of machines wait meanwhile')
      fault.remove()
      await eventually(async () => (await rig.instances()).length === 2, PATIENCE)
    },
    { concurrency: { pod: 1 } },
  ))

test('D57: a machine with a name longer than a label value', () =>
  withMachines(async (rig) => {
    const name = `machine-${'x'.repeat(90)}`
    const other = `${name.slice(0, -1)}y`
    const [machine] = await run(rig, name, 'launcher-a')
    await run(rig, other, 'launcher-b')
    const [before] = await served(rig, 'launcher-a')
    await served(rig, 'launcher-b')
    assert.is(present(before).metadata.labels?.[`${N}vm`], podNameLabel(name))
    assert.is(present(before).spec?.binding?.referredObject?.name, name)
    await rig.client.delete(VIRTUAL_MACHINE_INSTANCES, here(name), { propagationPolicy: 'Orphan' })
    await rig.deletePod('launcher-a')
    await podGone(rig, 'launcher-a')
    const next = await createInstance(rig.client, name, machine)
    await createLauncher(rig.client, 'launcher-c', next)
    assert.equal(addresses(await served(rig, 'launcher-c')), addresses([present(before)]))
  }))

test('D58: a re-bind that stops halfway is completed with what the machine has', () =>
  withMachines(async (rig) => {
    const [machine, instance] = await run(rig, 'vm1', 'launcher-a', { annotations: dual })
    const before = await served(rig, 'launcher-a', 2)
    await rig.client.delete(VIRTUAL_MACHINE_INSTANCES, instance.metadata, { propagationPolicy: 'Orphan' })
    await rig.deletePod('launcher-a')
    await podGone(rig, 'launcher-a')
    await reserved(rig)
    const ipv6 = present(before[1]).metadata.name
    const fault = rig.server.faults.add({ verb: 'patch', resource: 'ipinstances', name: ipv6, status: 503, times: 6 })
    const next = await createInstance(rig.client, 'vm1', machine)
    // Written without the gate: the family of annotations is not what the machine has.
    const handled = { ...overlay, [`${N}ip-family`]: 'IPv4Only', [`${N}handled-by-webhook`]: 'true' }
    await createLauncher(rig.client, 'launcher-b', next, { annotations: handled })
    assert.equal(addresses(await served(rig, 'launcher-b', 2)), addresses(before))
    assert.ok(fault.hit > 0, 'the second half failed at first')
    assert.is((await rig.instances()).length, 2, 'and nothing was deleted')
  }))

test('without the gate, a VirtualMachine or its kind, a launcher is a plain pod', async () => {
  const plain = async (rig: Rig, pod: string): Promise<void> => {
    const [found] = await served(rig, pod)
    assert.is(present(found).metadata.ownerReferences?.[0]?.kind, 'Pod')
    assert.is(present(found).metadata.labels?.[`${N}vm`], undefined)
    assert.is((await rig.client.get<Pod>(PODS, here(pod))).metadata.finalizers ?? null, null)
  }
  await withMachines(
    async (rig) => {
      await run(rig, 'vm1', 'launcher-a')
      await plain(rig, 'launcher-a')
    },
    { virtualMachines: false },
  )
  await withMachines(
    async (rig) => {
      // The kind does not exist: an instance as a pod may still name it.
      const ghost = { metadata: { name: 'vm0', namespace: 'default', uid: 'ghost' } } as KubeObject
      await createLauncher(rig.client, 'launcher-a', ghost, { annotations: overlay })
      await rig.pod('other')
      await plain(rig, 'launcher-a')
      await served(rig, 'other')
      // KubeVirt arrives while the manager runs.
      await installKubeVirt(rig.client)
      await createLauncher(rig.client, 'launcher-b', await createInstance(rig.client, 'alone', null), { annotations: overlay }) // prettier-ignore
      await plain(rig, 'launcher-b')
      await run(rig, 'vm1', 'launcher-c')
      assert.is((await served(rig, 'launcher-c'))[0]?.metadata.labels?.[`${N}vm`], 'vm1')
    },
    { kubeVirt: false },
  )
})

test('a pod that vanished unseen does not keep the address; the gate turned off lets go of it', () =>
  withRig(async (rig) => {
    await installKubeVirt(rig.client)
    const first = rig.manager({ virtualMachines: true })
    await first.leading
    await fixture(rig)
    const [machine, instance] = await run(rig, 'vm1', 'launcher-a')
    const before = await served(rig, 'launcher-a')
    await first.stop()
    // Nobody looks: deleted by force, finalizer and all.
    await rig.client.patch('merge', PODS, here('launcher-a'), { metadata: { finalizers: null } })
    await rig.deletePod('launcher-a')
    await podGone(rig, 'launcher-a')
    const second = rig.manager({ virtualMachines: true })
    await second.leading
    await createLauncher(rig.client, 'launcher-b', instance, { annotations: overlay })
    assert.equal(addresses(await served(rig, 'launcher-b')), addresses(before))
    await second.stop()
    await rig.manager({ virtualMachines: false }).leading
    await rig.deletePod('launcher-b')
    await podGone(rig, 'launcher-b')
    await eventually(async () => (await rig.client.list(IPINSTANCES)).items.length === 0, PATIENCE)
    assert.ok(await rig.client.find(VIRTUAL_MACHINES, machine.metadata))
  }))

test.run()
