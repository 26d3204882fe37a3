// Subnets by CIDR: several Subnets may share one, and the kernel knows only CIDRs. Pure.
//
// One group has one rule and one table. Where its subnets disagree (gateway, NAT, mode), the first by name decides and
// the disagreement is reported; what can be united (ranges, exclusions) is.
import { comparePrefixes, familyOf, formatPrefix, prefixKey, type Family, type Prefix } from '../../ip/index.ts'
import type { AddressPlan, ClusterInput, FabricMode, RemoteSubnetInput, SubnetInput } from '../inputs.ts'
import { rangeProblem, sharedExcludedBlocks } from './excluded.ts'
import type { Problem } from './problem.ts'

export interface SubnetGroup {
  readonly family: Family
  readonly prefix: Prefix
  readonly key: string
  /** The first subnet by name; its gateway, NAT, VLAN id and mode hold for the group. */
  readonly lead: SubnetInput
  readonly names: readonly string[]
  readonly mode: FabricMode
  readonly overlay: boolean
  /** Usable on this node (overlay always). */
  readonly member: boolean
  readonly excluded: readonly Prefix[]
}

export interface RemoteGroup {
  readonly family: Family
  readonly prefix: Prefix
  readonly overlay: boolean
  readonly excluded: readonly Prefix[]
}

export interface SubnetGroups {
  /** Overlay groups first, then by prefix: the order in which tables are handed out. */
  readonly local: readonly SubnetGroup[]
  readonly remote: readonly RemoteGroup[]
  readonly problems: readonly Problem[]
}

export function groupSubnets(input: Pick<ClusterInput, 'subnets' | 'remoteSubnets'>): SubnetGroups {
  const problems: Problem[] = []
  const local = collect(input.subnets.values(), 'subnet', problems).map((plans): SubnetGroup => {
    const [lead] = plans as [SubnetInput, ...SubnetInput[]]
    reportDisagreement(plans, problems)
    return {
      family: familyOf(lead.prefix.address),
      prefix: lead.prefix,
      key: prefixKey(lead.prefix),
      lead,
      names: plans.map((plan) => plan.name),
      mode: lead.mode,
      overlay: lead.mode === 'VXLAN',
      member: lead.mode === 'VXLAN' || plans.some((plan) => plan.member),
      excluded: sharedExcludedBlocks(lead.prefix, plans),
    }
  })
  const remote = collect(input.remoteSubnets.values(), 'remote subnet', problems).map((plans): RemoteGroup => {
    const [lead] = plans as [RemoteSubnetInput, ...RemoteSubnetInput[]]
    return {
      family: familyOf(lead.prefix.address),
      prefix: lead.prefix,
      overlay: lead.overlay,
      excluded: sharedExcludedBlocks(lead.prefix, plans),
    }
  })
  local.sort((a, b) => Number(b.overlay) - Number(a.overlay) || comparePrefixes(a.prefix, b.prefix))
  remote.sort((a, b) => comparePrefixes(a.prefix, b.prefix))
  return { local, remote, problems }
}

/** Plans by CIDR, each list sorted by name. */
function collect<T extends AddressPlan>(plans: Iterable<T>, kind: string, problems: Problem[]): T[][] {
  const groups = new Map<string, T[]>()
  for (const plan of plans) {
    const problem = rangeProblem(plan)
    if (problem !== null) problems.push({ object: `${kind} ${plan.name}`, message: problem })
    const key = prefixKey(plan.prefix)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [plan])
    else group.push(plan)
  }
  for (const group of groups.values()) group.sort((a, b) => (a.name < b.name ? -1 : 1))
  return [...groups.values()]
}

function reportDisagreement(plans: readonly SubnetInput[], problems: Problem[]): void {
  const [lead, ...others] = plans
  if (lead === undefined) return
  for (const other of others) {
    const fields = (['mode', 'gateway', 'vlanId', 'autoNatOutgoing'] as const).filter(
      (field) => other[field] !== lead[field],
    )
    if (fields.length === 0) continue
    problems.push({
      object: `subnet ${other.name}`,
      message: `shares ${formatPrefix(lead.prefix)} with subnet ${lead.name} but differs in ${fields.join(', ')}; ${lead.name} decides`,
    })
  }
}
