// Reads captured Ethernet frames as far as is needed to say how a TCP connection travelled: plain, or inside VXLAN. Pure.
// RFC 791 (IPv4), 8200 (IPv6), 7348 (VXLAN), IEEE 802.1Q. IPv6 extension headers and IP fragments are not followed.
import { fromBytes, type IPAddress } from '../ip/index.ts'

/** A TCP packet seen on the wire. */
export interface Sighting {
  readonly source: IPAddress
  readonly sourcePort: number
  readonly destination: IPAddress
  readonly destinationPort: number
  /** 802.1Q id of the frame on the wire; 0 when it has no tag. */
  readonly vlan: number
  /** The tunnel it was in; null when it was not in one. */
  readonly tunnel: Tunnel | null
}

/** The outer header of an encapsulated packet. */
export interface Tunnel {
  readonly vni: number
  readonly source: IPAddress
  readonly destination: IPAddress
}

interface IpPacket {
  readonly source: IPAddress
  readonly destination: IPAddress
  readonly protocol: number
  readonly payload: Uint8Array
}

const ethernetHeader = 14
const etherTypeIpv4 = 0x0800
const etherTypeIpv6 = 0x86dd
const etherTypeVlan = 0x8100
const protocolTcp = 6
const protocolUdp = 17
const vxlanHeader = 8

/**
 * What a frame shows of a TCP connection; null for everything else.
 *
 * @param vxlanPort UDP port of VXLAN, 8472 unless configured otherwise
 */
export function readFrame(frame: Uint8Array, vxlanPort: number): Sighting | null {
  const tagged = word16(frame, 12) === etherTypeVlan
  const vlan = tagged ? word16(frame, 14) & 0x0fff : 0
  const outer = ipPacket(frame, tagged ? ethernetHeader + 4 : ethernetHeader)
  if (outer === null) return null
  const tcp = tcpSighting(outer, vlan, null)
  if (tcp !== null) return tcp
  if (outer.protocol !== protocolUdp || word16(outer.payload, 2) !== vxlanPort) return null
  const vxlan = outer.payload.subarray(8)
  // The I flag says that there is a VNI.
  if (vxlan.length < vxlanHeader || ((vxlan[0] ?? 0) & 0x08) === 0) return null
  const vni = ((vxlan[4] ?? 0) << 16) | word16(vxlan, 5)
  const inner = ipPacket(vxlan.subarray(vxlanHeader))
  const { source, destination } = outer
  return inner === null ? null : tcpSighting(inner, vlan, { vni, source, destination })
}

function ipPacket(frame: Uint8Array, header = ethernetHeader): IpPacket | null {
  if (frame.length < header) return null
  const packet = frame.subarray(header)
  switch (word16(frame, header - 2)) {
    case etherTypeIpv4: {
      const headerLength = ((packet[0] ?? 0) & 0x0f) * 4
      const isLaterFragment = (word16(packet, 6) & 0x1fff) !== 0
      if (packet.length < 20 || packet.length < headerLength || isLaterFragment) return null
      return {
        source: fromBytes(packet.subarray(12, 16)),
        destination: fromBytes(packet.subarray(16, 20)),
        protocol: packet[9] ?? 0,
        payload: packet.subarray(headerLength),
      }
    }
    case etherTypeIpv6:
      if (packet.length < 40) return null
      return {
        source: fromBytes(packet.subarray(8, 24)),
        destination: fromBytes(packet.subarray(24, 40)),
        protocol: packet[6] ?? 0,
        payload: packet.subarray(40),
      }
    default:
      return null
  }
}

function tcpSighting(packet: IpPacket, vlan: number, tunnel: Tunnel | null): Sighting | null {
  const { source, destination, protocol, payload } = packet
  if (protocol !== protocolTcp || payload.length < 20) return null
  return { source, sourcePort: word16(payload, 0), destination, destinationPort: word16(payload, 2), vlan, tunnel }
}

/** Big-endian; 0 beyond the end. */
function word16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0)
}
