// `hybridnet demo`: a three-node cluster on this machine, a dozen pods, and proof that each reaches all others.
//
// Nothing is assumed: every connection is made, the far side tells which source address it saw, and a capture on the wire
// between the nodes tells whether the packets of that very connection went in a tunnel, translated, or not at all.
import { once } from 'node:events'
import { join } from 'node:path'
import {
  type Cluster,
  ControlSocket,
  createOverlay,
  defaultOverlay,
  EchoServer,
  echoPort,
  isSupervised,
  launch,
  logTails,
  openLog,
  overlayEnvironment,
  startCluster,
  startedAt,
  supervise,
  type Supervision,
} from '../standalone/index.ts'
import { createLogger } from '../telemetry/log.ts'
import { connectAll, endpointsOf } from './demo-connect.ts'
import { createPods, waitForPods } from './demo-pods.ts'
import { failures, judge, type Judged, matrix, table } from './demo-report.ts'
import { nodeState } from './demo-state.ts'
import { boolFlag, helpText, intFlag, parseFlags, stringFlag, UsageError } from './flags.ts'

const flags = {
  nodes: intFlag(3, 1, 20, 'how many nodes'),
  pods: intFlag(12, 1, 200, 'how many pods'),
  keep: boolFlag(false, 'leave the cluster running until Ctrl-C'),
  output: stringFlag('text', 'text|json', 'what to print; also -o'),
  'log-level': stringFlag('warn', 'LEVEL', 'of the API server, scheduler and kubelets'),
}

const description = `
Starts a Kubernetes API, nodes as network namespaces, the manager and a daemon on each node; creates an overlay network with
an IPv4 and an IPv6 subnet and pods on it; connects every pod with pods on every node, with the nodes and with a host
outside; and prints for each what the far side saw, how the packets went, and how long they took. It needs no root and no
cluster, and changes nothing on this machine. Exit code 0 only if everything is as it must be.
`

export async function run(argv: string[]): Promise<number> {
  try {
    const { values, positionals, help } = parseFlags(
      flags,
      argv.map((argument) => argument.replace(/^-o=?(?=json$|text$|$)/, argument === '-o' ? '--output' : '--output=')),
    )
    if (help) {
      process.stdout.write(helpText('hybridnet demo [FLAGS]', description, flags))
      return 0
    }
    if (positionals.length > 0) throw new UsageError(`unexpected '${positionals.join(' ')}'; see --help`)
    if (values.output !== 'text' && values.output !== 'json') {
      throw new UsageError(`--output '${values.output}': expected text or json`)
    }
    if (!isSupervised()) return await launch({ program: 'demo', argv })
    return await supervise((supervision) => new Demo(supervision, values).run())
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`hybridnet demo: ${error.message}\n`)
    return 2
  }
}

interface Values {
  readonly nodes: number
  readonly pods: number
  readonly keep: boolean
  readonly output: string
  readonly 'log-level': string
}

class Demo {
  readonly #supervision: Supervision
  readonly #values: Values

  constructor(supervision: Supervision, values: Values) {
    this.#supervision = supervision
    this.#values = values
  }

