// A whole cluster in one sandbox: the Kubernetes API, a scheduler, workload controllers, nodes as network namespaces on a fabric with a kubelet each,
// and this project's own programs on top, run as they are in production: `hybridnet manager` once, `hybridnet daemon` in the
// namespace of each node, the real CNI plugin executed for each pod.
//
//   supervisor's namespace: API server (192.168.56.254:6443, DIRECTORY/api.sock), scheduler, controllers,
//                           kubelets, manager
//                           bridge fabric0 ── node1 … nodeN (daemon, pods) ── router ── outside
//
// Directory layout: kubeconfig.inside (for programs in the sandbox), kubeconfig (for the user outside), api.sock, cni-bin/, logs/PROGRAM.log, nodes/NAME/{net.d,cni-cache,state,
// hybridnet.sock}.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Family, formatAddress } from '../ip/index.ts'
import { KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { type ApiServer, startApiServer } from './apiserver/index.ts'
import { Controllers } from './controllers/index.ts'
import { Fabric } from './nodes/fabric.ts'
import { Scheduler } from './nodes/scheduler.ts'
import { ClusterNode } from './node.ts'
import type { Sandbox } from './nodes/sandboxes.ts'
import { execInNamespace, type ExecOptions, type ExecResult } from './exec.ts'
import { Program } from './programs.ts'
import { cniPluginPath, crdDirectory, programCommand } from './project.ts'
import { apiSocketName } from './launcher.ts'
import { logPath } from './logs.ts'
import { assertSandbox, prepareSandbox } from './sandbox.ts'

export interface ClusterOptions {
  /** How many nodes: node1, node2, ... */
  readonly nodes: number
  /** Families of the nodes' own addresses. Default both. */
  readonly families?: readonly Family[]
  /** Where everything is kept; a temporary directory, removed by stop(), unless given. */
  readonly directory?: string
  /** URL by which the API is reached from outside the sandbox: `outsideKubeconfig` is written for it. */
  readonly outsideServer?: string
  /** Start `hybridnet manager` and the daemons. Default true. */
  readonly programs?: boolean
  /** Added to the environment of the manager and the daemons, such as DEFAULT_NETWORK_TYPE. */
  readonly environment?: Readonly<Record<string, string>>
  /** Added to the command lines of the daemons and the manager. */
  readonly daemonFlags?: readonly string[]
  readonly managerFlags?: readonly string[]
  readonly log: Logger
  /** Told what was done, in words for a person. */
  readonly onProgress?: (text: string) => void
}

/** TCP port of the API server on the fabric. */
const apiPort = 6443

export class Cluster {
  readonly directory: string
  /** Path of a kubeconfig that works inside the sandbox. */
  readonly kubeconfig: string
  /** Path of one that works outside; written only with `outsideServer`. */
  readonly outsideKubeconfig: string
  readonly apiServer: ApiServer
  readonly client: KubeClient
  readonly fabric: Fabric
  readonly scheduler: Scheduler
  readonly controllers: Controllers
  readonly #options: ClusterOptions
  readonly #nodes: ClusterNode[] = []
  readonly #ownsDirectory: boolean
  #manager: Program | null = null
  #lastNode = 0

  private constructor(options: ClusterOptions, directory: string, fabric: Fabric, apiServer: ApiServer) {
    this.#options = options
    this.#ownsDirectory = options.directory === undefined
    this.directory = directory
    this.fabric = fabric
    this.apiServer = apiServer
    this.kubeconfig = join(directory, 'kubeconfig.inside')
    this.outsideKubeconfig = join(directory, 'kubeconfig')
    const { url, caCert, token } = apiServer
    this.client = KubeClient.connect({
      server: url,
      ...(caCert === null ? {} : { tls: { ca: caCert } }),
      ...(token === null ? {} : { token }),
      // What is not a program of its own: faults tell clients by it.
      userAgent: 'hybridnet-standalone/1',
      logger: options.log,
    })
    this.scheduler = new Scheduler(this.client, options.log.child({ component: 'scheduler' }))
    this.controllers = new Controllers(this.client, options.log.child({ component: 'controllers' }))
  }

  /**
   * Build and start everything; returns when all nodes are registered and the programs run.
   *
   * @throws Error of the step that failed, with everything taken down again
   */
  static async start(options: ClusterOptions): Promise<Cluster> {
    assertSandbox('a standalone cluster')
    await prepareSandbox()
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'hybridnet-cluster-'))
    for (const name of ['cni-bin', 'logs', 'nodes']) mkdirSync(join(directory, name), { recursive: true })
    const fabric = await Fabric.create({ families: options.families ?? [4, 6] })
    const hosts = fabric.supervisorAddresses.map(formatAddress)
    const apiServer = await startApiServer({
      listen: [
        ...hosts.map((host) => ({ host, port: apiPort })),
        { host: '127.0.0.1', port: apiPort },
        { path: join(directory, apiSocketName) },
      ],
      tls: { subjectAltNames: hosts },
      crdDirectory: crdDirectory(),
      log: options.log.child({ component: 'apiserver' }),
    })
    const cluster = new Cluster(options, directory, fabric, apiServer)
    try {
      await cluster.#bringUp()
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  get nodes(): readonly ClusterNode[] {
    return this.#nodes
  }

  /** The supervised `hybridnet manager`; null without programs. */
  get manager(): Program | null {
    return this.#manager
  }

  /** @throws Error naming the nodes there are */
  node(name: string): ClusterNode {
    const node = this.#nodes.find((candidate) => candidate.name === name)
    if (node === undefined) throw new Error(`no node '${name}'; there are ${this.#nodes.map((n) => n.name).join(', ')}`)
    return node
  }

  /** Add one more node to the fabric and the cluster. */
  async addNode(labels: Readonly<Record<string, string>> = {}): Promise<ClusterNode> {
    const { log, programs, environment, daemonFlags } = this.#options
    const name = `node${++this.#lastNode}`
    const host = await this.fabric.addNode(name)
    const node = new ClusterNode({
      host,
      directory: join(this.directory, 'nodes', name),
      binDirectory: join(this.directory, 'cni-bin'),
      logFile: logPath(this.directory, `daemon-${name}`),
      kubeconfig: this.kubeconfig,
      client: this.client,
      labels,
      runDaemon: programs ?? true,
      daemonFlags: daemonFlags ?? [],
      environment: environment ?? {},
      log: log.child({ component: 'kubelet', node: name }),
    })
    this.#nodes.push(node)
    this.#nodes.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
    await node.start()
    return node
  }

  /** The sandbox of a pod, wherever it runs. @throws Error when no node has one */
  sandbox(name: string, namespace = 'default'): Sandbox {
    for (const node of this.#nodes) {
      const sandbox = node.kubelet.sandbox(namespace, name)
      if (sandbox !== null) return sandbox
    }
    throw new Error(`pod ${namespace}/${name} has no sandbox on ${this.#nodes.map((node) => node.name).join(', ')}`)
  }

  /** Run a command in the network namespace of a pod. */
  async exec(
    pod: string,
    command: readonly string[],
    options?: ExecOptions & { namespace?: string },
  ): Promise<ExecResult> {
    return execInNamespace(this.sandbox(pod, options?.namespace).attachment.netns, command, options)
  }

  /** Stop everything and remove the directory (unless it was given). The namespaces and links are removed, too. */
  async stop(): Promise<void> {
    const { scheduler, controllers } = this
    const nodes = this.#nodes.map((node) => node.stop())
    await Promise.all([scheduler.stop(), controllers.stop(), this.#manager?.stop(2000), ...nodes])
    this.client.close()
    await this.apiServer.close()
    await this.fabric.close()
    if (this.#ownsDirectory) rmSync(this.directory, { recursive: true, force: true })
  }

  async #bringUp(): Promise<void> {
    const { nodes, programs, outsideServer, onProgress = () => undefined } = this.#options
    const server = this.apiServer.url
    writeFileSync(this.kubeconfig, this.apiServer.kubeconfig(server), { mode: 0o600 })
    if (outsideServer !== undefined) {
      writeFileSync(this.outsideKubeconfig, this.apiServer.kubeconfig(outsideServer), { mode: 0o600 })
    }
    onProgress(`Kubernetes API at ${server}`)
    if (programs ?? true) {
      symlinkSync(cniPluginPath(), join(this.directory, 'cni-bin', 'hybridnet'))
      this.#manager = this.#managerProgram()
      this.#manager.start()
    }
    await Promise.all([this.scheduler.start(), this.controllers.start()])
    await Promise.all(Array.from({ length: nodes }, () => this.addNode()))
    onProgress(`${nodes} nodes registered`)
  }

  #managerProgram(): Program {
    const { environment, managerFlags } = this.#options
    return new Program({
      name: 'manager',
      command: [...programCommand('manager'), `--kubeconfig=${this.kubeconfig}`, ...(managerFlags ?? [])],
      environment: environment ?? {},
      logFile: logPath(this.directory, 'manager'),
    })
  }
}

/** Build and start a cluster; see {@link Cluster.start}. */
export function startCluster(options: ClusterOptions): Promise<Cluster> {
  return Cluster.start(options)
}
