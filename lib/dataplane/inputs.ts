// What the desired state is computed from, as plain data with every address already a number.
//
// The daemon projects the API objects into these; nothing here knows Kubernetes. `ClusterInput` is what the cluster
// asks for, `NodeFacts` (facts.ts) is what this node is, `DataplaneConfig` is what its flags say.
import type { Family, IPAddress, Prefix } from '../ip/index.ts'

/** Effective mode of a network (§0.1). */
export type FabricMode = 'VXLAN' | 'VLAN' | 'BGP' | 'GlobalBGP'

/** The one overlay network. */
export interface OverlayInput {
  readonly name: string
  readonly vni: number
}

/** What a Subnet and a RemoteSubnet have in common. */
export interface AddressPlan {
  readonly name: string
  readonly prefix: Prefix
  readonly gateway: IPAddress | null
  /** First and last allocatable address; null takes the prefix's own end. Both null: no range is declared. */
  readonly start: IPAddress | null
  readonly end: IPAddress | null
  readonly exclude: readonly IPAddress[]
}

export interface SubnetInput extends AddressPlan {
  readonly network: string
  readonly mode: FabricMode
  /** Effective 802.1Q id (the subnet's, else the network's) of a VLAN subnet; 0 is untagged. */
  readonly vlanId: number | null
  /** Effective value; only overlay subnets look at it. */
  readonly autoNatOutgoing: boolean
  /** Whether pods of the subnet may live on this node. Overlay subnets are everywhere. */
  readonly member: boolean
}

export interface RemoteSubnetInput extends AddressPlan {
  readonly overlay: boolean
}

/** One address of a pod of this node (an IPInstance bound to it, terminating ones included, reserved ones not). */
export interface PodAddressInput {
  /** Unique: namespace/name of the IPInstance. */
  readonly key: string
  readonly address: IPAddress
  readonly mode: FabricMode
  /** VLAN mode: 802.1Q id of its subnet. */
  readonly vlanId: number | null
  /** Host end of its veth; may not exist yet (everything on it waits) and null when it has none. */
  readonly hostLink: string | null
}

/** A tunnel endpoint: another node, this node, or a node of a remote cluster. Incomplete ones are left out. */
export interface VtepInput {
  /** Unique: node name, or cluster/name for remote ones. */
  readonly name: string
  readonly address: IPAddress
  readonly mac: number
  /** Every address of the node that the overlay knows. */
  readonly localIPs: readonly IPAddress[]
}

/** Keyed changes: `set` adds or replaces, `delete` names keys that are gone. */
export interface MapDelta<T> {
  readonly set?: readonly T[]
  readonly delete?: readonly string[]
}

/** A change of the input. Absent fields stay as they are. */
export interface InputDelta {
  /** null: there is no overlay network. */
  readonly overlay?: OverlayInput | null
  readonly subnets?: MapDelta<SubnetInput>
  readonly remoteSubnets?: MapDelta<RemoteSubnetInput>
  readonly pods?: MapDelta<PodAddressInput>
  readonly vteps?: MapDelta<VtepInput>
  /** Addresses of the own Node object (status.addresses). */
  readonly nodeAddresses?: readonly IPAddress[]
  /** Routing BGP peer per family; null: copy the node's default route. */
  readonly bgpGateways?: Readonly<Record<Family, IPAddress | null>>
  /** The whole of every map is replaced by `set` (after a re-list). */
  readonly replace?: boolean
}

/** The current input; change it only through `applyDelta`. */
export interface ClusterInput {
  overlay: OverlayInput | null
  readonly subnets: Map<string, SubnetInput>
  readonly remoteSubnets: Map<string, RemoteSubnetInput>
  readonly pods: Map<string, PodAddressInput>
  readonly vteps: Map<string, VtepInput>
  nodeAddresses: readonly IPAddress[]
  bgpGateways: Readonly<Record<Family, IPAddress | null>>
}

