// The processes that live in a network namespace, as a power cut finds them.
import { readdirSync, statSync } from 'node:fs'

/**
 * SIGKILL to every process of this process-id namespace whose network namespace is one of `inodes`, except this one.
 *
 * Equivalent to: `ip netns pids NAME | xargs kill -9`
 *
 * @returns their process ids
 */
export function killIn(inodes: ReadonlySet<number>): number[] {
  const killed: number[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      if (!inodes.has(statSync(`/proc/${pid}/ns/net`).ino)) continue
      process.kill(pid, 'SIGKILL')
      killed.push(pid)
    } catch (error) {
      // It ended by itself meanwhile.
      const code = error instanceof Error && 'code' in error ? error.code : null
      if (code !== 'ENOENT' && code !== 'ESRCH') throw error
    }
  }
  return killed
}

/** The inode of a namespace file; null when there is none. */
export function namespaceInode(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null
}
