// The addresses of a VirtualMachine, whichever of its pods has them (manager.md §2.9).
import { PODS, type KubeObject } from '../../api/index.ts'
import type { AddressRecord, Allocator } from '../../ipam/index.ts'
import type { KubeClient } from '../../kube/index.ts'
import type { Cluster } from '../cluster.ts'
import type { InstanceStore } from '../instance-store.ts'
import type { PodView } from '../views/pod.ts'

export interface MachineOptions {
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly allocator: Allocator
  readonly store: InstanceStore
}

/**
 * Records of the machine. Claims and what was written a moment ago are in memory only, by pod; what is reserved has no pod
 * and is found by its object.
 *
 * @param pod one of its pods: all that is under its name counts
 * @param label name of the machine as a label value
 * @param others keys of its other pods
 */
export function recordsOfMachine(
  { key, namespace, name }: PodView,
  label: string,
  others: readonly string[],
  { allocator, cluster }: Pick<MachineOptions, 'allocator' | 'cluster'>,
): readonly AddressRecord[] {
  const records = new Set(allocator.ofPod(namespace, name))
  for (const other of others) {
    if (other === key) continue
    for (const record of allocator.ofPod(namespace, other.slice(namespace.length + 1))) {
      const instance = cluster.instanceAt(record.namespace, record.address)
      // What was given before the gate was turned on belongs to the pod, and is of no concern to the other pods.
      if (instance === null || instance.vm === label) records.add(record)
    }
  }
  for (const instance of cluster.instancesOfMachine(namespace, label)) {
    for (const address of instance.addresses) {
      const record = allocator.record(instance.subnet, address)
      if (record?.uid === instance.uid) records.add(record)
    }
  }
  return [...records]
}

/** Reserves what the machine has with pods that are gone without having been seen leaving. */
export async function reclaim(
  pod: PodView,
  records: readonly AddressRecord[],
  { client, cluster, store }: MachineOptions,
): Promise<void> {
  for (const record of records) {
    if (record.phase !== 'live' || record.podUID === pod.uid) continue
    if (cluster.pods.store.has(`${record.namespace}/${record.pod}`)) continue
    const instance = cluster.instanceAt(record.namespace, record.address)
    if (instance === null) continue
    // The local copy has only pods to be handled, and may be behind.
    const found = await client.find<KubeObject>(PODS, { namespace: record.namespace, name: record.pod })
    if (found === null || found.metadata.uid !== record.podUID) await store.reserve(instance, true)
  }
}
