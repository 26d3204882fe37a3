// What the subnets of the cluster need on this node: overlay destinations (table 40000), one rule and one table per
// usable subnet, VLAN devices, the netfilter network sets. Pure; spec/dataplane.md §2.1, §4, §5.4, §6.2.
//
// All subnets are computed together, since overlay tables list all underlay subnets. Cost per subnet event is the size
// of the answer, O(overlay × (underlay + excluded blocks)); only what differs is then written. Pods never come here.
import {
  contains,
  formatAddress,
  formatPrefix,
  prefixRange,
  formatRange,
  mergeRanges,
  type Family,
  type IPAddress,
  type Prefix,
} from '../../ip/index.ts'
import { FROM_SUBNET_MASK } from '../constants.ts'
import { connectedRoute, nodeSharesSubnet, vlanDevice, type NodeFacts } from '../facts.ts'
import type { ClusterInput, DataplaneConfig } from '../inputs.ts'
import { FROM_SUBNET, type DataplaneRecord, type ElementRecord, type RouteRecord } from '../state.ts'
import { bgpRoutes } from './bgp.ts'
import { groupSubnets, type RemoteGroup, type SubnetGroup, type SubnetGroups } from './groups.ts'
import { defaultRoute, deviceRoute, families, sysctl, throwRoute } from './make.ts'
import type { Contribution, Problem } from './problem.ts'

/** Table numbers by family and prefixKey; see tables.ts. */
export type TableMap = Readonly<Record<Family, ReadonlyMap<string, number>>>

/** Context of a subnet computation. */
interface Context {
  readonly input: ClusterInput
  readonly facts: NodeFacts
  readonly config: DataplaneConfig
  readonly groups: SubnetGroups
}

/** CIDRs of one family that need a rule and a table on this node, in table order. */
export function tableCandidates(input: ClusterInput, facts: NodeFacts, family: Family): readonly Prefix[] {
  if (family === 6 && !facts.ipv6) return []
  return groupSubnets(input)
    .local.filter((group) => group.family === family && (group.overlay ? facts.vxlan !== null : group.member))
    .map((group) => group.prefix)
}

export function subnetsDesired(
  input: ClusterInput,
  facts: NodeFacts,
  config: DataplaneConfig,
  tables: TableMap,
): Contribution<DataplaneRecord> {
  const groups = groupSubnets(input)
  const context: Context = { input, facts, config, groups }
  const records: DataplaneRecord[] = []
  const problems: Problem[] = [...groups.problems]
  for (const family of families(facts.ipv6)) {
    const local = groups.local.filter((group) => group.family === family)
    const remote = groups.remote.filter((group) => group.family === family)
    records.push(...overlayDestinations(local, remote, context))
    for (const group of local) {
      const answer = fromSubnet(group, tables[family].get(group.key), local, remote, context)
      records.push(...answer.records)
      problems.push(...answer.problems)
    }
    records.push(...networkSets(family, local, remote))
  }
  return { records, problems }
}

/** Table 40000: overlay CIDRs of all clusters through the VXLAN device, their excluded blocks thrown. */
function overlayDestinations(
  local: readonly SubnetGroup[],
  remote: readonly RemoteGroup[],
  { facts, config }: Context,
): RouteRecord[] {
  const { vxlan } = facts
  if (vxlan === null) return []
  const table = config.toOverlayTable
  return [...local, ...remote]
    .filter((group) => group.overlay)
    .flatMap((group) => [
      deviceRoute(table, group.prefix, vxlan),
      ...group.excluded.map((block) => throwRoute(table, block)),
    ])
}

function fromSubnet(
  group: SubnetGroup,
  table: number | undefined,
  local: readonly SubnetGroup[],
  remote: readonly RemoteGroup[],
  context: Context,
): Contribution<DataplaneRecord> {
  const { facts } = context
  const fail = (message: string): Contribution<DataplaneRecord> => ({
    records: [],
    problems: [{ object: `subnet ${group.names[0]}`, message }],
  })
  if (group.overlay ? facts.vxlan === null : !group.member) return { records: [], problems: [] }
  if (table === undefined) return fail(`no routing table is free for ${formatPrefix(group.prefix)}`)
  const rule = (link: string): DataplaneRecord => ({
    kind: 'rule',
    family: group.family,
    src: group.prefix,
    mark: 0,
    mask: FROM_SUBNET_MASK,
    table,
    order: FROM_SUBNET,
    link,
  })
  if (group.overlay) {
    const link = facts.vxlan as string
    return { records: [rule(link), ...overlayTable(group, table, link, local, remote)], problems: [] }
  }
  if (group.mode === 'VLAN') {
    const answer = vlanTable(group, table, context)
    if (typeof answer === 'string') return fail(answer)
    return { records: [rule(answer.link), ...answer.records], problems: [] }
  }
  const answer = bgpRoutes(group.family, table, context)
  if (typeof answer === 'string') return fail(answer)
  return {
    records: [
      rule(context.config.bgpInterface),
      ...answer,
      { kind: 'element', set: 'underlay_if', value: context.config.bgpInterface },
    ],
    problems: [],
  }
}

