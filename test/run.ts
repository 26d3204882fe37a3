// The test runner: one process and one fresh set of namespaces per file.
//
// uvu alone has four false greens (a throwing hook, a forgotten run(), a forgotten .only, no matching file) and no time-out.
// Here a file passes only if its process exited 0 and reported at least one test, all passed. Each file runs in new network, mount
// and process-id namespaces (and, without root, a user namespace), so that nothing it makes can reach this machine or
// outlive it. The last line is `N passed, N failed`, counted in tests.
//
//   node --import tsx test/run.ts [--jobs N] [--timeout SECONDS] [path-substring ...]
import { spawn, spawnSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { sandboxCommand, sandboxEnvironment } from './support/sandbox.ts'

interface FileResult {
  file: string
  passed: number
  failed: number
  skipped: number
  seconds: number
  output: string
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    timeout: { type: 'string', default: '400' },
    verbose: { type: 'boolean', default: false },
  },
})

const root = new URL('..', import.meta.url).pathname
const jobs = Number(values.jobs)
const timeoutSeconds = Number(values.timeout)

async function testFiles(): Promise<string[]> {
  const entries = await readdir(join(root, 'test'), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))
    .sort()
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

async function runFile(file: string): Promise<FileResult> {
  const narrowed = /\b\w+\.only\(/.test(await readFile(join(root, file), 'utf8'))
  const started = performance.now()
  const [command, ...args] = sandboxCommand([process.execPath, '--import', 'tsx', file])
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

const files = await testFiles()
if (files.length === 0) {
  console.error('no test file matches')
  console.log('0 passed, 1 failed')
  process.exit(1)
}
// Clusters run the programs from the bundle: one of older sources would be tested instead of these.
if (files.some((file) => /^test\/(cluster|kubernetes|node\/standalone)\//.test(file))) {
  const { status } = spawnSync('bash', ['scripts/build-bundle'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) {
    console.log('0 passed, 1 failed')
    process.exit(1)
  }
}
// The tests on the real control plane run where its programs are; HYBRIDNET_KUBERNETES=build asks to build them first.
const lane = files.filter((file) => file.startsWith('test/kubernetes/'))
let left: readonly string[] = []
if (lane.length > 0) {
  const build = process.env['HYBRIDNET_KUBERNETES'] === 'build' ? ['--build'] : []
  const { status, stdout } = spawnSync('bash', ['scripts/kubernetes-assets', ...build], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status === 0) process.env['HYBRIDNET_KUBERNETES_ASSETS'] = stdout.trim()
  else if (status === 3) left = lane
  else {
    console.log('0 passed, 1 failed')
    process.exit(1)
  }
  if (left.length > 0)
    console.log(`SKIPPED: ${left.length} files of test/kubernetes: see above how to get what they need`)
}
const queue = files.filter((file) => !left.includes(file))
const results: FileResult[] = []
await Promise.all(
  Array.from({ length: jobs }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file)
      results.push(result)
      const mark = result.failed > 0 ? 'FAIL' : 'ok  '
      const skips = result.skipped > 0 ? `, ${result.skipped} skipped` : ''
      console.log(`${mark} ${result.file}  ${result.passed} passed${skips}  ${result.seconds.toFixed(1)} s`)
      if (result.failed > 0 || values.verbose || result.skipped > 0)
        console.log(result.output.replaceAll(/^/gm, '     '))
    }
  }),
)
const sum = (pick: (result: FileResult) => number): number => results.reduce((total, result) => total + pick(result), 0)
const failed = sum((result) => result.failed)
const skipped = sum((result) => result.skipped) + left.length
console.log(`${sum((result) => result.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 ? 1 : 0)
