// Runs nft. A transaction is one process that lives for its few milliseconds; nothing stays behind.
//
// The netfilter library is not bound directly: the command-line tool is the stable interface, and one process per change
// costs about 4 ms. How the process is started is the caller's choice (`run`); by default child_process does it, under
// nsenter for another network namespace.
import { spawn } from 'node:child_process'
import { NftError } from './errors.ts'
import { renderTransaction } from './render.ts'
import type { Transaction } from './types.ts'

/** Runs a command to its end and says how it ended; rejects when it could not be started or was killed. */
export type CommandRunner = (
  command: readonly [string, ...string[]],
  options: { readonly input: string; readonly timeoutMs: number },
) => Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }>

export interface NftOptions {
  /** File of the network namespace to work in (`/run/netns/x`, `/proc/7/fd/12`); null is this process's own. */
  readonly namespace: string | null
  /** Give up and kill nft after this long; 30 s unless given. */
  readonly timeoutMs?: number
  /** Starts the process, in the namespace already; then `namespace` plays no part. */
  readonly run?: CommandRunner
}

/**
 * Applies the transaction: all of it or nothing.
 * Equivalent to: `nft -f -`
 *
 * @throws NftError with nft's own words
 */
export async function applyTransaction(options: NftOptions, transaction: Transaction): Promise<void> {
  if (transaction.length === 0) return
  await runNft(options, ['-f', '-'], 'transaction', renderTransaction(transaction))
}

/**
 * Whether the kernel would take the transaction, by dry run.
 * Equivalent to: `nft --check -f -`
 *
 * @throws NftError when nft is missing or hangs; a refusal is the answer false
 */
export async function checkTransaction(options: NftOptions, transaction: Transaction): Promise<boolean> {
  try {
    await runNft(options, ['--check', '-f', '-'], 'check', renderTransaction(transaction))
    return true
  } catch (error) {
    if (error instanceof NftError && error.code !== 'TIMEOUT' && error.code !== 'NOT_INSTALLED') return false
    throw error
  }
}

/**
 * Runs nft and returns what it printed.
 *
 * @throws NftError
 */
export async function runNft(
  options: NftOptions,
  args: readonly string[],
  operation: string,
  input = '',
): Promise<string> {
  const run = options.run ?? spawnIn(options.namespace)
  const timeoutMs = options.timeoutMs ?? 30_000
  let result: Awaited<ReturnType<CommandRunner>>
  try {
    result = await run(['nft', ...args], { input, timeoutMs })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ETIMEDOUT')
      throw new NftError(operation, `no answer after ${timeoutMs} ms`, 'TIMEOUT', { cause: error })
    const reason = code === 'ENOENT' ? 'NOT_INSTALLED' : 'FAILED'
    throw new NftError(operation, `cannot run nft: ${message}`, reason, { cause: error })
  }
  if (result.status === 0) return result.stdout
  throw new NftError(operation, result.stderr)
}

/** child_process as a runner. */
function spawnIn(namespace: string | null): CommandRunner {
  return ([command, ...args], { input, timeoutMs }) => {
    const [file, prefix] = namespace === null ? [command, []] : ['nsenter', [`--net=${namespace}`, command]]
    return new Promise((resolve, reject) => {
      const env = { ...process.env, LC_ALL: 'C' }
      const child = spawn(file, [...prefix, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env })
      const output: Buffer[] = []
      const errors: Buffer[] = []
      let timedOut = false
      const timer = setTimeout(() => {
        timedOut = true
        child.kill('SIGKILL')
      }, timeoutMs)
      child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
      child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
      // nft may exit on an error before it has read everything; its exit code tells.
      child.stdin.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPIPE') errors.push(Buffer.from(error.message))
      })
      child.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      child.on('close', (status) => {
        clearTimeout(timer)
        if (timedOut) reject(Object.assign(new Error(`killed after ${timeoutMs} ms`), { code: 'ETIMEDOUT' }))
        else
          resolve({
            status: status ?? 1,
            stdout: Buffer.concat(output).toString(),
            stderr: Buffer.concat(errors).toString(),
          })
      })
      child.stdin.end(input)
    })
  }
}
