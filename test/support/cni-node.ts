// A node for tests of the CNI server: this process's network namespace (the runner's fresh one) with the part of a node's
// state a pod's veth depends on, pods' namespaces beside it, the real server and the real shim. Addresses come from a
// table the test fills, as the daemon's cluster view would.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CniServer,
  CniService,
  podGone,
  tryAgain,
  type Attachment,
  type CniServerOptions,
  type CniServiceOptions,
  type PodAddresses,
  type PodNetworking,
} from '../../lib/daemon/cni/index.ts'
import { parseAddress, parseMac, type IPAddress } from '../../lib/ip/index.ts'
import { createNamespace, deleteNamespace, NetworkNamespace } from '../../lib/netlink/index.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import { requireSandbox } from './sandbox.ts'

/** The shim under test: HYBRIDNET_CNI, or the one `npm run build:native` makes. */
export const shim = process.env['HYBRIDNET_CNI'] ?? join(import.meta.dirname, '../../build/Release/hybridnet-cni')

export function requireShim(): void {
  if (!existsSync(shim)) throw new Error(`no ${shim}: run \`npm run build:native\``)
}

/** A command's output; its error text is the error. */
export function sh(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A command inside a pod's namespace. */
export function inPod(netns: string, ...command: string[]): string {
  return sh('nsenter', `--net=${netns}`, ...command)
}

export interface ShimResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly milliseconds: number
}

/** Run the shim as a runtime does: nothing in its environment but what the call has. */
export function callShim(
  environment: Readonly<Record<string, string>>,
  input: string | Buffer,
  options: { executable?: string; args?: readonly string[] } = {},
): Promise<ShimResult> {
  return new Promise((resolve, reject) => {
    const start = performance.now()
    const child = spawn(options.executable ?? shim, options.args ?? [], { env: { ...environment } })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', reject)
    // It may answer without having read everything.
    child.stdin.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error)
    })
    child.on('close', (code, signal) => {
      resolve({
        status: code ?? (signal === null ? -1 : 1000),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString() + (signal === null ? '' : `killed by ${signal}`),
        milliseconds: performance.now() - start,
      })
    })
    child.stdin.end(input)
  })
}

/** What a test says about a pod's addresses: "10.0.0.2/24". */
export interface TestPod {
  readonly namespace?: string
  readonly name: string
  readonly uid?: string
  readonly addresses: readonly string[]
  readonly gateways?: readonly (string | null)[]
  readonly mac?: string
  readonly mtu?: number
}

export function podAddresses(pod: TestPod): PodAddresses {
  return {
    namespace: pod.namespace ?? 'default',
    name: pod.name,
    uid: pod.uid ?? `uid-${pod.name}`,
    mac: parseMac(pod.mac ?? '02:12:34:00:00:07'),
    mtu: pod.mtu ?? 1450,
    network: 'init',
    mode: 'VXLAN',
    addresses: pod.addresses.map((text, i) => {
      const [address = '', length = ''] = text.split('/')
      const gateway = pod.gateways?.[i] ?? null
      return {
        address: parseAddress(address),
        prefixLength: Number(length),
        gateway: gateway === null ? null : parseAddress(gateway),
      }
    }),
  }
}

/** PodNetworking over a table. Assigning an address wakes those who wait for it. */
export class TableNetworking implements PodNetworking {
  readonly hostNamespace: NetworkNamespace
  readonly attached: Attachment[] = []
  readonly detached: Attachment[] = []
  readonly findings: string[] = []
  readonly gone = new Set<string>()
  /** Pods the cluster knows, without addresses in order: `namespace/name`. */
  readonly known = new Set<string>()
  /** Container IDs of `namespace/name`, as IPInstance statuses tell them. */
  readonly sandboxes = new Map<string, string>()
  /** UIDs by which runtimes know static pods, whose objects have others. */
  readonly staticUids = new Set<string>()
  /** What waitReady does; ready at once unless replaced. */
  ready: (addresses: PodAddresses, signal: AbortSignal) => Promise<void> = () => Promise.resolve()
  current = { ready: true, existingPodsAffected: false, reasons: [] as string[] }
  readonly #pods = new Map<string, PodAddresses>()
  #changed: (() => void)[] = []

