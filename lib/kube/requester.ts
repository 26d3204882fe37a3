// Between the transport (one exchange) and the client (objects): rate limit, retries, fencing of writes, and turning error
// statuses into ApiError.
import type { Logger } from '../telemetry/log.ts'
import { sleep } from './backoff.ts'
import { ApiError, FencedError, RequestError } from './errors.ts'
import type { RateLimiter } from './ratelimit.ts'
import { retryDelay } from './retry.ts'
import type { Answer, Carrier } from './transport.ts'

/** Options of every call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Deadline of the whole call, retries and waiting for the rate limit included; milliseconds. */
  readonly timeoutMs?: number | undefined
  /** How often at most the request is sent again by itself; 0 for never. */
  readonly retries?: number | undefined
  /** Do not wait for the client-side rate limit (leases). */
  readonly unlimited?: boolean | undefined
}

/** Permission to write, as LeaderElector gives it: no write is sent, and none goes on, once it is lost. */
export interface Fence {
  isLeader(): boolean
  readonly signal: AbortSignal
  /** A write must be over this long after it was sent, milliseconds. */
  readonly writeTimeoutMs: number
}

export interface CallSpec extends CallOptions {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Sending it twice does no more than sending it once. */
  readonly idempotent: boolean
  /** The deadline ends with the response's head. */
  readonly streaming?: boolean
  readonly onHead?: () => void
  /** Makes the consumer of the body of a 2xx response, anew for each attempt, when it is about to be sent. */
  readonly consumer?: () => (chunk: Buffer) => void
  /** An attempt has failed, and the next waits for its time. */
  readonly onRetry?: () => void
}

export interface RequesterSettings {
  readonly transport: Carrier
  readonly limiter: RateLimiter | null
  readonly fence: Fence | null
  readonly timeoutMs: number
  readonly logger: Logger | null
}

const defaultRetries = 4

export class Requester {
  readonly settings: RequesterSettings

  constructor(settings: RequesterSettings) {
    this.settings = settings
  }

  /**
   * Send a request until it is answered with success, its deadline passes or it is no use.
   *
   * @throws ApiError for an error status, RequestError without answer, FencedError for a write after lost leadership
   */
  async call(spec: CallSpec): Promise<Answer> {
    const write = spec.method !== 'GET'
    const fence = write ? this.settings.fence : null
    const { signal, release } = linkSignals(spec.signal, fence?.signal)
    const endsAt = performance.now() + (spec.timeoutMs ?? this.settings.timeoutMs)
    const retries = spec.retries ?? defaultRetries
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          return await this.#attempt(spec, signal, fence, endsAt)
        } catch (error) {
          if (signal?.aborted || attempt >= retries) throw error
          const delay = retryDelay(error, attempt, spec.idempotent)
          if (delay === null || performance.now() + delay >= endsAt) throw error
          this.settings.logger?.debug(
            { err: error, operation: spec.method, path: spec.path, delay },
            'request sent again',
          )
          spec.onRetry?.()
          await sleep(delay, signal)
        }
      }
    } finally {
      release()
    }
  }

  async #attempt(
    spec: CallSpec,
    signal: AbortSignal | undefined,
    fence: Fence | null,
    endsAt: number,
  ): Promise<Answer> {
    const { method, path } = spec
    const { limiter } = this.settings
    if (limiter && !spec.unlimited && !(await limiter.take(endsAt - performance.now(), signal))) {
      const text = `the client-side rate limit (${limiter.waiting} requests waiting) would exceed the deadline`
      throw new RequestError(method, path, 'LIMITED', text, false)
    }
    const left = Math.max(1, endsAt - performance.now())
    if (fence && !fence.isLeader()) throw new FencedError(`${method} ${path}: not sent, leadership may be lost`)
    const consumer = spec.consumer?.()
    const answer = await this.settings.transport.exchange({
      method,
      path,
      timeoutMs: Math.ceil(fence ? Math.min(left, fence.writeTimeoutMs) : left),
      signal,
      ...(spec.headers ? { headers: spec.headers } : {}),
      ...(spec.body !== undefined ? { body: spec.body } : {}),
      ...(spec.streaming ? { streaming: true } : {}),
      ...(spec.onHead ? { onHead: spec.onHead } : {}),
      ...(consumer ? { onData: consumer } : {}),
    })
    if (answer.status < 200 || answer.status >= 300) {
      throw ApiError.fromResponse(method, path, answer.status, answer.body, answer.headers['retry-after'])
    }
    return answer
  }
}

/** Parse a JSON answer. @throws RequestError with code BADBODY */
export function parseBody(method: string, path: string, body: Buffer): unknown {
  const text = body.toString('utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = `the answer is not JSON: ${JSON.stringify(text.slice(0, 100))}`
    throw new RequestError(method, path, 'BADBODY', message, true, error)
  }
}

/**
 * One signal that follows two, without AbortSignal.any (whose dependents of long-lived signals pile up on Node 20).
 */
export function linkSignals(
  a: AbortSignal | undefined,
  b: AbortSignal | undefined,
): { signal: AbortSignal | undefined; release: () => void } {
  if (!a || !b || a === b) return { signal: a ?? b, release: () => undefined }
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(a.aborted ? a.reason : b.reason)
  if (a.aborted || b.aborted) onAbort()
  a.addEventListener('abort', onAbort, { once: true })
  b.addEventListener('abort', onAbort, { once: true })
  return {
    signal: controller.signal,
    release: () => {
      a.removeEventListener('abort', onAbort)
      b.removeEventListener('abort', onAbort)
    },
  }
}
