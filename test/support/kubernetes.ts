// A real control plane for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and kube-proxy on every node,
// unmodified, as children of this process in the sandbox of the test. `scripts/kubernetes-assets` finds the programs.
//
//   supervisor's namespace: etcd (127.0.0.1:2379) ◄ kube-apiserver (:6443) ◄ kube-controller-manager, kube-scheduler
//   each node's namespace:  kube-proxy
//
// A Cluster runs against it (`Cluster.start({ controlPlane: realControlPlane({ ... }) })`), or it stands alone
// (`startRealControlPlane()`). Certificates, tokens and keys are made at each start and live in its directory. Authorization is on;
// kubelets are administrators, kube-proxy is `system:kube-proxy`.
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAddress } from '../../lib/ip/index.ts'
import { KubeClient } from '../../lib/kube/index.ts'
import { defaultNodeTiming } from '../../lib/standalone/controllers/index.ts'
import { kubeconfig } from '../../lib/standalone/apiserver/kubeconfig.ts'
import { createAuthority } from '../../lib/tls/index.ts'
import { servingCertificate } from '../../lib/standalone/apiserver/tls/identity.ts'
import {
  apiPort,
  type ControlPlane,
  type ControlPlaneContext,
  type ControlPlaneFactory,
  type FabricHost,
  logPath,
  logTails,
  namespaceCommand,
  Program,
} from '../../lib/standalone/index.ts'
import { projectRoot } from '../../lib/standalone/project.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import { installDefinitions } from './definitions.ts'
import { eventually } from './eventually.ts'
import {
  apiServerFlags,
  controllerManagerFlags,
  etcdFlags,
  proxyFlags,
  proxyHealthPort,
  type ProxyMode,
  schedulerFlags,
} from './kubernetes-flags.ts'
import { bringUpLoopback } from './loopback.ts'

export interface RealControlPlaneOptions {
  /** Run kube-proxy on each node, in this mode. Default: none runs. */
  readonly proxy?: ProxyMode
  /** Prefixes of pods, by which kube-proxy tells them from strangers, whom it masquerades. Default: those of the default overlay. */
  readonly clusterCidrs?: readonly string[]
}

/** A loaded machine with two cores takes its time; a start takes 5 to 10 s. */
const startTimeoutMs = 150_000

/**
 * The directory of the programs.
 *
 * @throws Error saying how to get them
 */
export function kubernetesAssets(): string {
  const script = join(projectRoot(), 'scripts/kubernetes-assets')
  const { status, stdout, stderr } = spawnSync('bash', [script], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`no real control plane: ${stderr.trim()}`)
  return stdout.trim()
}

/** For {@link Cluster.start}: a control plane of its own for each cluster. */
export function realControlPlane(options: RealControlPlaneOptions = {}): ControlPlaneFactory {
  return (context) => RealControlPlane.serve(context, options)
}

/** A control plane without nodes, at https://127.0.0.1:6443, with our definitions and the default service account. */
export async function startRealControlPlane(): Promise<RealControlPlane> {
  const directory = mkdtempSync(join(tmpdir(), 'hybridnet-kubernetes-'))
  bringUpLoopback()
  const plane = await RealControlPlane.serve(
    { directory, hosts: [], nodeTiming: defaultNodeTiming, log: silentLogger() },
    {},
  )
  plane.ownsDirectory = true
  const client = plane.connect()
  try {
    await plane.start(client)
    return plane
  } catch (error) {
    await plane.stop()
    await plane.close()
    throw error
  } finally {
    client.close()
  }
}

export class RealControlPlane implements ControlPlane {
  readonly url: string
  readonly caCert: string
  readonly token: string
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string
  readonly apiServer: Program
  readonly etcd: Program
  readonly controllerManager: Program
  readonly scheduler: Program
  /** kube-proxy by the name of its node; empty when none was asked for. */
  readonly proxies = new Map<string, Program>()
  /** Whether {@link close} removes the directory. */
  ownsDirectory = false
  readonly #directory: string
  readonly #options: RealControlPlaneOptions
  readonly #assets: string
  readonly #proxyToken = randomBytes(24).toString('hex')

  private constructor({ directory, hosts, nodeTiming }: ControlPlaneContext, options: RealControlPlaneOptions) {
    this.#assets = kubernetesAssets()
    this.#directory = directory
    this.#options = options
    mkdirSync(this.#path('.'), { recursive: true, mode: 0o700 })
    mkdirSync(join(directory, 'logs'), { recursive: true })
    const authority = createAuthority('hybridnet-test')
    const serving = servingCertificate(authority, hosts)
    const accounts = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const [address = '127.0.0.1'] = hosts
    const isIPv6 = address.includes(':')
    this.url = `https://${isIPv6 ? `[${address}]` : address}:${apiPort}`
    this.caCert = authority.cert
    this.token = randomBytes(24).toString('hex')
    this.#write('ca.crt', authority.cert)
    this.#write('serving.crt', serving.cert)
    this.#write('serving.key', serving.key)
    this.#write('accounts.pub', accounts.publicKey.export({ format: 'pem', type: 'spki' }).toString())
    this.#write('accounts.key', accounts.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
    this.#write(
      'tokens.csv',
      `${this.token},admin,admin,"system:masters"\n${this.#proxyToken},system:kube-proxy,kube-proxy,""\n`,
    )
    this.kubeconfig = this.#write('admin.kubeconfig', this.#kubeconfigFor(this.token))
    this.#write('proxy.kubeconfig', this.#kubeconfigFor(this.#proxyToken))
    const path = (name: string): string => this.#path(name)
    this.etcd = this.#program('etcd', etcdFlags(path))
    this.apiServer = this.#program('kube-apiserver', apiServerFlags(path, hosts))
    this.controllerManager = this.#program('kube-controller-manager', controllerManagerFlags(path, nodeTiming.graceMs))
    this.scheduler = this.#program('kube-scheduler', schedulerFlags(path))
  }

