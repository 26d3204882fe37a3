// A deadline is an AbortSignal with an owner: the timer is gone when the work is.
import type { CniError } from './errors.ts'

/**
 * Run `work` with a signal that aborts after `milliseconds`, or when `parent` does. Its reason is `onTimeout()` or that of
 * the parent.
 */
export async function withDeadline<T>(
  milliseconds: number,
  parent: AbortSignal,
  onTimeout: () => CniError,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const follow = (): void => controller.abort(parent.reason)
  if (parent.aborted) follow()
  parent.addEventListener('abort', follow, { once: true })
  const timer = setTimeout(() => controller.abort(onTimeout()), milliseconds)
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    parent.removeEventListener('abort', follow)
  }
}

/**
 * The outcome of `promise`, or a rejection with the signal's reason as soon as it aborts, for work that may be slow to
 * notice. What the work does later is ignored.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    // Work that notices by itself says better what was missing: it goes first.
    const abort = (): void => void setImmediate(() => reject(signal.reason as Error))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Resolves after `milliseconds`; rejects with the signal's reason when it aborts before. */
export function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, milliseconds)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
