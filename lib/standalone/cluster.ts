// A whole cluster in one sandbox: a control plane (control-plane.ts: the Kubernetes API, a scheduler, workload controllers),
// nodes as network namespaces on a fabric with a kubelet each, and this project's own programs on top, run as they are in
// production: `hybridnet manager` once, `hybridnet daemon` in the namespace of each node, the real CNI plugin executed for
// each pod.
//
//   supervisor's namespace: control plane (192.168.56.254:6443, DIRECTORY/api.sock when embedded), kubelets, manager
//                           bridge fabric0 ── node1 … nodeN (daemon, pods) ── router ── outside
//
// Directory layout: kubeconfig.inside (for programs in the sandbox), kubeconfig (for the user outside), api.sock, cni-bin/, logs/PROGRAM.log, nodes/NAME/{net.d,cni-cache,state,
// hybridnet.sock}.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type IPFamily, NODES, parseIPFamily } from '../api/index.ts'
import { type Family, formatAddress } from '../ip/index.ts'
import { type ClientOptions, type DirectConnection, isNotFound, KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { ApiServer } from './apiserver/index.ts'
import { kubeconfig } from './apiserver/kubeconfig.ts'
import { defaultNodeTiming, type NodeTiming } from './controllers/index.ts'
import { type ControlPlane, type ControlPlaneFactory, EmbeddedControlPlane } from './control-plane.ts'
import { drain } from './drain.ts'
import { HollowFleet } from './hollow/index.ts'
import { Fabric } from './nodes/fabric.ts'
import type { Cut } from './nodes/fabric-cuts.ts'
import { ClusterNode } from './node.ts'
import type { Sandbox } from './nodes/sandboxes.ts'
import { execInNamespace, type ExecOptions, type ExecResult } from './exec.ts'
import { Program } from './programs.ts'
import { cniPluginPath, programCommand } from './project.ts'
import { logPath } from './logs.ts'
import { assertSandbox, prepareSandbox } from './sandbox.ts'

export interface ClusterOptions {
  /** How many nodes: node1, node2, ... */
  readonly nodes: number
  /** Nodes without a kernel besides: hollow-1, hollow-2, ... Default none; see hollow/README.md. */
  readonly hollowNodes?: number
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
  /** What to run against. Default the embedded control plane. */
  readonly controlPlane?: ControlPlaneFactory
  /** Of the embedded control plane: keeps its objects over the end of the cluster; in memory only unless given. */
  readonly dataDirectory?: string
  /** Of the embedded control plane: seed of the chances of faults. Default 1. */
  readonly faultSeed?: number
  /** How soon silent and missing nodes are dealt with. Default: as Kubernetes does, after 50 s and 40 s. */
  readonly nodeTiming?: NodeTiming
  readonly log: Logger
  /** Told what was done, in words for a person. */
  readonly onProgress?: (text: string) => void
}

export interface RemoveNodeOptions {
  /** Cordon the node and evict its pods before, and wait for them: `kubectl drain`. Otherwise it is gone at once. Default false. */
  readonly drain?: boolean
  /** Milliseconds a drain may take. Default 120,000. */
  readonly timeoutMs?: number
}

/** Nodes that are started side by side: each is a daemon, whose start is work for a processor. */
const parallelStarts = 8

export class Cluster {
  readonly directory: string
  /** Path of a kubeconfig that works inside the sandbox. */
  readonly kubeconfig: string
  /** Path of one that works outside; written only with `outsideServer`. */
  readonly outsideKubeconfig: string
  readonly controlPlane: ControlPlane
  readonly client: KubeClient
  readonly fabric: Fabric
  readonly hollow: HollowFleet
  readonly #options: ClusterOptions
  readonly #nodes: ClusterNode[] = []
  readonly #ownsDirectory: boolean
  /** How programs in this process reach the API. */
  readonly #api: DirectConnection & ClientOptions
  #manager: Program | null = null
  #lastNode = 0

  private constructor(options: ClusterOptions, directory: string, fabric: Fabric, controlPlane: ControlPlane) {
    this.#options = options
    this.#ownsDirectory = options.directory === undefined
    this.directory = directory
    this.fabric = fabric
    this.controlPlane = controlPlane
    this.kubeconfig = join(directory, 'kubeconfig.inside')
    this.outsideKubeconfig = join(directory, 'kubeconfig')
    const { url, caCert, token } = controlPlane
    this.#api = {
      server: url,
      ...(caCert === null ? {} : { tls: { ca: caCert } }),
      ...(token === null ? {} : { token }),
      // What is not a program of its own: faults tell clients by it.
      userAgent: 'hybridnet-standalone/1',
      logger: options.log,
    }
    this.client = KubeClient.connect(this.#api)
    this.hollow = new HollowFleet({
      client: this.client,
      count: options.hollowNodes ?? 0,
      defaultFamily: defaultFamily(options.environment),
      log: options.log.child({ component: 'hollow' }),
    })
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
    const serve = options.controlPlane ?? ((context) => EmbeddedControlPlane.serve(context, options))
    const nodeTiming = options.nodeTiming ?? defaultNodeTiming
    const controlPlane = await serve({ directory, hosts, nodeTiming, log: options.log })
    const cluster = new Cluster(options, directory, fabric, controlPlane)
    try {
      await cluster.#bringUp()
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** The embedded API server, for its faults. @throws Error when the cluster runs against another control plane */
  get apiServer(): ApiServer {
    if (this.controlPlane instanceof EmbeddedControlPlane) return this.controlPlane.apiServer
    throw new Error(`the control plane at ${this.controlPlane.url} is not the embedded one: it has no faults`)
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

  /**
   * Add one more node to the fabric and the cluster.
   *
   * @param name up to 14 lower-case letters, digits and '-'; the next of node1, node2, ... unless given
   * @returns when its kubelet has registered it
   * @throws Error when the name is taken
   */
  async addNode(name = this.#nextName(), labels: Readonly<Record<string, string>> = {}): Promise<ClusterNode> {
    const { log, programs, environment, daemonFlags, nodeTiming } = this.#options
    const host = await this.fabric.addNode(name)
    const node = new ClusterNode({
      fabric: this.fabric,
      host,
      directory: join(this.directory, 'nodes', name),
      binDirectory: join(this.directory, 'cni-bin'),
      logFile: logPath(this.directory, `daemon-${name}`),
      kubeconfig: this.kubeconfig,
      api: this.#api,
      labels,
      runDaemon: programs ?? true,
      daemonFlags: daemonFlags ?? [],
      environment: environment ?? {},
      // As with the real ones' 10 s and 50 s: several beats may be lost.
      heartbeatMs: Math.min(10_000, (nodeTiming ?? defaultNodeTiming).graceMs / 4),
      log: log.child({ component: 'kubelet', node: name }),
    })
    this.#nodes.push(node)
    this.#nodes.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
    await node.start()
    await this.controlPlane.nodeAdded?.(host)
    return node
  }

  /**
   * Take a node away for good: the machine, and its object in the API. Its pods' objects are then the business of the
   * cluster's controllers, unless it was drained.
   *
   * @throws Error when a drain takes too long; the node then stays, cordoned
   */
  async removeNode(name: string, options: RemoveNodeOptions = {}): Promise<void> {
    const node = this.node(name)
    if (options.drain === true) await drain(this.client, name, options.timeoutMs ?? 120_000)
    await node.powerOff()
    await this.controlPlane.nodeRemoved?.(name)
    this.#nodes.splice(this.#nodes.indexOf(node), 1)
    await this.fabric.removeNode(name)
    await this.client.delete(NODES, { name }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
    rmSync(join(this.directory, 'nodes', name), { recursive: true, force: true })
  }

  /**
   * Begin or end a partition: frames are dropped, every device stays up.
   *
   * @param nodes one node, which is cut off, or two, which are cut off from each other
   * @param from what one node is cut off from: all others, or the API server only. Default 'all'.
   */
  async partition(nodes: string | readonly [string, string], on: boolean, from: 'all' | 'api' = 'all'): Promise<void> {
    const cut: Cut = typeof nodes === 'string' ? { hosts: [nodes], from } : { hosts: nodes, from: 'each other' }
    await this.fabric.cut(cut, on)
  }

  /**
   * Make a node's link slow and lossy; all zero ends it.
   *
   * @param ms milliseconds every frame takes longer, each way
   * @param lossPercent frames that get lost, each way. Default 0.
   * @throws Error when ethtool is missing
   */
  async delay(node: string, ms: number, lossPercent = 0): Promise<void> {
    await this.fabric.impair(this.node(node).name, { ms, lossPercent })
  }

  /** The sandbox of a pod, wherever it runs. @throws Error when no node has one */
  sandbox(name: string, namespace = 'default'): Sandbox {
    for (const node of this.#nodes) {
      const sandbox = node.hasKubelet ? node.kubelet.sandbox(namespace, name) : null
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
    const nodes = this.#nodes.map((node) => node.stop())
    await Promise.all([this.controlPlane.stop(), this.hollow.stop(), this.#manager?.stop(2000), ...nodes])
    this.client.close()
    await this.controlPlane.close()
    await this.fabric.close()
    if (this.#ownsDirectory) rmSync(this.directory, { recursive: true, force: true })
  }

  async #bringUp(): Promise<void> {
    const { nodes, programs, outsideServer, onProgress = () => undefined } = this.#options
    const { url, caCert, token } = this.controlPlane
    writeFileSync(this.kubeconfig, kubeconfig({ server: url, caCert, token }), { mode: 0o600 })
    if (outsideServer !== undefined) {
      writeFileSync(this.outsideKubeconfig, kubeconfig({ server: outsideServer, caCert, token }), { mode: 0o600 })
    }
    onProgress(`Kubernetes API at ${url}`)
    if (programs ?? true) {
      symlinkSync(cniPluginPath(), join(this.directory, 'cni-bin', 'hybridnet'))
      this.#manager = this.#managerProgram()
      this.#manager.start()
    }
    await this.controlPlane.start(this.client)
    const names = Array.from({ length: nodes }, () => this.#nextName())
    const workers = Array.from({ length: parallelStarts }, async () => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) await this.addNode(name)
    })
    await Promise.all(workers)
    onProgress(`${nodes} nodes registered`)
    if (this.hollow.nodes.length > 0) {
      await this.hollow.start()
      onProgress(`${this.hollow.nodes.length} hollow nodes registered`)
    }
  }

  #nextName(): string {
    for (;;) {
      const name = `node${++this.#lastNode}`
      if (!this.fabric.hosts.has(name)) return name
    }
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

/** What the programs are told by the environment of a cluster, as the manager reads it. */
function defaultFamily(environment: ClusterOptions['environment']): IPFamily {
  return parseIPFamily(environment?.['DEFAULT_IP_FAMILY']) ?? 'IPv4Only'
}

/** Build and start a cluster; see {@link Cluster.start}. */
export function startCluster(options: ClusterOptions): Promise<Cluster> {
  return Cluster.start(options)
}
