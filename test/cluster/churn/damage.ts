// What foreign hands do to a node's kernel state, as shell commands. A command may find nothing to damage: that is no error.
import { device } from './expect.ts'
import type { Damage } from './steps.ts'

/** Equal in both families: `ip`, `ip -6`. */
const both = (command: string): string => `ip ${command}; ip -6 ${command}`

export const damageCommands: Readonly<Record<Damage, string>> = {
  'base-rule': both('rule del pref 1'),
  'subnet-rule': 'ip rule del from 100.64.0.0/16; ip -6 rule del from fd64::/64',
  'pod-routes': both('route flush table 39999'),
  'overlay-routes': both('route flush table 40000'),
  'marked-default': both('route del default table 40001'),
  fdb: `bridge fdb flush dev ${device}`,
  proxies: `for p in $(ip neigh show proxy dev ${device} | cut -d" " -f1 | head -20); do ip neigh del proxy $p dev ${device}; done`,
  'nft-sets':
    'nft flush set inet hybridnet node_ip4; nft flush set inet hybridnet local_pod6; nft flush chain inet hybridnet post_snat',
  'nft-table': 'nft delete table inet hybridnet',
  'device-addresses': `ip -4 addr flush dev ${device}; ip -6 addr flush dev ${device} scope global`,
  'device-down': `ip link set ${device} down`,
  device: `ip link del ${device}`,
  'stray-route': `ip route add 10.99.0.0/16 dev ${device} table 40000; ip -6 route add fd99::/64 dev ${device} table 40000`,
  'stray-rule': 'ip rule add from 10.99.0.0/16 fwmark 0/0x4040 lookup 12345 pref 9',
  'stray-fdb': `bridge fdb append 02:00:00:00:00:99 dev ${device} dst 192.168.56.99`,
  'stray-proxy': `ip neigh add proxy 100.64.255.1 dev ${device}; ip -6 neigh add proxy fd64::ffff:1 dev ${device}`,
}

/** Somebody else's things beside ours, and the lines by which kernel.ts tells of them. */
export function foreignThings(number: number): { readonly command: string; readonly lines: readonly string[] } {
  const table = 100 + number
  const address = `198.51.100.${number + 1}`
  return {
    command: [
      `ip link add foreign${number} type bridge`,
      `ip route replace ${address} dev lo table ${table}`,
      `ip rule add from ${address} lookup ${table} pref ${20_000 + number}`,
      `nft add table inet foreign${number}`,
    ].join('; '),
    lines: [
      `link foreign${number}`,
      `route4 ${table} ${address} dev lo`,
      `rule4 from ${address} lookup ${table}`,
      `nft inet foreign${number}`,
    ],
  }
}
