// A TCP responder in a network namespace. To everyone who connects it says, in one JSON line, whom it sees and what it was
// called, echoes what it is sent after that, and ends when the client ends: what a client needs to know to tell whether its
// address was translated on the way.
import { createServer, type Server, type Socket } from 'node:net'
import { listenTcp, type NetworkNamespace } from '../../netlink/index.ts'

/** The line a client gets: both ends of the connection as the server sees them. */
export interface Greeting {
  /** Source address of the client, without a port; IPv4 in dotted form. */
  readonly source: string
  readonly sourcePort: number
  /** Address the client arrived at. */
  readonly destination: string
}

/** The port pods and hosts of a standalone cluster answer on. */
export const echoPort = 7007

export class EchoServer {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (socket) => this.#serve(socket))
  }

  /**
   * Answer on all addresses of a namespace, both families.
   *
   * @throws NetlinkError when the port is taken there
   */
  static async listen(namespace: NetworkNamespace, port: number): Promise<EchoServer> {
    const fd = await listenTcp(namespace, '::', port)
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ fd }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    return new EchoServer(server, port)
  }

  /** Close the port and all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    // A client that resets its connection is its own business.
    socket.on('error', () => socket.destroy()).on('close', () => this.#sockets.delete(socket))
    const greeting: Greeting = {
      source: plainAddress(socket.remoteAddress ?? ''),
      sourcePort: socket.remotePort ?? 0,
      destination: plainAddress(socket.localAddress ?? ''),
    }
    socket.write(`${JSON.stringify(greeting)}\n`)
    socket.pipe(socket)
  }
}

/** A dual-stack socket shows IPv4 peers as `::ffff:192.0.2.1`. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '')
}
