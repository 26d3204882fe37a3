// The allocator's report with what only the cluster knows, as JSON can show it (manager.md Appendix D).
import { effectiveType } from '../api/index.ts'
import { formatAddress } from '../ip/index.ts'
import type { Allocator, NetworkReport, SubnetReport } from '../ipam/index.ts'
import type { Cluster } from './cluster.ts'

export interface IpamReport {
  /** `type` is the effective one; null when the object is gone and its allocator entry about to be. */
  readonly networks: readonly (NetworkReport & { readonly type: string | null })[]
  /** Addresses as text. */
  readonly subnets: readonly (Omit<SubnetReport, 'lastAllocated'> & { readonly lastAllocated: string | null })[]
}

export function ipamReport(allocator: Pick<Allocator, 'report'>, cluster: Pick<Cluster, 'networks'>): IpamReport {
  const { networks, subnets } = allocator.report()
  return {
    networks: networks.map((network) => {
      const object = cluster.networks.store.get(network.name)
      return { ...network, type: object === undefined ? null : effectiveType(object) }
    }),
    subnets: subnets.map((subnet) => ({
      ...subnet,
      lastAllocated: subnet.lastAllocated === null ? null : formatAddress(subnet.lastAllocated),
    })),
  }
}
