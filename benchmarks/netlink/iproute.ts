// The iproute2 contender: `ip -batch` and `bridge -batch` from a file written beforehand; wall time of the process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatAddress, formatMac } from '../../lib/ip/index.ts'
import { LINK_GROUP, PRIORITY, TABLE, type GroupName, type Sample } from './groups.ts'

const ipv4 = (i: number, base = 0x0a000001): string => formatAddress(base + i)
const ipv6 = (i: number): string => formatAddress((0xfdn << 120n) + BigInt(i + 1))
const mac = (i: number): string => formatMac(0x020000000000 + i + 1)

/** One line of a batch file. */
function line(group: GroupName, verb: 'add' | 'del', i: number, device: string): string {
  switch (group) {
    case 'routes4':
      return `route ${verb} ${ipv4(i)}/32 dev ${device} table ${TABLE}`
    case 'routes6':
      return `route ${verb} ${ipv6(i)}/128 dev ${device} table ${TABLE}`
    case 'fdb':
      return `fdb ${verb} ${mac(i)} dev ${device} dst ${ipv4(i, 0xac100001)}`
    case 'neigh4':
    case 'neigh6': {
      const address = group === 'neigh4' ? ipv4(i) : ipv6(i)
      return `neigh ${verb} ${address} lladdr ${mac(i)} dev ${device}${verb === 'add' ? ' nud permanent' : ''}`
    }
    case 'proxy4':
    case 'proxy6':
      return `neigh ${verb} proxy ${group === 'proxy4' ? ipv4(i) : ipv6(i)} dev ${device}`
    case 'rules':
    case 'rules-descending':
      return `rule ${verb} from ${ipv4(i)} priority ${PRIORITY + i} table ${TABLE}`
    case 'links':
      throw new Error('links have lines of their own')
  }
}

const DUMPS: Readonly<Record<GroupName, (device: string) => readonly string[]>> = {
  routes4: () => ['ip', 'route', 'show', 'table', String(TABLE)],
  routes6: () => ['ip', '-6', 'route', 'show', 'table', String(TABLE)],
  fdb: (device) => ['bridge', 'fdb', 'show', 'dev', device],
  neigh4: (device) => ['ip', '-4', 'neigh', 'show', 'dev', device],
  neigh6: (device) => ['ip', '-6', 'neigh', 'show', 'dev', device],
  proxy4: () => ['ip', '-4', 'neigh', 'show', 'proxy'],
  proxy6: () => ['ip', '-6', 'neigh', 'show', 'proxy'],
  rules: () => ['ip', 'rule', 'show'],
  'rules-descending': () => ['ip', 'rule', 'show'],
  links: () => ['ip', 'link', 'show'],
}

/** Seconds of a process. */
interface Cost {
  readonly wall: number
  readonly cpu: number
}

/** Runs the command with its text thrown away by the kernel; bash tells the processor time of a child, Node does not. */
async function timed(command: readonly string[]): Promise<Cost> {
  const script = 'TIMEFORMAT="%3U %3S"; time "$@" >/dev/null'
  const started = performance.now()
  const child = spawn('bash', ['-c', script, 'bash', ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 300_000,
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const wall = (performance.now() - started) / 1000
  const times = /([0-9.]+) ([0-9.]+)\s*$/.exec(errors)
  if (code !== 0 || times === null) throw new Error(`${command.join(' ')}: exit ${code}: ${errors.slice(0, 300)}`)
  return { wall, cpu: Number(times[1]) + Number(times[2]) }
}

function sample(add: Cost, dump: Cost, removed: Cost): Sample {
  const seconds = { add: add.wall, dump: dump.wall, delete: removed.wall }
  return { seconds, cpu: { add: add.cpu, dump: dump.cpu, delete: removed.cpu }, count: null }
}

/** @param folder where batch files may be written */
export async function runIproute(
  group: GroupName,
  count: number,
  device: string,
  peerPid: number,
  folder: string,
): Promise<Sample> {
  const file = (name: string, text: (i: number) => string): string => {
    const path = join(folder, name)
    writeFileSync(path, Array.from({ length: count }, (_, i) => `${text(i)}\n`).join(''))
    return path
  }
  const dump = (): Promise<Cost> => timed(DUMPS[group](device))
  if (group === 'links') {
    const pairs = file(
      'links',
      (i) => `link add name h${i} up group ${LINK_GROUP} type veth peer name p${i} netns ${peerPid}`,
    )
    const peers = file('peers', (i) => `link set p${i} up`)
    const created = await timed(['ip', '-batch', pairs])
    const raised = await timed(['nsenter', `--net=/proc/${peerPid}/ns/net`, 'ip', '-batch', peers])
    const dumped = await dump()
    const removed = await timed(['ip', 'link', 'del', 'group', String(LINK_GROUP)])
    return sample({ wall: created.wall + raised.wall, cpu: created.cpu + raised.cpu }, dumped, removed)
  }
  const tool = group === 'fdb' ? 'bridge' : 'ip'
  const added = await timed([tool, '-batch', file('add', (i) => line(group, 'add', i, device))])
  const dumped = await dump()
  const removed = await timed([tool, '-batch', file('del', (i) => line(group, 'del', i, device))])
  return sample(added, dumped, removed)
}
