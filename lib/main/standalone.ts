// `hybridnet standalone`: a cluster in namespaces of its own, and the way into it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { NETWORKS } from '../api/index.ts'
import {
  ControlSocket,
  createOverlay,
  defaultOverlay,
  enterCommand,
  type Fault,
  findTarget,
  type Instance,
  isSupervised,
  launch,
  listInstances,
  listTargets,
  openLog,
  parseFault,
  overlayEnvironment,
  startCluster,
  supervise,
  type Supervision,
} from '../standalone/index.ts'
import { createLogger } from '../telemetry/log.ts'
import { isOrder, order } from './standalone-orders.ts'
import { boolFlag, type Flag, helpText, intFlag, parseFlags, stringFlag, UsageError } from './flags.ts'

const faultFlag: Flag<readonly Fault[]> = {
  boolean: false,
  default: [],
  value: 'FAULT',
  help: 'make the API server misbehave (may be given several times); see below',
  parse: (text) => [parseFault(text)],
  show: () => '',
  join: (before, value) => [...before, ...value],
}

const flags = {
  nodes: intFlag(3, 1, 200, 'how many nodes'),
  'hollow-nodes': intFlag(
    0,
    0,
    10_000,
    'how many nodes without a kernel besides (labelled hollow=true): their pods get addresses and count as running',
  ),
  overlay: boolFlag(true, 'create the Network "overlay" (VNI 4) with Subnets 100.64.0.0/16 and fd64::/64'),
  programs: boolFlag(true, 'run the manager, and a daemon on each node; false leaves a bare cluster'),
  'log-level': stringFlag(
    'warn',
    'LEVEL',
    'of the API server, scheduler and kubelets: trace, debug, info, warn or error',
  ),
  fault: faultFlag,
  'fault-seed': intFlag(1, 0, 2 ** 31 - 1, 'seed of the chances of faults: the same requests meet the same faults'),
  data: stringFlag(
    '',
    'DIR',
    'keep the objects of the API in this directory, for the next start; otherwise they are forgotten',
  ),
}

const description = `
Starts a Kubernetes API, a scheduler and nodes in network namespaces of their own, with hybridnet on top: no root, no
cluster, nothing changed on this machine. Each node is a namespace on a small network (192.168.56.0/24, fd56::/64) with a
router and a host outside; each pod gets a namespace through the real CNI plugin, but no containers: it answers on TCP port
7007 with the source address it sees. Ctrl-C ends it and leaves nothing behind.

While it runs, in another terminal:

  export KUBECONFIG=...                        (it prints the line)
  kubectl create deployment web --image=none --replicas=3     (also StatefulSets and Services; see kubectl rollout, scale)
  hybridnet standalone list                    what can be entered
  hybridnet standalone exec node1 -- ip rule   run a command in the network of a node,
  hybridnet standalone exec web -- ping node   of a pod (NAMESPACE/NAME; namespace default may be left out),
  hybridnet standalone exec outside            or of the router and the host outside; without a command, a shell
  hybridnet standalone node reboot node2       also add, remove, off, on, partition, heal, delay, list; and
  hybridnet standalone daemon kill node1       kubelet, manager: see hybridnet standalone node --help

Logs of the programs are in the directory it prints.

Faults are FIELD=VALUE,... Which requests: verb (get, list, watch, create, update, patch, delete, deletecollection; several
joined by |), resource (plural, plural.group, plural/subresource), namespace, name, agent (start of the User-Agent; !START for
all others), probability, skip (let N through first), times. What happens to them: latencyMs, status (with retryAfter), or
effect: drop or reset (closed unread), lose (done, not answered), cut, half, stall (after N events of a watch, or KiB), slow
(rate=N KiB a second), expire (410), compact (all history forgotten), stale (behind=N changes old, where a read allows it),
conflict (another writer was faster). They begin when the nodes are there.

  --fault 'verb=list,resource=ipinstances,status=503,probability=0.1'      each tenth list of IPInstances fails
  --fault 'verb=watch,effect=stall,after=20' --fault latencyMs=50          watches fall silent; everything takes longer
  --fault 'verb=update|patch,resource=pods/status,effect=conflict,times=5' five writes of statuses meet another writer
`

