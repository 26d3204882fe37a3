// Numbers and names that are wire or kernel contract with the original (spec/dataplane.md §0.3), in one place.
export {
  HOST_VETH_MAC,
  MARK_FULL_NAT,
  MARK_POD_TO_NODE as MARK_OVERLAY_RETURN,
  MASK_FROM_SUBNET as FROM_SUBNET_MASK,
  POD_GATEWAY_IPV4 as POD_GATEWAY4,
  POD_GATEWAY_IPV6 as POD_GATEWAY6,
  TABLE_SUBNET_END as FROM_SUBNET_TABLE_END,
  TABLE_SUBNET_MIN as FROM_SUBNET_TABLE_FIRST,
  VXLAN_BROADCAST_MAC as FAN_OUT_MAC,
} from '../api/index.ts'

/**
 * RTPROT_* of the routes this project writes ("H"). The original writes `boot` (3) and looks at no protocol, neither in
 * its start-up checks nor when it takes over, so both daemons accept each other's routes and neither rewrites them. The
 * number lets us recognise leftovers of our own in a table that no rule of ours points at.
 */
export const RTPROT_HYBRIDNET = 72
export {
  FR_ACT_TO_TBL,
  IFA_F_NOPREFIXROUTE,
  IFF_UP,
  NTF_EXT_LEARNED,
  NTF_PROXY,
  NTF_SELF,
  NUD_PERMANENT,
  RTN_THROW,
  RTN_UNICAST,
  RT_SCOPE_LINK as SCOPE_LINK,
  RT_SCOPE_UNIVERSE as SCOPE_UNIVERSE,
  RT_TABLE_LOCAL as TABLE_LOCAL,
  RT_TABLE_MAIN as TABLE_MAIN,
} from '../netlink/constants.ts'

/** IPv6's default metric; a dump shows it where none was asked for. */
export const IPV6_DEFAULT_METRIC = 1024
