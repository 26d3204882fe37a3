// One HTTP exchange with the API server over node:http(s): keep-alive connections, TLS from the connection source, a
// deadline, an AbortSignal, and errors that say whether the server may have seen the request. No retries (retry.ts), no
// knowledge of objects (client.ts). HTTP/1.1 only: every running watch holds a connection of its own.
import { Agent as HttpAgent, request as httpRequest, type ClientRequest, type IncomingHttpHeaders } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Connection, ConnectionSource } from './connection.ts'
import { RequestError } from './errors.ts'

/** Idle connections are closed after this long; below the 90 s of kube-apiserver, so that it is never first. */
const idleMs = 60_000
/** TCP keep-alive: first probe after this long idle, then one a second, ten times (libuv). */
const keepAliveMs = 15_000
/**
 * Work on body data before the event loop may turn. libuv reads a ready socket up to 32 times, 2 MiB, in one go: 20 ms of
 * parsing.
 */
const sliceMs = 4
/** An error body is read up to this size; a good one that is bigger and has no taker is an error. */
const errorBodyBytes = 1 << 20
const bodyBytes = 256 << 20

export interface Exchange {
  readonly method: string
  /** Path below the server's base URL, with query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Deadline in milliseconds, for the whole exchange, or for the response's head when `streaming`. */
  readonly timeoutMs: number
  readonly streaming?: boolean
  readonly signal?: AbortSignal | undefined
  /** Called when a 2xx head has arrived. */
  readonly onHead?: () => void
  /** Receives the body of a 2xx response instead of `Answer.body`. What it throws ends the exchange. */
  readonly onData?: (chunk: Buffer) => void
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Empty when `onData` took it. */
  readonly body: Buffer
}

/** What sends exchanges: `Transport` over HTTP, or whatever else can answer them. */
export interface Carrier {
  /**
   * Send one request and wait for the end of its answer. Any HTTP status is an answer.
   *
   * @throws RequestError when there is no complete answer
   * @throws the signal's reason when it aborts
   */
  exchange(exchange: Exchange): Promise<Answer>
  /** End running exchanges; later ones fail. */
  close(): void
}

export class Transport implements Carrier {
  readonly #source: ConnectionSource
  readonly #userAgent: string
  #agent: { tlsId: string; agent: HttpAgent } | null = null
  /** Running requests, whatever agent they go through. */
  readonly #running = new Set<ClientRequest>()
  #closed = false

  constructor(source: ConnectionSource, userAgent: string) {
    this.#source = source
    this.#userAgent = userAgent
  }

