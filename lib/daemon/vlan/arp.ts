// ARP over Ethernet (RFC 826), as far as probes and announcements of RFC 5227 need it. Pure.
import { BROADCAST_MAC, macFromBytes, macToBytes, readAddress, writeAddress } from '../../ip/index.ts'

export const ETHER_TYPE_ARP = 0x0806
const REQUEST = 1
const REPLY = 2

/** What an ARP frame says. MAC addresses are 48-bit numbers, IPv4 addresses uint32. */
export interface ArpPacket {
  readonly operation: 'request' | 'reply'
  readonly senderMac: number
  readonly senderAddress: number
  readonly targetAddress: number
  /** Of the Ethernet header. */
  readonly destination: number
}

/**
 * "Who has TARGET?", to everybody. From 0.0.0.0 it is a probe, of which nobody learns anything (RFC 5227 §1.1).
 *
 * Equivalent to: `arping -D -I DEVICE TARGET` with sender 0.0.0.0, `arping -s SENDER -I DEVICE TARGET` otherwise
 */
export function arpQuestion(mac: number, sender: number, target: number): Uint8Array {
  return frame(REQUEST, mac, sender, target, 0)
}

/**
 * "ADDRESS is at MAC", to everybody, as a request and as a reply: which of the two a neighbour listens to depends on its
 * maker (RFC 5227 §3).
 *
 * Equivalent to: `arping -U -I DEVICE ADDRESS; arping -A -I DEVICE ADDRESS`
 */
export function arpAnnouncement(mac: number, address: number): readonly Uint8Array[] {
  return [frame(REQUEST, mac, address, address, BROADCAST_MAC), frame(REPLY, mac, address, address, BROADCAST_MAC)]
}

function frame(operation: number, mac: number, sender: number, target: number, targetMac: number): Uint8Array {
  const bytes = new Uint8Array(42)
  const view = new DataView(bytes.buffer)
  bytes.set(macToBytes(BROADCAST_MAC), 0)
  bytes.set(macToBytes(mac), 6)
  view.setUint16(12, ETHER_TYPE_ARP)
  view.setUint16(14, 1)
  view.setUint16(16, 0x0800)
  view.setUint8(18, 6)
  view.setUint8(19, 4)
  view.setUint16(20, operation)
  bytes.set(macToBytes(mac), 22)
  writeAddress(bytes, 28, sender)
  bytes.set(macToBytes(targetMac), 32)
  writeAddress(bytes, 38, target)
  return bytes
}

/** null for what is no ARP for IPv4 over Ethernet, or is cut off. */
export function readArp(bytes: Uint8Array): ArpPacket | null {
  if (bytes.length < 42) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isIPv4 = view.getUint16(14) === 1 && view.getUint16(16) === 0x0800 && view.getUint16(18) === 0x0604
  const operation = view.getUint16(20)
  if (view.getUint16(12) !== ETHER_TYPE_ARP || !isIPv4 || (operation !== REQUEST && operation !== REPLY)) return null
  return {
    operation: operation === REQUEST ? 'request' : 'reply',
    senderMac: macFromBytes(bytes.subarray(22, 28)),
    senderAddress: readAddress(bytes, 28, 4) as number,
    targetAddress: readAddress(bytes, 38, 4) as number,
    destination: macFromBytes(bytes.subarray(0, 6)),
  }
}
