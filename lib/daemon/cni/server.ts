// The CNI socket: HTTP/1.1 over a Unix socket, for root on this node. It knows both wire protocols and nothing else; what
// a call does is the handler's. Every exchange is bounded: the request must arrive whole within seconds and megabytes,
// and a caller that goes away aborts what is done for it.
//
//   POST /api/v2/cni        {command, container_id, netns, ifname, pod, config} -> 200 {"result": ...} or {"error": ...}
//   POST /api/v1/add, /del  the original's contract (node-agent.md §1.4)
//   GET  /healthz           200 ready, 503 not ready, with the reasons
import { longLivedAbort } from '../../kube/index.ts'
import { setMaxListeners } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Logger } from '../../telemetry/log.ts'
import { cniCode, CniError, toCniError, tryAgain } from './errors.ts'
import { parseV1, parseV2, type CniCall, type JsonObject } from './requests.ts'
import { v1Answer, v1Error } from './results.ts'
import { bindSocket, removeSocket, type BoundSocket } from './socket.ts'
import type { Attachment, NetworkStatus } from './types.ts'

/** What the server asks of the daemon; implemented by {@link CniService}. */
export interface CniHandler {
  /** The call's result (null where a command has none). The signal aborts when the caller is gone or the daemon stops. */
  handle(call: CniCall, signal: AbortSignal): Promise<JsonObject | null>
  /** The same for version 1, which gets the attachment of an ADD itself. */
  handleV1(call: CniCall, signal: AbortSignal): Promise<Attachment | null>
  status(): NetworkStatus
}

export interface CniServerOptions {
  /** Absolute path, at most 98 bytes. */
  readonly socketPath: string
  readonly handler: CniHandler
  readonly log: Logger
  /** Most bytes of a request; the shim accepts configurations up to 8 MiB. */
  readonly maxBody?: number
  /** Milliseconds within which a request must have arrived completely. */
  readonly requestTimeout?: number
}

const defaultMaxBody = 9 * 1024 * 1024
const defaultRequestTimeout = 10_000
// More callers at once than any runtime has; the rest waits in the backlog of the socket.
const maxConnections = 1024
// Milliseconds between aborting what outlasts the grace and closing its connections.
const cutAfter = 500
const jsonType = { 'content-type': 'application/json' }

/** HTTP status of an error; never 404 or 405, which tell the shim that this protocol is not spoken. */
function httpStatus(error: CniError): number {
  if (error.retryable || error.code === cniCode.notAvailableAffectingPods) return 503
  return error.code < cniCode.tryAgain ? 400 : 500
}

/** Version 1 knows 400 (the request, the pod, its addresses) and 500 (everything else). */
function httpStatusV1(error: CniError): number {
  const refused: readonly number[] = [cniCode.tryAgain, cniCode.podGone, cniCode.invalidNetworkConfiguration]
  return error.code < cniCode.tryAgain || refused.includes(error.code) ? 400 : 500
}

async function readBody(request: IncomingMessage, limit: number): Promise<string> {
  const tooLong = new CniError(cniCode.ioFailure, `the request is longer than ${limit} bytes`)
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLong
  const chunks: Buffer[] = []
  let size = 0
  // The default iterator would take the connection down with it when it is left early, and the answer too.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limit) throw tooLong
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
  } catch (error) {
    throw new CniError(cniCode.decodingFailure, 'the request is not UTF-8', '', { cause: error })
  }
}

/** Serves the CNI socket from {@link start} until {@link stop}. */
export class CniServer {
  readonly #options: CniServerOptions
  readonly #maxBody: number
  readonly #server: Server
  readonly #stopping = longLivedAbort()
  readonly #running = new Set<Promise<void>>()
  #socket: BoundSocket | null = null

  constructor(options: CniServerOptions) {
    this.#options = options
    this.#maxBody = options.maxBody ?? defaultMaxBody
    const timeout = options.requestTimeout ?? defaultRequestTimeout
    this.#server = createServer(
      { requestTimeout: timeout, headersTimeout: timeout, connectionsCheckingInterval: Math.min(1000, timeout) },
      (request, response) => {
        const exchange = this.#exchange(request, response).finally(() => this.#running.delete(exchange))
        this.#running.add(exchange)
      },
    )
    this.#server.maxConnections = maxConnections
    // Every request in progress listens for the stop.
    setMaxListeners(0, this.#stopping.signal)
  }