  /** As Carrier; 401 makes credentials be renewed and the request sent once more. */
  async exchange(exchange: Exchange): Promise<Answer> {
    const answer = await this.#once(exchange)
    if (answer.status !== 401 || !this.#source.refresh()) return answer
    return await this.#once(exchange)
  }

  /** Close idle connections and those in use; later exchanges fail. */
  close(): void {
    this.#closed = true
    // First, so that they fail by this and not by a cut connection.
    for (const request of this.#running) {
      request.destroy(Object.assign(new Error('the client was closed'), { code: 'CLOSED' }))
    }
    this.#agent?.agent.destroy()
    this.#agent = null
  }

  async #once(exchange: Exchange): Promise<Answer> {
    const { method, path } = exchange
    exchange.signal?.throwIfAborted()
    if (this.#closed) throw new RequestError(method, path, 'CLOSED', 'the client is closed', false)
    let connection: Connection
    try {
      connection = await this.#source.current()
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      throw new RequestError(method, path, 'CREDENTIALS', `no usable credentials: ${text}`, false, error)
    }
    exchange.signal?.throwIfAborted()
    return await this.#send(connection, exchange)
  }

  #agentFor(connection: Connection): HttpAgent {
    if (connection.proxyAgent) return connection.proxyAgent
    if (this.#agent?.tlsId === connection.tlsId) return this.#agent.agent
    // Running exchanges keep their sockets until they end; idle ones go with the old credentials.
    if (this.#agent) retire(this.#agent.agent)
    const options = { keepAlive: true, keepAliveMsecs: keepAliveMs, timeout: idleMs, maxFreeSockets: 32 }
    const secure = connection.server.protocol === 'https:'
    const agent = secure ? new HttpsAgent({ ...options, ...connection.tls }) : new HttpAgent(options)
    this.#agent = { tlsId: connection.tlsId, agent }
    return agent
  }

  #send(connection: Connection, exchange: Exchange): Promise<Answer> {
    const { method, path, signal } = exchange
    const { server } = connection
    const headers: Record<string, string | number> = {
      'user-agent': this.#userAgent,
      accept: 'application/json',
      ...connection.headers,
      ...exchange.headers,
    }
    if (exchange.body !== undefined) headers['content-length'] = Buffer.byteLength(exchange.body)
    const options = {
      agent: this.#agentFor(connection),
      protocol: server.protocol,
      hostname: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port === '' ? (server.protocol === 'https:' ? 443 : 80) : server.port,
      path: server.pathname.replace(/\/$/, '') + path,
      method,
      headers,
      // The agent's time-out is for idle connections; a quiet watch is none.
      timeout: 0,
      ...connection.tls,
    }
    return new Promise((resolve, reject) => {
      let connected = false
      let settled = false
      let request: ClientRequest
      try {
        request = server.protocol === 'https:' ? httpsRequest(options) : httpRequest(options)
      } catch (error) {
        // A certificate that does not fit its key, for instance while both files are being replaced.
        const text = error instanceof Error ? error.message : String(error)
        reject(new RequestError(method, path, 'CREDENTIALS', `no connection can be made: ${text}`, false, error))
        return
      }
      this.#running.add(request)
      request.on('close', () => this.#running.delete(request))
      const settle = (finish: () => void): void => {
        if (settled) return
        settled = true
        clearTimeout(deadline)
        signal?.removeEventListener('abort', onAbort)
        finish()
      }
      const fail = (error: Error): void => {
        settle(() => reject(error))
        request.destroy()
      }
      const broken = (error: Error): void => {
        const code = (error as NodeJS.ErrnoException).code ?? 'ERROR'
        fail(new RequestError(method, path, code, error.message || code, connected, error))
      }
      const onAbort = (): void => fail(signal?.reason as Error)
      const deadline = setTimeout(() => {
        const what = exchange.streaming ? 'no response' : 'no complete response'
        const text = `${what} from ${server.host} within ${exchange.timeoutMs} ms`
        fail(new RequestError(method, path, 'TIMEOUT', text, connected))
      }, exchange.timeoutMs)
      signal?.addEventListener('abort', onAbort, { once: true })

      request.on('error', broken)
      request.on('socket', (socket) => {
        socket.setKeepAlive(true, keepAliveMs)
        if (!socket.connecting) connected = true
        else socket.once(server.protocol === 'https:' ? 'secureConnect' : 'connect', () => (connected = true))
      })
      request.on('response', (response) => {
        const status = response.statusCode ?? 0
        const good = status >= 200 && status < 300
        if (good && exchange.streaming) clearTimeout(deadline)
        const chunks: Buffer[] = []
        let size = 0
        let busyMs = 0
        response.on('error', broken)
        response.on('aborted', () => broken(Object.assign(new Error('connection cut'), { code: 'ECONNRESET' })))
        response.on('data', (chunk: Buffer) => {
          if (settled) return
          if (good && exchange.onData) {
            const begun = performance.now()
            try {
              exchange.onData(chunk)
            } catch (error) {
              fail(error as Error)
              return
            }
            busyMs += performance.now() - begun
            if (busyMs < sliceMs) return
            busyMs = 0
            response.pause()
            setImmediate(() => response.resume())
            return
          }
          size += chunk.length
          if (size <= (good ? bodyBytes : errorBodyBytes)) chunks.push(chunk)
          else if (good) fail(new RequestError(method, path, 'BADBODY', `more than ${bodyBytes} bytes`, true))
        })
        response.on('end', () => {
          settle(() => resolve({ status, headers: response.headers, body: Buffer.concat(chunks) }))
        })
        if (good) exchange.onHead?.()
      })
      request.end(exchange.body)
    })
  }
}

/** Close an agent's idle connections, and let those in use be their last. */
function retire(agent: HttpAgent): void {
  agent.maxFreeSockets = 0
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
}
