// Waiting for what other processes and the kernel do in their own time.

export interface EventuallyOptions {
  /** Milliseconds until it is given up. Default 5000. */
  readonly timeoutMs?: number
  /** Milliseconds between looks. Default 20. */
  readonly intervalMs?: number
}

/**
 * Look until `condition` holds (returns neither false, null nor undefined), and return what it returned.
 *
 * @throws the error of the last look, or one saying that the condition never held
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 5000, intervalMs = 20 }: EventuallyOptions = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let failure = new Error(`not within ${timeoutMs} ms: ${condition.toString()}`)
    try {
      const value = await condition()
      if (value !== false && value !== null && value !== undefined) return value
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
    if (performance.now() > deadline) throw failure
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
