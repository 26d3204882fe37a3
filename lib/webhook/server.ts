// The HTTPS server: POST /validate and /mutate, GET /healthz (the process turns) and /readyz (it can judge). Certificates
// change under way: connections that exist go on, new ones get the new certificate.
//
// Bounded in every direction: connections, requests at once, bytes of one body and of all, time of a request, headers, hand-
// shakes. What is over is answered with 503, which the API server takes by the failure policy. Connections stay open long, as
// the API server uses them again; closed first by us, one could take a request with it.
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../telemetry/log.ts'
import { Bodies, BODY_LIMITS, BodyError, type BodyLimits } from './body.ts'
import { Connections } from './connections.ts'
import type { Judge } from './judge.ts'
import type { WebhookMetrics } from './metrics.ts'
import { formatAnswer, parseReview, ReviewError, type Answer, type Review } from './review.ts'
import { MUTATE_PATH, VALIDATE_PATH } from './configuration.ts'

export interface ServerOptions {
  readonly host: string | undefined
  readonly port: number
  readonly judge: Judge
  readonly metrics: WebhookMetrics
  readonly log: Logger
  /** Null when able to judge, else what is missing. */
  readonly notReady: () => string | null
  readonly limits?: Partial<ServerLimits> | undefined
}

export interface ServerLimits {
  /** Open at once, handshaking ones included; more are not accepted. */
  readonly connections: number
  /** Reviews at once; more are answered with 503. */
  readonly inFlight: number
  readonly body: BodyLimits
  /** Milliseconds that requests in hand have when the server stops. */
  readonly drainMs: number
}

/** The API server opens a connection for each request at once. A drain must end before a kubelet's 30 s. */
const LIMITS: ServerLimits = { connections: 1024, inFlight: 512, body: BODY_LIMITS, drainMs: 20_000 }

/** What the API server waits for an answer unless it says so. */
const DEFAULT_TIMEOUT_MS = 10_000
const MAX_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 300_000
const HANDSHAKE_MS = 10_000

export class WebhookServer {
  readonly #options: ServerOptions
  readonly #limits: ServerLimits
  readonly #bodies: Bodies
  #server: Server | null = null
  #connections: Connections | null = null
  #inFlight = 0
  #stopping: Promise<void> | null = null

