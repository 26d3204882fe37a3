// The cluster a measurement runs on, in the sandbox of this process: the API server and the hollow nodes as workers, the
// programs from the bundle as a user runs them, and one real node as a network namespace.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type IPFamily, NODES } from '../../lib/api/index.ts'
import { formatAddress } from '../../lib/ip/index.ts'
import { KubeClient } from '../../lib/kube/index.ts'
import { namespaceCommand } from '../../lib/standalone/exec.ts'
import type { Fabric } from '../../lib/standalone/nodes/fabric.ts'
import { type FabricHost } from '../../lib/standalone/nodes/fabric.ts'
import { createOverlay } from '../../lib/standalone/overlay.ts'
import { programCommand } from '../../lib/standalone/project.ts'
import type { AgentTraffic } from './traffic.ts'
import type { Counts } from './server.ts'
import { type Process, startProgram, Worker } from './worker.ts'

export interface StageOptions {
  /** Of logs and kubeconfig. */
  readonly directory: string
  /** Families of pods that ask for nothing. */
  readonly family: IPFamily
  /** Flags of node itself for the programs: --cpu-prof, --trace-gc and the like. */
  readonly nodeFlags: readonly string[]
  readonly say: (text: unknown) => void
}

const apiPort = 6443
const metricsPort = 8091

export class Stage {
  readonly server: Worker
  readonly client: KubeClient
  readonly url: string
  readonly fabric: Fabric
  readonly node: FabricHost
  readonly options: StageOptions
  readonly #kubeconfig: string
  readonly #processes: Process[] = []
  #logs = 0

  private constructor(
    options: StageOptions,
    server: Worker,
    url: string,
    kubeconfig: string,
    fabric: Fabric,
    node: FabricHost,
  ) {
    this.options = options
    this.server = server
    this.url = url
    this.fabric = fabric
    this.node = node
    this.client = KubeClient.connect({ server: url, userAgent: 'benchmark/1' })
    this.#kubeconfig = kubeconfig
  }

  /** API server, overlay network, and a real node that has a Node object but no daemon yet. */
  static async build(options: StageOptions, fabric: Fabric): Promise<Stage> {
    mkdirSync(options.directory, { recursive: true })
    const server = Worker.start(new URL('server.ts', import.meta.url), join(options.directory, 'server.log'))
    const [host] = fabric.supervisorAddresses
    const hosts = host === undefined ? [] : [formatAddress(host)]
    const { url, kubeconfig } = await server.ask<{ url: string; kubeconfig: string }>('start', { hosts, port: apiPort })
    const path = join(options.directory, 'kubeconfig')
    writeFileSync(path, kubeconfig, { mode: 0o600 })
    const node = fabric.hosts.get('node1') ?? (await fabric.addNode('node1'))
    const stage = new Stage(options, server, url, path, fabric, node)
    await createOverlay(stage.client, { network: 'overlay', vni: 4, subnets: { 'overlay-v4': '100.64.0.0/10' } })
    await stage.client.create(NODES, { metadata: { name: node.name } })
    const addresses = node.addresses.map(({ address }) => ({ type: 'InternalIP', address: formatAddress(address) }))
    await stage.client.patchStatus('merge', NODES, { name: node.name }, { status: { addresses } })
    return stage
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.splice(0).map((process) => process.stop()))
    this.client.close()
    await this.server.stop('SIGKILL')
  }

  traffic(): Promise<Record<string, AgentTraffic>> {
    return this.server.ask('traffic')
  }

  counts(): Promise<Counts> {
    return this.server.ask('counts')
  }

  startManager(): Process {
    const flags = ['--kube-client-qps=100000', '--kube-client-burst=100000', '--metrics-port=0']
    return this.#program('manager', this.#command('manager'), flags, { NAMESPACE: 'kube-system' })
  }

  startDaemon(): Process {
    const directory = this.options.directory
    const flags = [`--bind-socket=${join(directory, 'hybridnet.sock')}`, `--state-dir=${join(directory, 'state')}`]
    const environment = { KUBE_NODE_NAME: this.node.name }
    const command = namespaceCommand(this.node.path, this.#command('daemon'))
    return this.#program('daemon', command, [...flags, `--metrics-addr=:${metricsPort}`], environment)
  }

  startHollow(): Worker {
    const worker = Worker.start(new URL('hollow.ts', import.meta.url), join(this.options.directory, 'hollow.log'))
    this.#processes.push(worker)
    return worker
  }

  /** A series of the daemon's metrics. NaN while it does not answer or has no such series. */
  async daemonMetric(series: string): Promise<number> {
    const [address] = this.node.addresses
    if (address === undefined) return NaN
    try {
      const response = await fetch(`http://${formatAddress(address.address)}:${metricsPort}/metrics`)
      const line = (await response.text()).split('\n').find((candidate) => candidate.startsWith(`${series} `))
      return line === undefined ? NaN : Number(line.slice(series.length + 1))
    } catch {
      // Not listening yet.
      return NaN
    }
  }

  #command(subcommand: string): string[] {
    const [node, ...rest] = programCommand(subcommand)
    return [node, ...this.options.nodeFlags, ...rest]
  }

  #program(
    name: string,
    command: readonly string[],
    flags: readonly string[],
    environment: Readonly<Record<string, string>>,
  ): Process {
    const { family, directory } = this.options
    const logFile = join(directory, `${name}-${++this.#logs}.log`)
    const families = { IPv4Only: 'IPv4', IPv6Only: 'IPv6', DualStack: 'DualStack' } as const
    const process = startProgram(
      [...command, `--kubeconfig=${this.#kubeconfig}`, ...flags],
      {
        ...environment,
        DEFAULT_NETWORK_TYPE: 'Overlay',
        DEFAULT_IP_FAMILY: families[family],
      },
      logFile,
    )
    this.#processes.push(process)
    return process
  }
}

/** Wait until `look` gives something else than null, false or NaN. @throws Error naming what was waited for */
export async function until<T>(
  what: string,
  look: () => Promise<T> | T,
  { timeoutMs = 7_200_000, everyMs = 20 } = {},
): Promise<Exclude<T, null | false>> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const value = await look()
    if (value !== null && value !== false && !Number.isNaN(value)) return value as Exclude<T, null | false>
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s`)
    await pause(everyMs)
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** The first line with this message of a program's log, as soon as it is there; an ended program is an error. */
export function logged(process: Process, message: string): Promise<Record<string, unknown>> {
  return until(`'${message}' in ${process.logFile}`, () => {
    const [line] = process.lines(message)
    if (line === undefined && !process.running) {
      throw new Error(
        `${process.logFile} ends without '${message}':\n${readFileSync(process.logFile, 'utf8').slice(-2000)}`,
      )
    }
    return line ?? null
  })
}

/** Run `work` for each item, so many at once. */
export async function each<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]()
  const worker = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
