// The kinds of multicluster.alibaba.com/v1, as stored (api.md §1.5 to §1.8).
import type { Endpoint, EndpointPort } from './core.ts'
import type { Condition, KubeObject } from './meta.ts'
import type { AddressRangeSpec } from './networking.ts'

export type RemoteClusterState = 'Ready' | 'NotReady' | 'Offline' | 'Unknown'

/** A peer cluster and the credentials for it. */
export interface RemoteCluster extends KubeObject {
  readonly spec?: RemoteClusterSpec | null
  readonly status?: RemoteClusterStatus | null
}

export interface RemoteClusterSpec {
  readonly apiEndpoint: string
  /** Base64 of PEM. */
  readonly caData?: string | null
  readonly certData?: string | null
  readonly keyData?: string | null
  /** Seconds; 0 or absent: none. */
  readonly timeout?: number | null
}

export interface RemoteClusterStatus {
  /** UID of the peer's kube-system namespace. */
  readonly uuid?: string | null
  readonly state?: string | null
  readonly conditions?: readonly Condition[] | null
}

interface ModifiedStatus {
  readonly lastModifyTime?: string | null
}

/** Mirror of a peer's Subnet, named `<cluster>.<subnet>`. */
export interface RemoteSubnet extends KubeObject {
  readonly spec?: RemoteSubnetSpec | null
  readonly status?: ModifiedStatus | null
}

export interface RemoteSubnetSpec {
  readonly range: AddressRangeSpec
  /** Raw type of the peer's Network; empty means Underlay. */
  readonly networkType?: string | null
  readonly clusterName?: string | null
}

/** Mirror of a peer's NodeInfo with the addresses of the pods on it, named `<cluster>.<node>`. */
export interface RemoteVtep extends KubeObject {
  readonly spec?: RemoteVtepSpec | null
  readonly status?: ModifiedStatus | null
}

export interface RemoteVtepSpec {
  readonly clusterName?: string | null
  readonly nodeName?: string | null
  readonly ip?: string | null
  readonly mac?: string | null
  readonly localIPs?: readonly string[] | null
  /** Sorted pod addresses without prefix length. */
  readonly endpointIPList?: readonly string[] | null
}

/** Mirror of an EndpointSlice of a peer's global Service. */
export interface RemoteEndpointSlice extends KubeObject {
  readonly spec?: RemoteEndpointSliceSpec | null
  readonly status?: ModifiedStatus | null
}

export interface RemoteEndpointSliceSpec {
  readonly remoteService: { readonly cluster: string; readonly name: string; readonly namespace: string }
  /** IPv4, IPv6 or FQDN. */
  readonly addressType: string
  readonly endpoints?: readonly Endpoint[] | null
  readonly ports?: readonly EndpointPort[] | null
}
