// Statuses of Networks and Subnets as they should be (manager.md §3.4, §3.5).
import {
  ATTACHED,
  LABEL_BGP_ATTACHMENT,
  effectiveType,
  selectorMatches,
  type Network,
  type NetworkStatus,
  type SubnetStatus,
} from '../../api/index.ts'
import { formatAddress } from '../../ip/index.ts'
import type { NetworkUsage, SubnetUsage, Usage } from '../../ipam/index.ts'
import type { NodeView } from '../views/node.ts'
import { selects } from './node-labels.ts'

/** Whether a node with these labels belongs to the network. */
export function belongs(network: Network, labels: NodeView['labels']): boolean {
  const type = effectiveType(network)
  if (type === 'GlobalBGP') return labels[LABEL_BGP_ATTACHMENT] === ATTACHED
  // An Underlay network without a selector has no nodes (D54); an Overlay network has all.
  return type === 'Underlay' ? selects(network, labels) : selectorMatches(network.spec?.nodeSelector, labels)
}

/** Names of the nodes of a network, sorted; terminating ones are left out (D26). */
export function nodeListOf(network: Network, nodes: Iterable<NodeView>): string[] {
  const names: string[] = []
  for (const node of nodes) if (!node.terminating && belongs(network, node.labels)) names.push(node.name)
  return names.sort()
}

const count = (usage: Usage): { total: number; used: number; available: number } => ({
  total: usage.total,
  used: usage.used,
  available: usage.available,
})

export function networkStatus(
  usage: NetworkUsage,
  nodeList: readonly string[],
  subnetList: readonly string[],
): NetworkStatus {
  return {
    lastAllocatedSubnet: usage.lastSubnet4,
    ...(usage.lastSubnet6 === '' ? {} : { lastAllocatedIPv6Subnet: usage.lastSubnet6 }),
    nodeList,
    subnetList,
    statistics: count(usage.ipv4),
    ipv6Statistics: count(usage.ipv6),
    dualStackStatistics: count(usage.dualStack),
  }
}

export function subnetStatus(usage: SubnetUsage): SubnetStatus {
  const last = usage.lastAllocated
  return { ...count(usage), lastAllocatedIP: last === undefined ? '' : formatAddress(last) }
}
