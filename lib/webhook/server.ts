// The HTTPS server: POST /validate and /mutate, GET /healthz (the process turns) and /readyz (it can judge). Certificates
// change under way: connections that exist go on, new ones get the new certificate.
//
// Bounded in every direction: size of a body, time of a request, headers. Connections stay open long, as the API server uses
// them again; closed first by us, one could take a request with it.
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../telemetry/log.ts'
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
}

/** Object and old object of the largest request the API server takes (3 MiB each), and what is around them. */
const BODY_LIMIT = 8 * 1024 * 1024
/** What the API server waits for an answer unless it says so. */
const DEFAULT_TIMEOUT_MS = 10_000
const MAX_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 300_000

export class WebhookServer {
  readonly #options: ServerOptions
  #server: Server | null = null
  #inFlight = 0
  #stopping = false

  constructor(options: ServerOptions) {
    this.#options = options
  }

  /** Port in use; 0 before the first certificate. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? 0
  }

  /** Serve with this certificate from now on. @throws Error when the address cannot be bound */
  async use(cert: string, key: string): Promise<void> {
    if (this.#server !== null) {
      this.#server.setSecureContext({ cert, key, minVersion: 'TLSv1.2' })
      return
    }
    if (this.#stopping) return
    const { host, port, log } = this.#options
    const server = createServer(
      {
        cert,
        key,
        minVersion: 'TLSv1.2',
        keepAliveTimeout: KEEP_ALIVE_MS,
        headersTimeout: 10_000,
        requestTimeout: MAX_TIMEOUT_MS,
      },
      (request, response) => {
        this.#handle(request, response).catch((error: unknown) => {
          log.debug({ err: error }, 'an admission request was not answered')
          response.destroy()
        })
      },
    )
    this.#server = server
    server.on('tlsClientError', (error: Error) => log.debug({ err: error }, 'a TLS handshake failed'))
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(new Error(`cannot listen on ${host ?? ''}:${port}: ${error.message}`, { cause: error })),
      )
      server.listen({ host, port }, resolve)
    })
    log.info({ port: this.port }, 'admission is served')
  }

  /** No new connections; waits for the requests that are there. */
  async stop(): Promise<void> {
    this.#stopping = true
    const server = this.#server
    if (server === null) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    const idle = setInterval(() => {
      if (this.#inFlight === 0) server.closeAllConnections()
    }, 20)
    await closed
    clearInterval(idle)
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Not by URL, which throws at targets that anybody may send.
    const [path = '/', search = ''] = (request.url ?? '/').split('?', 2)
    if (path === '/healthz') return send(response, 200, 'text/plain', 'ok')
    if (path === '/readyz') {
      const missing = this.#stopping ? 'stopping' : this.#options.notReady()
      return send(response, missing === null ? 200 : 503, 'text/plain', missing ?? 'ok')
    }
    if (path !== VALIDATE_PATH && path !== MUTATE_PATH) return send(response, 404, 'text/plain', 'not found')
    if (request.method !== 'POST') return send(response, 405, 'text/plain', 'expected POST')
    const { metrics, log } = this.#options
    const webhook = path
    const done = metrics.latency.startTimer({ webhook })
    metrics.inFlight.inc({ webhook })
    this.#inFlight++
    let code = 200
    try {
      const body = await readBody(request)
      if (body === null) {
        code = 413
        send(response, code, 'text/plain', `the body is longer than ${BODY_LIMIT} bytes`)
      } else
        send(response, 200, 'application/json', await this.#answer(path, request, body, new URLSearchParams(search)))
    } catch (error) {
      // The caller went away, or the answer could not be written: there is nobody to tell.
      code = 500
      log.debug({ err: error }, 'an admission request was not finished')
      response.destroy()
    } finally {
      this.#inFlight--
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

/** Null when it is too long; what is over is read and dropped, so that the answer arrives. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= BODY_LIMIT) chunks.push(chunk)
    else if (size > 4 * BODY_LIMIT) throw new Error('the body does not end')
  }
  return size > BODY_LIMIT ? null : Buffer.concat(chunks).toString()
}
