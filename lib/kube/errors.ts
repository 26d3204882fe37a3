// The two ways a call can fail: the server said no (ApiError), or there is no answer (RequestError). Callers decide by the
// predicates below, never by message text.
import type { Status, StatusDetails } from './types.ts'

/** The server answered with an error status, or a watch stream carried an ERROR event. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** HTTP status code. */
  readonly status: number
  /** Machine-readable reason of the Status body (`NotFound`, `Conflict`, `Expired`, ...); '' when the body had none. */
  readonly reason: string
  /** `details` of the Status body. Not called so: test runners take an error's `details` for text of their own. */
  readonly statusDetails: StatusDetails | null
  readonly method: string
  readonly path: string
  /** Seconds the server asked to wait, from the Retry-After header or the Status details; null when it did not. */
  readonly retryAfterSeconds: number | null

  constructor(
    method: string,
    path: string,
    code: number,
    body: Status | null,
    text: string,
    retryAfter: number | null,
  ) {
    const said = body?.message ?? (text === '' ? 'no message' : text)
    super(`${method} ${path}: ${code}${body?.reason ? ` ${body.reason}` : ''}: ${said}`)
    this.status = code
    this.reason = body?.reason ?? ''
    this.statusDetails = body?.details ?? null
    this.method = method
    this.path = path
    this.retryAfterSeconds = seconds(retryAfter) ?? seconds(body?.details?.retryAfterSeconds)
  }

  /** From an HTTP response; a body that is no Status is quoted (its first 300 characters). */
  static fromResponse(
    method: string,
    path: string,
    code: number,
    body: Buffer,
    retryAfter: string | undefined,
  ): ApiError {
    const text = body.toString('utf8')
    const wait = retryAfter === undefined ? null : Number(retryAfter)
    return new ApiError(method, path, code, parseStatus(text), text.slice(0, 300), wait)
  }

  get isNotFound(): boolean {
    return this.status === 404
  }
  /** The resource version sent is not the object's current one (and not "already exists", which is 409 too). */
  get isConflict(): boolean {
    return this.status === 409 && this.reason !== 'AlreadyExists'
  }
  get isAlreadyExists(): boolean {
    return this.status === 409 && this.reason === 'AlreadyExists'
  }
  /** The resource version or continue token is too old: list afresh. */
  get isGone(): boolean {
    return this.status === 410 || this.reason === 'Expired' || this.reason === 'Gone'
  }
  get isInvalid(): boolean {
    return this.status === 422
  }
  get isForbidden(): boolean {
    return this.status === 403
  }
  get isUnauthorized(): boolean {
    return this.status === 401
  }
  /** The same request may well succeed later: overload, server-side time-out or internal error. */
  get isRetryable(): boolean {
    return this.status === 429 || this.status >= 500
  }
}

/** There is no (complete) answer: connection refused, reset or cut, TLS trouble, deadline passed. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  /** `ECONNREFUSED`, `ECONNRESET`, ..., `TIMEOUT` for our own deadline, `STALLED` after silence, `LIMITED` when the rate limit
   * leaves no time, `BADBODY` for a 2xx body that does not parse. */
  readonly code: string
  readonly method: string
  readonly path: string
  /** false when the request certainly never reached the server, so that even a create may be sent again. */
  readonly outcomeUnknown: boolean

  constructor(method: string, path: string, code: string, message: string, outcomeUnknown: boolean, cause?: unknown) {
    super(`${method} ${path}: ${message}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.method = method
    this.path = path
    this.outcomeUnknown = outcomeUnknown
  }
}

/** This process may no longer be the leader: a write was not sent, or given up on the way. */
export class FencedError extends Error {
  override readonly name = 'FencedError'
}

/** What a server says may be anything; a delay made of it must be a number of seconds. */
function seconds(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}

function parseStatus(text: string): Status | null {
  if (!text.startsWith('{')) return null
  try {
    const value = JSON.parse(text) as Status
    return value.kind === 'Status' ? value : null
  } catch (error) {
    // A proxy's half-written error page: the caller quotes the text instead.
    if (error instanceof SyntaxError) return null
    throw error
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.isNotFound
export const isConflict = (error: unknown): boolean => error instanceof ApiError && error.isConflict
export const isAlreadyExists = (error: unknown): boolean => error instanceof ApiError && error.isAlreadyExists
export const isGone = (error: unknown): boolean => error instanceof ApiError && error.isGone
export const isInvalid = (error: unknown): boolean => error instanceof ApiError && error.isInvalid
export const isForbidden = (error: unknown): boolean => error instanceof ApiError && error.isForbidden
/** Trying again later may help: server overload or error, or no answer at all. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof RequestError ? error.code !== 'CLOSED' : error instanceof ApiError && error.isRetryable

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
