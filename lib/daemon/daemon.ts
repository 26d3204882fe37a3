// Starts and stops the parts of the node program, in the order they need each other.
//
//   addresses bound ─► host looked at ─► cluster read ─► kernel in order ─► CNI served
//
// Nothing of the kernel is torn down at the end: pods go on, and the next start finds everything in place.
import { isContainerInterface } from '../api/index.ts'
import { DataplaneEngine, type DataplaneConfig, type InputDelta } from '../dataplane/index.ts'
import { formatAddress, type Family } from '../ip/index.ts'
import { EventRecorder, type KubeClient } from '../kube/index.ts'
import { NeighbourResolver, NetworkNamespace, RouteSocket } from '../netlink/index.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Registry } from '../telemetry/metrics.ts'
import { installConfig, type InstallConfigOptions } from './cni/install.ts'
import { CniServer } from './cni/server.ts'
import { CniService } from './cni/service.ts'
import { servePages, textPage } from '../telemetry/pages.ts'
import { chooseParents, type HostPicture, type InterfacePreferences } from './interfaces.ts'
import { registerDaemonMetrics } from './metrics.ts'
import { NodeInfoPublisher } from './nodeinfo.ts'
import type { FamilyDefaults } from './pod-family.ts'
import { OverlayNeighbours } from './overlay-neighbours.ts'
import { NodePodNetworking } from './pod-networking.ts'
import { EngineReadiness } from './readiness.ts'
import { ResolverFeed } from './resolver-feed.ts'
import { ClusterView } from './view/cluster-view.ts'
import { VlanAddresses } from './vlan/index.ts'

/** The longest a timer can run: some 24 days. */
const FOREVER_MS = 2 ** 31 - 1

type Parents = 'vxlanParent' | 'vlanParent' | 'bgpInterface'

export interface DaemonOptions {
  readonly client: KubeClient
  readonly log: Logger
  readonly registry: Registry
  readonly nodeName: string
  readonly preferences: InterfacePreferences
  readonly dataplane: Omit<DataplaneConfig, Parents>
  /** How long ADD asks about the addresses of a VLAN pod, milliseconds. */
  readonly vlanCheckTimeoutMs: number
  /** Pod MTU on the overlay, 0 for what the parent allows. */
  readonly vxlanMtu: number
  readonly cni: {
    readonly socketPath: string
    readonly stateDirectory: string
    readonly waitTimeoutMs: number
    readonly checkConnectivity: boolean
    readonly updateStatus: boolean
    readonly patchCalicoAnnotation: boolean
    /** Written once pods can be served, since the runtime reports the node ready at once (R-INS-03); null: by somebody else. */
    readonly configuration: Omit<InstallConfigOptions, 'socketPath'> | null
  }
  readonly family: FamilyDefaults
  /** Between sweeps of dead neighbours on the VXLAN device, milliseconds; 0 for none. */
  readonly sweepIntervalMs: number
  /** HOST:PORT */
  readonly healthAddress: string
  readonly metricsAddress: string
}

export interface Daemon {
  readonly engine: DataplaneEngine
  readonly view: ClusterView
  /** Serve no more, finish what runs, close everything; the kernel's state stays. */
  stop(): Promise<void>
}

/** Things to undo, newest first. */
class Owner {
  readonly #closers: (() => Promise<void> | void)[] = []

  own(close: () => Promise<void> | void): void {
    this.#closers.push(close)
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
    this.#closers.length = 0
  }
}