export interface DataplaneConfig {
  /** Parent of the VXLAN device, resolved by the daemon at start. */
  readonly vxlanParent: string
  readonly vlanParent: string
  readonly bgpInterface: string
  readonly localDirectTable: number
  readonly toOverlayTable: number
  readonly overlayMarkTable: number
  readonly vxlanPort: number
  /** Neighbour base reachable time on the VXLAN device. */
  readonly vxlanBaseReachableMs: number
  readonly vtepAddressCidrs: readonly Prefix[]
  readonly extraNodeLocalCidrs: readonly Prefix[]
  readonly neighGcThresh: readonly [number, number, number]
  readonly ipv6RouteCacheMaxSize: number
  readonly ipv6RouteCacheGcThresh: number
  /** Send ARP on VLANs with a pod's address as the sender (§2.3). */
  readonly vlanArpEnhancement: boolean
}

/** The defaults of §0.2; the three parents have none. */
export const DEFAULT_CONFIG: Omit<DataplaneConfig, 'vxlanParent' | 'vlanParent' | 'bgpInterface'> = {
  localDirectTable: 39999,
  toOverlayTable: 40000,
  overlayMarkTable: 40001,
  vxlanPort: 8472,
  vxlanBaseReachableMs: 5000,
  vtepAddressCidrs: [
    { address: 0, length: 0 },
    { address: 0n, length: 0 },
  ],
  extraNodeLocalCidrs: [],
  neighGcThresh: [1024, 2048, 4096],
  ipv6RouteCacheMaxSize: 524288,
  ipv6RouteCacheGcThresh: 65536,
  vlanArpEnhancement: true,
}

export function emptyInput(): ClusterInput {
  return {
    overlay: null,
    subnets: new Map(),
    remoteSubnets: new Map(),
    pods: new Map(),
    vteps: new Map(),
    nodeAddresses: [],
    bgpGateways: { 4: null, 6: null },
  }
}

/** What of the input changed, with a reason per part for the plan. */
export interface InputChange {
  overlay: boolean
  nodeAddresses: boolean
  subnets: string[]
  pods: string[]
  vteps: string[]
}

/** Applies a delta. Equal values are no change. */
export function applyDelta(input: ClusterInput, delta: InputDelta): InputChange {
  const change: InputChange = { overlay: false, nodeAddresses: false, subnets: [], pods: [], vteps: [] }
  if (delta.overlay !== undefined && !equal(delta.overlay, input.overlay)) {
    input.overlay = delta.overlay
    change.overlay = true
  }
  if (delta.nodeAddresses !== undefined && !equal(delta.nodeAddresses, input.nodeAddresses)) {
    input.nodeAddresses = delta.nodeAddresses
    change.nodeAddresses = true
  }
  if (delta.bgpGateways !== undefined && !equal(delta.bgpGateways, input.bgpGateways)) {
    input.bgpGateways = delta.bgpGateways
    change.subnets.push('bgp gateway')
  }
  const replace = delta.replace === true
  const name = (value: { readonly name: string }): string => value.name
  change.subnets.push(...applyMap(input.subnets, delta.subnets, name, replace))
  change.subnets.push(...applyMap(input.remoteSubnets, delta.remoteSubnets, name, replace))
  change.pods.push(...applyMap(input.pods, delta.pods, (pod) => pod.key, replace))
  change.vteps.push(...applyMap(input.vteps, delta.vteps, name, replace))
  return change
}

/** Returns the keys that changed. */
function applyMap<T>(
  map: Map<string, T>,
  delta: MapDelta<T> | undefined,
  keyOf: (value: T) => string,
  replace: boolean,
): string[] {
  if (delta === undefined) return []
  const changed: string[] = []
  for (const value of delta.set ?? []) {
    const key = keyOf(value)
    const old = map.get(key)
    if (old !== undefined && equal(old, value)) continue
    map.set(key, value)
    changed.push(key)
  }
  const gone = new Set(delta.delete)
  if (replace) {
    const kept = new Set((delta.set ?? []).map(keyOf))
    for (const key of map.keys()) if (!kept.has(key)) gone.add(key)
  }
  for (const key of gone) if (map.delete(key)) changed.push(key)
  return changed
}

/** Deep equality of plain input data (objects, arrays, numbers, bigints, strings, null). */
function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}
