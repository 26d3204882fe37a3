// Pods get their addresses: a manager over HTTP against the embedded API server, with the original's fixture.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, NETWORKS, PODS, type IPInstance, type Network, type Pod } from '../../../lib/api/index.ts'
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

test('a plain pod gets one IPInstance exactly as the contract says', () =>
  withManager(async (rig) => {
    const pod = await rig.pod('plain')
    const [instance] = await rig.served('plain')
    const { metadata, spec } = present(instance)
    assert.is(metadata.name, '192-168-56-2')
    assert.is(metadata.namespace, 'default')
    assert.equal(metadata.finalizers, [`${N}ip-allocated`])
    assert.equal(metadata.labels, {
      [`${N}version`]: 'v1.2',
      [`${N}network`]: 'underlay-network',
      [`${N}subnet`]: 'underlay-subnet',
      [`${N}node`]: 'node1',
      [`${N}pod`]: 'plain',
      [`${N}pod-uid`]: pod.metadata.uid,
    })
    assert.equal(metadata.ownerReferences, [
      {
        apiVersion: 'v1',
        kind: 'Pod',
        name: 'plain',
        uid: pod.metadata.uid,
        controller: true,
        blockOwnerDeletion: false,
      },
    ])
    const { mac, ...address } = present(spec).address
    assert.match(mac, /^02:12:34(:[0-9a-f]{2}){3}$/)
    assert.equal(address, { version: '4', ip: '192.168.56.2/24', gateway: '192.168.56.1', netID: 100 })
    assert.equal(present(spec).binding, {
      referredObject: { kind: 'Pod', name: 'plain', uid: pod.metadata.uid },
      nodeName: 'node1',
      podUID: pod.metadata.uid,
      podName: 'plain',
      held: 'until the pod ends',
    })
    assert.match(
      await eventually(async () => (await rig.events('Pod', 'plain', 'IPAllocationSucceed'))[0] ?? null),
      /192\.168\.56\.2/,
    )
    const stored = await rig.client.get<Pod>(PODS, pod.metadata)
    assert.equal(stored.metadata.finalizers ?? [], [], 'a plain pod gets no finalizer')
  }))

test('network, family and subnet by annotation, label and namespace', () =>
  withManager(async (rig) => {
    await rig.namespace('by-network', { 'specified-network': 'overlay-network' })
    await rig.namespace('by-type', { 'network-type': 'overlay', 'ip-family': 'dualstack' })
    const cases: [string, PodOptions, string[]][] = [
      [
        'type-family',
        { node: 'node3', annotations: { 'network-type': 'Overlay', 'ip-family': 'IPv6' } },
        ['overlay-ipv6-subnet'],
      ],
      [
        'dual',
        { node: 'node3', annotations: { 'network-type': 'Overlay', 'ip-family': 'DualStack' } },
        ['overlay-ipv4-subnet', 'overlay-ipv6-subnet'],
      ],
      ['annotation', { annotations: { 'specified-network': 'underlay-network' } }, ['underlay-subnet']],
      ['label', { labels: { 'specified-network': 'overlay-network' } }, ['overlay-ipv4-subnet']],
      ['namespace', { namespace: 'by-network' }, ['overlay-ipv4-subnet']],
      ['namespace-dual', { namespace: 'by-type' }, ['overlay-ipv4-subnet', 'overlay-ipv6-subnet']],
      ['subnet', { annotations: { 'specified-subnet': 'overlay-ipv4-subnet' } }, ['overlay-ipv4-subnet']],
      [
        'handled',
        {
          annotations: {
            'handled-by-webhook': 'true',
            'specified-network': 'overlay-network',
            'specified-subnet': 'overlay-ipv4-subnet/overlay-ipv6-subnet',
            'ip-family': 'DualStack',
          },
        },
        ['overlay-ipv4-subnet', 'overlay-ipv6-subnet'],
      ],
    ]
    await Promise.all(cases.map(([name, options]) => rig.pod(name, options)))
    for (const [name, , subnets] of cases) {
      const found = await rig.served(name, subnets.length)
      assert.equal(
        found.map((instance) => instance.spec?.subnet),
        subnets,
        name,
      )
      assert.is(new Set(found.map((instance) => instance.spec?.address.mac)).size, 1, 'one MAC')
      assert.is(new Set(found.map((instance) => instance.spec?.network)).size, 1, 'one network')
    }
  }))

