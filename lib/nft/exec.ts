// Runs nft. A transaction is one process that lives for its few milliseconds; nothing stays behind.
//
// The netfilter library is not bound directly: the command-line tool is the stable interface, and one process per change
// costs about 4 ms. In another network namespace nft runs under nsenter.
import { spawn } from 'node:child_process'
import { NftError } from './errors.ts'
import { renderTransaction } from './render.ts'
import type { Transaction } from './types.ts'

export interface NftOptions {
  /** File of the network namespace to work in (`/run/netns/x`, `/proc/7/fd/12`); null is this process's own. */
  readonly namespace: string | null
  /** Give up and kill nft after this long; 30 s unless given. */
  readonly timeoutMs?: number
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
export function runNft(options: NftOptions, args: readonly string[], operation: string, input = ''): Promise<string> {
  const [command, prefix] =
    options.namespace === null ? ['nft', []] : ['nsenter', [`--net=${options.namespace}`, 'nft']]
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...prefix, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    let timedOut = false
    const timeoutMs = options.timeoutMs ?? 30_000
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
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      const code = error.code === 'ENOENT' ? 'NOT_INSTALLED' : 'FAILED'
      reject(new NftError(operation, `cannot run ${command}: ${error.message}`, code, { cause: error }))
    })
    child.on('close', (status) => {
      clearTimeout(timer)
      if (timedOut) reject(new NftError(operation, `no answer after ${timeoutMs} ms`, 'TIMEOUT'))
      else if (status === 0) resolve(Buffer.concat(output).toString())
      else reject(new NftError(operation, Buffer.concat(errors).toString()))
    })
    child.stdin.end(input)
  })
}
