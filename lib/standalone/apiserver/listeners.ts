// The sockets of the server: one HTTP or HTTPS server for each place to listen, all with the same handler.
import { unlink } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import type { Server, ServerOptions } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { isIPv6, type Socket } from 'node:net'
import type { Logger } from '../../telemetry/log.ts'
import type { Handler } from './routes.ts'
import { inTurns } from './turns.ts'
import type { KeyPair } from '../../tls/index.ts'
import type { Listen } from './types.ts'

export interface ServingTls {
  readonly serving: KeyPair
  /** PEM: clients may show certificates of it. */
  readonly ca: string
}

export class Listeners {
  readonly #handler: Handler
  readonly #tls: ServingTls | null
  readonly #log: Logger
  readonly #servers: Server[] = []
  /** All connections, those that are still at their TLS handshake included: Node's own list lacks them. */
  readonly #sockets = new Set<Socket>()
  /** Where, with the ports that were picked. */
  #places: Listen[] = []

  readonly #onConnection: (socket: Socket) => void

  /** @param onConnection told of each connection before TLS */
  constructor(handler: Handler, tls: ServingTls | null, log: Logger, onConnection: (socket: Socket) => void) {
    this.#onConnection = onConnection
    this.#log = log
    this.#handler = inTurns(handler)
    this.#tls = tls
  }

  /** @returns the URL of the new listener. @throws Error saying where it could not listen and why */
  async listen(where: Listen): Promise<string> {
    const server = this.#create()
    const place =
      'path' in where ? where.path : 'fd' in where ? `descriptor ${where.fd}` : `${where.host}:${where.port}`
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(new Error(`API server: listen on ${place}: ${error.message}`, { cause: error })),
      )
      server.listen(
        'fd' in where
          ? { fd: where.fd }
          : 'path' in where
            ? { path: where.path }
            : { host: where.host, port: where.port },
        resolve,
      )
    })
    server.on('connection', this.#onConnection)
    server.on('error', (error) => this.#log.error({ place, err: error }, 'listener'))
    this.#servers.push(server)
    if ('path' in where || 'fd' in where) this.#places.push(where)
    const scheme = this.#tls === null ? 'http' : 'https'
    if ('path' in where) return `${scheme}+unix:${where.path}`
    if ('fd' in where && where.url !== undefined) return where.url
    const address = server.address()
    const picked = address !== null && typeof address !== 'string' ? address.port : 0
    if ('host' in where) this.#places.push({ host: where.host, port: picked })
    if (address === null || typeof address === 'string') return `${scheme}+fd:${place}`
    const host = 'host' in where ? where.host : address.address
    return `${scheme}://${isIPv6(host) ? `[${host}]` : host}:${address.port}`
  }

  /** Listen again at all places there were before close(); not on inherited descriptors, which close() has closed. */
  async reopen(): Promise<void> {
    const places = this.#places
    this.#places = []
    for (const place of places) if (!('fd' in place)) await this.listen(place)
  }

  /** Ends all connections at once. */
  async close(): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map(async (server) => {
        const path = server.address()
        const closed = new Promise<void>((resolve) => server.close(() => resolve()))
        for (const socket of this.#sockets) socket.destroy()
        await closed
        // Node removes a socket's file itself, unless somebody replaced the server meanwhile.
        if (typeof path === 'string')
          await unlink(path).catch((error: NodeJS.ErrnoException) =>
            error.code === 'ENOENT' ? undefined : Promise.reject(error),
          )
      }),
    )
  }

  #create(): Server {
    // Watches are long and keep-alive connections idle; a client must never find its connection closed as it sends.
    const options = {
      keepAliveTimeout: 120_000,
      requestTimeout: 60_000,
      headersTimeout: 60_000,
      noDelay: true,
      maxHeaderSize: 64 * 1024,
    }
    const server = this.#tls === null ? createHttpServer(options, this.#handler) : this.#secure(options, this.#tls)
    // Emitted for the bare connection, also by a TLS server.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    return server
  }

  #secure(options: ServerOptions, { serving, ca }: ServingTls): Server {
    return createHttpsServer(
      { ...options, cert: serving.cert, key: serving.key, ca, requestCert: true, rejectUnauthorized: false },
      this.#handler,
    )
  }
}
