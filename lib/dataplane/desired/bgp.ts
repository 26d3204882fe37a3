// The table of a BGP or GlobalBGP subnet: everything leaves through the routing peer, or, where no peer routes, the way
// the node's own traffic leaves. One gateway per family (defect 7). Pure; spec/dataplane.md §5.4.
import { DEFAULT_PREFIX, type Family } from '../../ip/index.ts'
import type { Route } from '../../netlink/types.ts'
import type { NodeFacts } from '../facts.ts'
import type { ClusterInput, DataplaneConfig } from '../inputs.ts'
import type { RouteRecord } from '../state.ts'
import { defaultRoute } from './make.ts'

/** The routes of the table, or why there can be none. */
export function bgpRoutes(
  family: Family,
  table: number,
  context: { readonly input: ClusterInput; readonly facts: NodeFacts; readonly config: DataplaneConfig },
): string | RouteRecord[] {
  const gateway = context.input.bgpGateways[family]
  if (gateway !== null) return [defaultRoute(table, family, context.config.bgpInterface, gateway)]
  const main = context.facts.defaultRoutes[family]
  if (main === null)
    return `no BGP peer routes IPv${family} traffic and the node has no IPv${family} default route to copy`
  return [copyOf(main, family, table, context.facts)]
}

function copyOf(route: Route, family: Family, table: number, facts: NodeFacts): RouteRecord {
  const name = (index: number): string => facts.linkNames.get(index) ?? `#${index}`
  return {
    kind: 'route',
    family,
    table,
    dst: DEFAULT_PREFIX[family],
    metric: route.metric,
    type: route.type,
    link: route.nexthops.length > 0 ? null : name(route.oif),
    gateway: route.gateway,
    prefSrc: route.prefSrc,
    scope: route.scope,
    // Only onlink is a wish; the other bits are the kernel's report on the next hop.
    flags: route.flags & 4,
    nexthops: route.nexthops.map((hop) => ({ link: name(hop.oif), gateway: hop.gateway, weight: hop.weight })),
  }
}
