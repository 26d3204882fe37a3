// The files of test/vm, run on another kernel: one virtual machine (scripts/vm) for all of them, whose results join the others'.
//
// They are bundled here, beside the sources, because the machine is slow at it; inside, vm-guest.ts runs them as the runner
// runs files outside, one after the other, and answers with a line of JSON each.
import { build } from 'esbuild'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileResult } from './run-file.ts'

/** What the guest is told, as JSON. */
export interface GuestOrder {
  readonly timeoutSeconds: number
  /** Source and bundle of each file, relative to the folder of the project. */
  readonly files: readonly { readonly file: string; readonly bundle: string }[]
}

export interface VmOptions {
  readonly root: string
  /** Of one file; booting may take as long. */
  readonly timeoutSeconds: number
  /** Called with each result as it comes. */
  readonly onResult: (result: FileResult) => void
}

/** scripts/vm's way to say that what it needs is not there; it has told what on stderr. */
const MISSING = 3

/** CommonJS dependencies inside an ESM bundle expect it. */
const banner = "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url)"

/**
 * Runs files in a virtual machine. Those the machine did not come to have failed.
 *
 * @returns false when there can be no machine here: nothing ran
 */
export async function runInVm(files: readonly string[], options: VmOptions): Promise<boolean> {
  const { root, timeoutSeconds, onResult } = options
  await mkdir(join(root, '.cache'), { recursive: true })
  // The addon is looked for from here upward.
  const folder = await mkdtemp(join(root, '.cache/vm-'))
  try {
    const guest = 'test/support/vm-guest.ts'
    await build({
      absWorkingDir: root,
      entryPoints: [guest, ...files],
      outdir: folder,
      outbase: '.',
      outExtension: { '.js': '.mjs' },
      bundle: true,
      splitting: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: 'inline',
      banner: { js: banner },
      logLevel: 'warning',
    })
    const bundle = (file: string): string => join(folder, file.replace(/\.ts$/, '.mjs'))
    const order: GuestOrder = { timeoutSeconds, files: files.map((file) => ({ file, bundle: bundle(file) })) }
    const seen = new Set<string>()
    const end = await boot(
      [process.execPath, '--enable-source-maps', bundle(guest), JSON.stringify(order)],
      { ...options, answer: join(folder, 'answer') },
      (result) => {
        seen.add(result.file)
        onResult(result)
      },
    )
    if (end.code === MISSING && seen.size === 0) return false
    for (const file of files) {
      if (seen.has(file)) continue
      onResult({
        file,
        passed: 0,
        failed: 1,
        skipped: 0,
        seconds: 0,
        output: `${end.output}\n${file}: the virtual machine ended before it was run (${end.why})\n`,
      })
    }
    return true
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface End {
  readonly code: number | null
  readonly why: string
  readonly output: string
}

/** Runs a command in the machine and hands over what it answers, line by line. */
async function boot(
  command: readonly string[],
  { root, timeoutSeconds, answer }: VmOptions & { readonly answer: string },
  onResult: (result: FileResult) => void,
): Promise<End> {
  const child = spawn('bash', ['scripts/vm', '--answer', answer, ...command], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  let why: string | null = null
  let lines = 0
  let lastSign = Date.now()
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    process.stderr.write(chunk)
  })
  const collect = async (): Promise<void> => {
    const text = await readFile(answer, 'utf8').catch(() => '')
    // The last line may not be whole yet.
    const whole = text.split('\n').slice(0, -1)
    for (const line of whole.slice(lines)) onResult(JSON.parse(line) as FileResult)
    if (whole.length > lines) lastSign = Date.now()
    lines = whole.length
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      why ??= `exit ${signal ?? code}`
      resolve(code)
    })
  })
  const watch = setInterval(() => {
    void collect()
    if (Date.now() - lastSign < 2 * timeoutSeconds * 1000 || why !== null) return
    why = `no sign of life for ${2 * timeoutSeconds} s`
    // Its whole process group: the script's trap removes its files, the namespaces end what runs in them.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM')
  }, 500)
  try {
    const code = await ended
    return { code, why: why ?? '', output }
  } finally {
    clearInterval(watch)
    await collect()
  }
}
