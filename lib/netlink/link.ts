// Links <-> messages. A link request is struct ifinfomsg and attributes, built here; a dumped link comes the same way, cut by
// the addon to the attributes read here.
import type { IPAddress } from '../ip/index.ts'
import { AttributeWriter, readAttributes, type AttributeValue } from './attributes.ts'
import { checkIndex, checkMac, checkU32 } from './check.ts'
import { IFF_UP } from './constants.ts'
import type { NetworkNamespace } from './namespace.ts'
import type { Link, VxlanInfo } from './types.ts'

/** IFLA_* (<linux/if_link.h>). */
export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  TXQLEN: 13,
  LINKINFO: 18,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  NUM_TX_QUEUES: 31,
  NUM_RX_QUEUES: 32,
  LINK_NETNSID: 37,
} as const
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const VETH_INFO_PEER = 1
const IFLA_VLAN_ID = 1
const VXLAN = {
  ID: 1,
  GROUP: 2,
  LINK: 3,
  LOCAL: 4,
  TTL: 5,
  TOS: 6,
  LEARNING: 7,
  AGEING: 8,
  PROXY: 11,
  RSC: 12,
  L2MISS: 13,
  L3MISS: 14,
  PORT: 15,
  GROUP6: 16,
  LOCAL6: 17,
} as const

/** What every device may be given at creation. */
export interface LinkEnd {
  /** At most 15 bytes. */
  readonly name: string
  /** Chosen by the caller; absent lets the kernel choose. EBUSY when taken. */
  readonly index?: number
  readonly mac?: number
  readonly mtu?: number
  readonly group?: number
  readonly txQueueLength?: number
  /** Transmit and receive queues; 1 is what a veth of a pod needs. */
  readonly queues?: number
  /** Administratively up from the start. */
  readonly up?: boolean
  /** Created there instead of in the socket's namespace; must stay open until the request is answered. */
  readonly namespace?: NetworkNamespace
}

/** The other end of a veth. It cannot be created up: the kernel pairs the ends only afterwards and would say ENOTCONN. */
export type PeerEnd = Omit<LinkEnd, 'up'>

/** Attributes of a VXLAN device; what is left out has the kernel's default. */
export interface VxlanSpec {
  /** 0 to 2^24 - 1. */
  readonly vni: number
  /** Index of the lower device. */
  readonly parent?: number
  /** Source address of outer packets. */
  readonly local?: IPAddress
  /** Default destination or multicast group. */
  readonly group?: IPAddress
  /** UDP destination port; the kernel's default is 8472. */
  readonly port?: number
  readonly learning?: boolean
  /** 0 for the route's. */
  readonly ttl?: number
  readonly tos?: number
  /** Seconds a learned entry lives. */
  readonly ageing?: number
  readonly l2miss?: boolean
  readonly l3miss?: boolean
  readonly proxy?: boolean
  readonly rsc?: boolean
}

export type LinkSpec = LinkEnd & { readonly master?: number } & (
    | { readonly kind: 'veth'; readonly peer: PeerEnd }
    | { readonly kind: 'vxlan'; readonly vxlan: VxlanSpec }
    | { readonly kind: 'vlan'; readonly parent: number; readonly vlanId: number }
    | { readonly kind: 'bridge' | 'dummy' }
  )

/** What linkSet changes; what is left out stays. */
export interface LinkChanges {
  readonly up?: boolean
  readonly name?: string
  readonly mac?: number
  readonly mtu?: number
  /** 0 releases the link from its master. */
  readonly master?: number
  readonly group?: number
  readonly txQueueLength?: number
  /** Moving costs a grace period (16 to 20 ms); create in place instead where possible. */
  readonly namespace?: NetworkNamespace
}

/** A device by index or name, or all of a group. */
export type LinkSelector = number | string | { readonly group: number }

/** @throws RangeError unless the kernel could take the name */
function checkName(field: string, name: string): string {
  const bytes = Buffer.byteLength(name)
  if (bytes === 0 || bytes > 15 || /[/:\s\0]/.test(name) || name === '.' || name === '..') {
    throw new RangeError(`${field} is ${JSON.stringify(name)}, expected 1 to 15 bytes without '/', ':' or white space`)
  }
  return name
}

