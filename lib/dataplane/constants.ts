// Numbers and names that are wire or kernel contract with the original (spec/dataplane.md §0.3), in one place.

/** Tables handed out to subnets: FIRST <= table < END. */
export const FROM_SUBNET_TABLE_FIRST = 10000
export const FROM_SUBNET_TABLE_END = 40000

export const MARK_OVERLAY_RETURN = 0x20
export const MARK_FULL_NAT = 0x40
export const MARK_KUBE_MASQUERADE = 0x4000
/** Mask of from-subnet rules: neither to be masqueraded by kube-proxy nor part of a fully NATed connection. */
export const FROM_SUBNET_MASK = MARK_KUBE_MASQUERADE | MARK_FULL_NAT

/** The one group MAC every group frame on the VXLAN device is rewritten to, so that one fan-out list serves them all. */
export const FAN_OUT_MAC = 0xfffffffffff1
/** MAC of the host end of every pod's veth. */
export const HOST_VETH_MAC = 0xeeeeeeeeeeee
/** 169.254.1.1, the IPv4 gateway of every pod. */
export const POD_GATEWAY4 = 0xa9fe0101
/** fe80::ecee:eeff:feee:eeee, the IPv6 gateway of every pod: the link-local address of HOST_VETH_MAC. */
export const POD_GATEWAY6 = 0xfe80000000000000eceeeefffeeeeeeen

export const VXLAN_INFIX = '.vxlan'
/** IFNAMSIZ - 1. */
export const MAX_LINK_NAME = 15
export const MAX_VNI = 0xffffff
export const MAX_VLAN_ID = 4094

export const TABLE_LOCAL = 255
export const TABLE_MAIN = 254

/**
 * RTPROT_* of the routes this project writes ("H"). The original writes `boot` (3) and looks at no protocol, neither in
 * its start-up checks nor when it takes over, so both daemons accept each other's routes and neither rewrites them. The
 * number lets us recognise leftovers of our own in a table that no rule of ours points at.
 */
export const RTPROT_HYBRIDNET = 72
/** What the original and hand-typed `ip route add` write. */
export const RTPROT_BOOT = 3

export const RTN_UNICAST = 1
export const RTN_THROW = 9
export const SCOPE_UNIVERSE = 0
export const SCOPE_LINK = 253
export const FR_ACT_TO_TBL = 1
export const IFF_UP = 0x1
export const IFA_F_NOPREFIXROUTE = 0x200
/** IPv6's default metric; a dump shows it where none was asked for. */
export const IPV6_DEFAULT_METRIC = 1024
export const NUD_PERMANENT = 0x80
export const NTF_SELF = 0x02
export const NTF_PROXY = 0x08
export const NTF_EXT_LEARNED = 0x10

const CONTAINER_PREFIXES = ['hybr', 'h_', 'veth', 'docker', 'kube-']

/** Links of containers, ours and others': their addresses and events never concern the node (§0.1). */
export function isContainerLink(name: string): boolean {
  return CONTAINER_PREFIXES.some((prefix) => name.startsWith(prefix)) || name.endsWith('_h')
}
