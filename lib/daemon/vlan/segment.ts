// The neighbours of a device, heard and spoken to: one packet socket per device and family while anybody listens, however
// many addresses are being checked at once.
import type { Family } from '../../ip/index.ts'
import { openPacketSocket, type NetworkNamespace, type PacketSocket } from '../../netlink/index.ts'
import { LANGUAGES, type Heard } from './language.ts'

interface Shared {
  readonly socket: PacketSocket
  readonly listeners: Set<(heard: Heard) => void>
}

/** A place on a segment; close it. */
export interface Place {
  /** @throws NetlinkError ENETDOWN when the device is down */
  send(frame: Uint8Array): void
  close(): void
}

export class Segments {
  readonly #namespace: NetworkNamespace
  readonly #open = new Map<string, Shared>()

  constructor(namespace: NetworkNamespace) {
    this.#namespace = namespace
  }

  /** @throws NetlinkError when there is no such device */
  listen(index: number, family: Family, listener: (heard: Heard) => void): Place {
    const key = `${index} ${family}`
    const shared = this.#open.get(key) ?? this.#start(index, family)
    this.#open.set(key, shared)
    shared.listeners.add(listener)
    return {
      send: (frame) => shared.socket.send(frame),
      close: () => {
        if (!shared.listeners.delete(listener) || shared.listeners.size > 0) return
        this.#open.delete(key)
        shared.socket.close()
      },
    }
  }

  #start(index: number, family: Family): Shared {
    const language = LANGUAGES[family]
    const listeners = new Set<(heard: Heard) => void>()
    const onFrames = (frames: readonly Buffer[]): void => {
      for (const frame of frames) {
        const heard = language.read(frame)
        if (heard !== null) for (const listener of [...listeners]) listener(heard)
      }
    }
    return {
      socket: openPacketSocket(this.#namespace, {
        index,
        etherType: language.etherType,
        filter: language.filter,
        onFrames,
      }),
      listeners,
    }
  }
}