test('a deleted pod gives its address back: usage first, then the object', () =>
  withManager(async (rig) => {
    const manager = rig.manager()
    assert.is(manager.isLeading(), false, 'the second one waits')
    await rig.pod('short')
    await rig.served('short')
    await eventually(async () => {
      const network = await rig.client.get<Network>(NETWORKS, { name: 'underlay-network' })
      return network.status?.statistics?.used === 1
    })
    await rig.deletePod('short')
    await eventually(async () => (await rig.instances('short')).length === 0)
    await eventually(async () => {
      const network = await rig.client.get<Network>(NETWORKS, { name: 'underlay-network' })
      return network.status?.statistics?.used === 0 && network.status.statistics.available === 253
    })
  }))

test('D30: a finished pod gives its address back while it still exists', () =>
  withManager(async (rig) => {
    const done = await rig.pod('done')
    const failed = await rig.pod('failed')
    await Promise.all([rig.served('done'), rig.served('failed')])
    const status = (phase: string, reason?: string) => ({
      status: {
        phase,
        ...(reason ? { reason } : {}),
        containerStatuses: [{ name: 'test', state: { terminated: { exitCode: 0 } } }],
      },
    })
    await rig.client.patchStatus('merge', PODS, done.metadata, status('Succeeded'))
    await rig.client.patchStatus('merge', PODS, failed.metadata, status('Failed', 'Evicted'))
    await eventually(async () => (await rig.instances()).length === 0)
    assert.match(
      await eventually(async () => (await rig.events('Pod', 'done', 'IPReleaseSucceed'))[0] ?? null),
      /released/,
    )
    await rig.client.patch('merge', PODS, done.metadata, { metadata: { labels: { touched: 'again' } } })
    await rig.pod('after')
    await rig.served('after')
    assert.is((await rig.events('Pod', 'done', 'IPReleaseSucceed')).length, 1, 'told once')
  }))

test('two hundred pods at once: no address twice, no MAC twice', () =>
  withManager(async (rig) => {
    await rig.namespace('other')
    const started = performance.now()
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        rig.pod(`many-${index}`, {
          node: 'node3',
          namespace: index % 2 === 0 ? 'default' : 'other',
          annotations: { 'network-type': 'Overlay', 'ip-family': 'DualStack' },
        }),
      ),
    )
    const instances = await eventually(async () => {
      const all = await rig.instances()
      return all.length >= 400 ? all : null
    }, 20000)
    const elapsed = performance.now() - started
    assert.is(instances.length, 400)
    assert.is(new Set(instances.map((instance) => instance.spec?.address.ip)).size, 400, 'addresses')
    const byPod = new Map<string, Set<string>>()
    for (const instance of instances) {
      const pod = instance.spec?.binding?.podName ?? ''
      byPod.set(pod, (byPod.get(pod) ?? new Set()).add(instance.spec?.address.mac ?? ''))
    }
    assert.is(byPod.size, 200)
    assert.ok([...byPod.values()].every((macs) => macs.size === 1))
    assert.is(new Set([...byPod.values()].flatMap((macs) => [...macs])).size, 200, 'MACs')
    console.log(`200 dual-stack pods in ${Math.round(elapsed)} ms`)
  }))

test('D12: pods that find no address get one as soon as one comes free', () =>
  withManager(async (rig) => {
    await rig.network('tiny', { type: 'Underlay', netID: 7, nodeSelector: { tiny: 'yes' } })
    await rig.subnet('tiny', 'tiny', '10.7.0.0/30', { gateway: '10.7.0.1' })
    await rig.node('tiny1', { tiny: 'yes' })
    await rig.pod('first', { node: 'tiny1' })
    await rig.served('first')
    await rig.pod('second', { node: 'tiny1' })
    assert.match(
      await eventually(async () => (await rig.events('Pod', 'second', 'IPAllocationFail'))[0] ?? null),
      /network "tiny" has no IPv4 subnet with a free address/,
    )
    // Let the back-off grow, then see that it is not waited out.
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await rig.deletePod('first')
    const [instance] = await rig.served('second', 1, 1500)
    assert.is(instance?.spec?.address.ip, '10.7.0.2/30')
    assert.is((await rig.events('Pod', 'second', 'IPAllocationFail')).length, 1, 'the same failure is told once')
  }))

