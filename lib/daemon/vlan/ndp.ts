// Neighbour discovery over Ethernet (RFC 4861), as far as duplicate address detection (RFC 4862 §5.4) and announcements need
// it. Pure.
import { macFromBytes, macToBytes, readAddress, toBytes, writeAddress } from '../../ip/index.ts'

export const ETHER_TYPE_IPV6 = 0x86dd
const ICMPV6 = 58
const SOLICITATION = 135
const ADVERTISEMENT = 136
const SOURCE_LINK_LAYER = 1
const TARGET_LINK_LAYER = 2
const OVERRIDE = 0x20
/** ff02::1, all nodes. */
const ALL_NODES = (0xff02n << 112n) | 1n
/** ff02::1:ff00:0/104. */
const SOLICITED_NODE = (0xff02n << 112n) | 0x1ff000000n
const ethernetHeader = 14
const ipHeader = 40
const icmpOffset = ethernetHeader + ipHeader
const optionsOffset = icmpOffset + 24

/** What a neighbour discovery frame says. */
export interface NdpPacket {
  readonly type: 'solicitation' | 'advertisement'
  /** Of the IPv6 header; 0 (`::`) when the sender has no address yet: it asks whether its own is taken. */
  readonly source: bigint
  readonly target: bigint
  /** Of the link-layer option; of the Ethernet header where there is none. */
  readonly mac: number
}

/**
 * "Who has TARGET?", to its solicited-node group. From `::` it is duplicate address detection, of which nobody learns
 * anything and which is answered to all nodes; the link-layer option is left out then (RFC 4861 §4.3).
 *
 * Equivalent to: `ndisc6 TARGET DEVICE` with source SENDER
 */
export function ndpQuestion(mac: number, sender: bigint, target: bigint): Uint8Array {
  const group = SOLICITED_NODE | (target & 0xffffffn)
  return frame(mac, sender, group, SOLICITATION, 0, target, sender === 0n ? null : SOURCE_LINK_LAYER)
}

/**
 * "TARGET is at MAC", to all nodes, unasked; it overrides what they know (RFC 4861 §7.2.6). From the address itself, as a
 * host's own.
 *
 * Equivalent to: `ndsend ADDRESS DEVICE`
 */
export function ndpAnnouncement(mac: number, address: bigint): Uint8Array {
  return frame(mac, address, ALL_NODES, ADVERTISEMENT, OVERRIDE, address, TARGET_LINK_LAYER)
}

function frame(
  mac: number,
  source: bigint,
  destination: bigint,
  type: number,
  flags: number,
  target: bigint,
  option: number | null,
): Uint8Array {
  const payload = option === null ? 24 : 32
  const bytes = new Uint8Array(icmpOffset + payload)
  const view = new DataView(bytes.buffer)
  // RFC 2464 §7: 33:33 and the last four bytes of the group.
  bytes.set([0x33, 0x33, ...toBytes(destination).subarray(12)], 0)
  bytes.set(macToBytes(mac), 6)
  view.setUint16(12, ETHER_TYPE_IPV6)
  view.setUint8(ethernetHeader, 0x60)
  view.setUint16(ethernetHeader + 4, payload)
  view.setUint8(ethernetHeader + 6, ICMPV6)
  // Receivers drop anything that came through a router.
  view.setUint8(ethernetHeader + 7, 255)
  writeAddress(bytes, ethernetHeader + 8, source)
  writeAddress(bytes, ethernetHeader + 24, destination)
  view.setUint8(icmpOffset, type)
  view.setUint8(icmpOffset + 4, flags)
  writeAddress(bytes, icmpOffset + 8, target)
  if (option !== null) {
    bytes.set([option, 1, ...macToBytes(mac)], optionsOffset)
  }
  view.setUint16(icmpOffset + 2, checksum(bytes))
  return bytes
}

/** RFC 8200 §8.1, over the pseudo-header and the message, whose checksum field is 0. */
function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let sum = bytes.length - icmpOffset + ICMPV6
  // Source and destination address, then the message.
  for (let offset = ethernetHeader + 8; offset < bytes.length; offset += 2) sum += view.getUint16(offset)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** null for what is no valid solicitation or advertisement (RFC 4861 §7.1; the checksum is the device's business). */
export function readNdp(bytes: Uint8Array): NdpPacket | null {
  if (bytes.length < optionsOffset) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const type = view.getUint8(icmpOffset)
  if (view.getUint16(12) !== ETHER_TYPE_IPV6 || view.getUint8(ethernetHeader + 6) !== ICMPV6) return null
  if (view.getUint8(ethernetHeader + 7) !== 255 || view.getUint8(icmpOffset + 1) !== 0) return null
  if (type !== SOLICITATION && type !== ADVERTISEMENT) return null
  const wanted = type === SOLICITATION ? SOURCE_LINK_LAYER : TARGET_LINK_LAYER
  const end = Math.min(bytes.length, icmpOffset + view.getUint16(ethernetHeader + 4))
  return {
    type: type === SOLICITATION ? 'solicitation' : 'advertisement',
    source: readAddress(bytes, ethernetHeader + 8, 6) as bigint,
    target: readAddress(bytes, icmpOffset + 8, 6) as bigint,
    mac: linkLayerOption(bytes.subarray(optionsOffset, end), wanted) ?? macFromBytes(bytes.subarray(6, 12)),
  }
}

function linkLayerOption(options: Uint8Array, wanted: number): number | null {
  for (let offset = 0; offset + 8 <= options.length;) {
    const length = (options[offset + 1] ?? 0) * 8
    if (length === 0) return null
    if (options[offset] === wanted) return macFromBytes(options.subarray(offset + 2, offset + 8))
    offset += length
  }
  return null
}