  async run(): Promise<number> {
    const { directory, apiPort, signal } = this.#supervision
    this.#say('starting the Kubernetes API, the fabric and the nodes')
    const cluster = await startCluster({
      nodes: this.#values.nodes,
      directory,
      outsideServer: `https://127.0.0.1:${apiPort}`,
      environment: overlayEnvironment,
      log: createLogger({ name: 'demo', level: this.#values['log-level'], fd: openLog(directory, 'standalone') }),
      onProgress: (text) => this.#say(text),
    })
    try {
      const code = await this.#attempt(cluster)
      if (this.#values.keep && !signal.aborted) {
        const control = await ControlSocket.listen(cluster, cluster.directory)
        this.#invite(cluster)
        await once(signal, 'abort')
        await control.close()
      }
      return code
    } finally {
      await cluster.stop()
    }
  }

  /** A failure is told with what the programs logged; the cluster may be kept to look further. */
  async #attempt(cluster: Cluster): Promise<number> {
    try {
      return await this.#show(cluster)
    } catch (error) {
      // Told to stop in the middle: whatever fails then is a consequence.
      if (this.#supervision.signal.aborted) return 130
      const message = error instanceof Error ? error.message : String(error)
      process.stderr.write(`\n${logTails(cluster.directory)}\nhybridnet demo: ${message}\n`)
      return 1
    }
  }

  async #show(cluster: Cluster): Promise<number> {
    const { pods: count, output } = this.#values
    const { signal } = this.#supervision
    await createOverlay(cluster.client)
    const { network, vni, subnets } = defaultOverlay
    this.#say(`overlay network '${network}', VNI ${vni}, subnets ${Object.values(subnets).join(' and ')}`)
    await createPods(cluster.client, count)
    const pods = await waitForPods(cluster, count, signal, (text) => this.#say(text))
    const outside = await EchoServer.listen(cluster.fabric.outside.namespace, echoPort)
    try {
      const endpoints = await endpointsOf(cluster, pods)
      const { connections, lostFrames } = await connectAll(cluster, endpoints)
      const judged = judge(connections, endpoints.overlay)
      const failed = judged.filter(({ fault }) => fault !== null).length
      this.#say(`${judged.length} connections made, ${judged.length - failed} as they must be`)
      if (output === 'json')
        process.stdout.write(`${JSON.stringify(report(judged, lostFrames, elapsedMs()), null, 2)}\n`)
      else await this.#print(cluster, judged)
      if (lostFrames > 0) this.#say(`the capture lost ${lostFrames} frames: paths may be wrong`)
      return failed === 0 && lostFrames === 0 ? 0 : 1
    } finally {
      await outside.close()
    }
  }

  async #print(cluster: Cluster, judged: readonly Judged[]): Promise<void> {
    for (const family of [4, 6] as const) {
      if (judged.some(({ connection }) => connection.family === family)) {
        process.stdout.write(`\n${matrix(family, judged)}`)
      }
    }
    process.stdout.write(
      '\n  local: not seen between the nodes; vxlan: seen in the tunnel; nat: seen with the address of the node.\n' +
        '  The far side saw the address of the sender unless another one is given.\n',
    )
    const text = failures(judged)
    if (text !== '') process.stdout.write(`\nNot as they must be:\n${text}`)
    const [node] = cluster.nodes
    if (node !== undefined) process.stdout.write(`\n${await nodeState(node)}`)
  }

  /** How to look at a cluster that was kept. */
  #invite(cluster: Cluster): void {
    const commands = [
      ['The API:', `export KUBECONFIG=${cluster.outsideKubeconfig}`],
      ['A node:', 'node dist/hybridnet.mjs standalone exec node1 -- ip rule'],
      ['A pod:', 'node dist/hybridnet.mjs standalone exec pod-1 -- ip address'],
      ['Trouble:', 'node dist/hybridnet.mjs standalone node reboot node2    (see standalone node --help)'],
      ['Logs:', join(cluster.directory, 'logs')],
      ['End:', 'Ctrl-C'],
    ]
    process.stderr.write(`\nIt keeps running.\n${table(commands)}`)
  }

  /** A line of progress, with the seconds since the start; beside the result, not in it. */
  #say(text: string): void {
    process.stderr.write(`${(elapsedMs() / 1000).toFixed(1).padStart(5)} s  ${text}\n`)
  }
}

function elapsedMs(): number {
  return Date.now() - startedAt()
}

function report(judged: readonly Judged[], lostFrames: number, milliseconds: number): object {
  return {
    milliseconds,
    lostFrames,
    failed: judged.filter(({ fault }) => fault !== null).length,
    connections: judged.map(({ connection: { family, from, to, seen, error }, expected, fault }) => ({
      family,
      from: from.name,
      fromNode: from.node,
      fromAddress: from.addresses[family],
      to: to.name,
      toNode: to.node,
      toAddress: to.addresses[family],
      ...seen,
      error,
      expected,
      fault,
    })),
  }
}
