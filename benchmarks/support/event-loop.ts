// How long the event loop was held: a 1 ms timer that notes its own lateness. perf_hooks' monitorEventLoopDelay samples the
// same thing but reports nothing before its first tick, and a single blocked stretch may have none.

import { closeSync, openSync, readSync } from 'node:fs'

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

/**
 * The longest turn of the event loop while `work` ran, in ms: elapsed, and processor time of this thread, which other work of
 * the machine does not change; null where the kernel does not count it (CONFIG_SCHED_INFO).
 */
export async function longestTurn(work: () => Promise<unknown>): Promise<{ wall: number; cpu: number | null }> {
  let cpu: number | null = null
  const clock = openThreadClock()
  let last = clock?.read() ?? 0
  const note = (): void => {
    if (clock === null) return
    const now = clock.read()
    cpu = Math.max(cpu ?? 0, now - last)
    last = now
  }
  const timer = setInterval(note, 1)
  try {
    const wall = await longestBlock(work)
    note()
    return { wall, cpu }
  } finally {
    clearInterval(timer)
    clock?.close()
  }
}

/** Processor time of the calling thread, ms. */
function openThreadClock(): { read: () => number; close: () => void } | null {
  let descriptor: number
  try {
    descriptor = openSync('/proc/thread-self/schedstat', 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  const text = Buffer.alloc(64)
  return {
    read: () => Number.parseInt(text.toString('latin1', 0, readSync(descriptor, text, 0, text.length, 0)), 10) / 1e6,
    close: () => closeSync(descriptor),
  }
}
