// Whole Ethernet frames of one device (AF_PACKET), for ARP and neighbour discovery probes and announcements. What the frames
// say is the caller's.
import { addon, type NativePacketSocket } from './addon.ts'
import { checkIndex } from './check.ts'
import { asNetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

export interface PacketSocketOptions {
  /** Device index. */
  readonly index: number
  /** Frames received: 0x0806 ARP, 0x86dd IPv6, 0x0003 all. */
  readonly etherType: number
  /** Receive every multicast frame too, whatever groups the device has joined. */
  readonly allMulticast?: boolean
  /** At most 64 at a time. Frames this host sends are not among them. */
  readonly onFrames: (frames: readonly Buffer[]) => void
}

export class PacketSocket {
  readonly #native: NativePacketSocket
  readonly #index: number
  #closed = false

  /** @throws NetlinkError ENODEV, EPERM */
  constructor(namespace: NetworkNamespace, options: PacketSocketOptions) {
    const { index, etherType, allMulticast = false, onFrames } = options
    checkIndex('index', index)
    if (!Number.isInteger(etherType) || etherType < 1 || etherType > 0xffff) {
      throw new RangeError(`etherType is ${etherType}, expected 1 to 65535`)
    }
    this.#index = index
    const Native = addon().PacketSocket
    try {
      this.#native = new Native(namespace.fd, index, etherType, allMulticast, onFrames)
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

/** Opens a packet socket; it keeps the process alive until closed. */
export function openPacketSocket(namespace: NetworkNamespace, options: PacketSocketOptions): PacketSocket {
  return new PacketSocket(namespace, options)
}
