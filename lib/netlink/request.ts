// Requests as data: what to send, not yet sent. Each builder names the command it equals; RouteSocket.apply sends many.
// Numbers are checked when a batch is packed, so that one bad request costs only itself.
import type { AddrSpec } from './addr.ts'
import {
  NLM_F_APPEND,
  NLM_F_BULK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELNEIGH,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWNEIGH,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  RTM_SETLINK,
} from './constants.ts'
import type { LinkChanges, LinkSelector, LinkSpec } from './link.ts'
import type { FdbSpec, NeighSpec } from './neigh.ts'
import type { RouteSpec } from './route.ts'
import type { RuleSpec } from './rule.ts'

interface Message {
  /** RTM_*. */
  readonly type: number
  /** NLM_F_*, without REQUEST and ACK. */
  readonly flags: number
}

/** One change asked of the kernel. */
export type Request = Message &
  (
    | { readonly object: 'link'; readonly value: LinkSpec }
    | { readonly object: 'linkSet'; readonly selector: number | string; readonly value: LinkChanges }
    | { readonly object: 'linkDelete'; readonly value: LinkSelector }
    | { readonly object: 'addr'; readonly value: AddrSpec }
    | { readonly object: 'route'; readonly value: RouteSpec }
    | { readonly object: 'rule'; readonly value: RuleSpec }
    | { readonly object: 'neigh'; readonly value: NeighSpec }
    | { readonly object: 'fdb'; readonly value: FdbSpec }
    | { readonly object: 'fdbFlush'; readonly value: number }
  )

const CREATE = NLM_F_CREATE | NLM_F_EXCL
const REPLACE = NLM_F_CREATE | NLM_F_REPLACE
const APPEND = NLM_F_CREATE | NLM_F_APPEND

export const request = {
  /** Equivalent to: `ip link add NAME [index N] ... type KIND ...`; EEXIST when the name (or a VXLAN's VNI and port) is taken. */
  linkAdd: (value: LinkSpec): Request => ({ type: RTM_NEWLINK, flags: CREATE, object: 'link', value }),
  /** Equivalent to: `ip link set LINK [up|down] [address MAC] [mtu N] [master M] [name NAME] [group G] [netns NS]`. */
  linkSet: (selector: number | string, value: LinkChanges): Request => ({
    type: RTM_SETLINK,
    flags: 0,
    object: 'linkSet',
    selector,
    value,
  }),
  /** Equivalent to: `ip link delete LINK`, or `ip link delete group G` (one grace period for all of them). */
  linkDelete: (value: LinkSelector): Request => ({ type: RTM_DELLINK, flags: 0, object: 'linkDelete', value }),

  /** Equivalent to: `ip addr add ADDRESS/LENGTH dev INDEX`. */
  addressAdd: (value: AddrSpec): Request => ({ type: RTM_NEWADDR, flags: CREATE, object: 'addr', value }),
  /** Equivalent to: `ip addr replace ADDRESS/LENGTH dev INDEX`. */
  addressReplace: (value: AddrSpec): Request => ({ type: RTM_NEWADDR, flags: REPLACE, object: 'addr', value }),
  /** Equivalent to: `ip addr delete ADDRESS/LENGTH dev INDEX`; EADDRNOTAVAIL when it is not there. */
  addressDelete: (value: AddrSpec): Request => ({ type: RTM_DELADDR, flags: 0, object: 'addr', value }),

  /** Equivalent to: `ip route add PREFIX ... table T`. */
  routeAdd: (value: RouteSpec): Request => ({ type: RTM_NEWROUTE, flags: CREATE, object: 'route', value }),
  /** Equivalent to: `ip route replace PREFIX ... table T`. IPv4 replaces the route of the same metric, IPv6 too. */
  routeReplace: (value: RouteSpec): Request => ({ type: RTM_NEWROUTE, flags: REPLACE, object: 'route', value }),
  /** Equivalent to: `ip route append PREFIX ... table T`. */
  routeAppend: (value: RouteSpec): Request => ({ type: RTM_NEWROUTE, flags: APPEND, object: 'route', value }),
  /** Equivalent to: `ip route delete PREFIX ... table T`: the first that matches what is given; ESRCH when none does. */
  routeDelete: (value: RouteSpec): Request => ({ type: RTM_DELROUTE, flags: 0, object: 'route', value }),

  /** Equivalent to: `ip rule add [from S] [to D] [fwmark M/MASK] priority P table T`; EEXIST for an equal one. */
  ruleAdd: (value: RuleSpec): Request => ({ type: RTM_NEWRULE, flags: CREATE, object: 'rule', value }),
  /**
   * The same without the kernel's walk for an equal rule: of many, sent in descending priority, each costs the same however
   * many there are. For rules known to be absent.
   */
  ruleAddUnchecked: (value: RuleSpec): Request => ({ type: RTM_NEWRULE, flags: NLM_F_CREATE, object: 'rule', value }),
  /** Equivalent to: `ip rule delete ...`: the first by priority that matches what is given; ENOENT when none does. */
  ruleDelete: (value: RuleSpec): Request => ({ type: RTM_DELRULE, flags: 0, object: 'rule', value }),

  /** Equivalent to: `ip neigh add DST lladdr MAC dev INDEX nud STATE`, or `ip neigh add proxy DST dev INDEX`. */
  neighAdd: (value: NeighSpec): Request => ({ type: RTM_NEWNEIGH, flags: CREATE, object: 'neigh', value }),
  /** Equivalent to: `ip neigh replace ...`. */
  neighReplace: (value: NeighSpec): Request => ({ type: RTM_NEWNEIGH, flags: REPLACE, object: 'neigh', value }),
  /** Equivalent to: `ip neigh change ADDRESS lladdr MAC dev LINK`; ENOENT when there is none. */
  neighChange: (value: NeighSpec): Request => ({ type: RTM_NEWNEIGH, flags: NLM_F_REPLACE, object: 'neigh', value }),
  /** Equivalent to: `ip neigh delete [proxy] DST dev INDEX`; ENOENT when it is not there. */
  neighDelete: (value: NeighSpec): Request => ({ type: RTM_DELNEIGH, flags: 0, object: 'neigh', value }),

  /** Equivalent to: `bridge fdb append MAC dev INDEX dst VTEP`: one more destination of a group MAC. */
  fdbAppend: (value: FdbSpec): Request => ({ type: RTM_NEWNEIGH, flags: APPEND, object: 'fdb', value }),
  /** Equivalent to: `bridge fdb replace MAC dev INDEX dst VTEP`: the only destination of a unicast MAC. */
  fdbReplace: (value: FdbSpec): Request => ({ type: RTM_NEWNEIGH, flags: REPLACE, object: 'fdb', value }),
  /** Equivalent to: `bridge fdb delete MAC dev INDEX [dst VTEP]`; ENOENT when it is not there. */
  fdbDelete: (value: FdbSpec): Request => ({ type: RTM_DELNEIGH, flags: 0, object: 'fdb', value }),
  /**
   * Equivalent to: `bridge fdb flush dev INDEX self`: every entry of a VXLAN device, the all-zero one too, in one message.
   * Linux 6.7; EOPNOTSUPP before.
   */
  fdbFlush: (index: number): Request => ({ type: RTM_DELNEIGH, flags: NLM_F_BULK, object: 'fdbFlush', value: index }),
} as const
