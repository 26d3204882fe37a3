// Whose address it is: who owns the IPInstance of a pod, and how long it outlives the pod (manager.md §1.6, §2.2).
import { isStateful, parseBool, type OwnerReference } from '../../api/index.ts'
import type { Defaults } from '../options.ts'
import type { PodView } from '../views/pod.ts'

export function retains(pod: PodView, defaults: Defaults): boolean {
  return isStateful(pod.controller, defaults.statefulKinds) && parseBool(pod.ipRetain, defaults.ipRetain)
}

/** What a pod's addresses outlive it for. */
export interface Keeper {
  /** They belong to its name and ordinal. */
  readonly stateful: boolean
  /** They belong to its VirtualMachine; null for other pods. */
  readonly machine: OwnerReference | null
}

/** The owner reference of the pod's IPInstances: the stateful workload as it is, the VirtualMachine, else the pod. */
export function ownerOf(pod: PodView, { stateful, machine }: Keeper): OwnerReference {
  if (stateful && pod.controller !== null) return pod.controller
  if (machine !== null) return machine
  return { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid, controller: true, blockOwnerDeletion: false }
}
