// What fields mean when they are empty, and questions asked of objects as stored (api.md §1.9). Every program and the
// original must answer these alike. Absent, null and "" are the same.
import { familyOf, tryParseAddress, type Family } from '../ip/index.ts'
import { labelOf } from './meta.ts'
import type { Count, IPFamily, IPInstance, Network, NetworkMode, Subnet } from './networking.ts'
import type { RemoteSubnet } from './multicluster.ts'
import type { Node } from './core.ts'
import { LABEL_NODE } from './labels.ts'

export const NETWORK_TYPES: readonly string[] = ['Underlay', 'Overlay', 'GlobalBGP']
export const NETWORK_MODES: readonly string[] = ['VLAN', 'VXLAN', 'BGP', 'GlobalBGP']

/** `spec.type`, or Underlay. May be text that is no type; validation finds that. */
export function effectiveType(network: Network | null | undefined): string {
  return network?.spec?.type || 'Underlay'
}

/** `spec.mode` as it is, or by the effective type; '' for an unknown type. */
export function effectiveMode(network: Network): string {
  return network.spec?.mode || defaultMode(effectiveType(network))
}

/** The mode a type has when none is given. */
export function defaultMode(type: string): NetworkMode | '' {
  if (type === 'Underlay') return 'VLAN'
  if (type === 'Overlay') return 'VXLAN'
  return type === 'GlobalBGP' ? 'GlobalBGP' : ''
}

/** Types of which a cluster has at most one Network. */
export function isGloballyUnique(type: string): boolean {
  return type === 'Overlay' || type === 'GlobalBGP'
}

export function effectiveRemoteSubnetType(subnet: RemoteSubnet): string {
  return subnet.spec?.networkType || 'Underlay'
}

export function isPrivateSubnet(subnet: Subnet): boolean {
  return subnet.spec?.config?.private === true
}

/** Whether traffic leaving the cluster is masqueraded; true unless said otherwise, and only VXLAN looks at it. */
export function autoNatOutgoing(subnet: Subnet): boolean {
  return subnet.spec?.config?.autoNatOutgoing ?? true
}

/** `subnet.spec?.netID ?? network.spec.netID`, null when neither has one. */
export function effectiveNetID(subnet: Subnet, network: Network | null | undefined): number | null {
  return subnet.spec?.netID ?? network?.spec?.netID ?? null
}

function textFamily(text: string | null | undefined): Family | null {
  const address = tryParseAddress((text ?? '').split('/', 1)[0] ?? '')
  return address === null ? null : familyOf(address)
}

/** Version "6", or an IPv6 CIDR. */
export function isIPv6Subnet(subnet: Subnet | RemoteSubnet): boolean {
  return subnet.spec?.range?.version === '6' || textFamily(subnet.spec?.range?.cidr) === 6
}

/** By version; by the address when the version says nothing. */
export function isIPv6Instance(instance: IPInstance | null | undefined): boolean {
  const address = instance?.spec?.address
  if (address?.version === '6') return true
  return address?.version !== '4' && textFamily(address?.ip) === 6
}

/** The address is held for a pod that does not run. */
export function isReserved(instance: IPInstance): boolean {
  return !instance.spec?.binding?.nodeName
}

/** Of the current data model; the original's oldest objects have no referred object. */
export function isValidInstance(instance: IPInstance): boolean {
  return Boolean(instance.spec?.binding?.referredObject?.kind)
}

/** A pod's IPInstances in the order their addresses are used: IPv4 first, otherwise as they came. */
export function sortInstances<T extends IPInstance>(instances: readonly T[]): T[] {
  return [...instances].sort((a, b) => Number(isIPv6Instance(a)) - Number(isIPv6Instance(b)))
}

/** The statistics exist and say that addresses are left. */
export function isAvailable(count: Count | null | undefined): boolean {
  return (count?.available ?? 0) > 0
}

/** The statistics of a Network for a pod's family. */
export function statisticsFor(network: Network, family: IPFamily): Count | null {
  const status = network.status
  if (family === 'IPv4Only') return status?.statistics ?? null
  return (family === 'IPv6Only' ? status?.ipv6Statistics : status?.dualStackStatistics) ?? null
}

/** All pairs of an equality selector are among the labels; an empty selector matches everything. */
export function selectorMatches(
  selector: Readonly<Record<string, string>> | null | undefined,
  labels: Readonly<Record<string, string>> | null | undefined,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels?.[key] === value)
}

/** Whether a node (by name) belongs to a Network: Overlay always, otherwise by `status.nodeList`. */
export function nodeBelongsTo(network: Network, nodeName: string): boolean {
  return effectiveType(network) === 'Overlay' || (network.status?.nodeList?.includes(nodeName) ?? false)
}

/** The first Network of effective type Overlay, null when there is none. */
export function overlayNetwork<T extends Network>(networks: readonly T[]): T | null {
  return networks.find((network) => effectiveType(network) === 'Overlay') ?? null
}

/** The first Underlay Network with a non-empty selector that matches the node's labels. */
export function underlayNetworkOf<T extends Network>(networks: readonly T[], node: Node): T | null {
  return (
    networks.find((network) => {
      const selector = network.spec?.nodeSelector ?? {}
      if (effectiveType(network) !== 'Underlay' || Object.keys(selector).length === 0) return false
      return selectorMatches(selector, node.metadata.labels)
    }) ?? null
  )
}

/** The node an IPInstance's label names; '' while it is reserved. */
export function nodeLabelOf(instance: IPInstance): string {
  return labelOf(instance, LABEL_NODE)
}
