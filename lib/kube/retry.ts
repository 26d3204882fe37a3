// When a request is sent again, and the loop for optimistic writes.
import { jittered, sleep } from './backoff.ts'
import { ApiError, RequestError, isConflict } from './errors.ts'

/**
 * How long to wait before sending a failed request again, or null to give up.
 *
 * - 429, and 5xx with Retry-After: the server refused without acting; wait what it says (client-go's rule).
 * - No answer: idempotent requests, and any request that certainly was never sent.
 * - Everything else is the caller's decision.
 *
 * @param attempt 0 for the first failure
 */
export function retryDelay(error: unknown, attempt: number, idempotent: boolean): number | null {
  if (error instanceof ApiError) {
    if (error.status === 429) return jittered((error.retryAfterSeconds ?? 1) * 1000, 0.2)
    if (error.status >= 500 && error.retryAfterSeconds !== null) return jittered(error.retryAfterSeconds * 1000, 0.2)
    return null
  }
  if (error instanceof RequestError) {
    if (['CLOSED', 'LIMITED', 'BADBODY'].includes(error.code)) return null
    if (error.outcomeUnknown && !idempotent) return null
    return jittered(Math.min(100 * 2 ** attempt, 5000), 1)
  }
  return null
}

export interface RetryOnConflictOptions {
  /** Attempts in all. */
  readonly steps?: number
  readonly baseMs?: number
  readonly factor?: number
  readonly jitter?: number
  readonly signal?: AbortSignal
}

/**
 * Run a read-modify-write again while the write meets a conflict. `attempt` must read the object anew each time. Defaults
 * are client-go's retry.DefaultRetry: 5 steps, 10 ms, factor 1, jitter 0.1.
 *
 * @throws the last conflict when all steps are used up, and any other error at once
 */
export async function retryOnConflict<T>(attempt: () => Promise<T>, options: RetryOnConflictOptions = {}): Promise<T> {
  const { steps = 5, baseMs = 10, factor = 1, jitter = 0.1, signal } = options
  for (let step = 1, delay = baseMs; ; step++, delay *= factor) {
    try {
      return await attempt()
    } catch (error) {
      if (!isConflict(error) || step >= steps) throw error
      await sleep(jittered(delay, jitter), signal)
    }
  }
}
