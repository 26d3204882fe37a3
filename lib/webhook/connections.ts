// The connections of an HTTPS server, so that it can end: those in the middle of a TLS handshake too, which Node's server
// counts but does not close.
import type { Server } from 'node:https'
import type { Socket } from 'node:net'

const keyOf = (socket: Socket): string => `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`

export class Connections {
  readonly #server: Server
  /** Accepted, without a session yet; by the far end, since the secured connection is another object. */
  readonly #handshaking = new Map<string, Socket>()
  readonly #secured = new Set<Socket>()
  /** Requests being answered, by connection. */
  readonly #busy = new Map<Socket, number>()

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      const key = keyOf(socket)
      this.#handshaking.set(key, socket)
      socket.once('close', () => {
        if (this.#handshaking.get(key) === socket) this.#handshaking.delete(key)
      })
    })
    server.on('secureConnection', (socket: Socket) => {
      this.#handshaking.delete(keyOf(socket))
      this.#secured.add(socket)
      socket.once('close', () => {
        this.#secured.delete(socket)
        this.#busy.delete(socket)
      })
    })
  }

  /** A request of the connection is being answered. @returns to be called when it is */
  begin(socket: Socket): () => void {
    this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1)
    return () => {
      const left = (this.#busy.get(socket) ?? 1) - 1
      if (left > 0) this.#busy.set(socket, left)
      else this.#busy.delete(socket)
    }
  }

  /**
   * Takes no new connection, closes those without a request in hand at once, and the others when their answer has left.
   * Answers have to say `connection: close` from now on.
   *
   * @param boundMs after so many milliseconds what is left is cut
   * @returns how many connections were cut
   */
  async drain(boundMs: number): Promise<number> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#handshaking.values()) socket.destroy()
    for (const socket of this.#secured) if (!this.#busy.has(socket)) socket.destroy()
    let cut = 0
    const bound = setTimeout(() => {
      cut = this.#secured.size
      for (const socket of [...this.#handshaking.values(), ...this.#secured]) socket.destroy()
    }, boundMs)
    await closed
    clearTimeout(bound)
    return cut
  }
}
