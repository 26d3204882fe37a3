// A TCP proxy that can cut, stall or swallow what passes through it: faults of the network in front of a healthy server.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

export class FaultProxy {
  readonly url: string
  /** Answers swallowed so far. */
  lost = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #refusing = false
  #stalled = false
  #losing = false

  private constructor(server: Server, scheme: string) {
    this.#server = server
    this.url = `${scheme}//127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** @param target base URL of the server; TLS passes through unread */
  static async start(target: string): Promise<FaultProxy> {
    const { hostname, port, protocol } = new URL(target)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const proxy = new FaultProxy(server, protocol)
    server.on('connection', (near) => {
      const far = connect(Number(port), hostname)
      proxy.#track(near, far)
      near.on('data', (data) => {
        if (!proxy.#stalled) far.write(data)
      })
      far.on('data', (data) => {
        if (proxy.#losing) {
          proxy.#losing = false
          proxy.lost++
          near.destroy()
        } else if (!proxy.#stalled) near.write(data)
      })
    })
    return proxy
  }

  /** Cut everything and accept nothing more. */
  refuse(): void {
    this.#refusing = true
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Keep connections open, pass nothing. */
  stall(): void {
    this.#stalled = true
  }

  /** Let a request through and cut the connection at its answer. */
  loseNextAnswer(): void {
    this.#losing = true
  }

  /** Everything as it should be again. Stalled connections end: bytes of them are missing, which TCP never does. */
  heal(): void {
    if (this.#stalled) this.cut()
    this.#refusing = false
    this.#stalled = false
  }

  /** Cut all connections once. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.cut()
    await closed
  }

  #track(near: Socket, far: Socket): void {
    if (this.#refusing) {
      near.destroy()
      far.destroy()
      return
    }
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket)
      // A fault of one side is one of the other; nothing else is to be said about it.
      socket.on('error', () => other.destroy())
      socket.on('end', () => other.end())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
  }
}
