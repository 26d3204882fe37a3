// What a cluster's nodes and programs talk to. The embedded control plane is this project's own Kubernetes API with a scheduler
// and controllers in the supervisor's process; tests bring a real one of etcd and kube-apiserver (test/support/kubernetes.ts).
// The nodes, their kubelets and the fabric are the same with either.
import { join } from 'node:path'
import type { KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { type ApiServer, type ApiServerOptions, startApiServer } from './apiserver/index.ts'
import { Controllers, type NodeTiming } from './controllers/index.ts'
import { apiSocketName } from './launcher.ts'
import type { FabricHost } from './nodes/fabric.ts'
import { Scheduler } from './nodes/scheduler.ts'
import { crdDirectory } from './project.ts'

/** TCP port of the API server on the fabric. */
export const apiPort = 6443

/** Where a control plane is to run: in the supervisor's namespace. */
export interface ControlPlaneContext {
  /** The cluster's directory; logs go to `logs/` in it, which exists. */
  readonly directory: string
  /** Addresses at which the nodes reach the supervisor's namespace: serve on {@link apiPort} of each, and of 127.0.0.1. */
  readonly hosts: readonly string[]
  /** When nodes that fall silent, and pods of nodes that are gone, are dealt with. */
  readonly nodeTiming: NodeTiming
  readonly log: Logger
}

/** A running control plane. It belongs to the cluster that asked for it. */
export interface ControlPlane {
  /** URL that works in the supervisor's namespace and on the nodes. */
  readonly url: string
  /** PEM of the authority of the serving certificate; null without TLS. */
  readonly caCert: string | null
  /** Bearer token of an administrator; null when none is needed. */
  readonly token: string | null
  /** Begin with what works through the API. `client` is an administrator's and stays the caller's to close, after stop(). */
  start(client: KubeClient): Promise<void>
  /** Told of each node once its kubelet has registered it: what else runs on nodes is a control plane's own, such as kube-proxy. */
  nodeAdded?(host: FabricHost): Promise<void>
  /** Told before a node's namespace is removed. */
  nodeRemoved?(name: string): Promise<void>
  /** Ends what start() began. The API is served until {@link close}, for kubelets to say goodbye. */
  stop(): Promise<void>
  close(): Promise<void>
}

/** Makes a control plane: the API is served when it returns. @throws Error with nothing left running */
export type ControlPlaneFactory = (context: ControlPlaneContext) => Promise<ControlPlane>

/** The API server of ./apiserver, the scheduler of ./nodes and the controllers of ./controllers. */
export class EmbeddedControlPlane implements ControlPlane {
  readonly apiServer: ApiServer
  readonly #nodeTiming: NodeTiming
  readonly #log: Logger
  #parts: readonly { stop(): Promise<void> }[] = []

  private constructor(apiServer: ApiServer, { nodeTiming, log }: ControlPlaneContext) {
    this.apiServer = apiServer
    this.#nodeTiming = nodeTiming
    this.#log = log
  }

  /**
   * The {@link ControlPlaneFactory} of clusters that ask for no other.
   *
   * @param kept where objects are kept and how the chances of faults are drawn; see ApiServerOptions
   */
  static async serve(
    context: ControlPlaneContext,
    { dataDirectory, faultSeed }: Partial<Pick<ApiServerOptions, 'dataDirectory' | 'faultSeed'>> = {},
  ): Promise<EmbeddedControlPlane> {
    const { directory, hosts, log } = context
    const apiServer = await startApiServer({
      listen: [
        ...[...hosts, '127.0.0.1'].map((host) => ({ host, port: apiPort })),
        { path: join(directory, apiSocketName) },
      ],
      tls: { subjectAltNames: hosts },
      crdDirectory: crdDirectory(),
      ...(dataDirectory === undefined ? {} : { dataDirectory }),
      ...(faultSeed === undefined ? {} : { faultSeed }),
      log: log.child({ component: 'apiserver' }),
    })
    return new EmbeddedControlPlane(apiServer, context)
  }

  get url(): string {
    return this.apiServer.url
  }

  get caCert(): string | null {
    return this.apiServer.caCert
  }

  get token(): string | null {
    return this.apiServer.token
  }

  async start(client: KubeClient): Promise<void> {
    const scheduler = new Scheduler(client, this.#log.child({ component: 'scheduler' }))
    const controllers = new Controllers(client, this.#log.child({ component: 'controllers' }), this.#nodeTiming)
    this.#parts = [scheduler, controllers]
    await Promise.all([scheduler.start(), controllers.start()])
  }

  async stop(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.stop()))
  }

  close(): Promise<void> {
    return this.apiServer.close()
  }
}
