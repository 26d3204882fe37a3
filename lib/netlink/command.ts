// Short commands inside a namespace, started from a native thread: the event loop is not held while the process is made,
// as it is by child_process, whose fork copies the page tables of a daemon on the loop's own thread.
import { addon } from './addon.ts'
import { asNetlinkError } from './errors.ts'
import type { NetworkNamespace } from './namespace.ts'

export interface CommandOptions {
  /** What it reads on standard input. */
  readonly input?: string
  /** Killed after that; default 30 s. */
  readonly timeoutMs?: number
}

export interface CommandResult {
  /** Exit status, or 128 + the signal that ended it. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs the command to its end, with LC_ALL=C. Meant for `nft` and `tc`: output is kept in memory.
 *
 * Equivalent to: `nsenter --net=NS COMMAND ARGUMENT...`
 *
 * @returns also when the command failed; look at `status`
 * @throws NetlinkError ENOENT when there is no such command, ETIMEDOUT when it was killed, ECANCELED at the end of the
 *   environment
 */
export async function runCommand(
  namespace: NetworkNamespace,
  command: readonly [string, ...string[]],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { input = '', timeoutMs = 30_000 } = options
  const environment = [`PATH=${process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`, 'LC_ALL=C']
  try {
    const [status, stdout, stderr] = await addon().runCommand(namespace.fd, command, environment, input, timeoutMs)
    return { status, stdout, stderr }
  } catch (error) {
    throw asNetlinkError(error, command.join(' '))
  }
}
