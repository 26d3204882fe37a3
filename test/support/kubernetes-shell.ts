// scripts/kubernetes: a command beside a real control plane, in a sandbox that ends with it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { Cluster, createOverlay, overlayEnvironment } from '../../lib/standalone/index.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import type { ProxyMode } from './kubernetes-flags.ts'
import { realControlPlane, startRealControlPlane } from './kubernetes.ts'
import { inSandbox, sandboxCommand, sandboxEnvironment } from '../../lib/standalone/sandbox.ts'

/** Run a command on this terminal; its exit code. */
async function run([file = '', ...args]: readonly string[], environment: Record<string, string>): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, ...environment } })
  // ^C is for the command; what it leaves to do here is done when it has ended.
  const ignore = (): void => undefined
  process.on('SIGINT', ignore)
  try {
    const [code] = (await once(child, 'exit')) as [number | null]
    return code ?? 1
  } finally {
    process.off('SIGINT', ignore)
  }
}

/** The options before the command; everything from its name on is its own. */
function options(): { nodes: number; proxy: ProxyMode | undefined; command: readonly string[] } {
  const args = process.argv.slice(2)
  const flags: string[] = []
  while (args[0]?.startsWith('--')) flags.push(...args.splice(0, args[0].includes('=') ? 1 : 2))
  const { values } = parseArgs({ args: flags, options: { nodes: { type: 'string' }, proxy: { type: 'string' } } })
  const { nodes = '0', proxy } = values
  if (!/^\d+$/.test(nodes)) throw new Error(`--nodes '${nodes}': expected a number`)
  if (proxy !== undefined && proxy !== 'iptables' && proxy !== 'nftables')
    throw new Error(`--proxy '${proxy}': expected iptables or nftables`)
  return { nodes: Number(nodes), proxy, command: args.length > 0 ? args : [process.env['SHELL'] ?? 'bash'] }
}

async function main(): Promise<number> {
  const { nodes, proxy, command } = options()
  if (!inSandbox()) {
    return await run(
      sandboxCommand([process.execPath, ...process.execArgv, ...process.argv.slice(1)]),
      sandboxEnvironment(),
    )
  }
  if (nodes === 0) {
    const plane = await startRealControlPlane()
    try {
      return await run(command, { KUBECONFIG: plane.kubeconfig })
    } finally {
      await plane.stop()
      await plane.close()
    }
  }
  const controlPlane = realControlPlane(proxy === undefined ? {} : { proxy })
  const cluster = await Cluster.start({ nodes, controlPlane, environment: overlayEnvironment, log: silentLogger() })
  try {
    await createOverlay(cluster.client)
    return await run(command, { KUBECONFIG: cluster.kubeconfig })
  } finally {
    await cluster.stop()
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
