// The runner inside the virtual machine; see vm.ts.
import { appendFileSync } from 'node:fs'
import { runFile } from './run-file.ts'
import type { GuestOrder } from './vm.ts'

const { timeoutSeconds, files } = JSON.parse(process.argv[2] ?? '') as GuestOrder
const answer = process.env['HYBRIDNET_VM_ANSWER'] ?? '/dev/stdout'
for (const { file, bundle } of files) {
  const options = { root: process.cwd(), timeoutSeconds, program: ['--enable-source-maps', bundle] }
  appendFileSync(answer, `${JSON.stringify(await runFile(file, options))}\n`)
}
