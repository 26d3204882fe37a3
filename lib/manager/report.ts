// The allocator's report with what only the cluster knows, as JSON can show it (manager.md Appendix D), and the addresses that
// are held although no IPInstance says so: of every other one `kubectl get ipinstances` tells why it is held.
import { effectiveType } from '../api/index.ts'
import { compareAddresses, formatAddress } from '../ip/index.ts'
import type { Allocator, NetworkReport, Phase, SubnetReport } from '../ipam/index.ts'
import type { Cluster } from './cluster.ts'

export interface IpamReport {
  /** `type` is the effective one; null when the object is gone and its allocator entry about to be. */
  readonly networks: readonly (NetworkReport & { readonly type: string | null })[]
  /** Addresses as text. */
  readonly subnets: readonly (Omit<SubnetReport, 'lastAllocated'> & { readonly lastAllocated: string | null })[]
  /** In order of address. */
  readonly heldWithoutInstance: readonly {
    readonly address: string
    readonly subnet: string
    /** "namespace/name" */
    readonly pod: string
    /** Why, and until when. */
    readonly held: string
  }[]
}

/** Of addresses without an object, by the phase they are in. */
const HELD: Readonly<Partial<Record<Phase, string>>> = {
  claimed: 'its IPInstance is being written',
  reported: 'the pod is known to run with it, until it ends',
}

export function ipamReport(
  allocator: Pick<Allocator, 'report' | 'records'>,
  cluster: Pick<Cluster, 'networks'>,
): IpamReport {
  const { networks, subnets } = allocator.report()
  const bare = [...allocator.records()].filter(({ phase }) => HELD[phase] !== undefined)
  return {
    networks: networks.map((network) => {
      const object = cluster.networks.store.get(network.name)
      return { ...network, type: object === undefined ? null : effectiveType(object) }
    }),
    subnets: subnets.map((subnet) => ({
      ...subnet,
      lastAllocated: subnet.lastAllocated === null ? null : formatAddress(subnet.lastAllocated),
    })),
    heldWithoutInstance: bare
      .sort((a, b) => compareAddresses(a.address, b.address))
      .map(({ address, subnet, namespace, pod, phase }) => ({
        address: formatAddress(address),
        subnet,
        pod: `${namespace}/${pod}`,
        held: HELD[phase] ?? '',
      })),
  }
}