  constructor(hostNamespace: NetworkNamespace) {
    this.hostNamespace = hostNamespace
  }

  assign(pod: TestPod): PodAddresses {
    const addresses = podAddresses(pod)
    this.#pods.set(`${addresses.namespace}/${addresses.name}`, addresses)
    for (const wake of this.#changed.splice(0)) wake()
    return addresses
  }

  async waitForAddresses(
    namespace: string,
    name: string,
    uid: string | null,
    signal: AbortSignal,
  ): Promise<PodAddresses> {
    for (;;) {
      const pod = this.#pods.get(`${namespace}/${name}`)
      if (pod !== undefined && uid !== null && pod.uid !== uid && !this.staticUids.has(uid))
        throw podGone(`pod ${namespace}/${name} has another UID`)
      if (pod !== undefined) return pod
      await new Promise<void>((resolve, reject) => {
        this.#changed.push(resolve)
        const late = (): void => reject(tryAgain('addresses not assigned yet', 'expected 1, found 0'))
        signal.addEventListener('abort', late, { once: true })
      })
    }
  }

  waitReady(addresses: PodAddresses, signal: AbortSignal): Promise<void> {
    return this.ready(addresses, signal)
  }

  checkReady(): Promise<readonly string[]> {
    return Promise.resolve([...this.findings])
  }

  status(): { ready: boolean; existingPodsAffected: boolean; reasons: readonly string[] } {
    return this.current
  }

  onAttached(attachment: Attachment): Promise<void> {
    this.attached.push(attachment)
    return Promise.resolve()
  }

  onDetached(attachment: Attachment): Promise<void> {
    this.detached.push(attachment)
    return Promise.resolve()
  }

  isPodGone(attachment: Attachment): Promise<boolean> {
    return Promise.resolve(this.gone.has(attachment.pod.uid))
  }

  knownPods(): { namespace: string; name: string }[] {
    return [...this.#pods.keys(), ...this.known].map((key) => {
      const [namespace = '', name = ''] = key.split('/')
      return { namespace, name }
    })
  }

  assignedPods(): Promise<readonly { pod: PodAddresses; containerId: string | null }[]> {
    return Promise.resolve([...this.#pods].map(([key, pod]) => ({ pod, containerId: this.sandboxes.get(key) ?? null })))
  }
}

/** One call of a runtime. */
export interface RuntimeCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS'
  readonly pod?: TestPod
  readonly containerId?: string
  readonly netns?: string
  readonly ifname?: string
  readonly version?: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly environment?: Readonly<Record<string, string>>
}

export class CniNode {
  readonly folder: string
  readonly socketPath: string
  readonly networking: TableNetworking
  service: CniService
  server: CniServer
  readonly #options: Partial<CniServiceOptions>
  readonly #serverOptions: Partial<CniServerOptions>
  readonly #namespaces: string[] = []

  private constructor(
    folder: string,
    networking: TableNetworking,
    service: CniService,
    server: CniServer,
    options: Partial<CniServiceOptions>,
    serverOptions: Partial<CniServerOptions>,
  ) {
    this.folder = folder
    this.socketPath = join(folder, 'hybridnet.sock')
    this.networking = networking
    this.service = service
    this.server = server
    this.#options = options
    this.#serverOptions = serverOptions
  }

  static async start(
    options: Partial<CniServiceOptions> = {},
    serverOptions: Partial<CniServerOptions> = {},
  ): Promise<CniNode> {
    requireSandbox()
    const folder = await mkdtemp(join(tmpdir(), 'hybridnet-cni-'))
    const networking = new TableNetworking(NetworkNamespace.current())
    const [service, server] = await startServer(folder, networking, options, serverOptions)
    return new CniNode(folder, networking, service, server, options, serverOptions)
  }

