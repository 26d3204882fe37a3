// Operations as netlink requests, with device names resolved; and what the kernel will hold once it has taken one.
import { lastAddress, prefixOf } from '../ip/index.ts'
import { IFA_F_NODAD, request, type Request } from '../netlink/index.ts'
import type { Addr, Route, Rule } from '../netlink/types.ts'
import {
  FR_ACT_TO_TBL,
  IFA_F_NOPREFIXROUTE,
  NTF_PROXY,
  NTF_SELF,
  NUD_PERMANENT,
  RTPROT_HYBRIDNET,
  SCOPE_UNIVERSE,
} from './constants.ts'
import type { KernelState } from './mirror/state.ts'
import type { Operation } from './operation.ts'
import type { AddressRecord, FdbRecord, LinkRecord, ProxyRecord, RouteRecord, RuleRecord } from './state.ts'

/** A device the operation needs is not there (any more). */
export class MissingLinkError extends Error {
  override readonly name = 'MissingLinkError'
  constructor(device: string) {
    super(`device ${device} does not exist`)
  }
}

function indexOf(name: string, state: KernelState): number {
  const link = state.link(name)
  if (link === undefined) throw new MissingLinkError(name)
  return link.index
}

/**
 * The requests of one operation, in order. Sysctls have none.
 *
 * @param excl whether rule additions ask the kernel to look for an equal rule first; costly with thousands of rules
 * @throws MissingLinkError when a device vanished since the diff
 */
export function requestsOf(operation: Operation, state: KernelState, excl: boolean): Request[] {
  const { record, action } = operation
  switch (record.kind) {
    case 'sysctl':
      return []
    case 'link':
      return linkRequests(record, action, state)
    case 'address':
      return addressRequests(record, action, state)
    case 'route': {
      const route = routeOf(record, state)
      // What is left out of a deletion matches anything: the destination, table, type and metric name one route.
      return action === 'delete'
        ? [request.routeDelete({ dst: route.dst, table: route.table, type: route.type, metric: route.metric })]
        : [request.routeReplace(route)]
    }
    case 'rule': {
      const rule = ruleOf(record, operation.priority ?? 0)
      const spec = { ...rule, protocol: RTPROT_HYBRIDNET }
      if (action === 'delete') return [request.ruleDelete({ ...rule, protocol: 0 })]
      return [excl ? request.ruleAdd(spec) : request.ruleAddUnchecked(spec)]
    }
    case 'proxy': {
      const neigh = { index: indexOf(record.link, state), dst: record.address, flags: NTF_PROXY }
      return [action === 'delete' ? request.neighDelete(neigh) : request.neighAdd(neigh)]
    }
    case 'fdb': {
      const spec = fdbOf(record, state)
      if (action === 'delete') return [request.fdbDelete(spec)]
      return [record.fanOut ? request.fdbAppend(spec) : request.fdbReplace(spec)]
    }
  }
}

function linkRequests(record: LinkRecord, action: Operation['action'], state: KernelState): Request[] {
  if (action === 'delete') return [request.linkDelete(record.name)]
  if (action === 'up') return [request.linkSet(record.name, { up: true })]
  const parent = indexOf(record.parent, state)
  if (record.type === 'vlan') {
    return [request.linkAdd({ kind: 'vlan', name: record.name, parent, vlanId: record.vlanId, up: true })]
  }
  const { vni, port, identity } = record
  const vxlan = {
    vni,
    parent,
    port,
    learning: true,
    ttl: 0,
    tos: 0,
    proxy: false,
    rsc: false,
    l2miss: false,
    l3miss: false,
    ...(identity === null ? {} : { local: identity.local }),
  }
  const mac = identity === null ? {} : { mac: identity.mac }
  const add = request.linkAdd({ kind: 'vxlan', name: record.name, ...mac, up: true, vxlan })
  return action === 'replace' ? [request.linkDelete(record.name), add] : [add]
}

