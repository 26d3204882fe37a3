// A cluster of objects: the embedded API server, a manager over HTTP, and short words for what the tests make.
import {
  IPINSTANCES,
  NAMESPACES,
  NETWORKS,
  NODES,
  PODS,
  SUBNETS,
  type AddressRangeSpec,
  type IPInstance,
  type Network,
  type Node,
  type OwnerReference,
  type Pod,
  type Subnet,
} from '../../../lib/api/index.ts'
import { KubeClient, type KubeObject } from '../../../lib/kube/index.ts'
import { startManager, type Defaults, type Manager, type ManagerOptions } from '../../../lib/manager/index.ts'
import { startApiServer, type ApiServer } from '../../../lib/standalone/apiserver/index.ts'
import { createLogger, silentLogger } from '../../../lib/telemetry/log.ts'
import { Registry } from '../../../lib/telemetry/metrics.ts'
import { eventually } from '../../support/eventually.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const crdDirectory = new URL('../../../charts/hybridnet/crds', import.meta.url).pathname
const STATEFUL_SETS = { group: 'apps', version: 'v1', plural: 'statefulsets', kind: 'StatefulSet', namespaced: true }
const N = 'networking.alibaba.com/'
const log = process.env['TEST_LOG'] ? createLogger({ name: 'test', level: process.env['TEST_LOG'] }) : silentLogger()

export interface PodOptions {
  readonly node?: string
  readonly namespace?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** Name of the StatefulSet that owns it. */
  readonly statefulSet?: string
}

/** Short names of our annotations and labels: `{ 'ip-family': 'DualStack' }`. */
function prefixed(texts: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, value]) => [key.includes('/') ? key : N + key, value]))
}

export class Rig {
  readonly server: ApiServer
  readonly client: KubeClient
  readonly #managers = new Map<Manager, KubeClient>()
  readonly #statefulSets = new Map<string, Promise<string>>()

  private constructor(server: ApiServer) {
    this.server = server
    this.client = KubeClient.connect({ server: server.url })
  }

  static async start(): Promise<Rig> {
    bringUpLoopback()
    const rig = new Rig(await startApiServer({ listen: [{ host: '127.0.0.1', port: 0 }], crdDirectory }))
    return rig
  }

  /** A manager in this process, by its own client. */
  manager(options: Partial<ManagerOptions> & { server?: string; defaults?: Partial<Defaults> } = {}): Manager {
    const client = KubeClient.connect({ server: options.server ?? this.server.url })
    const manager = startManager({
      client,
      log,
      registry: new Registry(),
      identity: `test-${this.#managers.size}`,
      namespace: 'kube-system',
      lease: { durationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 200 },
      statusIntervalMs: 50,
      ...options,
    })
    this.#managers.set(manager, client)
    return manager
  }

  async close(): Promise<void> {
    for (const [manager, client] of this.#managers) {
      await manager.stop()
      client.close()
    }
    this.client.close()
    await this.server.close()
  }

  create<T extends KubeObject | Network | Subnet | Pod | Node>(resource: typeof PODS, object: unknown): Promise<T> {
    return this.client.create(resource, object as never)
  }

  network(name: string, spec: object): Promise<Network> {
    return this.create(NETWORKS, { metadata: { name }, spec })
  }

  subnet(
    name: string,
    network: string,
    cidr: string,
    range: Partial<AddressRangeSpec> = {},
    spec: object = {},
  ): Promise<Subnet> {
    const version = cidr.includes(':') ? '6' : '4'
    return this.create(SUBNETS, { metadata: { name }, spec: { network, range: { version, cidr, ...range }, ...spec } })
  }

  node(name: string, labels: Readonly<Record<string, string>> = {}): Promise<Node> {
    return this.create(NODES, { metadata: { name, labels } })
  }

