// What crosses the wires between the nodes: a packet capture on the ports of the fabric, reduced to who talked with whom
// over TCP, and whether in a tunnel. Only frames that nodes send are looked at, each where it enters the fabric.
import { type IPAddress, parseAddress } from '../ip/index.ts'
import { NetworkNamespace, openPacketSocket, type PacketSocket, RouteSocket } from '../netlink/index.ts'
import { readFrame, type Sighting } from './frames.ts'

/** ETH_P_ALL: a bridge takes frames off its ports before sockets of a single protocol see them. */
const allProtocols = 0x0003

/** One direction of a TCP connection, as the far side saw it. */
export interface Flow {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
}

export class FabricCapture {
  readonly #sockets: PacketSocket[] = []
  readonly #sightings = new Map<string, Sighting>()
  readonly #vxlanPort: number
  #lost = 0

  private constructor(vxlanPort: number) {
    this.#vxlanPort = vxlanPort
  }

  /**
   * Capture on the named ports of the fabric, in the calling process's namespace.
   *
   * Equivalent to: `tcpdump -i PORT -Q in tcp or udp port VXLAN`
   */
  static async start(ports: readonly string[], vxlanPort = 8472): Promise<FabricCapture> {
    const capture = new FabricCapture(vxlanPort)
    const namespace = NetworkNamespace.current()
    const routes = RouteSocket.open(namespace)
    try {
      for (const port of ports) {
        const link = await routes.link(port)
        if (link === null) throw new Error(`capture: the fabric has no port '${port}'`)
        const onFrames = (frames: readonly Buffer[]): void => capture.#take(frames)
        capture.#sockets.push(openPacketSocket(namespace, { index: link.index, etherType: allProtocols, onFrames }))
      }
      return capture
    } catch (error) {
      capture.close()
      throw error
    } finally {
      routes.close()
      namespace.close()
    }
  }

  /** How a flow travelled; null when nothing of it was on the fabric. Look some milliseconds after it ended. */
  sighting(flow: Flow): Sighting | null {
    const { sourcePort, destinationPort } = flow
    const source = parseAddress(flow.source)
    const destination = parseAddress(flow.destination)
    return this.#sightings.get(flowKey(source, sourcePort, destination, destinationPort)) ?? null
  }

  /** Frames that were not looked at because there were too many. */
  get lostFrames(): number {
    return this.#sockets.reduce((sum, socket) => sum + socket.dropped, this.#lost)
  }

  /** Stop; what was seen can still be asked for. */
  close(): void {
    for (const socket of this.#sockets.splice(0)) {
      this.#lost += socket.dropped
      socket.close()
    }
  }

  #take(frames: readonly Buffer[]): void {
    for (const frame of frames) {
      const seen = readFrame(frame, this.#vxlanPort)
      if (seen === null) continue
      this.#sightings.set(flowKey(seen.source, seen.sourcePort, seen.destination, seen.destinationPort), seen)
    }
  }
}

function flowKey(source: IPAddress, sourcePort: number, destination: IPAddress, destinationPort: number): string {
  return `${source} ${sourcePort} ${destination} ${destinationPort}`
}
