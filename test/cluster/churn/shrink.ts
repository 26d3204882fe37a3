// From a list that fails to a short one that still does: delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", 2002), the ddmin algorithm, within a limit of time.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sandboxCommand, sandboxEnvironment } from '../../../lib/standalone/index.ts'
import { formatSteps, type Step } from './steps.ts'

/**
 * The smallest list found. Every part of the outcome was needed where time was enough: leaving out any single one makes
 * the failure go.
 *
 * @param fails whether a part of the list still fails
 * @param enough true when there is no more time
 */
export async function shrink<T>(
  list: readonly T[],
  fails: (part: readonly T[]) => Promise<boolean>,
  enough: () => boolean = () => false,
): Promise<readonly T[]> {
  let current = list
  let parts = 2
  while (current.length >= 2 && !enough()) {
    const size = Math.ceil(current.length / parts)
    let smaller: readonly T[] | null = null
    for (let start = 0; start < current.length && smaller === null && !enough(); start += size) {
      const without = [...current.slice(0, start), ...current.slice(start + size)]
      if (without.length > 0 && (await fails(without))) smaller = without
    }
    if (smaller !== null) {
      current = smaller
      parts = Math.max(2, parts - 1)
    } else if (size <= 1) break
    else parts = Math.min(current.length, parts * 2)
  }
  return current
}

export interface ShrinkOptions {
  readonly seed: number
  readonly nodes: number
  /** Seconds a settlement of a try may take. */
  readonly settleSeconds: number
  readonly minutes: number
  readonly onProgress: (text: string) => void
}

/** {@link shrink} by running parts of a step list, each in a process, a sandbox and a cluster of its own. */
export async function shrinkInFreshClusters(steps: readonly Step[], options: ShrinkOptions): Promise<readonly Step[]> {
  const { seed, nodes, settleSeconds, minutes, onProgress } = options
  const end = performance.now() + minutes * 60_000
  const directory = mkdtempSync(join(tmpdir(), 'hybridnet-churn-'))
  const file = join(directory, 'steps')
  let tries = 0
  const fails = async (part: readonly Step[]): Promise<boolean> => {
    const last = part.at(-1)
    writeFileSync(file, formatSteps(last?.do === 'settle' ? part : [...part, { do: 'settle' }]))
    const main = join(import.meta.dirname, 'main.ts')
    const options = [
      `--replay=${file}`,
      `--seed=${seed}`,
      `--nodes=${nodes}`,
      `--settle-seconds=${settleSeconds}`,
      `--save=${file}.failed`,
    ]
    const [program, ...args] = sandboxCommand([process.execPath, '--import', 'tsx', main, ...options])
    const environment = { ...process.env, ...sandboxEnvironment() }
    const child = spawn(program, args, { stdio: 'ignore', env: environment })
    const timer = setTimeout(() => child.kill('SIGKILL'), Math.max(0, end - performance.now()))
    const [code] = (await once(child, 'exit')) as [number | null]
    clearTimeout(timer)
    onProgress(
      `try ${++tries}: ${part.length} steps: ${code === 0 ? 'pass' : code === 1 ? 'fail' : 'were not finished'}`,
    )
    return code === 1
  }
  try {
    return await shrink(steps, fails, () => performance.now() >= end)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
