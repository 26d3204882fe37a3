// A pod that leaves: terminating, evicted, failed or completed (manager.md §2.4).
//
//   stateful   its addresses are reserved once no container runs, or released when they are not to be kept (D31)
//   machine    the addresses of a VirtualMachine are reserved for its next pod, or go with it when it goes
//   plain      finished: its addresses are released at once; deleted: the garbage collector takes them with the pod
//
// Then our finalizer comes off, also from a pod whose kind is not stateful any more (D60).
import { FINALIZER_IP_ALLOCATED, PODS, isStateful, machine, type OwnerReference } from '../../api/index.ts'
import { formatAddress } from '../../ip/index.ts'
import type { AddressRecord, Allocator } from '../../ipam/index.ts'
import { involvedObject, isNotFound, type EventRecorder, type KubeClient } from '../../kube/index.ts'
import type { Cluster } from '../cluster.ts'
import { retains } from '../decide/owner.ts'
import type { InstanceStore } from '../instance-store.ts'
import type { Defaults } from '../options.ts'
import type { NodeView } from '../views/node.ts'
import type { Instance } from '../views/instance.ts'
import type { PodView } from '../views/pod.ts'
import type { VirtualMachines } from '../virtual-machines.ts'

export interface LeavingOptions {
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly allocator: Allocator
  readonly store: InstanceStore
  readonly events: EventRecorder
  readonly defaults: Defaults
  /** Null without the gate VMIPRetain. */
  readonly machines: VirtualMachines | null
}

export async function leave(pod: PodView, options: LeavingOptions): Promise<void> {
  const { allocator, defaults, store } = options
  const records = allocator
    .ofPod(pod.namespace, pod.name)
    .filter((record) => record.phase !== 'releasing' && record.phase !== 'quarantined')
  // A claim in flight may have become an object, which then is kept or released like the others.
  for (const record of records) if (record.phase === 'claimed') await store.settle(record)
  const held = records.filter((record) => record.phase === 'live' || record.phase === 'reserved')
  const instances = held.map((record) => {
    const instance = options.cluster.instanceAt(record.namespace, record.address)
    // Written a moment ago: what is seen of it may be what it was before, reserved for instance.
    if (instance === null || instance.version < record.version)
      throw new Error(`the IPInstance of ${formatAddress(record.address)} was not seen yet`)
    return instance
  })
  // A pod orphaned by its workload is known by the owner its addresses have.
  const owner = pod.controller ?? instances.find((instance) => instance.controller !== null)?.controller ?? null
  if (!isStateful(owner, defaults.statefulKinds)) {
    // By what it holds, not by its VirtualMachineInstance, which may be gone already (D24).
    const own = instances.map(({ controller }) => machine(controller)).find((one) => one !== null)
    if (own !== undefined) return await leaveMachine(pod, own, held, instances, options)
    if (pod.finished) await release(pod, held, options)
    await removeFinalizer(pod, options)
    return
  }
  if (!pod.stopped && !isStranded(pod, options.cluster.nodes.store.get(pod.nodeName))) return
  if (retains({ ...pod, controller: owner }, defaults)) {
    await reserve(pod, held, instances, false, options)
  } else {
    await release(pod, held, options)
  }
  await removeFinalizer(pod, options)
}

/** A pod whose addresses belong to a VirtualMachine. */
async function leaveMachine(
  pod: PodView,
  owner: OwnerReference,
  held: readonly AddressRecord[],
  instances: readonly Instance[],
  options: LeavingOptions,
): Promise<void> {
  const { cluster, machines } = options
  const ending = machines?.isEnding(pod, owner)
  if (machines !== null && ending === undefined) return
  // A machine that goes takes its addresses with it, by the garbage collector.
  if (ending !== true) {
    if (!pod.stopped && !isStranded(pod, cluster.nodes.store.get(pod.nodeName))) return
    // With the gate turned off nobody would ever come for them.
    if (machines === null) await release(pod, held, options)
    else await reserve(pod, held, instances, true, options)
  }
  await removeFinalizer(pod, options)
}

async function reserve(
  pod: PodView,
  held: readonly AddressRecord[],
  instances: readonly Instance[],
  dropPod: boolean,
  options: LeavingOptions,
): Promise<void> {
  const fresh = instances.filter((instance) => !instance.reserved || instance.statusLeft)
  // All are over before the next attempt begins: one that comes late would undo what follows.
  const results = await Promise.allSettled(fresh.map((instance) => options.store.reserve(instance, dropPod)))
  for (const result of results) if (result.status === 'rejected') throw result.reason as Error
  if (fresh.some((instance) => !instance.reserved)) say(pod, 'IPReserveSucceed', 'reserved', held, options)
}

/**
 * Whether the last report of the pod's kubelet need not be believed, as no other will come (D45): the node is gone, or said
 * to run nothing, or cannot be heard while somebody who must know better has deleted the pod by force.
 */
export function isStranded(pod: PodView, node: NodeView | undefined): boolean {
  return node === undefined || node.outOfService || (pod.forced && !node.ready)
}

async function release(pod: PodView, held: readonly AddressRecord[], options: LeavingOptions): Promise<void> {
  // Of this life only: another pod of the name may have come already.
  const own = held.filter((record) => record.podUID === pod.uid || record.podUID === '')
  if (own.length === 0) return
  await options.store.remove(own)
  say(pod, 'IPReleaseSucceed', 'released', own, options)
}

async function removeFinalizer(pod: PodView, { client }: LeavingOptions): Promise<void> {
  if (!pod.held) return
  const body = { metadata: { uid: pod.uid, '$deleteFromPrimitiveList/finalizers': [FINALIZER_IP_ALLOCATED] } }
  try {
    await client.patch('strategic', PODS, pod, body)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

function say(
  pod: PodView,
  reason: string,
  what: string,
  records: readonly AddressRecord[],
  { events }: LeavingOptions,
): void {
  const addresses = records.map((record) => formatAddress(record.address)).join(', ')
  events.event(involvedObject(PODS, pod), 'Normal', reason, `${what} ${addresses}`)
}
