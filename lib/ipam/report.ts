// The allocator's knowledge as data to look at: what a support bundle, a debugger and the tests of a running manager ask for.
// Numbers only, no addresses but the last one: its size goes with the subnets, not with the pods.
import type { Family, IPAddress } from '../ip/index.ts'
import type { Topology } from './topology.ts'
import type { NetworkUsage } from './types.ts'
import { saturate } from './usage.ts'

export interface SubnetReport {
  readonly name: string
  readonly network: string
  readonly family: Family
  /** Why nothing is handed out from it; null when it serves. */
  readonly refusal: string | null
  /** Addresses that may be picked unasked, saturated at 2147483647; 0 when it does not serve. */
  readonly candidates: number
  /** Addresses somebody holds under its name, in any phase. */
  readonly records: number
  /** Of these, the candidates that count as used. */
  readonly used: number
  /** Whether a candidate could be picked now. */
  readonly available: boolean
  /** The candidate picked last. */
  readonly lastAllocated: IPAddress | null
}

export interface NetworkReport {
  readonly name: string
  readonly usage: NetworkUsage
  /** Names of the subnets the next unspecified requests get; null when nothing is left. */
  readonly next: { readonly ipv4: string | null; readonly ipv6: string | null }
}

export interface AllocatorReport {
  /** By name. */
  readonly networks: readonly NetworkReport[]
  /** By name. */
  readonly subnets: readonly SubnetReport[]
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1)

export function reportOf(topology: Topology, usageOf: (network: string) => NetworkUsage | null): AllocatorReport {
  const refuse = (address: IPAddress): boolean => topology.loose.has(address)
  const networks: NetworkReport[] = []
  for (const [name, { config, pools }] of topology.networks) {
    const usage = usageOf(name)
    if (usage === null) continue
    const next = (family: Family): string | null =>
      config.draining === true ? null : (pools[family].look((subnet) => subnet.peek(refuse) !== null)?.name ?? null)
    networks.push({ name, usage, next: { ipv4: next(4), ipv6: next(6) } })
  }
  const subnets = [...topology.subnets].map(([name, { config, serving, refusal }]): SubnetReport => ({
    name,
    network: config.network,
    family: typeof config.cidr.address === 'number' ? 4 : 6,
    refusal,
    candidates: serving === null ? 0 : saturate(serving.total),
    records: topology.existingLedger(name)?.size ?? 0,
    used: serving?.used ?? 0,
    available: serving !== null && !topology.isDraining(serving) && serving.peek(refuse) !== null,
    lastAllocated: serving?.cursor ?? null,
  }))
  return { networks: networks.sort(byName), subnets: subnets.sort(byName) }
}
