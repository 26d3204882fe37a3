// How long the event loop was held: a 1 ms timer that notes its own lateness. perf_hooks' monitorEventLoopDelay samples the
// same thing but reports nothing before its first tick, and a single blocked stretch may have none.

/** Longest time in ms that the event loop did not come round while `work` ran. */
export async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now()
  let longest = 0
  const note = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last - 1)
    last = now
  }
  const timer = setInterval(note, 1)
  try {
    await work()
  } finally {
    note()
    clearInterval(timer)
  }
  return longest
}
