// A cable that takes its time and loses frames: between a node and the bridge this process relays every frame, each way, after
// a delay. In user space, because few kernels in containers and small machines have netem; hence not for measurements of
// throughput.
//
//   eth0 (node) ── NAME   relay   ^NAME ── ~NAME (port of the bridge)
//
// The node sees nothing of it: its device stays up. Two things are in the way of copying frames. Devices of a virtual pair
// leave checksums and segmentation to hardware that is not there, so both ends that send to the relay do without (`ethtool`).
// And the supervisor's own stack would answer what arrives on the relay's devices, so all of it is dropped after the relay
// has seen it (packet sockets come before nftables).
import {
  type NetworkNamespace,
  openPacketSocket,
  type PacketSocket,
  request,
  type RouteSocket,
  runCommand,
} from '../../netlink/index.ts'
import { runNft } from '../../nft/index.ts'

/** What is wrong with a cable. */
export interface Impairment {
  /** Milliseconds each frame takes longer, each way. */
  readonly ms: number
  /** Percent of the frames that get lost, each way. */
  readonly lossPercent: number
}

const allProtocols = 0x0003

/** The port of the bridge while the cable is slow. */
export const slowPort = (name: string): string => `~${name}`
const relayEnd = (name: string): string => `^${name}`
const table = (name: string): string => `netdev slow-${name}`

export interface SlowLinkPlace {
  readonly name: string
  readonly socket: RouteSocket
  /** The supervisor's namespace. */
  readonly root: NetworkNamespace
  readonly node: NetworkNamespace
  /** Index of the bridge. */
  readonly bridge: number
  readonly mtu: number
}

export class SlowLink {
  readonly #place: SlowLinkPlace
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #sockets: PacketSocket[] = []
  /** May be changed while it runs. */
  impairment: Impairment

  private constructor(place: SlowLinkPlace, impairment: Impairment) {
    this.#place = place
    this.impairment = impairment
  }

  /** Put the relay into the cable. @throws Error of the step that failed, with the cable as it was */
  static async insert(place: SlowLinkPlace, impairment: Impairment): Promise<SlowLink> {
    const link = new SlowLink(place, impairment)
    try {
      await link.#insert()
    } catch (error) {
      // The first failure is the one to tell.
      await link.remove().catch(() => undefined)
      throw error
    }
    return link
  }

  /** The cable as it was before; frames under way are lost. `gone`: the node's end does not exist any more. */
  async remove(gone = false): Promise<void> {
    const { name, socket, node, bridge } = this.#place
    for (const packets of this.#sockets.splice(0)) packets.close()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    const [error] = await socket.apply([request.linkDelete(slowPort(name))])
    if (error && error.code !== 'ENODEV') throw error
    await runNft(
      { namespace: null },
      ['-f', '-'],
      'slow link',
      `add table ${table(name)}\ndelete table ${table(name)}\n`,
    )
    if (gone) return
    await offload(node, 'eth0', true)
    await socket.run(request.linkSet(name, { master: bridge }))
  }

  async #insert(): Promise<void> {
    const { name, socket, root, node, bridge, mtu } = this.#place
    const [port, end] = [slowPort(name), relayEnd(name)]
    // Equivalent to: `ip link add ~NAME master fabric0 up type veth peer name ^NAME; ip link set ^NAME up`
    await socket.run(
      request.linkAdd({ kind: 'veth', name: port, mtu, up: true, master: bridge, peer: { name: end, mtu } }),
    )
    await socket.run(request.linkSet(end, { up: true }))
    await offload(root, port, false)
    await offload(node, 'eth0', false)
    const chain = `type filter hook ingress devices = { "${name}", "${end}" } priority 0; policy drop`
    await runNft(
      { namespace: null },
      ['-f', '-'],
      'slow link',
      `table ${table(name)} {\nchain relayed {\n${chain}\n}\n}\n`,
    )
    // Equivalent to: `ip link set NAME nomaster`
    await socket.run(request.linkSet(name, { master: 0 }))
    const [near, far] = [await this.#index(name), await this.#index(end)]
    const open = (index: number, out: () => PacketSocket | undefined): PacketSocket =>
      openPacketSocket(root, {
        index,
        etherType: allProtocols,
        onFrames: (frames) => frames.forEach((frame) => this.#relay(frame, out())),
      })
    this.#sockets.push(open(near, () => this.#sockets[1]))
    this.#sockets.push(open(far, () => this.#sockets[0]))
  }

  async #index(name: string): Promise<number> {
    const link = await this.#place.socket.link(name)
    if (link === null) throw new Error(`slow link: device ${name} vanished`)
    return link.index
  }

  #relay(frame: Buffer, out: PacketSocket | undefined): void {
    const { ms, lossPercent } = this.impairment
    if (out === undefined || Math.random() * 100 < lossPercent) return
    // Timers of one duration fire in the order they were set: frames keep theirs.
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      try {
        out.send(frame)
      } catch {
        // The device is down or full: what is sent into such a cable is lost, which is what cables do.
      }
    }, ms)
    this.#timers.add(timer)
  }
}

/** Equivalent to: `ethtool -K DEVICE tx on|off`, which takes segmentation along. @throws Error saying what is missing */
async function offload(namespace: NetworkNamespace, device: string, on: boolean): Promise<void> {
  try {
    const { status, stderr } = await runCommand(namespace, ['ethtool', '-K', device, 'tx', on ? 'on' : 'off'])
    if (status !== 0) throw new Error(`ethtool -K ${device}: ${stderr.trim()}`)
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw missing ? new Error('a slow link needs ethtool (Debian: apt-get install ethtool)', { cause: error }) : error
  }
}
