// The fan-out rewriting for kernels without netdev egress hooks (before 5.16), by a prio qdisc and a pedit filter (§3.5).
// Runs `tc`; replacing an existing prio root without a handle changes it in place and keeps its filter.
import { formatMac } from '../../ip/index.ts'
import { runCommand, type NetworkNamespace } from '../../netlink/index.ts'
import { FAN_OUT_MAC } from '../constants.ts'

/**
 * Equivalent to: `tc qdisc replace dev LINK root prio` and `tc filter replace dev LINK parent HANDLE ...`
 *
 * @throws Error with tc's own words
 */
export async function replaceTcFanOut(namespace: NetworkNamespace, link: string): Promise<void> {
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

async function tc(namespace: NetworkNamespace, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand(namespace, ['tc', ...args], { timeoutMs: 10_000 })
  if (status !== 0) throw new Error(`tc ${args.join(' ')}: ${stderr.trim() || `exit ${status}`}`)
  return stdout
}
