// An unmodified kubectl, with a home of its own.
import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const program = process.env['KUBECTL'] ?? 'kubectl'

const version = spawnSync(program, ['version', '--client', '-o', 'json'], { encoding: 'utf8' })

/** Whether this machine has one. */
export const hasKubectl = version.status === 0
/** Its minor version: 32 of 1.32.4; 0 when there is none. */
export const kubectlMinor = Number(/"minor":\s*"(\d+)/.exec(version.stdout ?? '')?.[1] ?? 0)
if (!hasKubectl) console.log('SKIPPED where it is needed: no kubectl on PATH (set KUBECTL to one)')

export interface Kubectl {
  /** Its output. @throws Error with what it said when it fails */
  (...args: string[]): Promise<string>
  close: () => void
}

/** @param kubeconfig its content */
export function kubectlFor(kubeconfig: string): Kubectl {
  const home = mkdtempSync(join(tmpdir(), 'kubectl-'))
  writeFileSync(join(home, 'config'), kubeconfig)
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, KUBECONFIG: join(home, 'config') }
  const run = (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      execFile(program, args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout)
        else reject(new Error(`kubectl ${args.join(' ')}: ${stdout}${stderr}`, { cause: error }))
      })
    })
  return Object.assign(run, { close: () => rmSync(home, { recursive: true, force: true }) })
}
