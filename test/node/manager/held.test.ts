// The address of a pod that still runs is not given up, whoever asks for it. The simulation of the control plane found each.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, PODS, type IPInstance } from '../../../lib/api/index.ts'
import { podView } from '../../../lib/manager/views/pod.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig, type Rig } from './rig.ts'

const podIP = (ip: string, running: boolean) => ({
  status: {
    podIP: ip,
    podIPs: [{ ip }],
    containerStatuses: [{ name: 'test', state: running ? { running: {} } : { terminated: { exitCode: 0 } } }],
  },
})

async function withPod(body: (rig: Rig, address: { namespace: string; name: string }, ip: string) => Promise<void>) {
  await withRig(async (rig) => {
    await fixture(rig)
    rig.manager()
    await rig.pod('db-0', { statefulSet: 'db' })
    const [instance] = await rig.served('db-0')
    const { metadata, spec } = present(instance)
    await body(rig, { namespace: 'default', name: metadata.name }, spec?.address.ip.split('/')[0] ?? '')
  })
}

test('an IPInstance deleted under a running pod is held until the pod has stopped', () =>
  withPod(async (rig, address, ip) => {
    await rig.client.patchStatus('merge', PODS, { namespace: 'default', name: 'db-0' }, podIP(ip, true))
    // As the garbage collector does with all that a deleted workload owns.
    await rig.client.delete(IPINSTANCES, address)
    await rig.pod('witness')
    await rig.served('witness')
    await rig.pod('late')
    await new Promise((resolve) => setTimeout(resolve, 5000))
    const held = await rig.client.get(IPINSTANCES, address)
    assert.ok(held.metadata.deletionTimestamp)
    await rig.client.patchStatus('merge', PODS, { namespace: 'default', name: 'db-0' }, podIP(ip, false))
    await rig.deletePod('db-0')
    await eventually(async () => (await rig.client.find(IPINSTANCES, address)) === null, 30_000)
  }))

test('an IPInstance deleted under a pod that shows no sign of running is let go', () =>
  withPod(async (rig, address) => {
    const before = await rig.client.get(IPINSTANCES, address)
    await rig.client.delete(IPINSTANCES, address)
    await eventually(async () => {
      const now = await rig.client.find(IPINSTANCES, address)
      return now?.metadata.uid !== before.metadata.uid
    }, 30_000)
  }))

test('a stateful pod of which nothing was reported keeps its address until its kubelet lets it go', () =>
  withPod(async (rig, address) => {
    await rig.client.delete(PODS, { namespace: 'default', name: 'db-0' })
    await rig.pod('witness')
    await rig.served('witness')
    const bound = await rig.client.get<IPInstance>(IPINSTANCES, address)
    assert.is(bound.spec?.binding?.nodeName, 'node1')
    await rig.deletePod('db-0')
    await eventually(async () => {
      const { spec } = await rig.client.get<IPInstance>(IPINSTANCES, address)
      return spec?.binding?.nodeName === ''
    }, 30_000)
  }))

test('what counts as stopped', () => {
  const stopped = (status: object, grace?: number): boolean | undefined => {
    const deleted = grace === undefined ? {} : { deletionTimestamp: 'T', deletionGracePeriodSeconds: grace }
    const metadata = { name: 'p', namespace: 'n', uid: 'u', ...deleted }
    return podView({ metadata, spec: { nodeName: 'node1', containers: [{ name: 'c' }] }, status })?.stopped
  }
  const containers = (state: object) => ({ containerStatuses: [{ name: 'c', state }] })
  assert.is(stopped({}, 30), false, 'nothing reported: it may be starting')
  assert.is(stopped(containers({ waiting: {} }), 30), false, 'its sandbox may be there')
  assert.is(stopped(containers({ running: {} }), 0), false)
  assert.is(stopped(containers({ terminated: {} }), 30), true)
  assert.is(stopped({}, 0), true, 'the kubelet has let it go, or somebody did not wait for it')
  assert.is(stopped(containers({ waiting: {} }), 0), true)
  assert.is(stopped({ phase: 'Failed' }), true)
})

test.run()
