// What must hold of all objects together, however they came to be (manager.md §6.7).
import * as assert from 'uvu/assert'
import { SUBNETS, type IPInstance, type Subnet } from '../../../lib/api/index.ts'
import { eventually } from '../../support/eventually.ts'
import type { Rig } from './rig.ts'

/** Asks for an address of each family on the overlay. */
export const dual = { 'network-type': 'Overlay', 'ip-family': 'DualStack' }

/** Each pod has one address per family and one MAC, and no address or MAC is held twice, terminating objects included. */
export function assertSound(instances: readonly IPInstance[], pods: number): void {
  const addresses = instances.map((instance) => instance.spec?.address.ip)
  assert.is(new Set(addresses).size, addresses.length, 'no address twice')
  const byPod = new Map<string, IPInstance[]>()
  for (const instance of instances) {
    const pod = `${instance.metadata.namespace ?? ''}/${instance.spec?.binding?.podName ?? ''}`
    byPod.set(pod, [...(byPod.get(pod) ?? []), instance])
  }
  assert.is(byPod.size, pods, 'every pod is served')
  for (const [pod, own] of byPod) {
    assert.equal(own.map((instance) => instance.spec?.address.version).sort(), ['4', '6'], pod)
    assert.is(new Set(own.map((instance) => instance.spec?.address.mac)).size, 1, `${pod}: one MAC`)
    assert.is(new Set(own.map((instance) => instance.spec?.binding?.podUID)).size, 1, `${pod}: one life`)
  }
  const macs = [...byPod.values()].map(([instance]) => instance?.spec?.address.mac)
  assert.is(new Set(macs).size, pods, 'no MAC twice')
}

/** Resolves when the objects have not changed for a moment, and returns them. */
export async function settled(rig: Rig, count: number): Promise<IPInstance[]> {
  let last = ''
  let since = performance.now()
  return await eventually(
    async () => {
      const now = await rig.instances()
      const text = now.map(({ metadata }) => metadata.uid).join()
      if (text !== last) since = performance.now()
      last = text
      return now.length === count && performance.now() - since > 400 ? now : null
    },
    20_000,
    50,
  )
}

/** The numbers of the subnets agree with the objects. */
export async function assertCounted(rig: Rig, used: Readonly<Record<string, number>>): Promise<void> {
  for (const [name, count] of Object.entries(used)) {
    await eventually(async () => {
      const subnet = await rig.client.get<Subnet>(SUBNETS, { name })
      assert.is(subnet.status?.used, count, name)
      assert.is((subnet.status?.available ?? 0) + count, subnet.status?.total)
      return true
    }, 20_000)
  }
}

export async function manyPods(rig: Rig, prefix: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) => rig.pod(`${prefix}-${index}`, { node: 'node3', annotations: dual })),
  )
}
