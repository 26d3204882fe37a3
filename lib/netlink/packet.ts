// Whole Ethernet frames of one device (AF_PACKET), for ARP and neighbour discovery probes and announcements. What the frames
// say is the caller's.
import { addon, type NativePacketSocket } from './addon.ts'
import { checkIndex } from './check.ts'
import { asNetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

/** An instruction of classic BPF: `struct sock_filter` of linux/filter.h. Offsets count from the Ethernet header. */
export type FilterInstruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number]

export interface PacketSocketOptions {
  /** Device index. */
  readonly index: number
  /** Frames received: 0x0806 ARP, 0x86dd IPv6, 0x0003 all. */
  readonly etherType: number
  /** Receive every multicast frame too, whatever groups the device has joined. */
  readonly allMulticast?: boolean
  /** Only frames that this program lets pass are received; everything unless given. */
  readonly filter?: readonly FilterInstruction[]
  /**
   * At most 64 at a time, as on the wire, tags included. Frames this host sends are not among them, and those for others only with
   * etherType 0x0003.
   */
  readonly onFrames: (frames: readonly Buffer[]) => void
}

export class PacketSocket {
  readonly #native: NativePacketSocket
  readonly #index: number
  #closed = false

  /** @throws NetlinkError ENODEV, EPERM */
  constructor(namespace: NetworkNamespace, options: PacketSocketOptions) {
    const { index, etherType, allMulticast = false, filter = [], onFrames } = options
    checkIndex('index', index)
    if (!Number.isInteger(etherType) || etherType < 1 || etherType > 0xffff) {
      throw new RangeError(`etherType is ${etherType}, expected 1 to 65535`)
    }
    this.#index = index
    const Native = addon().PacketSocket
    try {
      this.#native = new Native(namespace.fd, index, etherType, allMulticast, packed(filter), onFrames)
    } catch (error) {
      throw asNetlinkError(error, `open packet socket on device ${index} in ${namespace.path}`)
    }
  }

  /**
   * Sends one frame, headers included.
   *
   * @throws NetlinkError ENETDOWN when the device is down, ENOBUFS when its queue is full
   */
  send(frame: Uint8Array): void {
    try {
      this.#native.send(frame)
    } catch (error) {
      throw asNetlinkError(error, `send frame of ${frame.length} bytes on device ${this.#index}`)
    }
  }

  /** Frames lost because onFrames had 256 to take already. */
  get dropped(): number {
    return this.#native.dropped()
  }

  /** Repeating it does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#native.close()
  }
}

/** In the processor's own byte order, as the kernel reads it. */
function packed(filter: readonly FilterInstruction[]): Uint8Array {
  const bytes = new Uint8Array(filter.length * 8)
  for (const [i, [code, jumpTrue, jumpFalse, k]] of filter.entries()) {
    new Uint16Array(bytes.buffer, i * 8, 1)[0] = code
    bytes.set([jumpTrue, jumpFalse], i * 8 + 2)
    new Uint32Array(bytes.buffer, i * 8 + 4, 1)[0] = k
  }
  return bytes
}

/** Opens a packet socket; it keeps the process alive until closed. */
export function openPacketSocket(namespace: NetworkNamespace, options: PacketSocketOptions): PacketSocket {
  return new PacketSocket(namespace, options)
}
