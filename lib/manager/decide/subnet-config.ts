// Network and Subnet objects to what the allocator takes. A Subnet that cannot be read without doubt is not served: an
// excludeIPs entry that does not parse must not turn into an address somebody gets (manager.md D17, D20).
import {
  formatProblems,
  isTerminating,
  maxSubnetLength,
  parseSubnet,
  type Network,
  type ParsedSubnet,
  type Problem,
  type Subnet,
} from '../../api/index.ts'
import { offsetAddress, type IPAddress } from '../../ip/index.ts'
import type { NetworkConfig, SubnetConfig } from '../../ipam/index.ts'

export type SubnetReading =
  { readonly config: SubnetConfig; readonly problem: null } | { readonly config: null; readonly problem: string }

export function networkConfig(network: Network): NetworkConfig {
  const { spec, status } = network
  return {
    name: network.metadata.name,
    draining: isTerminating(network),
    ...(typeof spec?.netID === 'number' ? { netID: spec.netID } : {}),
    ...(status?.lastAllocatedSubnet ? { lastSubnet4: status.lastAllocatedSubnet } : {}),
    ...(status?.lastAllocatedIPv6Subnet ? { lastSubnet6: status.lastAllocatedIPv6Subnet } : {}),
  }
}

export function readSubnet(subnet: Subnet): SubnetReading {
  const { value, problems } = parseSubnet(subnet)
  const serious = value === null ? problems : problems.filter((problem) => !isHarmless(problem, value))
  if (value === null || serious.length > 0) return { config: null, problem: formatProblems(serious) }
  const bounds = value.range ?? nothingOf(value)
  return {
    config: {
      name: value.name,
      network: value.network,
      cidr: value.prefix,
      start: bounds.start,
      end: bounds.end,
      reserved: value.reserved,
      excluded: value.excluded,
      private: value.private,
      draining: value.terminating,
      ...(value.netID === null ? {} : { netID: value.netID }),
      ...(value.gateway === null ? {} : { gateway: value.gateway }),
      ...(value.lastAllocated === null ? {} : { lastAllocated: value.lastAllocated }),
    },
    problem: null,
  }
}

/** What the original serves and what can only be meant one way: host bits, a version that says otherwise, start > end. */
function isHarmless({ field }: Problem, value: ParsedSubnet): boolean {
  if (field === 'spec.range.version') return true
  if (field === 'spec.range.start') return value.range === null
  return field === 'spec.range.cidr' && value.prefix.length <= maxSubnetLength(value.family)
}

/** Bounds of a range that holds no address. */
function nothingOf(value: ParsedSubnet): { readonly start: IPAddress; readonly end: IPAddress } {
  const end = value.prefix.address
  return { start: offsetAddress(end, 1) ?? end, end }
}
