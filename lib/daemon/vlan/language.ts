// What address checks need of ARP and of neighbour discovery, in one form. Pure.
import type { FilterInstruction } from '../../netlink/index.ts'
import type { Family, IPAddress } from '../../ip/index.ts'
import { BROADCAST_MAC } from '../../ip/index.ts'
import { arpAnnouncement, arpQuestion, ETHER_TYPE_ARP, readArp } from './arp.ts'
import { ETHER_TYPE_IPV6, ndpAnnouncement, ndpQuestion, readNdp } from './ndp.ts'

/** What a frame tells of an address. */
export interface Heard {
  readonly address: IPAddress
  readonly mac: number
  /** `has` the address; or `asks` whether somebody has it, in order to use it itself. */
  readonly what: 'has' | 'asks'
}

export interface Language {
  readonly etherType: number
  /** Lets the kernel sort out what {@link Language.read} would not understand. */
  readonly filter: readonly FilterInstruction[]
  /** @param sender null for a question of which nobody learns anything */
  question(mac: number, sender: IPAddress | null, target: IPAddress): Uint8Array
  announcement(mac: number, address: IPAddress): readonly Uint8Array[]
  read(frame: Uint8Array): Heard | null
}

const arp: Language = {
  etherType: ETHER_TYPE_ARP,
  filter: [],
  question: (mac, sender, target) => arpQuestion(mac, (sender ?? 0) as number, target as number),
  announcement: (mac, address) => arpAnnouncement(mac, address as number),
  read: (frame) => {
    const packet = readArp(frame)
    if (packet === null) return null
    // RFC 5227 §2.1.1: whoever sends from an address has it, asking or answering.
    if (packet.senderAddress !== 0) return { address: packet.senderAddress, mac: packet.senderMac, what: 'has' }
    // Switches that keep track of hosts ask each of them in this way; only a probe goes to all.
    const isProbe = packet.operation === 'request' && packet.destination === BROADCAST_MAC
    return isProbe ? { address: packet.targetAddress, mac: packet.senderMac, what: 'asks' } : null
  },
}

const BPF_LOAD_BYTE = 0x30
const BPF_JUMP_EQUAL = 0x15
const BPF_RETURN = 0x06

const ndp: Language = {
  etherType: ETHER_TYPE_IPV6,
  filter: [
    // IPv6 next header ICMPv6, type solicitation or advertisement.
    [BPF_LOAD_BYTE, 0, 0, 20],
    [BPF_JUMP_EQUAL, 0, 4, 58],
    [BPF_LOAD_BYTE, 0, 0, 54],
    [BPF_JUMP_EQUAL, 1, 0, 135],
    [BPF_JUMP_EQUAL, 0, 1, 136],
    [BPF_RETURN, 0, 0, 0x40000],
    [BPF_RETURN, 0, 0, 0],
  ],
  question: (mac, sender, target) => ndpQuestion(mac, (sender ?? 0n) as bigint, target as bigint),
  announcement: (mac, address) => [ndpAnnouncement(mac, address as bigint)],
  read: (frame) => {
    const packet = readNdp(frame)
    if (packet === null) return null
    if (packet.type === 'advertisement') return { address: packet.target, mac: packet.mac, what: 'has' }
    if (packet.source !== 0n) return { address: packet.source, mac: packet.mac, what: 'has' }
    return { address: packet.target, mac: packet.mac, what: 'asks' }
  },
}

export const LANGUAGES: Readonly<Record<Family, Language>> = { 4: arp, 6: ndp }
