// A benchmark that changes a kernel starts itself again in fresh namespaces and refuses to go on anywhere else.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { requireSandbox, sandboxCommand, sandboxEnvironment } from '../../test/support/sandbox.ts'

/** The devices of this network namespace. */
export function deviceNames(): string[] {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2)
  return lines.map((line) => line.split(':')[0]?.trim() ?? '').filter((name) => name !== '')
}

/** true in the process this module started in namespaces of its own. */
export function startedInSandbox(): boolean {
  return process.env['HYBRIDNET_BENCHMARK_SANDBOX'] === '1'
}

/**
 * Runs this same script in new network, mount, IPC and process-id namespaces and ends this process with its exit code.
 *
 * @param variables environment the inner process gets besides its own
 */
export async function restartInSandbox(variables: Readonly<Record<string, string>> = {}): Promise<never> {
  const [command, ...args] = sandboxCommand([process.execPath, ...process.execArgv, ...process.argv.slice(1)])
  const environment = {
    ...process.env,
    ...variables,
    ...sandboxEnvironment(),
    HYBRIDNET_BENCHMARK_SANDBOX: '1',
  }
  const child = spawn(command, args, { stdio: 'inherit', env: environment })
  // unshare ignores SIGTERM while its child runs; killing it takes every process of the sandbox along.
  for (const end of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(end, () => child.kill('SIGKILL'))
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  if (signal !== null) console.error(`the sandboxed process ended by ${signal}`)
  process.exit(code ?? 1)
}

/**
 * Refuse to continue unless this is a fresh network namespace: another one than the machine's, holding nothing but lo.
 *
 * @throws Error otherwise
 */
export function requireFreshNamespace(): void {
  requireSandbox()
  // Some kernels put fallback tunnel devices (tunl0, sit0, ...) into every namespace; a machine's own has more than those.
  const others = deviceNames().filter(
    (name) => !/^(lo|tunl0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|sit0|ip6tnl0|ip6gre0)$/.test(name),
  )
  if (others.length > 0) throw new Error(`this network namespace is in use: it has ${others.join(', ')}`)
}
