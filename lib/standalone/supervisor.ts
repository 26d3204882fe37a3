// The inner half: what the first process of a sandbox does around the program it runs. It learns from the launcher where
// things are, and stops when the launcher asks for it or is gone.
import { rmSync } from 'node:fs'
import { launchVariables } from './launcher.ts'
import { assertSandbox, prepareSandbox } from './sandbox.ts'

/** What a supervised program is given. */
export interface Supervision {
  /** Shared with the outside; removed at the end. */
  readonly directory: string
  /** The loopback port of the machine that the launcher forwards to `DIRECTORY/api.sock`. */
  readonly apiPort: number
  /** Aborts when the program should stop. */
  readonly signal: AbortSignal
}

/** true in the process the launcher started. */
export function isSupervised(): boolean {
  return process.env[launchVariables.directory] !== undefined
}

/**
 * Run a program as the first process of a sandbox, and exit with its code.
 *
 * @throws Error unless this process was started by the launcher and is in namespaces of its own
 */
export async function supervise(program: (supervision: Supervision) => Promise<number>): Promise<number> {
  assertSandbox('this program')
  const directory = process.env[launchVariables.directory]
  const apiPort = Number(process.env[launchVariables.apiPort])
  if (directory === undefined || !Number.isInteger(apiPort)) throw new Error('not started by the launcher')
  const stop = new AbortController()
  const abort = (): void => stop.abort()
  process.stdin.on('end', abort).on('error', abort).resume()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, abort)
  try {
    await prepareSandbox()
    return await program({ directory, apiPort, signal: stop.signal })
  } finally {
    process.stdin.destroy()
    // The launcher does this too, but it may be gone.
    rmSync(directory, { recursive: true, force: true })
  }
}
