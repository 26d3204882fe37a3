// One node of a standalone cluster: its place on the fabric, its kubelet, its CNI directories and its `hybridnet daemon`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatAddress } from '../ip/index.ts'
import type { KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { execInNamespace, type ExecOptions, type ExecResult, namespaceCommand } from './exec.ts'
import { CniRuntime } from './nodes/cni-runtime.ts'
import { echoPort, EchoServer } from './nodes/echo.ts'
import type { FabricHost } from './nodes/fabric.ts'
import { Kubelet } from './nodes/kubelet.ts'
import { Program } from './programs.ts'
import { programCommand } from './project.ts'

export interface ClusterNodeOptions {
  readonly host: FabricHost
  /** The node's own directory. */
  readonly directory: string
  /** CNI plugins, shared by the nodes. */
  readonly binDirectory: string
  readonly logFile: string
  readonly kubeconfig: string
  readonly client: KubeClient
  readonly labels: Readonly<Record<string, string>>
  readonly runDaemon: boolean
  readonly daemonFlags: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly log: Logger
}

/** Debian's containernetworking-plugins; a conflist of a test may chain them. */
const systemPlugins = '/usr/lib/cni'

export class ClusterNode {
  readonly name: string
  readonly host: FabricHost
  readonly directory: string
  readonly runtime: CniRuntime
  /** The CNI socket of the node's daemon. */
  readonly socketPath: string
  /** The supervised daemon; null when the cluster runs without programs. */
  readonly daemon: Program | null
  readonly #options: ClusterNodeOptions
  #kubelet: Kubelet | null = null
  #echo: EchoServer | null = null

  constructor(options: ClusterNodeOptions) {
    const { host, directory } = options
    this.#options = options
    this.name = host.name
    this.host = host
    this.directory = directory
    this.socketPath = join(directory, 'hybridnet.sock')
    this.runtime = new CniRuntime({
      configDirectory: this.#path('net.d'),
      binDirectories: [options.binDirectory, systemPlugins],
      cacheDirectory: this.#path('cni-cache'),
      wrapper: namespaceCommand(host.path, []),
    })
    this.daemon = options.runDaemon ? this.#daemonProgram() : null
  }

  /** @throws Error before start() and after stop() */
  get kubelet(): Kubelet {
    if (this.#kubelet === null) throw new Error(`${this.name}: its kubelet does not run`)
    return this.#kubelet
  }

  /** Bring the node up: responder, daemon and its CNI configuration, kubelet. */
  async start(): Promise<void> {
    for (const name of ['net.d', 'cni-cache', 'state']) mkdirSync(this.#path(name), { recursive: true })
    this.#echo ??= await EchoServer.listen(this.host.namespace, echoPort)
    if (this.daemon !== null) {
      this.installConfig('06-hybridnet.conflist', {
        cniVersion: '1.1.0',
        name: 'hybridnet',
        plugins: [{ type: 'hybridnet', server_socket: this.socketPath }],
      })
      this.daemon.start()
    }
    await this.startKubelet()
  }

  /** Start the kubelet (again). */
  async startKubelet(): Promise<void> {
    const { client, labels, log } = this.#options
    const addresses = this.host.addresses.map(({ address }) => formatAddress(address))
    const kubelet = new Kubelet({
      client,
      nodeName: this.name,
      addresses,
      labels,
      runtime: this.runtime,
      echoPort,
      log,
    })
    this.#kubelet = kubelet
    await kubelet.start()
  }

  /** Stop the kubelet; its pods stay as they are, for the next one to find. */
  async stopKubelet(): Promise<void> {
    const kubelet = this.#kubelet
    this.#kubelet = null
    await kubelet?.stop()
  }

  /** Stop everything that runs for the node, its daemon by force after `graceMs`. Its namespace, and the pods', remain the sandbox's to end. */
  async stop(graceMs = 2000): Promise<void> {
    await Promise.all([this.stopKubelet(), this.daemon?.stop(graceMs), this.#echo?.close()])
    this.#echo = null
  }

  /** Put a CNI configuration list where the kubelet looks. */
  installConfig(name: string, list: unknown): void {
    mkdirSync(this.#path('net.d'), { recursive: true })
    writeFileSync(join(this.#path('net.d'), name), `${JSON.stringify(list, null, 2)}\n`)
  }

  /** Take one away. */
  removeConfig(name: string): void {
    rmSync(join(this.#path('net.d'), name), { force: true })
  }

  /** Run a command in the node's network namespace. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return execInNamespace(this.host.path, command, options)
  }

  #path(name: string): string {
    return join(this.#options.directory, name)
  }

  #daemonProgram(): Program {
    const { kubeconfig, daemonFlags, environment, logFile } = this.#options
    const flags = [
      `--kubeconfig=${kubeconfig}`,
      `--bind-socket=${this.socketPath}`,
      `--state-dir=${this.#path('state')}`,
    ]
    return new Program({
      name: `daemon-${this.name}`,
      command: namespaceCommand(this.host.path, [...programCommand('daemon'), ...flags, ...daemonFlags]),
      environment: { ...environment, KUBE_NODE_NAME: this.name },
      logFile,
    })
  }
}
