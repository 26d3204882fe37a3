// One test file in a process and namespaces of its own, and what came of it.
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sandboxCommand, sandboxEnvironment } from './sandbox.ts'

export interface FileResult {
  readonly file: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  readonly output: string
}

export interface RunOptions {
  /** The folder of the project; the working directory of the test. */
  readonly root: string
  /** After that it is killed, and has failed. */
  readonly timeoutSeconds: number
  /** Arguments of node; the file itself through tsx unless given. */
  readonly program?: readonly string[]
}

/**
 * The totals uvu prints at the end of a run of a file, whatever tests printed before; null when it printed none. Skipped tests are
 * not in the total.
 */
function parseTotals(output: string): { total: number; passed: number; skipped: number } | null {
  // eslint-disable-next-line no-control-regex -- the escape character is what is looked for
  const plain = output.replaceAll(/\x1b\[[0-9;]*m/g, '')
  const all = [...plain.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)\n/gm)]
  const [, total, passed, skipped] = all.at(-1) ?? []
  return total === undefined ? null : { total: Number(total), passed: Number(passed), skipped: Number(skipped) }
}

/** Runs a file. It passes only if its process exited 0 and reported at least one test, all passed. */
export async function runFile(file: string, options: RunOptions): Promise<FileResult> {
  const { root, timeoutSeconds, program = ['--import', 'tsx', file] } = options
  const narrowed = /\b\w+\.only\(/.test(await readFile(join(root, file), 'utf8'))
  const started = performance.now()
  const [command, ...args] = sandboxCommand([process.execPath, ...program])
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...sandboxEnvironment(), FORCE_COLOR: '0' },
    })
    let output = ''
    let verdict: string | null = null
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const watchdog = setTimeout(() => {
      verdict = `no end after ${timeoutSeconds} s`
      child.kill('SIGKILL')
    }, timeoutSeconds * 1000)
    child.on('error', (error) => (verdict = error.message))
    child.on('close', (code, signal) => {
      clearTimeout(watchdog)
      const totals = parseTotals(output)
      if (totals === null) verdict ??= 'reported no totals (is test.run() missing?)'
      else if (totals.total + totals.skipped === 0) verdict ??= 'ran no test'
      if (narrowed) verdict ??= '.only() left other tests out'
      if (code !== 0) verdict ??= `exit ${signal ?? code}`
      const passed = totals?.passed ?? 0
      const failedTests = totals ? totals.total - totals.passed : 0
      if (verdict !== null) output += `\n${file}: ${verdict}\n`
      resolve({
        file,
        passed,
        failed: verdict !== null ? Math.max(1, failedTests) : failedTests,
        skipped: totals?.skipped ?? 0,
        seconds: (performance.now() - started) / 1000,
        output,
      })
    })
  })
}
