// Which objects of the kernel are ours to remove when nobody wants them. Everything else is left alone for ever.
//
//   rules      from-subnet rules by shape (source, mask 0x4040, table 10000..40000); surplus rules "from all" for one of
//              our three fixed tables with our mark
//   routes     all of a table that a from-subnet rule of ours selects or that we gave out; in 40000 and 40001 what has the
//              form of ours; elsewhere in our range, in 39999 and main only what carries our protocol number, and in
//              39999 never the address of a pod of this node
//   VXLAN      devices `<parent>.vxlan<VNI>` on our port; on the wanted one all global addresses, all proxy neighbours
//              and all permanent FDB entries
//   VLAN       of the devices only proxy neighbours inside a subnet of the cluster; the devices themselves never
//
// Pure; spec/dataplane.md §2.1, §2.2, §3.2, Appendix B.2, defects 12, 14, 15, 16, 33.
import { contains, isGlobalUnicast, type Family, type IPAddress } from '../ip/index.ts'
import type { Addr, Link, Neigh, Route, Rule } from '../netlink/types.ts'
import {
  FROM_SUBNET_TABLE_END,
  FROM_SUBNET_TABLE_FIRST,
  NUD_PERMANENT,
  POD_GATEWAY4,
  RTN_THROW,
  RTN_UNICAST,
  RTPROT_HYBRIDNET,
  TABLE_MAIN,
} from './constants.ts'
import { isFromSubnetRule, type TableMap } from './desired/index.ts'
import { isOwnVxlanName, type NodeFacts } from './facts.ts'
import type { ClusterInput, DataplaneConfig } from './inputs.ts'
import type { KernelState } from './mirror/state.ts'

export class Ownership {
  readonly #input: ClusterInput
  readonly #facts: NodeFacts
  readonly #config: DataplaneConfig
  readonly #state: KernelState
  readonly #tables: Readonly<Record<Family, ReadonlySet<number>>>
  readonly #podAddresses: (address: IPAddress) => boolean

  constructor(options: {
    readonly input: ClusterInput
    readonly facts: NodeFacts
    readonly config: DataplaneConfig
    readonly state: KernelState
    readonly tables: TableMap
    /** Whether the address is one of a pod of this node. */
    readonly isPodAddress: (address: IPAddress) => boolean
  }) {
    this.#input = options.input
    this.#facts = options.facts
    this.#config = options.config
    this.#state = options.state
    this.#podAddresses = options.isPodAddress
    const tables = (family: Family): Set<number> =>
      new Set([
        ...options.tables[family].values(),
        ...options.state
          .rules(family)
          .filter(isFromSubnetRule)
          .map((rule) => rule.table)
          .filter((table) => !this.#isFixed(table)),
      ])
    this.#tables = { 4: tables(4), 6: tables(6) }
  }

  #isFixed(table: number): boolean {
    const { localDirectTable, toOverlayTable, overlayMarkTable } = this.#config
    return table === localDirectTable || table === toOverlayTable || table === overlayMarkTable
  }

  /** A surplus rule "from all" counts only when diffRules knows its key; see there. */
  rule(rule: Rule): boolean {
    return isFromSubnetRule(rule)
  }

  route(route: Route): boolean {
    const config = this.#config
    const mine = route.protocol === RTPROT_HYBRIDNET
    const family = typeof route.dst.address === 'number' ? 4 : 6
    switch (route.table) {
      case TABLE_MAIN:
        return mine && route.dst.address === POD_GATEWAY4
      case config.localDirectTable:
        return mine && !this.#podAddresses(route.dst.address)
      case config.toOverlayTable:
        return mine || route.type === RTN_THROW || this.#throughVxlan(route)
      case config.overlayMarkTable:
        return mine || (route.dst.length === 0 && this.#throughVxlan(route))
      default:
        if (route.table < FROM_SUBNET_TABLE_FIRST || route.table >= FROM_SUBNET_TABLE_END) return false
        return mine || this.#tables[family].has(route.table)
    }
  }

  /** A plain device route on some VXLAN device of our naming. */
  #throughVxlan(route: Route): boolean {
    if (route.type !== RTN_UNICAST || route.gateway !== null) return false
    const link = this.#state.links.get(route.oif)
    return link !== undefined && isOwnVxlanName(link)
  }

  /** Obsolete VXLAN devices, once it is known which one is wanted. */
  link(link: Link): boolean {
    if (!isOwnVxlanName(link) || link.vxlan?.port !== this.#config.vxlanPort) return false
    if (this.#input.overlay !== null && this.#facts.vxlan === null) return false
    return link.name !== this.#facts.vxlan
  }

  address(addr: Addr, link: string): boolean {
    return link === this.#facts.vxlan && isGlobalUnicast(addr.address)
  }

  proxy(address: IPAddress, link: string): boolean {
    if (link === this.#facts.vxlan) return true
    const { vlanParent } = this.#config
    if (link !== vlanParent && !link.startsWith(`${vlanParent}.`)) return false
    for (const subnet of this.#input.subnets.values()) if (contains(subnet.prefix, address)) return true
    return false
  }

  fdb(entry: Neigh, link: string): boolean {
    return link === this.#facts.vxlan && (entry.state & NUD_PERMANENT) !== 0
  }
}
