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

// What an aborted wait gets to say what it was waiting for.
const lastWordMs = 100

/**
 * The outcome of `promise`; once the signal aborts, it has a moment to reject with its own reason ("expected 2 addresses,
 * found 1"), then the rejection is the signal's. What slow work does later is ignored.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const abort = (): void => {
      timer = setTimeout(() => reject(signal.reason as Error), lastWordMs)
    }
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    })
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
