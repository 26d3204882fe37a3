// The objects of rtnetlink as this project sees them: addresses and MACs are numbers, names are iproute2's.
// Pure types; lib/dataplane's pure parts import only this file and constants.ts of lib/netlink.
import type { Family, IPAddress, Prefix } from '../ip/index.ts'

/** A network device. See `ip -d link`. */
export interface Link {
  readonly index: number
  readonly name: string
  /** IFLA_INFO_KIND: veth, vxlan, vlan, bridge, ...; null for physical devices. */
  readonly kind: string | null
  /** IFF_* bits. */
  readonly flags: number
  readonly mtu: number
  /** Link-layer address as a 48-bit number, null when there is none of 6 bytes. */
  readonly mac: number | null
  /** IFLA_LINK: the lower device (vlan, vxlan: also its `dev`) or the veth peer's index; 0 when none. */
  readonly parent: number
  /** IFLA_LINK_NETNSID of that device, -1 when it is in the same namespace. */
  readonly parentNetnsId: number
  /** IFLA_MASTER, 0 when none. */
  readonly master: number
  /** IFLA_GROUP. */
  readonly group: number
  readonly vxlan: VxlanInfo | null
  /** 802.1Q tag, null unless kind is vlan. */
  readonly vlanId: number | null
}

export interface VxlanInfo {
  readonly vni: number
  /** Index of the underlying device, 0 when none. */
  readonly parent: number
  readonly local: IPAddress | null
  readonly group: IPAddress | null
  readonly port: number
  readonly learning: boolean
}

/** An address of a device. See `ip addr`. */
export interface Addr {
  readonly index: number
  readonly address: IPAddress
  readonly prefixLength: number
  /** IFA_F_* bits (IFA_FLAGS). */
  readonly flags: number
  /** RT_SCOPE_*. */
  readonly scope: number
  /** IPv4 broadcast address, null when none. */
  readonly broadcast: number | null
}

/** A unicast or throw/blackhole/... route. See `ip route`. */
export interface Route {
  readonly table: number
  readonly dst: Prefix
  /** RTN_*: 1 unicast, 9 throw, ... */
  readonly type: number
  /** RTPROT_*. */
  readonly protocol: number
  /** RT_SCOPE_*; IPv6 always 0. */
  readonly scope: number
  /** Output device, 0 when none. */
  readonly oif: number
  readonly gateway: IPAddress | null
  readonly prefSrc: IPAddress | null
  /** RTA_PRIORITY, 0 when absent. IPv6 dumps show 1024 where none was asked for. */
  readonly metric: number
  /** RTNH_F_* bits of the single next hop (onlink is 4). */
  readonly flags: number
  /** RTA_NH_ID, 0 when none. */
  readonly nexthopId: number
  /** Multipath next hops; empty for a single one. */
  readonly nexthops: readonly NextHop[]
}

export interface NextHop {
  readonly oif: number
  readonly gateway: IPAddress | null
  /** 1 to 256. */
  readonly weight: number
}

/** A policy routing rule. See `ip rule`. */
export interface Rule {
  readonly family: Family
  readonly priority: number
  /** null for "from all". */
  readonly src: Prefix | null
  readonly dst: Prefix | null
  readonly fwmark: number
  /** 0 when the rule looks at no mark. */
  readonly fwmask: number
  readonly table: number
  /** FR_ACT_*: 1 to table, ... */
  readonly action: number
  /** RTPROT_* of the rule's creator; 0 unspec. */
  readonly protocol: number
  /** true when the rule has a selector this project does not know (iif, oif, uid range, ports, tos, ...). */
  readonly foreignSelector: boolean
}

/** A neighbour, proxy neighbour or bridge/VXLAN FDB entry. See `ip neigh`, `ip neigh show proxy`, `bridge fdb`. */
export interface Neigh {
  /** 'inet' | 'inet6' for neighbours (family of dst), 'bridge' for FDB entries. */
  readonly kind: 'inet' | 'inet6' | 'bridge'
  readonly index: number
  /** Neighbour: its address. FDB: the remote VTEP (null when the entry has none). */
  readonly dst: IPAddress | null
  readonly mac: number | null
  /** NUD_* bits. */
  readonly state: number
  /** NTF_* bits: 0x02 self, 0x08 proxy, 0x10 ext_learned. */
  readonly flags: number
}