  constructor(options: ServerOptions) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#bodies = new Bodies(this.#limits.body)
  }

  /** Port in use; 0 before it listens. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? 0
  }

  /** Serve with this certificate from now on. @throws Error when the address cannot be bound */
  async use(cert: string, key: string): Promise<void> {
    if (this.#server !== null) {
      this.#server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' })
      return
    }
    if (this.#stopping !== null) return
    const { host, port, log, metrics } = this.#options
    const server = createServer(
      {
        cert,
        key,
        minVersion: 'TLSv1.2',
        keepAliveTimeout: KEEP_ALIVE_MS,
        headersTimeout: 10_000,
        handshakeTimeout: HANDSHAKE_MS,
        requestTimeout: MAX_TIMEOUT_MS,
      },
      (request, response) => {
        this.#handle(request, response).catch((error: unknown) => {
          log.debug({ err: error }, 'an admission request was not answered')
          response.destroy()
        })
      },
    )
    server.maxConnections = this.#limits.connections
    server.on('drop', () => metrics.dropped.inc())
    this.#server = server
    this.#connections = new Connections(server)
    server.on('tlsClientError', (error: Error) => log.debug({ err: error }, 'a TLS handshake failed'))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(new Error(`cannot listen on ${host ?? ''}:${port}: ${error.message}`, { cause: error })),
      )
      server.listen({ host, port }, resolve)
    })
    server.on('error', (error) => log.error({ err: error }, 'the admission listener'))
    log.info({ port: this.port }, 'listening')
  }

  /**
   * Finishes the requests in hand, within `drainMs`; takes no new connection, and closes those that wait for a request.
   * Idempotent.
   */
  async stop(): Promise<void> {
    this.#stopping ??= (async () => {
      const cut = (await this.#connections?.drain(this.#limits.drainMs)) ?? 0
      if (cut > 0) this.#options.log.warn({ connections: cut }, 'stopped before these had their answer')
    })()
    await this.#stopping
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Not by URL, which throws at targets that anybody may send.
    const [path = '/', search = ''] = (request.url ?? '/').split('?', 2)
    if (path === '/healthz') return send(response, 200, 'text/plain', 'ok')
    if (path === '/readyz') {
      const missing = this.#stopping !== null ? 'stopping' : this.#options.notReady()
      return send(response, missing === null ? 200 : 503, 'text/plain', missing ?? 'ok')
    }
    if (path !== VALIDATE_PATH && path !== MUTATE_PATH) return send(response, 404, 'text/plain', 'not found')
    if (request.method !== 'POST') return send(response, 405, 'text/plain', 'expected POST')
    const { metrics, log } = this.#options
    const webhook = path
    if (this.#inFlight >= this.#limits.inFlight) {
      metrics.requests.inc({ webhook, code: '503' })
      return send(response, 503, 'text/plain', `${this.#inFlight} reviews are being judged; try again`)
    }
    const done = metrics.latency.startTimer({ webhook })
    const end = this.#connections?.begin(request.socket)
    metrics.inFlight.inc({ webhook })
    this.#inFlight++
    let code = 200
    try {
      const query = new URLSearchParams(search)
      const answer = await this.#bodies.read(request, (body) => this.#answer(path, request, body, query))
      // Whoever is being stopped wants no further request on the connection.
      if (this.#stopping !== null) response.setHeader('connection', 'close')
      await sent(response, 200, 'application/json', answer)
    } catch (error) {
      if (error instanceof BodyError) {
        code = error.status
        send(response, code, 'text/plain', error.message)
      } else {
        // The caller went away, or the answer could not be written: there is nobody to tell.
        code = 500
        log.debug({ err: error }, 'an admission request was not finished')
        response.destroy()
      }
    } finally {
      this.#inFlight--
      end?.()
      metrics.inFlight.dec({ webhook })
      metrics.requests.inc({ webhook, code: String(code) })
      done()
    }
  }

  async #answer(path: string, request: IncomingMessage, body: string, query: URLSearchParams): Promise<string> {
    const { judge, metrics, log } = this.#options
    const refuse = (message: string): string =>
      formatAnswer(null, { decision: { allowed: false, code: 400, message }, patch: [] })
    const type = request.headers['content-type'] ?? ''
    if (type !== 'application/json') return refuse(`content-type is ${JSON.stringify(type)}, expected application/json`)
    let review: Review
    try {
      review = parseReview(body)
    } catch (error) {
      if (!(error instanceof ReviewError)) throw error
      return refuse(error.message)
    }
    const asked = /^(\d+(?:\.\d+)?)s$/.exec(query.get('timeout') ?? '')
    const timeoutMs = asked === null ? DEFAULT_TIMEOUT_MS : Number(asked[1]) * 1000
    // An answer must leave before the caller gives up.
    const signal = AbortSignal.timeout(Math.max(1, Math.min(timeoutMs, MAX_TIMEOUT_MS) * 0.9))
    const answer: Answer = await (path === MUTATE_PATH ? judge.mutate(review, signal) : judge.validate(review, signal))
    const { decision } = answer
    const said = decision.allowed ? 'allowed' : decision.code === 403 ? 'denied' : 'failed'
    metrics.decisions.inc({ kind: review.kind, operation: review.operation, decision: said })
    if (!decision.allowed) {
      const object = `${review.namespace}/${review.name}`
      log.info({ kind: review.kind, object, operation: review.operation, code: decision.code }, decision.message)
    }
    return formatAnswer(review, answer)
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** Resolves when the answer has left, or the connection is no more: it counts as in hand until then. */
async function sent(response: ServerResponse, status: number, type: string, body: string): Promise<void> {
  const over = new Promise<void>((resolve) => response.once('close', () => resolve()))
  send(response, status, type, body)
  await over
}
