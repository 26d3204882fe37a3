// What the node itself needs, whatever pods it has: base rules, the VXLAN device with its addresses and settings, the
// return-traffic table, node-wide sysctls. Pure; spec/dataplane.md §2.1 step 1 and 4, §2.10, §3.1, §3.2.
import { formatAddress, hostPrefix, type Family } from '../../ip/index.ts'
import { MARK_OVERLAY_RETURN, POD_GATEWAY4, TABLE_MAIN } from '../constants.ts'
import type { NodeFacts } from '../facts.ts'
import type { ClusterInput, DataplaneConfig } from '../inputs.ts'
import type { DataplaneRecord, RuleRecord, SysctlRecord } from '../state.ts'
import { defaultRoute, deviceRoute, families, sysctl } from './make.ts'
import type { Contribution, Problem } from './problem.ts'

export function nodeDesired(
  input: ClusterInput,
  facts: NodeFacts,
  config: DataplaneConfig,
): Contribution<DataplaneRecord> {
  const records: DataplaneRecord[] = []
  const problems: Problem[] = facts.problems.map((message) => ({ object: 'node', message }))
  for (const family of families(facts.ipv6)) records.push(...baseRules(family, config))
  records.push(...nodeSysctls(facts, config))
  if (facts.defaultRoutes[4] === null) {
    // The kernel answers a pod's ARP for its gateway only when it has some route to it.
    // Equivalent to: `ip route add 169.254.1.1 dev lo scope link`
    records.push(deviceRoute(TABLE_MAIN, hostPrefix(POD_GATEWAY4), 'lo', { onLink: true }))
  }
  if (facts.vxlan !== null && input.overlay !== null) {
    records.push(...vxlanDesired(facts.vxlan, input.overlay.vni, facts, config))
  }
  return { records, problems }
}

/** Local pods, then overlay destinations, then marked return traffic. */
function baseRules(family: Family, config: DataplaneConfig): RuleRecord[] {
  const rule = (order: number, table: number, mark: number): RuleRecord => ({
    kind: 'rule',
    family,
    src: null,
    mark,
    mask: mark,
    table,
    order,
    link: null,
  })
  return [
    rule(0, config.localDirectTable, 0),
    rule(1, config.toOverlayTable, 0),
    rule(2, config.overlayMarkTable, MARK_OVERLAY_RETURN),
  ]
}

function nodeSysctls(facts: NodeFacts, config: DataplaneConfig): SysctlRecord[] {
  const records = [
    sysctl('net/ipv4/ip_forward', 1, { rank: 1 }),
    sysctl('net/ipv4/conf/all/arp_filter', 0),
    sysctl('net/ipv4/conf/all/rp_filter', 0),
    sysctl('net/ipv4/conf/default/rp_filter', 0),
    // Machine-wide, hence absent outside the first network namespace.
    ...config.neighGcThresh.map((value, i) =>
      sysctl(`net/ipv4/neigh/default/gc_thresh${i + 1}`, value, { optional: true }),
    ),
  ]
  for (const link of facts.hostLinks) records.push(sysctl(`net/ipv4/conf/${link}/rp_filter`, 0, { link }))
  if (!facts.ipv6) return records
  if (facts.raLink !== null) {
    // Forwarding would end the acceptance of router advertisements, and with it this node's default route.
    records.push(sysctl(`net/ipv6/conf/${facts.raLink}/accept_ra`, 2, { link: facts.raLink, rank: 0 }))
  }
  records.push(
    sysctl('net/ipv6/conf/all/forwarding', 1, { rank: 1 }),
    ...config.neighGcThresh.map((value, i) =>
      sysctl(`net/ipv6/neigh/default/gc_thresh${i + 1}`, value, { optional: true }),
    ),
    sysctl('net/ipv6/route/max_size', config.ipv6RouteCacheMaxSize, { optional: true }),
    sysctl('net/ipv6/route/gc_thresh', config.ipv6RouteCacheGcThresh, { optional: true }),
  )
  return records
}

function vxlanDesired(name: string, vni: number, facts: NodeFacts, config: DataplaneConfig): DataplaneRecord[] {
  const records: DataplaneRecord[] = [
    {
      kind: 'link',
      type: 'vxlan',
      name,
      parent: config.vxlanParent,
      vni,
      port: config.vxlanPort,
      identity: facts.vtep === null ? null : { local: facts.vtep.address, mac: facts.vtep.mac },
    },
    { kind: 'element', set: 'vxlan_if', value: name },
    ...vxlanSysctls(name, facts, config),
  ]
  for (const { address, prefixLength } of facts.localAddresses) {
    if (typeof address === 'bigint' && !facts.ipv6) continue
    const family = typeof address === 'number' ? 4 : 6
    records.push(
      { kind: 'address', link: name, address, prefixLength },
      { kind: 'element', set: `local_node_ip${family}`, value: formatAddress(address) },
      { kind: 'element', set: `node_ip${family}`, value: formatAddress(address) },
    )
  }
  for (const family of families(facts.ipv6)) records.push(defaultRoute(config.overlayMarkTable, family, name))
  return records
}

/** §2.10; `proxy_delay` 0 because every broadcast question would otherwise wait up to 0.8 s for its answer (defect 21). */
function vxlanSysctls(link: string, facts: NodeFacts, config: DataplaneConfig): SysctlRecord[] {
  const records = [
    sysctl(`net/ipv4/neigh/${link}/app_solicit`, 1, { link, optional: true }),
    sysctl(`net/ipv4/neigh/${link}/base_reachable_time_ms`, config.vxlanBaseReachableMs, { link, optional: true }),
    sysctl(`net/ipv4/neigh/${link}/proxy_delay`, 0, { link, optional: true }),
  ]
  if (!facts.ipv6) return records
  return [
    ...records,
    sysctl(`net/ipv6/conf/${link}/accept_ra`, 0, { link }),
    sysctl(`net/ipv6/conf/${link}/proxy_ndp`, 1, { link }),
    sysctl(`net/ipv6/neigh/${link}/app_solicit`, 1, { link, optional: true }),
    sysctl(`net/ipv6/neigh/${link}/base_reachable_time_ms`, config.vxlanBaseReachableMs, { link, optional: true }),
    sysctl(`net/ipv6/neigh/${link}/proxy_delay`, 0, { link, optional: true }),
  ]
}
