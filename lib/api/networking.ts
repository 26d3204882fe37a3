// The kinds of networking.alibaba.com/v1, as stored (api.md §1.1 to §1.4). Addresses are text here; the programs parse
// an object once at the edge (parse/) and never carry these types inward. Fields the original writes empty admit null;
// the schemas require no spec, so an object may lack it altogether.
import type { KubeObject } from './meta.ts'

export type NetworkType = 'Underlay' | 'Overlay' | 'GlobalBGP'
export type NetworkMode = 'VLAN' | 'VXLAN' | 'BGP' | 'GlobalBGP'
/** Address family of a pod's addresses (api.md §3.3). */
export type IPFamily = 'IPv4Only' | 'IPv6Only' | 'DualStack'
/** IP version as the API writes it. */
export type IPVersion = '4' | '6'

/** A scheduling domain: nodes that share L2/L3 properties. */
export interface Network extends KubeObject {
  readonly spec?: NetworkSpec | null
  readonly status?: NetworkStatus | null
}

export interface NetworkSpec {
  /** Empty means Underlay. */
  readonly type?: string | null
  /** Empty is derived from the type. */
  readonly mode?: string | null
  /** VLAN: default VLAN id. VXLAN: VNI. BGP: local AS number. GlobalBGP: absent. */
  readonly netID?: number | null
  readonly nodeSelector?: Readonly<Record<string, string>> | null
  readonly config?: NetworkConfig | null
}

export interface NetworkConfig {
  readonly bgpPeers?: readonly BGPPeer[] | null
}

export interface BGPPeer {
  readonly asn: number
  readonly address: string
  /** 0 or absent: 300. */
  readonly gracefulRestartSeconds?: number | null
  readonly password?: string | null
  readonly doesNotRouteTraffic?: boolean | null
  readonly allowNotEstablished?: boolean | null
}

export interface NetworkStatus {
  readonly lastAllocatedSubnet?: string | null
  readonly lastAllocatedIPv6Subnet?: string | null
  readonly subnetList?: readonly string[] | null
  readonly nodeList?: readonly string[] | null
  readonly statistics?: Count | null
  readonly ipv6Statistics?: Count | null
  readonly dualStackStatistics?: Count | null
}

/** Addresses of a Subnet or Network. */
export interface Count {
  readonly total?: number | null
  readonly used?: number | null
  readonly available?: number | null
}

export interface Subnet extends KubeObject {
  readonly spec?: SubnetSpec | null
  readonly status?: SubnetStatus | null
}

export interface SubnetSpec {
  /** Name of the owning Network. */
  readonly network: string
  /** VLAN id; absent: the Network's. */
  readonly netID?: number | null
  readonly range: AddressRangeSpec
  readonly config?: SubnetConfig | null
}

/** `AddressRange` of the API; the spec suffix keeps it apart from the numeric ranges of lib/ip. */
export interface AddressRangeSpec {
  /** "4" or "6". */
  readonly version: string
  readonly cidr: string
  /** Empty: network address + 1. */
  readonly start?: string | null
  /** Empty: IPv4 broadcast - 1, IPv6 last address. */
  readonly end?: string | null
  readonly gateway?: string | null
  /** Allocated only when asked for by name. */
  readonly reservedIPs?: readonly string[] | null
  /** Never used. */
  readonly excludeIPs?: readonly string[] | null
}

export interface SubnetConfig {
  readonly gatewayType?: string | null
  readonly gatewayNode?: string | null
  readonly autoNatOutgoing?: boolean | null
  readonly private?: boolean | null
  readonly allowSubnets?: readonly string[] | null
}

export interface SubnetStatus extends Count {
  readonly lastAllocatedIP?: string | null
}

/** One address held by one pod, in the pod's namespace. */
export interface IPInstance extends KubeObject {
  readonly spec?: IPInstanceSpec | null
  readonly status?: IPInstanceStatus | null
}

export interface IPInstanceSpec {
  readonly network: string
  readonly subnet: string
  readonly address: IPInstanceAddress
  readonly binding?: IPInstanceBinding | null
}

export interface IPInstanceAddress {
  readonly version: string
  /** Canonical address / prefix length of the Subnet. */
  readonly ip: string
  readonly gateway?: string | null
  readonly netID?: number | null
  readonly mac: string
}

export interface IPInstanceBinding {
  readonly referredObject?: { readonly kind?: string; readonly name?: string; readonly uid?: string } | null
  /** Empty: the address is reserved, no pod runs with it. */
  readonly nodeName?: string | null
  readonly podUID?: string | null
  readonly podName?: string | null
  readonly stateful?: { readonly index?: number | null } | null
  /** For people: why the address is held and until when. Not in the original's schema, which drops it. */
  readonly held?: string | null
}

export interface IPInstanceStatus {
  readonly nodeName?: string | null
  readonly podName?: string | null
  readonly podNamespace?: string | null
  readonly sandboxID?: string | null
  readonly updateTimestamp?: string | null
}

/** Tunnel endpoint of one node, named as the Node. */
export interface NodeInfo extends KubeObject {
  readonly spec?: NodeInfoSpec | null
  readonly status?: { readonly updateTimestamp?: string | null } | null
}

export interface NodeInfoSpec {
  readonly vtepInfo?: VTEPInfo | null
}

export interface VTEPInfo {
  readonly ip?: string | null
  readonly mac?: string | null
  readonly localIPs?: readonly string[] | null
}