  /** Requests being served. */
  get inFlight(): number {
    return this.#running.size
  }

  /**
   * Bind the socket and serve. Not before the node can serve an ADD (R-SRV-02).
   *
   * @throws Error when the socket cannot be bound
   */
  async start(): Promise<void> {
    this.#socket = await bindSocket(this.#server, this.#options.socketPath)
    this.#options.log.info({ object: this.#options.socketPath, operation: 'listen' }, 'CNI server listens')
  }

  /**
   * Stop accepting and remove the socket; running calls may finish for `graceMs`, then they are aborted (the runtime gets
   * error 11 and tries again with our successor).
   */
  async stop(graceMs = 20_000): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    if (this.#socket !== null) await removeSocket(this.#socket)
    this.#socket = null
    this.#server.closeIdleConnections()
    const grace = setTimeout(() => this.#stopping.abort(tryAgain('the daemon is stopping')), graceMs)
    // Aborted calls get a moment to say so; a request that is still arriving would go on arriving.
    const cut = setTimeout(() => this.#server.closeAllConnections(), graceMs + cutAfter)
    while (this.#running.size > 0) await Promise.all(this.#running)
    clearTimeout(grace)
    clearTimeout(cut)
    this.#server.closeAllConnections()
    await closed
  }

  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const caller = new AbortController()
    const stop = (): void => caller.abort(this.#stopping.signal.reason)
    if (this.#stopping.signal.aborted) stop()
    this.#stopping.signal.addEventListener('abort', stop, { once: true })
    response.once('close', () => {
      if (!response.writableFinished) caller.abort(tryAgain('the caller closed the connection'))
    })
    try {
      if (request.method === 'POST' && path === '/api/v2/cni') await this.#v2(request, response, caller.signal)
      else if (request.method === 'POST' && path === '/api/v1/add')
        await this.#v1('ADD', request, response, caller.signal)
      else if (request.method === 'POST' && path === '/api/v1/del')
        await this.#v1('DEL', request, response, caller.signal)
      else if (request.method === 'GET' && path === '/healthz') this.#health(response)
      else this.#unknown(request, response, path)
    } catch (error) {
      // Only writing an answer can fail here, and only because nobody waits for it any more.
      this.#options.log.debug({ err: error, operation: 'answer' }, 'the answer could not be sent')
      response.destroy()
    } finally {
      this.#stopping.signal.removeEventListener('abort', stop)
    }
  }

  async #v2(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    try {
      const call = parseV2(await readBody(request, this.#maxBody))
      this.#answer(request, response, 200, { result: await this.#options.handler.handle(call, signal) })
    } catch (error) {
      const failure = toCniError(error)
      this.#answer(request, response, httpStatus(failure), { error: failure.toJSON() })
    }
  }

  async #v1(
    command: 'ADD' | 'DEL',
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const call = parseV1(command, await readBody(request, this.#maxBody))
      const attachment = await this.#options.handler.handleV1(call, signal)
      if (attachment === null) this.#answer(request, response, 204, null)
      else this.#answer(request, response, 200, v1Answer(attachment))
    } catch (error) {
      const failure = toCniError(error)
      this.#answer(request, response, httpStatusV1(failure), v1Error(failure))
    }
  }

  #health(response: ServerResponse): void {
    const status = this.#options.handler.status()
    response.writeHead(status.ready ? 200 : 503, jsonType).end(JSON.stringify(status))
  }

  #unknown(request: IncomingMessage, response: ServerResponse, path: string): void {
    const known = path === '/api/v2/cni' || path.startsWith('/api/v1/') || path === '/healthz'
    const failure = new CniError(cniCode.ioFailure, `${request.method ?? ''} ${path} is not served here`)
    this.#answer(request, response, known ? 405 : 404, { error: failure.toJSON() })
  }

  #answer(request: IncomingMessage, response: ServerResponse, status: number, body: JsonObject | null): void {
    // What is left of a request that was refused unread would be taken for the next one.
    if (!request.complete) response.setHeader('connection', 'close')
    const text = body === null ? undefined : JSON.stringify(body)
    response.writeHead(status, body === null ? {} : { ...jsonType, 'content-length': Buffer.byteLength(text ?? '') })
    response.end(text)
  }
}