const usage =
  'hybridnet standalone [FLAGS] | list | exec NODE|POD [-- COMMAND...] | node|daemon|kubelet|manager ACTION [NAME...]'

export async function run(argv: string[]): Promise<number> {
  try {
    if (argv[0] === 'exec') return await exec(argv.slice(1))
    if (isOrder(argv[0])) return await order(argv, () => currentInstance().directory)
    const { values, positionals, help } = parseFlags(flags, argv)
    if (help) {
      process.stdout.write(helpText(usage, description, flags))
      return 0
    }
    if (positionals[0] === 'list' && positionals.length === 1) return list()
    if (positionals.length > 0) throw new UsageError(`unexpected '${positionals.join(' ')}'; usage: ${usage}`)
    if (!isSupervised()) return await launch({ program: 'standalone', argv })
    return await supervise((supervision) => serve(supervision, values))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`hybridnet standalone: ${error.message}\n`)
    return 2
  }
}

interface Values {
  readonly nodes: number
  readonly 'hollow-nodes': number
  readonly overlay: boolean
  readonly programs: boolean
  readonly 'log-level': string
  readonly fault: readonly Fault[]
  readonly 'fault-seed': number
  readonly data: string
}

/** Inside: run the cluster until told to stop. */
async function serve({ directory, apiPort, signal }: Supervision, values: Values): Promise<number> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  const cluster = await startCluster({
    nodes: values.nodes,
    hollowNodes: values['hollow-nodes'],
    programs: values.programs,
    directory,
    outsideServer: `https://127.0.0.1:${apiPort}`,
    environment: overlayEnvironment,
    log: createLogger({ name: 'standalone', level: values['log-level'], fd: openLog(directory, 'standalone') }),
    onProgress: say,
    faultSeed: values['fault-seed'],
    ...(values.data === '' ? {} : { dataDirectory: resolve(values.data) }),
  })
  let control: ControlSocket | null = null
  try {
    control = await ControlSocket.listen(cluster, directory)
    // Kept objects may hold it already.
    const there = await cluster.client.find(NETWORKS, { name: defaultOverlay.network })
    if (values.overlay && there === null) await createOverlay(cluster.client)
    for (const fault of values.fault) cluster.apiServer.faults.add(fault)
    say(`\nexport KUBECONFIG=${cluster.outsideKubeconfig}\n`)
    say(`Enter a node or pod:  hybridnet standalone exec node1 -- ip rule`)
    say(`Logs:                 ${join(directory, 'logs')}`)
    say(`Ctrl-C ends it.`)
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await control?.close()
    await cluster.stop()
  }
  return 0
}

/** The instance commands refer to: the latest of this user. */
function currentInstance(): Instance {
  const instance = listInstances()[0]
  if (instance === undefined)
    throw new UsageError('nothing runs; start `hybridnet standalone` or `hybridnet demo --keep`')
  return instance
}

function list(): number {
  for (const { kind, name, netns } of listTargets(currentInstance())) {
    process.stdout.write(`${kind.padEnd(5)} ${name.padEnd(30)} ${netns}\n`)
  }
  return 0
}

/** Run a command in the network of a node or pod of a running cluster, with this terminal. */
async function exec(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name.startsWith('-')) throw new UsageError(`usage: ${usage}`)
  const instance = currentInstance()
  const target = findTarget(listTargets(instance), name)
  const command = rest[0] === '--' ? rest.slice(1) : rest
  const shell = [process.env['SHELL'] ?? '/bin/sh']
  const [file, ...args] = enterCommand(instance, target.netns, command.length > 0 ? command : shell)
  const child = spawn(file, args, { stdio: 'inherit' })
  // The terminal's Ctrl-C is the command's business.
  process.on('SIGINT', () => undefined)
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  return code ?? (signal === 'SIGINT' ? 130 : 1)
}
