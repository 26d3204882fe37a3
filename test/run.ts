// The test runner: one process and one fresh set of namespaces per file.
//
// uvu alone has four false greens (a throwing hook, a forgotten run(), a forgotten .only, no matching file) and no time-out.
// Here a file passes only if its process exited 0 and reported at least one test, all passed. Each file runs in new network, mount
// and process-id namespaces (and, without root, a user namespace), so that nothing it makes can reach this machine or
// outlive it. The files of test/vm run the same way in a virtual machine with another kernel. The last line is
// `N passed, N failed`, counted in tests.
//
//   node --import tsx test/run.ts [--jobs N] [--timeout SECONDS] [path-substring ...]
import { spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { type FileResult, runFile } from './support/run-file.ts'
import { runInVm } from './support/vm.ts'

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
const results: FileResult[] = []
function report(result: FileResult): void {
  results.push(result)
  const mark = result.failed > 0 ? 'FAIL' : 'ok  '
  const skips = result.skipped > 0 ? `, ${result.skipped} skipped` : ''
  console.log(`${mark} ${result.file}  ${result.passed} passed${skips}  ${result.seconds.toFixed(1)} s`)
  if (result.failed > 0 || values.verbose || result.skipped > 0) console.log(result.output.replaceAll(/^/gm, '     '))
}
// Those on another kernel share one virtual machine, which boots and works while the others run.
const onOtherKernel = files.filter((file) => file.startsWith('test/vm/'))
let leftByVm: readonly string[] = []
async function virtualMachine(): Promise<void> {
  if (await runInVm(onOtherKernel, { root, timeoutSeconds, onResult: report })) return
  leftByVm = onOtherKernel
  console.log(`SKIPPED: ${leftByVm.length} files of test/vm: see above what the virtual machine needs`)
}
const queue = files
  .filter((file) => !left.includes(file) && !onOtherKernel.includes(file))
  .map((file) => async () => report(await runFile(file, { root, timeoutSeconds })))
if (onOtherKernel.length > 0) queue.unshift(virtualMachine)
await Promise.all(
  Array.from({ length: jobs }, async () => {
    for (let work = queue.shift(); work !== undefined; work = queue.shift()) await work()
  }),
)
const sum = (pick: (result: FileResult) => number): number => results.reduce((total, result) => total + pick(result), 0)
const failed = sum((result) => result.failed)
const skipped = sum((result) => result.skipped) + left.length + leftByVm.length
console.log(`${sum((result) => result.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exit(failed > 0 ? 1 : 0)
