// A request in iproute2's words, for errors and logs. Built only when somebody reads it.
import { formatAddress, formatMac, formatPrefix, type IPAddress, type Prefix } from '../ip/index.ts'
import { isGiven } from './check.ts'
import * as C from './constants.ts'
import type { LinkEnd, LinkSpec } from './link.ts'
import type { Request } from './request.ts'
import type { RouteSpec } from './route.ts'
import type { RuleSpec } from './rule.ts'

const ROUTE_TYPES = [
  '',
  '',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
]

function verb({ type, flags }: Request): string {
  if ([C.RTM_DELLINK, C.RTM_DELADDR, C.RTM_DELROUTE, C.RTM_DELRULE, C.RTM_DELNEIGH].includes(type)) return 'delete'
  if (type === C.RTM_SETLINK) return 'set'
  if ((flags & C.NLM_F_REPLACE) !== 0) return 'replace'
  return (flags & C.NLM_F_APPEND) !== 0 ? 'append' : 'add'
}

const hex = (value: number): string => `0x${value.toString(16)}`
const part = (word: string, value: string | number | null | undefined | false): string =>
  value === null || value === undefined || value === false || value === '' ? '' : ` ${word} ${value}`
const prefixText = (prefix: Prefix): string => (prefix.length === 0 ? 'default' : formatPrefix(prefix))
const via = (gateway: IPAddress | null | undefined): string =>
  part('via', !isGiven(gateway) ? null : formatAddress(gateway))

function route(spec: RouteSpec): string {
  const type = ROUTE_TYPES[spec.type ?? C.RTN_UNICAST] ?? `type ${spec.type}`
  const hops = (spec.nexthops ?? []).map((hop) => ` nexthop${via(hop.gateway)} dev ${hop.oif} weight ${hop.weight}`)
  return [
    type === '' ? '' : `${type} `,
    // An IPv6 default would otherwise read like the IPv4 one.
    typeof spec.dst.address === 'bigint' && spec.dst.length === 0 ? '::/0' : prefixText(spec.dst),
    via(spec.gateway),
    part('nhid', spec.nexthopId !== 0 && spec.nexthopId),
    part('dev', spec.oif !== 0 && spec.oif),
    part('src', isGiven(spec.prefSrc) && formatAddress(spec.prefSrc)),
    part('metric', spec.metric !== 0 && spec.metric),
    ...hops,
    part('table', spec.table ?? C.RT_TABLE_MAIN),
  ].join('')
}

function rule(spec: RuleSpec): string {
  return [
    part('priority', spec.priority),
    ` from ${!isGiven(spec.src) ? 'all' : formatPrefix(spec.src)}`,
    part('to', isGiven(spec.dst) && formatPrefix(spec.dst)),
    part('fwmark', spec.fwmask ? `${hex(spec.fwmark ?? 0)}/${hex(spec.fwmask)}` : null),
    part('lookup', spec.table),
  ].join('')
}

function end(value: LinkEnd): string {
  return [value.name, part('index', value.index), part('netns', value.namespace?.path)].join('')
}

function link(spec: LinkSpec): string {
  const text = `${end(spec)} type ${spec.kind}`
  switch (spec.kind) {
    case 'veth':
      return `${text} peer ${end(spec.peer)}`
    case 'vxlan':
      return `${text} id ${spec.vxlan.vni}${part('dev', spec.vxlan.parent)}${part('dstport', spec.vxlan.port)}`
    case 'vlan':
      return `${text} id ${spec.vlanId} link ${spec.parent}`
    case 'bridge':
    case 'dummy':
      return text
  }
}

/** "route replace 10.0.0.0/24 dev 7 table 39999". Never throws, whatever the request holds. */
export function describe(request: Request): string {
  try {
    return describeChecked(request)
  } catch {
    // A value no formatter takes is what the error about this request is for; name the object at least.
    return `${request.object} ${verb(request)} (unprintable)`
  }
}

function describeChecked(request: Request): string {
  const action = verb(request)
  switch (request.object) {
    case 'link':
      return `link ${action} ${link(request.value)}`
    case 'linkSet': {
      const { namespace, mac, up, ...rest } = request.value
      const words = Object.entries(rest).map(([name, value]) => ` ${name} ${String(value)}`)
      const state = up === undefined ? '' : up ? ' up' : ' down'
      return `link set ${request.selector}${state}${words.join('')}${part('address', mac !== undefined && formatMac(mac))}${part('netns', namespace?.path)}`
    }
    case 'linkDelete':
      return `link delete ${typeof request.value === 'object' ? `group ${request.value.group}` : request.value}`
    case 'addr':
      return `addr ${action} ${formatAddress(request.value.address)}/${request.value.prefixLength} dev ${request.value.index}`
    case 'route':
      return `route ${action} ${route(request.value)}`
    case 'rule':
      return `rule ${action}${request.value.family === 6 ? ' -6' : ''}${rule(request.value)}`
    case 'neigh': {
      const { dst, index, mac, flags = 0 } = request.value
      const proxy = (flags & C.NTF_PROXY) !== 0 ? 'proxy ' : ''
      return `neigh ${action} ${proxy}${dst === null ? 'null' : formatAddress(dst)}${part('lladdr', isGiven(mac) && formatMac(mac))} dev ${index}`
    }
    case 'fdbFlush':
      return `fdb flush dev ${request.value}`
    case 'fdb': {
      const { dst, index, mac } = request.value
      return `fdb ${action} ${mac === null ? 'null' : formatMac(mac)} dev ${index}${part('dst', isGiven(dst) && formatAddress(dst))}`
    }
  }
}