function putEnd(out: AttributeWriter, end: LinkEnd, field: string): void {
  const up = end.up === true ? IFF_UP : 0
  out.ifinfomsg(end.index === undefined ? 0 : checkIndex(`${field}index`, end.index), up, up)
  out.string(IFLA.IFNAME, checkName(`${field}name`, end.name))
  if (end.mac !== undefined) out.mac(IFLA.ADDRESS, checkMac(`${field}mac`, end.mac))
  if (end.mtu !== undefined) out.u32(IFLA.MTU, checkU32(`${field}mtu`, end.mtu))
  if (end.group !== undefined) out.u32(IFLA.GROUP, checkU32(`${field}group`, end.group))
  if (end.txQueueLength !== undefined) out.u32(IFLA.TXQLEN, checkU32(`${field}txQueueLength`, end.txQueueLength))
  if (end.queues !== undefined) {
    out.u32(IFLA.NUM_TX_QUEUES, checkU32(`${field}queues`, end.queues)).u32(IFLA.NUM_RX_QUEUES, end.queues)
  }
  if (end.namespace !== undefined) out.u32(IFLA.NET_NS_FD, end.namespace.fd)
}

function putVxlan(out: AttributeWriter, vxlan: VxlanSpec): void {
  if (!Number.isInteger(vxlan.vni) || vxlan.vni < 0 || vxlan.vni > 0xffffff) {
    throw new RangeError(`vxlan.vni is ${vxlan.vni}, expected 0 to 16777215`)
  }
  const flag = (type: number, value: boolean | undefined): unknown => value !== undefined && out.u8(type, value ? 1 : 0)
  out.u32(VXLAN.ID, vxlan.vni)
  if (vxlan.parent !== undefined) out.u32(VXLAN.LINK, checkIndex('vxlan.parent', vxlan.parent))
  if (vxlan.local !== undefined) {
    out.address(typeof vxlan.local === 'number' ? VXLAN.LOCAL : VXLAN.LOCAL6, vxlan.local)
  }
  if (vxlan.group !== undefined) {
    out.address(typeof vxlan.group === 'number' ? VXLAN.GROUP : VXLAN.GROUP6, vxlan.group)
  }
  if (vxlan.port !== undefined) out.be16(VXLAN.PORT, vxlan.port)
  if (vxlan.ttl !== undefined) out.u8(VXLAN.TTL, vxlan.ttl)
  if (vxlan.tos !== undefined) out.u8(VXLAN.TOS, vxlan.tos)
  if (vxlan.ageing !== undefined) out.u32(VXLAN.AGEING, vxlan.ageing)
  flag(VXLAN.LEARNING, vxlan.learning)
  flag(VXLAN.PROXY, vxlan.proxy)
  flag(VXLAN.RSC, vxlan.rsc)
  flag(VXLAN.L2MISS, vxlan.l2miss)
  flag(VXLAN.L3MISS, vxlan.l3miss)
}

/**
 * The body of RTM_NEWLINK for a new device.
 *
 * @throws RangeError for a name or number the kernel could not take
 */
export function packLink(link: LinkSpec): Uint32Array {
  const out = new AttributeWriter()
  putEnd(out, link, '')
  if (link.master) out.u32(IFLA.MASTER, checkIndex('master', link.master))
  if (link.kind === 'vlan') out.u32(IFLA.LINK, checkIndex('parent', link.parent))
  out.nest(IFLA.LINKINFO, (info) => {
    info.string(IFLA_INFO_KIND, link.kind)
    switch (link.kind) {
      case 'veth':
        info.nest(IFLA_INFO_DATA, (data) => data.nest(VETH_INFO_PEER, (peer) => putEnd(peer, link.peer, 'peer.')))
        break
      case 'vxlan':
        info.nest(IFLA_INFO_DATA, (data) => putVxlan(data, link.vxlan))
        break
      case 'vlan':
        if (!Number.isInteger(link.vlanId) || link.vlanId < 0 || link.vlanId > 4095) {
          throw new RangeError(`vlanId is ${link.vlanId}, expected 0 to 4095`)
        }
        info.nest(IFLA_INFO_DATA, (data) => data.u16(IFLA_VLAN_ID, link.vlanId))
        break
      case 'bridge':
      case 'dummy':
        break
    }
  })
  return out.words()
}

