// One node of a standalone cluster: its place on the fabric, its kubelet, its CNI directories and its `hybridnet daemon`.
//
// Its directory stands for its disks: net.d and cni-cache survive a reboot, as /etc/cni/net.d and /var/lib/cni do; state and
// the socket do not, as nothing under /run does.
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatAddress } from '../ip/index.ts'
import { type ClientOptions, type DirectConnection, type KubeClient, sleep } from '../kube/index.ts'
import { deleteNamespace } from '../netlink/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { execInNamespace, type ExecOptions, type ExecResult, namespaceCommand } from './exec.ts'
import { CniRuntime } from './nodes/cni-runtime.ts'
import { echoPort, EchoServer } from './nodes/echo.ts'
import type { Fabric, FabricHost } from './nodes/fabric.ts'
import { Kubelet } from './nodes/kubelet.ts'
import { clientFrom } from './nodes/node-client.ts'
import { killIn, namespaceInode } from './nodes/processes.ts'
import { Program } from './programs.ts'
import { programCommand } from './project.ts'

export interface ClusterNodeOptions {
  readonly fabric: Fabric
  /** Its place on the fabric. */
  readonly host: FabricHost
  /** The node's own directory. */
  readonly directory: string
  /** CNI plugins, shared by the nodes. */
  readonly binDirectory: string
  readonly logFile: string
  readonly kubeconfig: string
  /** How its kubelet reaches the API. */
  readonly api: DirectConnection & ClientOptions
  readonly labels: Readonly<Record<string, string>>
  readonly runDaemon: boolean
  readonly daemonFlags: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** Milliseconds between the kubelet's heartbeats. */
  readonly heartbeatMs: number
  readonly log: Logger
}

/** Debian's containernetworking-plugins; a conflist of a test may chain them. */
const systemPlugins = '/usr/lib/cni'

export class ClusterNode {
  readonly name: string
  readonly directory: string
  readonly runtime: CniRuntime
  /** The CNI socket of the node's daemon. */
  readonly socketPath: string
  /** The supervised daemon; null when the cluster runs without programs. */
  readonly daemon: Program | null
  readonly #options: ClusterNodeOptions
  #host: FabricHost
  /** null while it is off. */
  #bootId: string | null = null
  #kubelet: { readonly kubelet: Kubelet; readonly client: KubeClient; readonly disconnect: () => void } | null = null
  #echo: EchoServer | null = null

  constructor(options: ClusterNodeOptions) {
    const { host, directory } = options
    this.#options = options
    this.name = host.name
    this.#host = host
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

  /** Its namespace and addresses; the namespace is another one after each {@link powerOn}. */
  get host(): FabricHost {
    return this.#host
  }

  /** Its own addresses as text, in the order of the families. */
  get addresses(): readonly string[] {
    return this.host.addresses.map(({ address }) => formatAddress(address))
  }

  /** Changes with each boot; null while the node is off. */
  get bootId(): string | null {
    return this.#bootId
  }

  /** @throws Error while no kubelet runs */
  get kubelet(): Kubelet {
    if (this.#kubelet === null) throw new Error(`${this.name}: its kubelet does not run`)
    return this.#kubelet.kubelet
  }

  /** Whether its kubelet runs. */
  get hasKubelet(): boolean {
    return this.#kubelet !== null
  }

  /** Bring the node up: responder, daemon and its CNI configuration, kubelet. */
  async start(): Promise<void> {
    this.#bootId ??= randomUUID()
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

  /** Start the kubelet (again). Nothing when one runs. @throws Error while the node is off */
  async startKubelet(): Promise<void> {
    if (this.#kubelet !== null) return
    if (this.#bootId === null) throw new Error(`${this.name} is switched off`)
    const { api, labels, heartbeatMs, log } = this.#options
    const { client, close } = clientFrom(this.host.namespace, api)
    const kubelet = new Kubelet({
      client,
      nodeName: this.name,
      namespace: this.host.namespace,
      addresses: this.addresses,
      labels,
      runtime: this.runtime,
      echoPort,
      bootId: this.#bootId,
      heartbeatMs,
      machineId: createHash('sha256').update(this.name).digest('hex').slice(0, 32),
      log,
    })
    this.#kubelet = { kubelet, client, disconnect: close }
    try {
      await kubelet.start()
    } catch (error) {
      // Half a kubelet looks after nothing; a whole one can be started again.
      await this.stopKubelet()
      throw error
    }
  }

  /** Stop the kubelet; its pods stay as they are, for the next one to find. */
  async stopKubelet(): Promise<void> {
    const running = this.#kubelet
    this.#kubelet = null
    await running?.kubelet.stop()
    running?.disconnect()
  }

  /** End the kubelet in the middle of whatever it does: nothing more reaches the API. It stays down until {@link startKubelet}. */
  async killKubelet(): Promise<void> {
    this.#kubelet?.disconnect()
    await this.stopKubelet()
  }

  /** {@link stopKubelet} and {@link startKubelet}. */
  async restartKubelet(): Promise<void> {
    await this.stopKubelet()
    await this.startKubelet()
  }

  /**
   * Pull the plug: processes are killed, the namespaces of the node and its pods vanish with all that is configured in them,
   * and so does what daemon and kubelet kept under /run. The cluster is told nothing.
   */
  async powerOff(): Promise<void> {
    if (this.#bootId === null) return
    this.#bootId = null
    const own = namespaceInode(this.host.path)
    // Cut off first: nobody hears last words.
    await this.#options.fabric.powerOff(this.name)
    await Promise.all([this.killKubelet(), this.daemon?.halt(), this.#echo?.close()])
    this.#echo = null
    // Only now is nobody left who makes or removes one.
    const remembered = (await this.runtime.remembered()).map(({ attachment }) => attachment.netns)
    const pods = remembered.filter((path) => existsSync(path))
    killIn(new Set([own, ...pods.map(namespaceInode)].filter((inode) => inode !== null)))
    for (const path of pods) await deleteNamespace(path)
    rmSync(this.#path('state'), { recursive: true, force: true })
    rmSync(this.socketPath, { force: true })
  }

  /** Switch it on again: same name, addresses, MAC address and disks, a new boot id. Its pods get new sandboxes. */
  async powerOn(): Promise<void> {
    if (this.#bootId !== null) return
    this.#host = await this.#options.fabric.powerOn(this.name)
    await this.start()
  }

  /**
   * {@link powerOff}, and {@link powerOn} after a while.
   *
   * @param downMs milliseconds between the two. Default 0.
   * @returns when its kubelet has registered it again
   */
  async reboot(downMs = 0): Promise<void> {
    await this.powerOff()
    await sleep(downMs)
    await this.powerOn()
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
