// KubeVirt: the pods of a VirtualMachine have changing names (virt-launcher-...), so an address that is to outlive them
// belongs to the machine (api.md §3.9, manager.md §2.9; gate VMIPRetain).
//
//   pod ── controller ──► VirtualMachineInstance ── controller ──► VirtualMachine
//
// A VirtualMachineInstance without a machine is as ephemeral as its pod. Kinds of these names in other groups are none of these.
import type { KubeObject, OwnerReference } from './meta.ts'
import { controllerOf } from './meta.ts'
import { VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES, type ResourceType } from './resources.ts'

const isOf = (owner: OwnerReference, { group, kind }: ResourceType): boolean =>
  owner.kind === kind && owner.apiVersion.split('/', 1)[0] === group

/** The VirtualMachineInstance that a controller reference of a pod means; null when it means something else. */
export function machineInstance(controller: OwnerReference | null): OwnerReference | null {
  return controller !== null && isOf(controller, VIRTUAL_MACHINE_INSTANCES) ? controller : null
}

/** The VirtualMachine that a controller reference means; null when it means something else. */
export function machine(controller: OwnerReference | null): OwnerReference | null {
  return controller !== null && isOf(controller, VIRTUAL_MACHINES) ? controller : null
}

/**
 * The VirtualMachine of a pod, as owner of its addresses.
 *
 * @param instance the pod's controller
 * @param found the object of that name now, null when there is none (nor the kind); another life of it is not the pod's
 */
export function machineOfInstance(instance: OwnerReference, found: KubeObject | null): OwnerReference | null {
  if (found === null || found.metadata.uid !== instance.uid) return null
  const owner = machine(controllerOf(found))
  return owner === null ? null : { ...owner, controller: true, blockOwnerDeletion: false }
}
