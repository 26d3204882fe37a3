// Waiting in tests: for a condition, with a bound, instead of for a time.

/**
 * Run `check` until it neither throws nor returns false or null, and return what it returned.
 *
 * @throws what it threw last, or an error that says it stayed false, after `timeoutMs`
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  timeoutMs = 5000,
  intervalMs = 5,
): Promise<Exclude<T, false | null>> {
  const end = performance.now() + timeoutMs
  for (;;) {
    let failure = new Error(`not within ${timeoutMs} ms: ${check.toString()}`)
    try {
      const value = await check()
      if (value !== false && value !== null) return value as Exclude<T, false | null>
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
    }
    if (performance.now() >= end) throw failure
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
