// One TCP connection with a peer: bytes to messages and back. It knows no states; who owns it is told each message once, then one
// error or one end, and nothing after close().
import type { Socket } from 'node:net'
import { decodeMessage, Framer, SessionError, type Message, type UpdateContext } from '../codec/index.ts'

/** How long a last NOTIFICATION may take to go out. */
const LINGER_MS = 2000

export interface ConnectionHandlers {
  /** How the next message is to be read. */
  readonly context: () => { readonly updates: UpdateContext; readonly maxBytes: number }
  readonly onMessage: (message: Message) => void
  /** The peer broke the protocol; nothing more is read. */
  readonly onError: (error: SessionError) => void
  /** The connection has ended or failed. */
  readonly onEnd: (detail: string) => void
  /** There is room again after `congested`. */
  readonly onDrain: () => void
}

/** Bytes waiting for the peer from which on no more updates are made. */
const CONGESTED_BYTES = 1 << 20

/**
 * Ends a socket after what was written to it and `last`; what the peer still says is not read. One that does not end in time is cut.
 */
export function dismiss(socket: Socket, last?: Buffer): void {
  const linger = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.on('close', () => clearTimeout(linger))
  if (last === undefined) socket.end()
  else socket.end(last)
  socket.resume()
}

export class Connection {
  readonly #socket: Socket
  readonly #framer = new Framer()
  #handlers: ConnectionHandlers | null
  #detail = 'the peer closed the connection'

  constructor(socket: Socket, handlers: ConnectionHandlers) {
    this.#socket = socket
    this.#handlers = handlers
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('drain', () => this.#handlers?.onDrain())
    socket.on('error', (error) => (this.#detail = error.message))
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  get congested(): boolean {
    return this.#socket.writableLength > CONGESTED_BYTES
  }

  write(bytes: Buffer): void {
    if (this.#handlers !== null) this.#socket.write(bytes)
  }

  /** Ends it after what was written; the handlers are not called any more. */
  close(): void {
    if (this.#handlers === null) return
    this.#handlers = null
    dismiss(this.#socket)
  }

  #end(): void {
    this.#handlers?.onEnd(this.#detail)
  }

  #read(chunk: Buffer): void {
    if (this.#handlers === null) return
    const framer = this.#framer
    try {
      framer.push(chunk)
      for (;;) {
        // A message may end the connection, or change how the next one is read.
        const handlers: ConnectionHandlers | null = this.#handlers
        if (handlers === null) return
        const { updates, maxBytes } = handlers.context()
        framer.maxBytes = maxBytes
        const frame = framer.next()
        if (frame === null) return
        handlers.onMessage(decodeMessage(frame, updates))
      }
    } catch (error) {
      if (!(error instanceof SessionError)) throw error
      this.#handlers?.onError(error)
    }
  }
}