  /** @throws Error with the ends of the logs when the API is not served in time, with nothing left running */
  static async serve(context: ControlPlaneContext, options: RealControlPlaneOptions): Promise<RealControlPlane> {
    const plane = new RealControlPlane(context, options)
    const client = plane.connect()
    try {
      plane.etcd.start()
      plane.apiServer.start()
      // Written by the last of its start-up steps: the roles that everyone but an administrator needs.
      const role = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:node-proxier'
      await plane.#until('the API is served', () => client.raw('GET', role, { retries: 0 }))
      return plane
    } catch (error) {
      await plane.close()
      throw error
    } finally {
      client.close()
    }
  }

  /** A client of the administrator; the caller's to close. */
  connect(): KubeClient {
    return KubeClient.connect({ server: this.url, tls: { ca: this.caCert }, token: this.token, logger: silentLogger() })
  }

  /** Run controllers and scheduler; returns with our definitions established; the default service account there, without which there are no pods. */
  async start(client: KubeClient): Promise<void> {
    this.controllerManager.start()
    this.scheduler.start()
    await installDefinitions(client, startTimeoutMs)
    await this.#until('there is a default service account', () =>
      client.raw('GET', '/api/v1/namespaces/default/serviceaccounts/default', { retries: 0 }),
    )
  }

  /** Run kube-proxy for a node, if asked for; returns when it has programmed the Services there are. */
  async nodeAdded({ name, path, addresses }: FabricHost): Promise<void> {
    const { proxy, clusterCidrs = ['100.64.0.0/16', 'fd64::/64'] } = this.#options
    if (proxy === undefined) return
    const flags = proxyFlags((file) => this.#path(file), name, proxy, clusterCidrs)
    const program = new Program({
      name: `kube-proxy-${name}`,
      command: namespaceCommand(path, [join(this.#assets, 'kube-proxy'), ...flags]),
      logFile: logPath(this.#directory, `kube-proxy-${name}`),
    })
    this.proxies.set(name, program)
    program.start()
    const [host] = addresses.map(({ address }) => formatAddress(address))
    const url = `http://${host?.includes(':') ? `[${host}]` : host}:${proxyHealthPort}/healthz`
    await this.#until(`kube-proxy of ${name} is well`, async () => {
      const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(5000) })
      if (!ok) throw new Error(`${url}: ${status}`)
    })
  }

  async nodeRemoved(name: string): Promise<void> {
    const program = this.proxies.get(name)
    this.proxies.delete(name)
    await program?.stop(2000)
  }

  async stop(): Promise<void> {
    const programs = [this.controllerManager, this.scheduler, ...this.proxies.values()]
    await Promise.all(programs.map((program) => program.stop(2000)))
  }

  async close(): Promise<void> {
    await this.stop()
    // A graceful end waits for watches of clients that are gone already; nothing here outlives it.
    await this.apiServer.stop(500)
    await this.etcd.stop(500)
    if (this.ownsDirectory) rmSync(this.#directory, { recursive: true, force: true })
  }

  #path(name: string): string {
    return join(this.#directory, 'kubernetes', name)
  }

  #write(name: string, text: string): string {
    writeFileSync(this.#path(name), text, { mode: 0o600 })
    return this.#path(name)
  }

  #kubeconfigFor(token: string): string {
    return kubeconfig({ server: this.url, caCert: this.caCert, token })
  }

  #program(name: string, flags: readonly string[]): Program {
    const logFile = logPath(this.#directory, name)
    return new Program({ name, command: [join(this.#assets, name), ...flags], logFile })
  }

  /** Wait for something; the error when it does not come true tells what the programs said. */
  async #until(what: string, check: () => Promise<unknown>): Promise<void> {
    const limit = `not within ${startTimeoutMs} ms`
    let problem: string | null
    try {
      problem = await eventually(async () => this.#dying() ?? (await check(), ''), startTimeoutMs, 100)
    } catch (error) {
      problem = `${limit}: ${error instanceof Error ? error.message : String(error)}`
    }
    if (problem !== '') throw new Error(`${what}: ${problem}\n${logTails(this.#directory)}`)
  }

  /** What keeps ending; waiting for it is in vain. */
  #dying(): string | null {
    const programs = [this.etcd, this.apiServer, this.controllerManager, this.scheduler, ...this.proxies.values()]
    const dying = programs.find(({ state }) => state.starts > 3)
    return dying === undefined ? null : `${dying.name} keeps ending: ${dying.state.lastExit}`
  }
}