/** Starts a message about the selected device. */
export function selectLink(selector: LinkSelector, flags = 0, change = 0): AttributeWriter {
  const out = new AttributeWriter()
  if (typeof selector === 'number') return out.ifinfomsg(checkIndex('link', selector), flags, change)
  out.ifinfomsg(0, flags, change)
  if (typeof selector === 'string') return out.string(IFLA.IFNAME, checkName('link', selector))
  return out.u32(IFLA.GROUP, checkU32('link.group', selector.group))
}

/**
 * The body of RTM_SETLINK.
 *
 * @throws RangeError for a number the kernel could not take, or a new name for a device given by name
 */
export function packLinkChanges(selector: number | string, changes: LinkChanges): Uint32Array {
  const change = changes.up === undefined ? 0 : IFF_UP
  const out = selectLink(selector, changes.up === true ? IFF_UP : 0, change)
  if (changes.name !== undefined) {
    if (typeof selector === 'string') throw new RangeError(`link is ${selector}, expected an index to rename it`)
    out.string(IFLA.IFNAME, checkName('name', changes.name))
  }
  if (changes.mac !== undefined) out.mac(IFLA.ADDRESS, checkMac('mac', changes.mac))
  if (changes.mtu !== undefined) out.u32(IFLA.MTU, checkU32('mtu', changes.mtu))
  if (changes.master !== undefined) out.u32(IFLA.MASTER, checkU32('master', changes.master))
  if (changes.group !== undefined) out.u32(IFLA.GROUP, checkU32('group', changes.group))
  if (changes.txQueueLength !== undefined) out.u32(IFLA.TXQLEN, checkU32('txQueueLength', changes.txQueueLength))
  if (changes.namespace !== undefined) out.u32(IFLA.NET_NS_FD, changes.namespace.fd)
  return out.words()
}

function readVxlan(data: Map<number, AttributeValue> | undefined): VxlanInfo {
  const at = (type: number): AttributeValue | undefined => data?.get(type)
  return {
    vni: at(VXLAN.ID)?.u32() ?? 0,
    parent: at(VXLAN.LINK)?.u32() ?? 0,
    local: (at(VXLAN.LOCAL) ?? at(VXLAN.LOCAL6))?.address() ?? null,
    group: (at(VXLAN.GROUP) ?? at(VXLAN.GROUP6))?.address() ?? null,
    port: at(VXLAN.PORT)?.be16() ?? 0,
    learning: at(VXLAN.LEARNING)?.u8() === 1,
  }
}

/** The link of a message body: struct ifinfomsg, then attributes. */
export function unpackLink(words: Uint32Array, at: number, length: number): Link {
  const attributes = readAttributes(
    new DataView(words.buffer, words.byteOffset + (at + 4) * 4, Math.max(0, length - 4) * 4),
  )
  const info = attributes.get(IFLA.LINKINFO)?.nested()
  const kind = info?.get(IFLA_INFO_KIND)?.string() ?? null
  const data = info?.get(IFLA_INFO_DATA)?.nested()
  return {
    index: words[at + 1] ?? 0,
    name: attributes.get(IFLA.IFNAME)?.string() ?? '',
    kind,
    flags: words[at + 2] ?? 0,
    mtu: attributes.get(IFLA.MTU)?.u32() ?? 0,
    mac: attributes.get(IFLA.ADDRESS)?.mac() ?? null,
    parent: attributes.get(IFLA.LINK)?.u32() ?? 0,
    parentNetnsId: attributes.get(IFLA.LINK_NETNSID)?.i32() ?? -1,
    master: attributes.get(IFLA.MASTER)?.u32() ?? 0,
    group: attributes.get(IFLA.GROUP)?.u32() ?? 0,
    vxlan: kind === 'vxlan' ? readVxlan(data) : null,
    vlanId: kind === 'vlan' ? (data?.get(IFLA_VLAN_ID)?.u16() ?? 0) : null,
  }
}
