// Numbers and names of the compatibility contract on the wire and in the kernel (api.md §2.5, §2.6), shared by nodes of
// this implementation and of the original. Addresses and MACs are numbers as in lib/ip.

/** Next hop of every pod, 169.254.1.1. */
export const POD_GATEWAY_IPV4 = 0xa9fe0101
/** Next hop of every pod, fe80::ecee:eeff:feee:eeee: the EUI-64 link-local of HOST_VETH_MAC. */
export const POD_GATEWAY_IPV6 = 0xfe80_0000_0000_0000_ecee_eeff_feee_eeeen
/** ee:ee:ee:ee:ee:ee, of every host-side veth. */
export const HOST_VETH_MAC = 0xeeeeeeeeeeee
/** ff:ff:ff:ff:ff:f1, what broadcast becomes on the VXLAN device. */
export const VXLAN_BROADCAST_MAC = 0xfffffffffff1

export const CONTAINER_INTERFACE = 'eth0'
export const HOST_VETH_PREFIX = 'hybr'
export const VXLAN_INTERFACE_INFIX = '.vxlan'
/** IFNAMSIZ - 1. */
export const INTERFACE_NAME_MAX = 15

/** Interfaces that belong to containers, ignored when the host's own are looked at. */
export const CONTAINER_INTERFACE_PREFIXES: readonly string[] = ['h_', HOST_VETH_PREFIX, 'veth', 'docker', 'kube-']
export const CONTAINER_INTERFACE_SUFFIX = '_h'

/** Bits 0x02:12:34 in front of three random bytes. */
export const GENERATED_MAC_PREFIX = 0x021234

export const VXLAN_PORT = 8472
/** Bytes of outer headers over IPv4. */
export const VXLAN_OVERHEAD_IPV4 = 50
/** Bytes of outer headers over IPv6. */
export const VXLAN_OVERHEAD_IPV6 = 70
export const MAX_VLAN_ID = 4094
export const MAX_VNI = 0xffffff

/** Routes of pods on this node. */
export const TABLE_LOCAL_DIRECT = 39999
export const TABLE_TO_OVERLAY = 40000
export const TABLE_OVERLAY_MARK = 40001
/** First of the per-subnet tables. */
export const TABLE_SUBNET_MIN = 10000
/** One past the last of the per-subnet tables (39999 is taken). */
export const TABLE_SUBNET_END = 40000

/** Return traffic from a pod to its node, over the overlay. */
export const MARK_POD_TO_NODE = 0x20
/** Traffic of a pod that was fully NATed. */
export const MARK_FULL_NAT = 0x40
/** kube-proxy's own masquerade mark. */
export const MARK_KUBE_PROXY_MASQUERADE = 0x4000
/** Mask of from-subnet rules, which match mark 0. */
export const MASK_FROM_SUBNET = 0x4040

/** Names the original gave ipsets; the IPv6 variants are prefixed "inet6:". */
export const LEGACY_IPSETS = [
  'HYBR-OVERLAY-NET',
  'HYBR-ALL',
  'HYBR-LOCAL-UNDERLAY-NET',
  'HYBR-NODE-IP',
  'HYBR-LOCAL-POD-IP',
] as const

/** Names the original gave iptables chains. */
export const LEGACY_CHAINS = [
  'HYBRIDNET-POSTROUTING',
  'HYBRIDNET-FORWARD',
  'HYBRIDNET-PREROUTING',
  'HYBRIDNET-FROM-RULE-SKIP',
  'HYBRIDNET-POD-TO-NODE-MARK',
  'RAMA-POSTROUTING',
  'RAMA-FORWARD',
  'RAMA-PREROUTING',
] as const

/** Seconds of graceful restart when a peer names none. */
export const DEFAULT_GRACEFUL_RESTART_SECONDS = 300

/** A Subnet may hold at most this many addresses (admission). */
export const SUBNET_CAPACITY_MAX = 65536

/** Ordinal of a pod whose name ends in no number. */
export const NO_ORDINAL = 2147483647

/** Owner that holds this cluster's own UUID among RemoteClusters. */
export const LOCAL_CLUSTER_OWNER = 'LocalCluster'