/** With NAT only underlay CIDRs, so that everything else falls through to main; without NAT everything. */
function overlayTable(
  group: SubnetGroup,
  table: number,
  link: string,
  local: readonly SubnetGroup[],
  remote: readonly RemoteGroup[],
): RouteRecord[] {
  if (!group.lead.autoNatOutgoing) return [defaultRoute(table, group.family, link)]
  return [...local, ...remote]
    .filter((other) => !other.overlay)
    .flatMap((other) => [
      deviceRoute(table, other.prefix, link),
      ...other.excluded.map((block) => throwRoute(table, block)),
    ])
}

function vlanTable(
  group: SubnetGroup,
  table: number,
  { facts, config }: Context,
): string | { link: string; records: DataplaneRecord[] } {
  const { gateway, vlanId } = group.lead
  const prefix = formatPrefix(group.prefix)
  const { name: link, problem } = vlanDevice(config.vlanParent, vlanId)
  if (problem !== null) return problem
  if (gateway === null) return 'has no gateway'
  if (!contains(group.prefix, gateway)) return `gateway ${formatAddress(gateway)} is not inside ${prefix}`
  const prefSrc = sharedSource(group, link, gateway, facts)
  if (typeof prefSrc === 'string') return prefSrc
  const records: DataplaneRecord[] = [
    deviceRoute(table, group.prefix, link, { onLink: true, prefSrc: prefSrc.address }),
    defaultRoute(table, group.family, link, gateway),
    { kind: 'element', set: 'underlay_if', value: link },
    // Answers to broadcast questions would wait up to 0.8 s otherwise (defect 21).
    sysctl(`net/ipv${group.family}/neigh/${link}/proxy_delay`, 0, { link, optional: true }),
  ]
  if (group.family === 6) records.push(sysctl(`net/ipv6/conf/${link}/proxy_ndp`, 1, { link }))
  if (vlanId !== null && vlanId !== 0)
    records.push({ kind: 'link', type: 'vlan', name: link, parent: config.vlanParent, vlanId })
  return { link, records }
}

/**
 * A subnet the node itself lives in: its own traffic also matches the from-subnet rule and must keep its source, so the
 * main table's preferred source is copied (§2.1). Returns the reason when that cannot be.
 */
function sharedSource(
  group: SubnetGroup,
  link: string,
  gateway: IPAddress,
  facts: NodeFacts,
): string | { address: IPAddress | null } {
  if (!nodeSharesSubnet(facts, link, group.prefix)) return { address: null }
  const connected = connectedRoute(facts, link, group.prefix)
  // An address without a prefix route (noprefixroute) is only an address; there is no source to keep.
  if (connected === null) return { address: null }
  const main = facts.defaultRoutes[group.family]
  if (main !== null && main.gateway !== null && main.gateway !== gateway && facts.linkNames.get(main.oif) === link) {
    return (
      `gateway ${formatAddress(gateway)} differs from the node's own default gateway ` +
      `${formatAddress(main.gateway)} on the same link ${link}`
    )
  }
  return { address: connected.prefSrc }
}

/** The interval sets, merged here so that elements never overlap or touch. */
function networkSets(family: Family, local: readonly SubnetGroup[], remote: readonly RemoteGroup[]): ElementRecord[] {
  const set = (name: string, groups: readonly { readonly prefix: Prefix }[]): ElementRecord[] =>
    mergeRanges(groups.map((group) => prefixRange(group.prefix))).map((range) => ({
      kind: 'element',
      set: `${name}${family}`,
      value: formatRange(range),
    }))
  return [
    ...set(
      'overlay_net',
      [...local, ...remote].filter((group) => group.overlay),
    ),
    ...set('managed_net', [...local, ...remote]),
    ...set(
      'local_underlay_net',
      local.filter((group) => !group.overlay && group.member),
    ),
    ...set('pod_net', local),
  ]
}
