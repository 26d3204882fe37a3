// The listening sockets, one per family: a key of TCP-MD5 for an IPv4 peer does not fit on a socket of both.
import { Server, type Socket } from 'node:net'
import { familyOf, hostPrefix, tryParseAddress, type Family, type IPAddress } from '../../ip/index.ts'
import { listenTcp, setTcpOptions, type NetworkNamespace } from '../../netlink/index.ts'

interface Open {
  readonly fd: number
  readonly server: Server
}

export class Listener {
  readonly #namespace: NetworkNamespace
  readonly #port: number
  readonly #onSocket: (remote: IPAddress, socket: Socket) => void
  readonly #onProblem: (detail: string) => void
  readonly #open = new Map<Family, Promise<Open | null>>()
  #closed = false

  constructor(
    namespace: NetworkNamespace,
    port: number,
    onSocket: (remote: IPAddress, socket: Socket) => void,
    onProblem: (detail: string) => void,
  ) {
    this.#namespace = namespace
    this.#port = port
    this.#onSocket = onSocket
    this.#onProblem = onProblem
  }

  /** Resolves once connections of the peer are taken, with its key if it has one. A failure is reported, not thrown. */
  async admit(peer: IPAddress, password: string | null): Promise<void> {
    const family = familyOf(peer)
    let opening = this.#open.get(family)
    if (opening === undefined) {
      opening = this.#listen(family)
      this.#open.set(family, opening)
    }
    await this.#key(opening, peer, password ?? '')
  }

  /** The peer's key goes. */
  async forget(peer: IPAddress): Promise<void> {
    await this.#key(this.#open.get(familyOf(peer)), peer, '')
  }

  async #key(opening: Promise<Open | null> | undefined, peer: IPAddress, key: string): Promise<void> {
    const open = await opening
    if (!open || this.#closed) return
    try {
      setTcpOptions(open.fd, familyOf(peer), { md5: [{ peer: hostPrefix(peer), key }] })
    } catch (error) {
      this.#onProblem(error instanceof Error ? error.message : String(error))
    }
  }

  async #listen(family: Family): Promise<Open | null> {
    try {
      // Answers go out with TTL 255, so that a peer that checks it (RFC 5082) hears them; nobody minds a high one.
      const fd = await listenTcp(this.#namespace, family === 4 ? 0 : 0n, this.#port, { onlyV6: family === 6, ttl: 255 })
      const server = new Server({ noDelay: true }, (socket) => this.#accept(socket))
      server.on('error', (error) => this.#onProblem(error.message))
      server.listen({ fd })
      if (this.#closed) server.close()
      return { fd, server }
    } catch (error) {
      this.#open.delete(family)
      this.#onProblem(error instanceof Error ? error.message : String(error))
      return null
    }
  }

  #accept(socket: Socket): void {
    // From here on, whoever has it: a reset of a connection nobody wants any more is no event, and must not end the process.
    socket.on('error', () => socket.destroy())
    // A link-local address comes with its zone.
    const remote = tryParseAddress((socket.remoteAddress ?? '').replace(/%.*$/, ''))
    if (remote === null) socket.destroy()
    else this.#onSocket(remote, socket)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const opening of this.#open.values()) (await opening)?.server.close()
    this.#open.clear()
  }
}

/**
 * The descriptor of an accepted socket, which Node has no public name for; null when it is closed already.
 *
 * Needed for its TTLs, which belong to the one peer and not to the listener.
 */
export function descriptorOf(socket: Socket): number | null {
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null }
  const fd = handle?.fd
  return fd === undefined || fd < 0 ? null : fd
}
