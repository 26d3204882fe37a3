// What goes into the allocator and what comes out. Addresses are numbers (see lib/ip); text exists only at the edges.
import type { Family, IPAddress, Prefix } from '../ip/index.ts'
import type { Phase } from './phase.ts'

/** IPv4Only, IPv6Only or DualStack: the families a pod asks for. */
export type FamilyRequest = 'IPv4Only' | 'IPv6Only' | 'DualStack'

/** The families of a request, IPv4 first. */
export function familiesOf(request: FamilyRequest): readonly Family[] {
  return request === 'DualStack' ? [4, 6] : request === 'IPv4Only' ? [4] : [6]
}

export interface NetworkConfig {
  readonly name: string
  /** Inherited by subnets without one. */
  readonly netID?: number
  /** The Network is being deleted: releases work, nothing new is handed out. */
  readonly draining?: boolean
  /** Subnet to start with, from `status.lastAllocatedSubnet`; read only when the network is new. */
  readonly lastSubnet4?: string
  readonly lastSubnet6?: string
}

export interface SubnetConfig {
  readonly name: string
  readonly network: string
  readonly netID?: number
  readonly cidr: Prefix
  readonly start?: IPAddress
  readonly end?: IPAddress
  readonly gateway?: IPAddress
  readonly reserved: readonly IPAddress[]
  readonly excluded: readonly IPAddress[]
  readonly private?: boolean
  /** The Subnet is being deleted: releases work, nothing new is handed out. */
  readonly draining?: boolean
  /** Cursor to start with, from `status.lastAllocatedIP`; read only when the subnet is new. */
  readonly lastAllocated?: IPAddress
}

/** Who asks. The namespace and name of a pod identify the holder over time, the UID one life of it. */
export interface PodRef {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/** One IPInstance as far as the allocator cares. */
export interface InstanceView {
  readonly namespace: string
  /** metadata.uid */
  readonly uid: string
  /** metadata.resourceVersion as a number; an older view than one already applied is ignored. */
  readonly version: number
  readonly network: string
  readonly subnet: string
  readonly address: IPAddress
  /** 48-bit MAC; 0 when the object has none. */
  readonly mac: number
  /** spec.binding.podName, not shortened; empty when it was dropped. */
  readonly pod: string
  readonly podUID: string
  /** spec.binding.nodeName is empty. */
  readonly reserved: boolean
  /** The object has outlived the pod it was made for; see `AddressRecord.kept`. */
  readonly kept?: boolean
  readonly terminating: boolean
}

/** One held address. Owned by the allocator; callers read it. */
export interface AddressRecord {
  readonly subnet: string
  readonly network: string
  readonly address: IPAddress
  readonly phase: Phase
  /** Namespace of the pod and of the IPInstance. */
  readonly namespace: string
  readonly pod: string
  readonly podUID: string
  readonly mac: number
  /** UID of the IPInstance, empty until it is known. */
  readonly uid: string
  /**
   * Its object was made for an earlier pod than the one it is bound to, or waits for the next one: it is what this pod
   * came back to, not what this pod asked for.
   */
  readonly kept: boolean
  /** Newest resourceVersion applied. */
  readonly version: number
}

/** An address the allocator gave to a pod, with what is needed to write its IPInstance. */
export interface Claim {
  readonly network: string
  readonly subnet: string
  readonly address: IPAddress
  /** Of the subnet's CIDR. */
  readonly prefixLength: number
  readonly gateway?: IPAddress
  /** The subnet's, else the network's. */
  readonly netID?: number
  readonly record: AddressRecord
  /** The record before this claim, null when the address was free; `restore` puts it back. */
  readonly previous: AddressRecord | null
}

/** Numbers as they go into a status: int32, saturated at 2147483647, never negative. */
export interface Usage {
  readonly total: number
  readonly used: number
  readonly available: number
}

export interface SubnetUsage extends Usage {
  /** The candidate at the cursor; undefined before the first allocation. */
  readonly lastAllocated?: IPAddress
}

export interface NetworkUsage {
  readonly ipv4: Usage
  readonly ipv6: Usage
  /** total and used are 0 by contract, available is the smaller of both families. */
  readonly dualStack: Usage
  /** Availability without private subnets: what an unspecified request can get. */
  readonly open: { readonly ipv4: number; readonly ipv6: number; readonly dualStack: number }
  /** Name of the subnet the family's pointer is at; empty when the family has no subnet. */
  readonly lastSubnet4: string
  readonly lastSubnet6: string
}

/** What became of an observed object. */
export type Observation =
  /** The memory already said so, or says so now. */
  | { readonly kind: 'known' }
  /** Older than what was applied before, or about an object known to be gone: nothing changed. */
  | { readonly kind: 'stale' }
  /** Another object holds the same address of the same subnet; `holder` is the one that counts for now. */
  | { readonly kind: 'duplicate'; readonly holder: AddressRecord }
