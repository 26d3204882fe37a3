// The look-ups of decide/configuration.ts over the local copy, from the place of one node.
import { LABEL_BGP_ATTACHMENT, effectiveType, isIPv6Subnet, nodeBelongsTo, type Network } from '../api/index.ts'
import type { Cluster } from './cluster.ts'
import type { Surroundings } from './decide/configuration.ts'

export function surroundingsOf(cluster: Cluster, node: string): Surroundings {
  const first = (networks: readonly Network[]): string | null => networks[0]?.metadata.name ?? null
  return {
    network: (name) => {
      const network = cluster.networks.store.get(name)
      if (network === undefined) return null
      return { name, type: effectiveType(network), hasNode: nodeBelongsTo(network, node) }
    },
    subnet: (name) => {
      const subnet = cluster.subnets.store.get(name)
      return subnet === undefined
        ? null
        : { network: subnet.spec?.network ?? '', version: isIPv6Subnet(subnet) ? '6' : '4' }
    },
    networkOfType: (type) => first(type === 'Underlay' ? cluster.networksOfNode(node) : cluster.networksOfType(type)),
    bgpAttached: cluster.nodes.store.get(node)?.labels[LABEL_BGP_ATTACHMENT] !== undefined,
  }
}
