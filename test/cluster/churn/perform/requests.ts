// Requests of steps: asked again while the API cannot be reached, and content when there is nothing to do.
import { RequestError, isAlreadyExists, isForbidden, isNotFound, isRetryable } from '../../../../lib/kube/index.ts'

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Ask again while the API cannot be reached, at most half a minute. */
export async function persist<T>(request: () => Promise<T>): Promise<T> {
  const end = performance.now() + 30_000
  for (;;) {
    try {
      return await request()
    } catch (error) {
      if (!(error instanceof RequestError || isRetryable(error)) || performance.now() > end) throw error
      await sleep(50)
    }
  }
}

/** @returns false when it is there already, or its namespace is not, or is going */
export async function created(request: () => Promise<unknown>): Promise<boolean> {
  try {
    await persist(request)
    return true
  } catch (error) {
    if (isAlreadyExists(error) || isNotFound(error) || isForbidden(error)) return false
    throw error
  }
}

/** @returns false when what it is about is not there */
export async function found(request: () => Promise<unknown>): Promise<boolean> {
  try {
    await persist(request)
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}