/**
 * Start the daemon; resolves when it serves CNI calls.
 *
 * @throws Error naming the part that cannot start; what had started is stopped again
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const owner = new Owner()
  try {
    return await bringUp(options, owner)
  } catch (error) {
    await owner.close()
    throw error
  }
}

async function bringUp(options: DaemonOptions, owner: Owner): Promise<Daemon> {
  const { client, log, nodeName, registry } = options
  const namespace = NetworkNamespace.current()
  owner.own(() => namespace.close())
  const socket = RouteSocket.open(namespace)
  owner.own(() => socket.close())
  const parents = chooseParents(await hostPicture(socket), options.preferences)
  log.info({ vlan: parents.vlan.name, vxlan: parents.vxlan.name, bgp: parents.bgp.name }, 'parent interfaces')

  const engine = new DataplaneEngine({
    namespace,
    config: {
      ...options.dataplane,
      vxlanParent: parents.vxlan.name,
      vlanParent: parents.vlan.name,
      bgpInterface: parents.bgp.name,
    },
    log: log.child({ component: 'dataplane' }),
    neighbours: { changed: (neigh, gone) => neighbours.changed(neigh, gone), lost: () => neighbours.lost() },
  })
  owner.own(() => engine.stop())
  const publisher = new NodeInfoPublisher(client, nodeName, log.child({ component: 'nodeinfo' }))
  owner.own(() => publisher.stop())
  const resolverLog = log.child({ component: 'resolver' })
  const neighbours = new OverlayNeighbours(socket, resolverLog, options.sweepIntervalMs, (address) =>
    feed.macOf(address),
  )
  owner.own(() => neighbours.stop())
  const resolver = NeighbourResolver.open(namespace, {
    onMiss: (addresses) => log.debug({ addresses: addresses.map(formatAddress) }, 'no node is known for addresses'),
  })
  owner.own(() => resolver.close())
  const feed = new ResolverFeed({
    nodeName,
    table: { set: (entries) => resolver.set(entries), delete: (addresses) => resolver.delete(addresses) },
    pods: () => view.remotePods,
    onMoved: (entries) => neighbours.push(entries),
  })
  owner.own(() => feed.stop())

  let started = false
  let initial: InputDelta = {}
  const publish = (): void => {
    const facts = engine.facts()
    const node = view.node
    const vtep = facts?.vxlan === null ? null : (facts?.vtep ?? null)
    if (vtep === null || node === undefined || node.uid === '') return publisher.publish(null)
    const localAddresses = (facts?.localAddresses ?? []).map(({ address }) => address)
    publisher.publish({ ...vtep, localAddresses, nodeUid: node.uid })
  }
  const view = new ClusterView({
    client,
    nodeName,
    log: log.child({ component: 'view' }),
    onInput: (delta) => {
      if (!started) initial = delta
      else engine.setInput(delta)
      publish()
    },
    onVtep: (name, vtep) => {
      feed.vtepChanged(name, vtep)
      if (name === nodeName) publisher.seen(vtep)
    },
    onNodeInfosRewound: () => publisher.seen(null),
    onRemotePod: (address) => feed.podChanged(address),
    onLocalChange: () => networking.clusterChanged(),
  })
  owner.own(() => view.stop())
  const events = new EventRecorder(client, { component: 'hybridnet-daemon', host: nodeName, logger: log })
  owner.own(() => events.stop())
  const readiness = new EngineReadiness(engine, options.vxlanMtu)
  const vlan = new VlanAddresses({
    namespace,
    engine,
    parent: parents.vlan.name,
    timeoutMs: options.vlanCheckTimeoutMs,
    log: log.child({ component: 'vlan' }),
  })
  owner.own(() => vlan.stop())
  const networking = new NodePodNetworking({
    client,
    view,
    dataplane: readiness,
    vlan,
    hostNamespace: namespace,
    nodeName,
    log: log.child({ component: 'cni' }),
    defaults: options.family,
    events,
    checkConnectivity: options.cni.checkConnectivity,
    updateStatus: options.cni.updateStatus,
    patchCalicoAnnotation: options.cni.patchCalicoAnnotation,
  })
  await serveHealth(options, owner, networking)
  registerDaemonMetrics(registry, { engine, view, resolver })

  owner.own(engine.onFacts(publish))
  let link = 0
  owner.own(
    engine.onProgress(() => {
      const name = engine.facts()?.vxlan ?? null
      const index = name === null ? 0 : (engine.actual().link(name)?.index ?? 0)
      if (index !== link) {
        link = index
        // Makes the resolver look for questions on the device that it has not heard: for a new one only.
        resolver.setLink(index === 0 ? null : index)
        neighbours.setLink(index)
      }
      networking.kernelChanged()
    }),
  )
  await view.start()
  // What changes while the engine starts is its business already.
  started = true
  await engine.start(initial)
  publish()
  // A pod wired before the masquerade stands would leave the node with an address nobody answers.
  await engine.waitFor(() => readiness.ready, FOREVER_MS)
  log.info({ operations: engine.status().operationCount, remotePods: view.remotePods.size }, 'the kernel is in order')
  await serveCni(options, owner, networking)
  return { engine, view, stop: () => owner.close() }
}

async function hostPicture(socket: RouteSocket): Promise<HostPicture> {
  const MAIN_TABLE = 254
  const dump = async (family: Family): Promise<HostPicture['routes']> => socket.routes({ family, table: MAIN_TABLE })
  const [links, addresses, ipv4, ipv6] = await Promise.all([socket.links(), socket.addresses(), dump(4), dump(6)])
  return { links: links.filter(({ name }) => !isContainerInterface(name)), addresses, routes: [...ipv4, ...ipv6] }
}

async function serveHealth(options: DaemonOptions, owner: Owner, networking: NodePodNetworking): Promise<void> {
  const { registry } = options
  const alive = textPage(200, 'ok')
  const ready = (): ReturnType<typeof textPage> => {
    const { ready, reasons } = networking.status()
    return ready ? alive : textPage(503, reasons.join('\n'))
  }
  const health = await servePages(options.healthAddress, {
    '/live': () => alive,
    '/healthz': () => alive,
    '/ready': ready,
    '/readyz': ready,
  })
  owner.own(() => health.stop())
  const metrics = await servePages(options.metricsAddress, {
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  })
  owner.own(() => metrics.stop())
}

async function serveCni(options: DaemonOptions, owner: Owner, networking: NodePodNetworking): Promise<void> {
  const { cni, registry } = options
  const log = options.log.child({ component: 'cni' })
  const service = await CniService.open({
    networking,
    stateDirectory: `${cni.stateDirectory}/attachments`,
    log,
    registry,
    addTimeout: cni.waitTimeoutMs,
  })
  owner.own(() => service.close())
  const server = new CniServer({ socketPath: cni.socketPath, handler: service, log })
  await server.start()
  owner.own(() => server.stop())
  if (cni.configuration === null) return
  // It stays when the daemon ends: a node does not turn unready because its daemon restarts.
  const { changed, warnings } = await installConfig({ ...cni.configuration, socketPath: cni.socketPath })
  for (const warning of warnings) log.warn(warning)
  log.info({ changed, directory: cni.configuration.confDirectory }, 'CNI configuration is in place')
}