  namespace(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<KubeObject> {
    return this.create(NAMESPACES, { metadata: { name, annotations: prefixed(annotations) } })
  }

  /** The UID of a StatefulSet, made when there is none. */
  statefulSet(name: string, namespace: string): Promise<string> {
    const key = `${namespace}/${name}`
    let uid = this.#statefulSets.get(key)
    if (uid === undefined) {
      const template = {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'test', image: 'test' }] },
      }
      const spec = { serviceName: name, selector: { matchLabels: { app: name } }, template }
      const made = this.create<KubeObject>(STATEFUL_SETS, { metadata: { name, namespace }, spec })
      uid = made.then((object) => object.metadata.uid ?? '')
      this.#statefulSets.set(key, uid)
    }
    return uid
  }

  async pod(name: string, options: PodOptions = {}): Promise<Pod> {
    const namespace = options.namespace ?? 'default'
    const owner: OwnerReference[] =
      options.statefulSet === undefined
        ? []
        : [
            {
              apiVersion: 'apps/v1',
              kind: 'StatefulSet',
              name: options.statefulSet,
              uid: await this.statefulSet(options.statefulSet, namespace),
              controller: true,
              blockOwnerDeletion: true,
            },
          ]
    return await this.create(PODS, {
      metadata: {
        name,
        namespace,
        annotations: prefixed(options.annotations),
        labels: prefixed(options.labels),
        ownerReferences: owner,
      },
      spec: { nodeName: options.node ?? 'node1', containers: [{ name: 'test', image: 'test' }] },
    })
  }

  deletePod(name: string, namespace = 'default'): Promise<void> {
    return this.client.delete(PODS, { name, namespace }, { gracePeriodSeconds: 0 })
  }

  async instances(pod?: string, namespace?: string): Promise<IPInstance[]> {
    const { items } = await this.client.list<IPInstance>(IPINSTANCES)
    return items
      .filter((instance) => pod === undefined || instance.spec?.binding?.podName === pod)
      .filter((instance) => namespace === undefined || instance.metadata.namespace === namespace)
      .sort((a, b) => (a.spec?.address.version ?? '').localeCompare(b.spec?.address.version ?? ''))
  }

  /** The IPInstances of a bound pod, as soon as there are that many. */
  served(pod: string, count = 1, timeoutMs = 8000): Promise<IPInstance[]> {
    return eventually(async () => {
      const found = (await this.instances(pod)).filter((instance) => instance.spec?.binding?.nodeName)
      return found.length === count ? found : null
    }, timeoutMs)
  }

  /** Messages of the events of an object with that reason. */
  async events(kind: string, name: string, reason: string): Promise<string[]> {
    const { items } = await this.client.list<KubeObject>({
      group: '',
      version: 'v1',
      plural: 'events',
      kind: 'Event',
      namespaced: true,
    })
    return items
      .filter((event) => event['reason'] === reason)
      .filter((event) => {
        const about = event['involvedObject'] as { kind: string; name: string }
        return about.kind === kind && about.name === name
      })
      .map((event) => event['message'] as string)
  }
}

/** Runs the body with a fresh cluster and no manager. */
export async function withRig(body: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await Rig.start()
  try {
    await body(rig)
  } finally {
    await rig.close()
  }
}

/** The fixture of the original's integration suite (manager.md §5.1). */
export async function fixture(rig: Rig): Promise<void> {
  await rig.network('underlay-network', {
    type: 'Underlay',
    mode: 'VLAN',
    netID: 100,
    nodeSelector: { network: 'underlay-network' },
  })
  await rig.network('overlay-network', { type: 'Overlay', mode: 'VXLAN', netID: 100 })
  await rig.subnet('underlay-subnet', 'underlay-network', '192.168.56.0/24', { gateway: '192.168.56.1' })
  await rig.subnet('overlay-ipv4-subnet', 'overlay-network', '100.10.0.0/24', {}, { netID: 44 })
  await rig.subnet('overlay-ipv6-subnet', 'overlay-network', 'fe80::0/120', {}, { netID: 66 })
  await rig.node('node1', { network: 'underlay-network' })
  await rig.node('node2', { network: 'underlay-network' })
  await rig.node('node3')
}
