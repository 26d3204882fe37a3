// `hybridnet standalone node|daemon|kubelet|manager ...`: orders to a running cluster.
import { giveOrder, type NodeReport, type Order, type ProgramAction } from '../standalone/index.ts'
import { boolFlag, durationFlag, helpText, parseFlags, stringFlag, UsageError } from './flags.ts'

const flags = {
  drain: boolFlag(false, 'node remove: cordon the node and evict its pods first, and wait for their end'),
  down: durationFlag('0s', 'node reboot: how long it stays off'),
  from: stringFlag('all', 'all|api', 'node partition, heal: cut off from everything, or from the API server only'),
  loss: stringFlag('0', 'PERCENT', 'node delay: how many frames get lost each way'),
  output: stringFlag('text', 'text|json', 'what to print; also -o'),
}

const usage = 'hybridnet standalone node list | ACTION NAME... | (daemon|kubelet) ACTION NODE | manager ACTION'

const description = `
Orders to the cluster that runs (the latest, when there are several). Each returns when it is carried out, and prints the
nodes as they are then.

  node list                   nodes, what runs on them, and what they are cut off from
  node add [NAME]             one more node; node4, node5, ... when it gets no name
  node remove NAME            its plug is pulled and its object deleted; --drain: after its pods have gone
  node reboot NAME            processes, namespaces and /run are lost; name, addresses, MAC address and disks stay
  node off NAME, node on NAME the two halves of it
  node partition NAME         every frame from and to it is dropped, while its devices stay up; --from=api: only those from
                              and to the API server; with a second NAME: only those between the two
  node heal NAME [NAME]       the end of that partition
  node delay NAME MS          frames to it and from it take that much longer each way, and --loss of them are lost; 0 ends it
  daemon kill NODE            SIGKILL; it is started again, as a DaemonSet's would be; also stop, start and restart
  kubelet kill NODE           in the middle of its work, and start it again; also stop, start and restart
  manager kill                and stop, start, restart

What happens then, as on any cluster: a silent node is tainted after 50 s, its pods are evicted 300 s later, pods of a removed
node are gone after 40 s. \`kubectl get nodes -w\` and \`kubectl get pods -w\` show it.
`

/** Whether the words are an order. */
export function isOrder(word: string | undefined): boolean {
  return word === 'node' || word === 'daemon' || word === 'kubelet' || word === 'manager'
}

export async function order(argv: readonly string[], directory: () => string): Promise<number> {
  const expanded = argv.map((word) => word.replace(/^-o=?(?=json$|text$|$)/, word === '-o' ? '--output' : '--output='))
  const { values, positionals, help } = parseFlags(flags, expanded)
  if (help) {
    process.stdout.write(helpText(usage, description, flags))
    return 0
  }
  if (values.output !== 'text' && values.output !== 'json') {
    throw new UsageError(`--output '${values.output}': expected text or json`)
  }
  const wanted = parse(positionals, values)
  const nodes = await giveOrder(directory(), wanted)
  process.stdout.write(values.output === 'json' ? `${JSON.stringify(nodes, null, 2)}\n` : table(nodes))
  return 0
}

interface Values {
  readonly drain: boolean
  readonly down: number
  readonly from: string
  readonly loss: string
}

const wrong = (text: string): UsageError => new UsageError(`${text}; see \`hybridnet standalone node --help\``)

/** @throws UsageError naming what was expected */
function parse([noun, action, ...names]: readonly string[], values: Values): Order {
  const spoken = [noun, action, ...names].filter((word) => word !== undefined).join(' ')
  const [name, second] = names
  const want = (least: number, most: number, what: string): void => {
    if (names.length < least || names.length > most) throw wrong(`'${spoken}': expected ${what}`)
  }
  if (noun !== 'node') {
    const program = noun as 'daemon' | 'kubelet' | 'manager'
    if (!['start', 'stop', 'restart', 'kill'].includes(action ?? '')) {
      throw wrong(`'${spoken}': expected start, stop, restart or kill after ${program}`)
    }
    if (program === 'manager') want(0, 0, 'nothing more')
    else want(1, 1, 'the name of a node')
    return { do: 'program', program, node: name ?? null, action: action as ProgramAction }
  }
  switch (action ?? '') {
    case 'list':
      want(0, 0, 'nothing more')
      return { do: 'list' }
    case 'add':
      want(0, 1, 'one name at most')
      return { do: 'add', name: name ?? null }
    case 'partition':
    case 'heal':
      want(1, 2, 'one or two names')
      if (values.from !== 'all' && values.from !== 'api') {
        throw new UsageError(`--from '${values.from}': expected all or api`)
      }
      if (second !== undefined && values.from === 'api') throw wrong('--from=api goes with one node')
      return { do: 'partition', nodes: names, from: values.from, on: action === 'partition' }
    case 'delay':
      want(2, 2, 'a name and milliseconds')
      return {
        do: 'delay',
        name: name ?? '',
        ms: inRange('MS', second ?? '', 60_000),
        lossPercent: inRange('--loss', values.loss, 100),
      }
  }
  want(1, 1, 'the name of a node')
  const node = name ?? ''
  if (action === 'remove') return { do: 'remove', name: node, drain: values.drain }
  if (action === 'reboot') return { do: 'reboot', name: node, downMs: values.down }
  if (action === 'off' || action === 'on') return { do: action, name: node }
  throw wrong(`unknown action '${action ?? ''}'`)
}

function inRange(what: string, text: string, most: number): number {
  const value = Number(text)
  if (text === '' || !(value >= 0 && value <= most)) {
    throw new UsageError(`${what} '${text}': expected a number from 0 to ${most}`)
  }
  return value
}

function table(nodes: readonly NodeReport[]): string {
  const rows = nodes.map((node) => [
    node.name,
    node.on ? 'on' : 'off',
    node.kubelet ? 'runs' : '-',
    node.daemonPid === null ? '-' : `pid ${node.daemonPid}, start ${node.daemonStarts}`,
    node.cutFrom.join(',') || '-',
    node.delayMs + node.lossPercent === 0 ? '-' : `${node.delayMs} ms, ${node.lossPercent} %`,
    node.addresses.join(' '),
  ])
  const lines = [['NODE', 'POWER', 'KUBELET', 'DAEMON', 'CUT FROM', 'DELAY, LOSS', 'ADDRESSES'], ...rows]
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
