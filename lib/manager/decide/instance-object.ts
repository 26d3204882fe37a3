// IPInstances as written: the object of a new address, and the patches that bind, reserve and finish one. Node daemons, the
// original's included, read exactly this (manager.md §1.6, Appendix A).
import {
  FINALIZER_IP_ALLOCATED,
  IPINSTANCE_VERSION,
  LABEL_NETWORK,
  LABEL_NODE,
  LABEL_POD,
  LABEL_POD_UID,
  LABEL_SUBNET,
  LABEL_VERSION,
  LABEL_VM,
  addressToName,
  macToText,
  podNameLabel,
  podOrdinal,
  type IPInstance,
  type OwnerReference,
} from '../../api/index.ts'
import { familyOf, formatAddress, formatInterfaceAddress } from '../../ip/index.ts'
import type { Claim } from '../../ipam/index.ts'
import type { Instance } from '../views/instance.ts'
import type { PodView } from '../views/pod.ts'

function labels(claim: Claim, { pod, machine }: Holder): Record<string, string> {
  return {
    [LABEL_VERSION]: IPINSTANCE_VERSION,
    [LABEL_NETWORK]: claim.network,
    [LABEL_SUBNET]: claim.subnet,
    [LABEL_NODE]: pod.nodeName,
    [LABEL_POD]: podNameLabel(pod.name),
    [LABEL_POD_UID]: pod.uid,
    // Names of machines may be longer than a label value (D57).
    ...(machine === null ? {} : { [LABEL_VM]: podNameLabel(machine) }),
  }
}

function referred(owner: OwnerReference): { kind: string; name: string; uid: string } {
  return { kind: owner.kind, name: owner.name, uid: owner.uid }
}

/** How the addresses of one pod are bound to it. */
export interface Holder {
  readonly pod: PodView
  readonly owner: OwnerReference
  readonly stateful: boolean
  /** The address outlives the pod, for the next one of its name or of its machine. */
  readonly retain: boolean
  /** Name of the VirtualMachine whose pod it is, null for others. */
  readonly machine: string | null
}

/** `spec.binding.held` of a bound address. */
function heldByPod({ owner, retain }: Holder): string {
  return retain ? `until ${owner.kind} ${owner.name} is deleted` : 'until the pod ends'
}

/** `spec.binding.held` of a reserved address; without an owner nobody collects it (D44). */
function heldForPod(owner: OwnerReference | null, dropPod: boolean): string {
  const end = owner === null ? 'this object' : `${owner.kind} ${owner.name}`
  return `for ${dropPod ? 'its next pod' : 'the pod to come back'}, until ${end} is deleted`
}

/**
 * `spec.binding.held` of a reserved object as it should be.
 *
 * @param until when it expires; null: never
 */
export function heldWhileReserved(
  instance: { readonly controller: OwnerReference | null; readonly podName: string },
  until: Date | null,
): string {
  const held = heldForPod(instance.controller, instance.podName === '')
  return until === null ? held : `${held} or ${rfc3339(until)}`
}

/** The object of a new address, named after it, in the pod's namespace. */
export function newInstance(claim: Claim, holder: Holder, mac: number): IPInstance {
  const { pod, owner } = holder
  return {
    apiVersion: 'networking.alibaba.com/v1',
    kind: 'IPInstance',
    metadata: {
      name: addressToName(claim.address),
      namespace: pod.namespace,
      finalizers: [FINALIZER_IP_ALLOCATED],
      labels: labels(claim, holder),
      ownerReferences: [owner],
    },
    spec: {
      network: claim.network,
      subnet: claim.subnet,
      address: {
        version: String(familyOf(claim.address)),
        ip: formatInterfaceAddress({ address: claim.address, length: claim.prefixLength }),
        ...(claim.gateway === undefined ? {} : { gateway: formatAddress(claim.gateway) }),
        ...(claim.netID === undefined ? {} : { netID: claim.netID }),
        mac: macToText(mac),
      },
      binding: {
        referredObject: referred(owner),
        nodeName: pod.nodeName,
        podUID: pod.uid,
        podName: pod.name,
        ...(holder.stateful ? { stateful: { index: podOrdinal(pod.name) } } : {}),
        held: heldByPod(holder),
      },
    },
  }
}

/**
 * Merge patch that gives an existing object to a pod. `spec.address` never changes; foreign finalizers stay. The UID makes
 * the server refuse it for another object of the name, the version for one that has changed: a patch whose answer got lost may
 * arrive long after, when the object has been given on.
 */
export function bindPatch(claim: Claim, holder: Holder, finalizers: readonly string[]): object {
  const { pod, owner } = holder
  const { uid, version } = claim.record
  return {
    metadata: {
      uid,
      resourceVersion: String(version),
      finalizers: [...new Set([...finalizers, FINALIZER_IP_ALLOCATED])],
      labels: labels(claim, holder),
      ownerReferences: [owner],
    },
    spec: {
      network: claim.network,
      subnet: claim.subnet,
      binding: {
        referredObject: referred(owner),
        nodeName: pod.nodeName,
        podUID: pod.uid,
        podName: pod.name,
        stateful: holder.stateful ? { index: podOrdinal(pod.name) } : null,
        held: heldByPod(holder),
      },
    },
  }
}

/**
 * Merge patch to the reserved form; owner, index, address and MAC stay.
 *
 * @param dropPod the name of the pod goes too: the next pod of a VirtualMachine has another one
 */
export function reservePatch(
  { uid, version, controller }: Pick<Instance, 'uid' | 'version' | 'controller'>,
  dropPod: boolean,
): object {
  const labels = { [LABEL_NODE]: null, [LABEL_POD_UID]: null, ...(dropPod ? { [LABEL_POD]: null } : {}) }
  const podName = dropPod ? { podName: null } : {}
  return {
    metadata: { uid, resourceVersion: String(version), labels },
    spec: { binding: { nodeName: '', podUID: null, ...podName, held: heldForPod(controller, dropPod) } },
  }
}

/** To the second, as Kubernetes writes times. */
function rfc3339(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Merge patch of the status of a reserved object: no sandbox has it. */
export function reserveStatusPatch(resourceVersion: string, now: Date): object {
  const updateTimestamp = rfc3339(now)
  const metadata = { resourceVersion }
  return { metadata, status: { podName: null, podNamespace: null, nodeName: null, sandboxID: null, updateTimestamp } }
}

/** Merge patch that lets a terminating object go, as far as it is up to us: only the own finalizer (D52). */
export function finishPatch(finalizers: readonly string[], resourceVersion: string): object {
  return { metadata: { resourceVersion, finalizers: finalizers.filter((name) => name !== FINALIZER_IP_ALLOCATED) } }
}
