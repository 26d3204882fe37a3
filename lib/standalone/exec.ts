// Running a command in a network namespace and waiting for it, for tests, the demo and diagnosis.
import { execFile } from 'node:child_process'

export interface ExecResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface ExecOptions {
  /** Milliseconds until it is killed. Default 30,000. */
  readonly timeoutMs?: number
  /** Text for its stdin. */
  readonly input?: string
}

/** The command line that runs `command` in the namespace of a file. Equivalent to: `ip netns exec NAME COMMAND` */
export function namespaceCommand(path: string, command: readonly string[]): [string, ...string[]] {
  return ['nsenter', `--net=${path}`, '--', ...command]
}

/**
 * Run a command in a network namespace. A command that ends with an error is a result, not an error.
 *
 * @throws Error when it cannot be started or does not end in time
 */
export function execInNamespace(
  path: string,
  command: readonly string[],
  { timeoutMs = 30_000, input }: ExecOptions = {},
): Promise<ExecResult> {
  const [file, ...args] = namespaceCommand(path, command)
  return new Promise((resolve, reject) => {
    const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 << 20 } as const
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr })
      if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr })
      const why = error.killed ? `no end after ${timeoutMs} ms` : error.message
      reject(new Error(`${command.join(' ')} in ${path}: ${why}`, { cause: error }))
    })
    // A command that does not read its input is free to.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input ?? '')
  })
}
