// An HTTP(S) server that plays an API server in trouble: every test says, request by request, what goes wrong. It holds no
// objects and decides nothing, so that it cannot agree with the client by sharing its assumptions; behaviour of a healthy
// server is tested against the embedded control plane.
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttps, type ServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { bringUpLoopback } from './loopback.ts'

/** One request as the server saw it. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: string
  /** Milliseconds of performance.now(). */
  readonly at: number
  /** Number of the TCP connection, from 1. */
  readonly connection: number
}

export type Answer = (response: ServerResponse, seen: Seen) => unknown

interface Route {
  readonly matches: (seen: Seen) => boolean
  readonly answers: Answer[]
}

export class FaultServer {
  readonly url: string
  readonly port: number
  /** All requests in order. */
  readonly seen: Seen[] = []
  readonly #server: Server
  readonly #sockets = new Map<Socket, number>()
  readonly #routes: Route[] = []
  #connections = 0
  #arrived: (() => void)[] = []

  private constructor(server: Server, scheme: string) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    this.url = `${scheme}://127.0.0.1:${this.port}`
  }

  static async start(tls?: ServerOptions): Promise<FaultServer> {
    bringUpLoopback()
    const server: Server = tls ? createHttps(tls) : createHttp()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const faults = new FaultServer(server, tls ? 'https' : 'http')
    server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
      faults.#sockets.set(socket, ++faults.#connections)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => faults.#sockets.delete(socket))
    })
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      faults.#handle(request, response).catch((error: unknown) => {
        console.error('fault server:', error)
        process.exitCode = 1
        response.destroy()
      })
    })
    return faults
  }

  /** TCP (or TLS) connections accepted so far. */
  get connections(): number {
    return this.#connections
  }

  /** TCP connections open now. */
  get open(): number {
    return this.#sockets.size
  }

  /**
   * Answers for the requests that match, one each in this order; the last one serves all further requests. Later routes
   * win over earlier ones.
   *
   * @param what `GET /path`, `LIST /path` or `WATCH /path` (GET without and with watch=true)
   */
  on(what: string, ...answers: Answer[]): this {
    const [verb = '', path = ''] = what.split(' ')
    const matches = (seen: Seen): boolean => {
      if (seen.path !== path) return false
      const watch = seen.query.get('watch') === 'true'
      if (verb === 'WATCH') return watch
      return verb === 'LIST' ? seen.method === 'GET' && !watch : seen.method === verb
    }
    this.#routes.unshift({ matches, answers: [...answers] })
    return this
  }

  /** Requests seen of a kind, as in `on`. */
  requests(what: string): Seen[] {
    const [verb = '', path = ''] = what.split(' ')
    return this.seen.filter((seen) => {
      const watch = seen.query.get('watch') === 'true'
      if (seen.path !== path) return false
      if (verb === 'WATCH') return watch
      return verb === 'LIST' ? seen.method === 'GET' && !watch : seen.method === verb
    })
  }

  /** Resolves when at least `count` requests of a kind have arrived. */
  async arrived(what: string, count = 1): Promise<Seen> {
    for (;;) {
      const found = this.requests(what)
      const last = found[count - 1]
      if (last) return last
      await new Promise<void>((resolve) => this.#arrived.push(resolve))
    }
  }

  /** Cut all connections. */
  cut(): void {
    for (const socket of this.#sockets.keys()) socket.destroy()
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.cut()
    await closed
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const url = new URL(request.url ?? '/', 'http://server')
    const seen: Seen = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString('utf8'),
      at: performance.now(),
      connection: this.#sockets.get(request.socket) ?? 0,
    }
    this.seen.push(seen)
    const route = this.#routes.find((candidate) => candidate.matches(seen))
    const answer = route && (route.answers.length > 1 ? route.answers.shift() : route.answers[0])
    const waiting = this.#arrived
    this.#arrived = []
    for (const resolve of waiting) resolve()
    await (answer ?? status(404, 'NotFound', `no script for ${seen.method} ${seen.path}`))(response, seen)
  }
}

/** A JSON answer. */
export function json(body: unknown, code = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(body))
  }
}

/** A Status, as the API server sends its errors. */
export function status(code: number, reason: string, message: string, headers: Record<string, string> = {}): Answer {
  return json({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code }, code, headers)
}

/** A page of a list. */
export function list(items: unknown[], resourceVersion: string, token = ''): Answer {
  const metadata = { resourceVersion, ...(token ? { continue: token } : {}) }
  return json({ kind: 'List', apiVersion: 'v1', metadata, items })
}

/** Take the request and never answer. */
export const silence: Answer = () => undefined

/** Take the request and cut the connection. */
export const hangUp: Answer = (response) => {
  response.socket?.destroy()
}

/** A watch response that the test writes to. */
export class WatchScript {
  #response: ServerResponse | null = null
  #waiting: (() => void)[] = []

  /** The answer to give to `on('WATCH ...')`. */
  readonly answer: Answer = (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
    response.flushHeaders()
    this.#response = response
    for (const resolve of this.#waiting) resolve()
    this.#waiting = []
  }

  /** Resolves when the client has opened this watch. */
  async opened(): Promise<void> {
    if (this.#response === null) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async event(type: string, object: unknown): Promise<void> {
    await this.raw(`${JSON.stringify({ type, object })}\n`)
  }

  async bookmark(resourceVersion: string): Promise<void> {
    await this.event('BOOKMARK', { kind: 'Thing', apiVersion: 'test/v1', metadata: { resourceVersion } })
  }

  /** Any bytes. */
  async raw(bytes: string | Buffer): Promise<void> {
    await this.opened()
    await new Promise<void>((resolve) => this.#response?.write(bytes, () => resolve()))
  }

  /** End the response properly, as at the server's time-out. */
  async end(): Promise<void> {
    await this.opened()
    this.#response?.end()
  }

  /** Cut the connection in the middle. */
  async cut(): Promise<void> {
    await this.opened()
    this.#response?.socket?.destroy()
  }
}
