// What must not happen, whatever breaks: one address twice, an address lost, one bad object stopping the others.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, SUBNETS, type Subnet } from '../../../lib/api/index.ts'
import { eventually } from '../../support/eventually.ts'
import { FaultProxy } from '../../support/fault-proxy.ts'
import { present } from '../../support/present.ts'
import { fixture, withRig } from './rig.ts'
import { assertCounted, assertSound, dual, manyPods, settled } from './soundness.ts'

test('answers that get lost: what was created is found, not made again', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const proxy = await FaultProxy.start(rig.server.url)
    try {
      await rig.manager({ server: proxy.url, concurrency: { pod: 4 } }).leading
      await manyPods(rig, 'lossy', 40)
      await eventually(async () => (await rig.instances()).length > 0, 20_000, 20)
      for (let index = 0; index < 40; index++) {
        proxy.loseNextAnswer()
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
      assert.ok(proxy.lost > 5, `${proxy.lost} answers lost`)
      const instances = await settled(rig, 80)
      assertSound(instances, 40)
      await assertCounted(rig, { 'overlay-ipv4-subnet': 40, 'overlay-ipv6-subnet': 40 })
    } finally {
      await proxy.close()
    }
  }))

test('D10, D61: two managers at once: one works; when it is cut off the other takes over, and the first writes no more', () =>
  withRig(async (rig) => {
    await fixture(rig)
    const lease = { durationMs: 4000, renewDeadlineMs: 2500, retryPeriodMs: 200 }
    const proxy = await FaultProxy.start(rig.server.url)
    try {
      const first = rig.manager({ server: proxy.url, lease })
      await first.leading
      const second = rig.manager({ lease })
      await manyPods(rig, 'a', 20)
      await eventually(async () => (await rig.instances()).length > 10, 20_000, 20)
      assert.is(second.isLeading(), false)
      proxy.stall()
      await manyPods(rig, 'b', 20)
      await second.leading
      const error = await first.ended
      assert.match(present(error).message, /leadership .* lost/)
      proxy.heal()
      const instances = await settled(rig, 80)
      assertSound(instances, 40)
    } finally {
      await proxy.close()
    }
  }))

test('D20: overlapping, malformed and orphaned objects stop only themselves, and say so', () =>
  withRig(async (rig) => {
    await fixture(rig)
    // Age decides between two that overlap, and it is known to the second.
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await rig.network('second-overlay', { type: 'Overlay', mode: 'VXLAN', netID: 5 })
    await rig.network('nonsense', { type: 'Nonsense' })
    await rig.subnet('overlapping', 'overlay-network', '100.10.0.0/25')
    await rig.subnet('unreadable', 'overlay-network', 'not a network')
    await rig.subnet('excludes', 'overlay-network', '100.11.0.0/24', { excludeIPs: ['100.11.0.1', 'rubbish'] })
    await rig.subnet('outside', 'overlay-network', '100.12.0.0/24', { gateway: '10.0.0.1' })
    await rig.subnet('tiny', 'overlay-network', '100.13.0.0/31')
    await rig.subnet('orphaned', 'no-network', '100.14.0.0/24')
    await rig.create(IPINSTANCES, {
      metadata: { name: 'rubbish', namespace: 'default', finalizers: ['networking.alibaba.com/ip-allocated'] },
      spec: { network: 'overlay-network', subnet: 'overlay-ipv4-subnet', address: { version: '4', ip: '?', mac: '' } },
    })
    await rig.manager().leading
    await rig.pod('well', { node: 'node3', annotations: dual })
    await rig.served('well', 2)
    for (const [kind, name, text] of [
      ['Subnet', 'overlapping', /overlaps 100\.10\.0\.0\/24 of subnet "overlay-ipv4-subnet"/],
      ['Subnet', 'unreadable', /spec\.range\.cidr is "not a network"/],
      ['Subnet', 'excludes', /spec\.range\.excludeIPs\[1\] is "rubbish"/],
      ['Subnet', 'outside', /spec\.range\.gateway is "10\.0\.0\.1"/],
      ['Subnet', 'tiny', /spec\.range\.cidr is "100\.13\.0\.0\/31"/],
      ['Subnet', 'orphaned', /spec\.network "no-network" does not exist/],
      ['Network', 'second-overlay', /one network of type Overlay/],
      ['Network', 'nonsense', /spec\.type is "Nonsense"/],
    ] as const) {
      const message = await eventually(async () => (await rig.events(kind, name, `${kind}NotServed`))[0] ?? null)
      assert.match(message, text)
    }
    await eventually(async () => (await rig.events('IPInstance', 'rubbish', 'Malformed'))[0] ?? null)
    await rig.client.delete(IPINSTANCES, { namespace: 'default', name: 'rubbish' })
    await eventually(
      async () => (await rig.client.find(IPINSTANCES, { namespace: 'default', name: 'rubbish' })) === null,
    )

    // What was wrong is put right: they serve.
    await rig.network('no-network', { type: 'Underlay', netID: 9, nodeSelector: { a: 'b' } })
    await eventually(async () => (await rig.events('Subnet', 'orphaned', 'SubnetServed'))[0] ?? null)
    await eventually(async () => (await rig.client.get<Subnet>(SUBNETS, { name: 'orphaned' })).status?.total === 254)
    await rig.client.delete(SUBNETS, { name: 'overlapping' })
    await rig.pod('later', { node: 'node3', annotations: dual })
    await rig.served('later', 2)
  }))

test('D9: an address held in two namespaces: the older stays, the other pod gets another one', () =>
  withRig(async (rig) => {
    await fixture(rig)
    await rig.namespace('other')
    const overlay = { 'network-type': 'Overlay' }
    const make = async (namespace: string): Promise<void> => {
      const pod = await rig.pod('twin', { namespace, annotations: overlay })
      await rig.create(IPINSTANCES, {
        metadata: {
          name: '100-10-0-7',
          namespace,
          finalizers: ['networking.alibaba.com/ip-allocated'],
          labels: {},
        },
        spec: {
          network: 'overlay-network',
          subnet: 'overlay-ipv4-subnet',
          address: { version: '4', ip: '100.10.0.7/24', mac: `02:12:34:00:00:0${namespace === 'other' ? 1 : 2}` },
          binding: {
            referredObject: { kind: 'Pod', name: 'twin', uid: pod.metadata.uid },
            nodeName: 'node1',
            podUID: pod.metadata.uid,
            podName: 'twin',
          },
        },
      })
    }
    await make('default')
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await make('other')
    const manager = rig.manager()
    await manager.leading
    const instances = await eventually(async () => {
      const all = await rig.instances('twin')
      const other = all.find((instance) => instance.metadata.namespace === 'other')
      return all.length === 2 && other?.metadata.name !== '100-10-0-7' ? all : null
    }, 12_000)
    const kept = instances.find((instance) => instance.metadata.namespace === 'default')
    assert.is(kept?.metadata.name, '100-10-0-7')
    assert.ok((await rig.events('IPInstance', '100-10-0-7', 'AddressConflict')).length > 0)
    assert.is(manager.allocator?.subnetUsage('overlay-ipv4-subnet')?.used, 2)
  }))

test.run()
