// The fan-out rewriting for kernels without netdev egress hooks (before 5.16), by a prio qdisc and a pedit filter (§3.5).
// Runs `tc`; replacing an existing prio root without a handle changes it in place and keeps its filter.
import { spawn } from 'node:child_process'
import { formatMac } from '../../ip/index.ts'
import { FAN_OUT_MAC } from '../constants.ts'

/**
 * Equivalent to: `tc qdisc replace dev LINK root prio` and `tc filter replace dev LINK parent HANDLE ...`
 *
 * @param namespace file of the network namespace, null for this process's own
 * @throws Error with tc's own words
 */
export async function replaceTcFanOut(namespace: string | null, link: string): Promise<void> {
  // The band map is prio's default, spelled out as the original sends it.
  const priomap = '1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1'.split(' ')
  await tc(namespace, ['qdisc', 'replace', 'dev', link, 'root', 'prio', 'bands', '3', 'priomap', ...priomap])
  const shown = JSON.parse(await tc(namespace, ['-j', 'qdisc', 'show', 'dev', link, 'root'])) as { handle?: string }[]
  const handle = shown[0]?.handle
  if (handle === undefined) throw new Error(`tc shows no root qdisc on ${link}`)
  const match = ['match', 'u8', '0x01', '0x01', 'at', '-14']
  const action = ['action', 'pedit', 'ex', 'munge', 'eth', 'dst', 'set', formatMac(FAN_OUT_MAC)]
  const filter = [
    'filter',
    'replace',
    'dev',
    link,
    'parent',
    handle,
    'handle',
    '800::800',
    'prio',
    '1',
    'protocol',
    'all',
  ]
  await tc(namespace, [...filter, 'u32', ...match, ...action])
}

function tc(namespace: string | null, args: readonly string[]): Promise<string> {
  const [command, prefix] = namespace === null ? ['tc', []] : ['nsenter', [`--net=${namespace}`, 'tc']]
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...prefix, ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 10_000 })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.on('error', (error) => reject(new Error(`cannot run tc: ${error.message}`, { cause: error })))
    child.on('close', (status, signal) => {
      if (status === 0) resolve(output)
      else reject(new Error(`tc ${args.join(' ')}: ${errors.trim() || `exit ${status ?? signal}`}`))
    })
  })
}