test('a pod that was placed before its network exists is served when it does', () =>
  withRig(async (rig) => {
    await rig.manager().leading
    await rig.node('node1', { network: 'late' })
    await rig.pod('early')
    await eventually(async () => (await rig.events('Pod', 'early', 'IPAllocationFail'))[0] ?? null)
    await rig.network('late', { type: 'Underlay', netID: 3, nodeSelector: { network: 'late' } })
    await rig.subnet('late', 'late', '10.3.0.0/24', { gateway: '10.3.0.1' })
    assert.is((await rig.served('early'))[0]?.spec?.network, 'late')
  }))

test('host-network pods, unbound pods and pods outside the selector are left alone', () =>
  withRig(async (rig) => {
    await rig.manager({ podLabelSelector: 'skip notin (yes)' }).leading
    await fixture(rig)
    const spec = { containers: [{ name: 'test', image: 'test' }] }
    await rig.create(PODS, {
      metadata: { name: 'host', namespace: 'default' },
      spec: { ...spec, nodeName: 'node1', hostNetwork: true },
    })
    await rig.create(PODS, { metadata: { name: 'unbound', namespace: 'default' }, spec })
    await rig.pod('skipped', { labels: { '/skip': '' }, annotations: {} }).catch(() => undefined)
    await rig.create(PODS, {
      metadata: { name: 'outside', namespace: 'default', labels: { skip: 'yes' } },
      spec: { ...spec, nodeName: 'node1' },
    })
    await rig.pod('inside')
    await rig.served('inside')
    assert.equal(
      (await rig.instances()).map((instance) => instance.spec?.binding?.podName),
      ['inside'],
    )
  }))

test('D6, D11: half a dual-stack pod is completed with the same MAC, strays are removed', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const annotations = { 'network-type': 'Overlay', 'ip-family': 'DualStack' }
    const half = await rig.pod('half', { annotations })
    const many = await rig.pod('many', { annotations })
    const instance = (pod: Pod, name: string, ip: string, subnet: string, mac: string): unknown => ({
      metadata: {
        name,
        namespace: 'default',
        finalizers: [`${N}ip-allocated`],
        labels: { [`${N}pod`]: pod.metadata.name, [`${N}pod-uid`]: pod.metadata.uid, [`${N}node`]: 'node1' },
      },
      spec: {
        network: 'overlay-network',
        subnet,
        address: { version: ip.includes(':') ? '6' : '4', ip, mac },
        binding: {
          referredObject: { kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
          nodeName: 'node1',
          podUID: pod.metadata.uid,
          podName: pod.metadata.name,
        },
      },
    })
    const v4 = 'overlay-ipv4-subnet'
    await rig.create(IPINSTANCES, instance(half, '100-10-0-9', '100.10.0.9/24', v4, '02:12:34:00:00:09'))
    await rig.create(IPINSTANCES, instance(many, '100-10-0-20', '100.10.0.20/24', v4, '02:12:34:00:00:20'))
    await rig.create(IPINSTANCES, instance(many, '100-10-0-21', '100.10.0.21/24', v4, '02:12:34:00:00:20'))
    await rig.create(
      IPINSTANCES,
      instance(many, 'fe80-0-0-0-0-0-0-9', 'fe80::9/120', 'overlay-ipv6-subnet', '02:12:34:00:00:20'),
    )
    await rig.manager().leading
    const [first, second] = await rig.served('half', 2)
    assert.is(first?.metadata.name, '100-10-0-9')
    assert.is(second?.spec?.subnet, 'overlay-ipv6-subnet')
    assert.is(second?.spec?.address.mac, '02:12:34:00:00:09')
    const left = await rig.served('many', 2)
    assert.equal(
      left.map((one: IPInstance) => one.metadata.name),
      ['100-10-0-20', 'fe80-0-0-0-0-0-0-9'],
    )
  }))

test.run()