function addressRequests(record: AddressRecord, action: Operation['action'], state: KernelState): Request[] {
  const addr = addressOf(record, state)
  if (action === 'delete') return [request.addressDelete(addr)]
  if (action === 'add') return [request.addressAdd(addr)]
  const old = state.address(addr.index, addr.address)
  if (old === undefined) return [request.addressAdd(addr)]
  // With another length both can stand side by side for a moment, which keeps the device's last IPv4 address alive.
  const both = typeof addr.address === 'number' && old.prefixLength !== addr.prefixLength
  const requests = [request.addressDelete(old), request.addressAdd(addr)]
  return both ? requests.reverse() : requests
}

export function addressOf(record: AddressRecord, state: KernelState): Addr {
  const { address, prefixLength } = record
  const broadcast =
    typeof address === 'number' && prefixLength < 31 ? (lastAddress(prefixOf(address, prefixLength)) as number) : null
  return {
    index: indexOf(record.link, state),
    address,
    prefixLength,
    // It is the node's own already; tentative, it could not be a source for a second.
    flags: typeof address === 'bigint' ? IFA_F_NOPREFIXROUTE | IFA_F_NODAD : IFA_F_NOPREFIXROUTE,
    scope: SCOPE_UNIVERSE,
    broadcast,
  }
}

export function routeOf(record: RouteRecord, state: KernelState): Route {
  return {
    table: record.table,
    dst: record.dst,
    type: record.type,
    protocol: RTPROT_HYBRIDNET,
    scope: record.scope,
    oif: record.link === null || record.link.startsWith('#') ? 0 : indexOf(record.link, state),
    gateway: record.gateway,
    prefSrc: record.prefSrc,
    metric: record.metric,
    flags: record.flags,
    nexthopId: 0,
    nexthops: record.nexthops.map((hop) => ({
      oif: hop.link.startsWith('#') ? 0 : indexOf(hop.link, state),
      gateway: hop.gateway,
      weight: hop.weight,
    })),
  }
}

export function ruleOf(record: RuleRecord, priority: number): Rule {
  return {
    family: record.family,
    priority,
    src: record.src,
    dst: null,
    fwmark: record.mark,
    fwmask: record.mask,
    table: record.table,
    action: FR_ACT_TO_TBL,
    protocol: RTPROT_HYBRIDNET,
    foreignSelector: false,
  }
}

export function fdbOf(
  record: FdbRecord,
  state: KernelState,
): { index: number; mac: number; dst: FdbRecord['dst']; state: number; flags: number } {
  return {
    index: indexOf(record.link, state),
    mac: record.mac,
    dst: record.dst,
    state: NUD_PERMANENT,
    flags: NTF_SELF,
  }
}

/**
 * Lets the state hold what it will hold when the kernel has taken the operation. Done before sending, so that the
 * notifications that follow, ours and others', are applied on top of it in the kernel's own order. Not for links and
 * sysctls, whose outcome is read back.
 */
export function assume(operation: Operation, state: KernelState): void {
  const { record } = operation
  const gone = operation.action === 'delete'
  switch (record.kind) {
    case 'sysctl':
    case 'link':
      return
    case 'address': {
      const addr = addressOf(record, state)
      if (gone) state.deleteAddress(addr)
      else state.setAddress(addr)
      return
    }
    case 'route': {
      const route = routeOf(record, state)
      if (gone) state.deleteRoute(route)
      else state.setRoute(route)
      return
    }
    case 'rule': {
      const rule = ruleOf(record, operation.priority ?? 0)
      if (gone) state.deleteRule(rule)
      else state.setRule(rule)
      return
    }
    case 'proxy':
      return assumeProxy(record, gone, state)
    case 'fdb': {
      const entry = { ...fdbOf(record, state), kind: 'bridge' as const }
      if (gone) state.deleteFdb(entry)
      else state.setFdb(entry)
    }
  }
}

function assumeProxy(record: ProxyRecord, gone: boolean, state: KernelState): void {
  const index = indexOf(record.link, state)
  if (gone) state.deleteProxy(index, record.address)
  else state.setProxy(index, record.address)
}
