// The nftables tables: structure as data (it never changes while the daemon runs), membership as `element` records.
// Pure; spec/dataplane.md §6.3 for what each rule is for, §6.7 for this form.
//
// What differs from §6.7: node addresses are kept out of the managed networks, in their own exact-match set, so that a
// node that comes or goes is one element instead of a re-merged interval set; and pods cannot reach the node's loopback
// addresses although `route_localnet` is on for their veths (defect 38).
import type { TableDefinition } from '../../nft/index.ts'
import { FAN_OUT_MAC, FROM_SUBNET_MASK, MARK_FULL_NAT, MARK_OVERLAY_RETURN } from '../constants.ts'
import { formatMac, type Family } from '../../ip/index.ts'

const MANGLE = -150
const FILTER = 0
const SRCNAT = 100

const hex = (value: number): string => `0x${value.toString(16)}`

/** One line per family: `ip` words for IPv4, `ip6` words for IPv6, `4`/`6` in set names. */
function both(line: (words: { ip: string; family: Family }) => string): string[] {
  return [line({ ip: 'ip', family: 4 }), line({ ip: 'ip6', family: 6 })]
}

/** Packets of an un-NATed, known connection from an overlay pod to a node: they must return over the VXLAN device. */
const toNode = ({ ip, family }: { ip: string; family: Family }): string =>
  `${ip} saddr @overlay_net${family} ${ip} daddr @node_ip${family} fib daddr type != local ` +
  'ct state != { new, invalid } ct status & ( snat | dnat ) == 0'

const SETS: readonly { readonly name: string; readonly interval: boolean }[] = [
  { name: 'overlay_net', interval: true },
  { name: 'managed_net', interval: true },
  { name: 'local_underlay_net', interval: true },
  { name: 'pod_net', interval: true },
  { name: 'node_ip', interval: false },
  { name: 'local_node_ip', interval: false },
  { name: 'local_pod', interval: false },
]

/** `table inet hybridnet`. */
export const MAIN_TABLE: TableDefinition = {
  family: 'inet',
  name: 'hybridnet',
  sets: [
    ...SETS.flatMap(({ name, interval }) => [
      { name: `${name}4`, type: 'ipv4_addr', interval },
      { name: `${name}6`, type: 'ipv6_addr', interval },
    ]),
    { name: 'vxlan_if', type: 'ifname', interval: false },
    { name: 'underlay_if', type: 'ifname', interval: false },
  ],
  chains: [
    ...(['4', '6'] as const).map((family) => ({
      name: `mark_back${family}`,
      base: null,
      rules: [
        `ct original ${family === '4' ? 'ip' : 'ip6'} daddr @local_node_ip${family} return`,
        `meta mark set meta mark | ${hex(MARK_OVERLAY_RETURN)}`,
      ],
    })),
    {
      name: 'pre_mark',
      base: { type: 'filter', hook: 'prerouting', priority: MANGLE, policy: 'accept' },
      rules: [
        ...both((words) => `${toNode(words)} jump mark_back${words.family}`),
        ...both(
          ({ ip, family }) =>
            `ct status & ( snat | dnat ) == ( snat | dnat ) ct reply ${ip} saddr @pod_net${family} ` +
            `meta mark set meta mark | ${hex(MARK_FULL_NAT)}`,
        ),
      ],
    },
    {
      // The outer packet inherits the mark; left on, it would be routed into the VXLAN device again.
      name: 'post_unmark',
      base: { type: 'filter', hook: 'postrouting', priority: MANGLE, policy: 'accept' },
      rules: both((words) => `${toNode(words)} meta mark set meta mark & ${hex(~MARK_OVERLAY_RETURN >>> 0)}`),
    },
    {
      name: 'input_guard',
      base: { type: 'filter', hook: 'input', priority: FILTER - 5, policy: 'accept' },
      rules: ['iifname "hybr*" ip daddr 127.0.0.0/8 ct status & dnat == 0 drop'],
    },
    {
      name: 'fwd_guard',
      base: { type: 'filter', hook: 'forward', priority: FILTER + 5, policy: 'accept' },
      rules: [
        'ct state established,related accept',
        ...both(
          ({ ip, family }) =>
            `oifname @vxlan_if ${ip} daddr != @managed_net${family} ${ip} daddr != @node_ip${family} ` +
            'reject with icmpx host-unreachable',
        ),
        ...both(
          ({ ip, family }) =>
            `iifname @underlay_if meta mark & ${hex(FROM_SUBNET_MASK)} == 0 ` +
            `${ip} daddr != @local_pod${family} ${ip} daddr @local_underlay_net${family} drop`,
        ),
      ],
    },
    {
      // After kube-proxy's, whose translation then ends the walk over nat chains.
      name: 'post_snat',
      base: { type: 'nat', hook: 'postrouting', priority: SRCNAT + 5, policy: 'accept' },
      rules: [
        'oifname "hybr*" return',
        'oifname "h_*" return',
        ...both(({ ip, family }) => `oifname != @vxlan_if ${ip} saddr @overlay_net${family} masquerade`),
      ],
    },
  ],
}

/** `table netdev hybridnet`: every group frame leaving the VXLAN device goes to the fan-out MAC (§3.5). Kernel ≥ 5.16. */
export function fanOutTable(vxlan: string): TableDefinition {
  return {
    family: 'netdev',
    name: 'hybridnet',
    sets: [],
    chains: [
      {
        name: 'vxlan_fanout',
        base: { type: 'filter', hook: 'egress', device: vxlan, priority: FILTER, policy: 'accept' },
        rules: ['ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 ' + `ether daddr set ${formatMac(FAN_OUT_MAC)}`],
      },
    ],
  }
}
