// What the manager keeps of an IPInstance: numbers and the few texts decisions need, projected at the edge of the watch.
import { controllerOf, formatProblems, parseIPInstance, type IPInstance, type OwnerReference } from '../../api/index.ts'
import type { IPAddress } from '../../ip/index.ts'
import type { InstanceView } from '../../ipam/index.ts'

export interface Instance {
  /** "namespace/name" */
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** resourceVersion as a number. */
  readonly version: number
  /** RFC 3339; younger objects compare greater. */
  readonly created: string
  readonly network: string
  readonly subnet: string
  /** Every address the object claims: normally one; two when its name and its spec disagree; none when neither is one. */
  readonly addresses: readonly IPAddress[]
  /** 48 bits; 0 when it has none. */
  readonly mac: number
  readonly podName: string
  readonly podUID: string
  readonly nodeName: string
  /** Name of its VirtualMachine as a label value, '' for other pods. */
  readonly vm: string
  readonly reserved: boolean
  /** Its binding has changed since it was made (metadata.generation counts that): it was reserved, or bound again. */
  readonly kept: boolean
  readonly terminating: boolean
  readonly finalizers: readonly string[]
  readonly controller: OwnerReference | null
  /** A node has set the address up for a sandbox. */
  readonly inUse: boolean
  /** The daemon's report is still there although the address is reserved. */
  readonly statusLeft: boolean
  /** When its status was written, milliseconds since 1970: of a reserved one when it was reserved. Null when not known. */
  readonly updated: number | null
  /** `spec.binding.held`; empty when it has none. */
  readonly held: string
  /** What is wrong with the object, null when nothing is. */
  readonly problem: string | null
}

/** Never throws: an object that makes no sense is kept with its problem, so that it can still be deleted. */
export function instanceOf(object: IPInstance): Instance {
  const { value, problems } = parseIPInstance(object)
  const { metadata, status } = object
  return {
    key: `${metadata.namespace ?? ''}/${metadata.name}`,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    version: Number(metadata.resourceVersion ?? 0),
    created: metadata.creationTimestamp ?? '',
    network: object.spec?.network ?? '',
    subnet: object.spec?.subnet ?? '',
    addresses:
      value === null ? [] : value.otherAddress === null ? [value.address] : [value.address, value.otherAddress],
    mac: value?.mac ?? 0,
    podName: value?.podName ?? '',
    podUID: value?.podUID ?? '',
    nodeName: value?.nodeName ?? '',
    vm: value?.vm ?? '',
    reserved: value?.reserved ?? true,
    kept: (metadata.generation ?? 1) > 1,
    terminating: Boolean(metadata.deletionTimestamp),
    finalizers: metadata.finalizers ?? [],
    controller: controllerOf(object),
    inUse: Boolean(status?.sandboxID),
    statusLeft: Boolean(status?.sandboxID) || Boolean(status?.nodeName) || Boolean(status?.podName),
    updated: timeOf(status?.updateTimestamp),
    held: object.spec?.binding?.held ?? '',
    problem: problemOf(object, formatProblems(problems)),
  }
}

function timeOf(text: string | null | undefined): number | null {
  const time = Date.parse(text ?? '')
  return Number.isNaN(time) ? null : time
}

function problemOf(object: IPInstance, text: string): string | null {
  if (text !== '') return text
  // The original's oldest data model; its own v0.5 converts it.
  if (!object.spec?.binding?.referredObject?.kind) return 'spec.binding.referredObject.kind is missing'
  return null
}

/** The object as the allocator sees it, once per address it claims. */
export function viewsOf(instance: Instance): readonly InstanceView[] {
  return instance.addresses.map((address) => ({
    namespace: instance.namespace,
    uid: instance.uid,
    version: instance.version,
    network: instance.network,
    subnet: instance.subnet,
    address,
    mac: instance.mac,
    pod: instance.podName,
    podUID: instance.podUID,
    reserved: instance.reserved,
    kept: instance.kept,
    terminating: instance.terminating,
  }))
}

/** What names the object in an event. */
export function metadataOf({ name, namespace, uid }: Instance): { name: string; namespace: string; uid: string } {
  return { name, namespace, uid }
}