  /** What lib/dataplane keeps on a node and a pod's veth relies on. */
  prepareHost(address4 = '192.0.2.1', address6 = '2001:db8::1'): void {
    sh('ip', 'link', 'set', 'lo', 'up')
    sh('ip', 'addr', 'add', `${address4}/32`, 'dev', 'lo')
    sh('ip', 'route', 'add', '169.254.1.1', 'dev', 'lo', 'scope', 'link')
    sh('ip', 'rule', 'add', 'pref', '1', 'lookup', '39999')
    sh('ip', '-6', 'addr', 'add', `${address6}/128`, 'dev', 'lo')
    sh('ip', '-6', 'rule', 'add', 'pref', '1', 'lookup', '39999')
    sh('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  }

  /** A new namespace for a pod; gone with the fixture. */
  async namespace(name: string): Promise<string> {
    const path = join(this.folder, `netns-${name}`)
    await createNamespace(path)
    this.#namespaces.push(path)
    return path
  }

  call(call: RuntimeCall): Promise<ShimResult> {
    const { command, pod, containerId = 'c1', netns = '', ifname = 'eth0', version = '1.1.0' } = call
    const name = pod?.name ?? 'web'
    const args = [
      'IgnoreUnknown=1',
      `K8S_POD_NAMESPACE=${pod?.namespace ?? 'default'}`,
      `K8S_POD_NAME=${name}`,
      `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
      ...(pod === undefined ? [] : [`K8S_POD_UID=${pod.uid ?? `uid-${name}`}`]),
    ].join(';')
    const attachment =
      command === 'GC' || command === 'STATUS'
        ? {}
        : { CNI_CONTAINERID: containerId, CNI_NETNS: netns, CNI_IFNAME: ifname, CNI_ARGS: args }
    const environment = { CNI_COMMAND: command, CNI_PATH: '/opt/cni/bin', ...attachment, ...call.environment }
    return callShim(environment, this.config(version, call.config))
  }

  config(version: string, more: Readonly<Record<string, unknown>> = {}): string {
    return JSON.stringify({
      cniVersion: version,
      name: 'hybridnet',
      type: 'hybridnet',
      server_socket: this.socketPath,
      ...more,
    })
  }

  /** End the server and start another over the same state, as a daemon's restart does. */
  async restart(): Promise<void> {
    await this.server.stop(1000)
    await this.service.close()
    const [service, server] = await startServer(this.folder, this.networking, this.#options, this.#serverOptions)
    this.service = service
    this.server = server
  }

  recordFile(file: string, text: string): Promise<void> {
    return writeFile(join(this.folder, 'attachments', file), text)
  }

  async stop(): Promise<void> {
    await this.server.stop(0)
    await this.service.close()
    this.networking.hostNamespace.close()
    for (const path of this.#namespaces) await deleteNamespace(path)
    await rm(this.folder, { recursive: true, force: true })
  }
}

async function startServer(
  folder: string,
  networking: TableNetworking,
  options: Partial<CniServiceOptions>,
  serverOptions: Partial<CniServerOptions>,
): Promise<[CniService, CniServer]> {
  const log = silentLogger()
  const stateDirectory = join(folder, 'attachments')
  const service = await CniService.open({ networking, stateDirectory, log, sweepInterval: 0, ...options })
  const socketPath = join(folder, 'hybridnet.sock')
  const server = new CniServer({ socketPath, handler: service, log, ...serverOptions })
  await server.start()
  return [service, server]
}

/** The one JSON document on a shim's output. */
export function document(result: ShimResult): Record<string, unknown> {
  return JSON.parse(result.stdout) as Record<string, unknown>
}

/** Addresses as numbers, for comparisons. */
export function address(text: string): IPAddress {
  return parseAddress(text)
}
