// Everything that runs while this process leads: the local copy, the allocator built from it, and the controllers.
import { IPINSTANCES, isTerminating, type Network } from '../api/index.ts'
import { Allocator } from '../ipam/index.ts'
import {
  EventRecorder,
  deepEqual,
  involvedObject,
  type InformerEvent,
  type KubeClient,
  type WorkQueue,
} from '../kube/index.ts'
import { Cluster } from './cluster.ts'
import { duplicateController } from './controllers/duplicates.ts'
import { instanceController } from './controllers/ipinstance.ts'
import { nodeController } from './controllers/node.ts'
import { PodController } from './controllers/pod.ts'
import { retainedController } from './controllers/retained.ts'
import { networkStatusController, subnetStatusController } from './controllers/status.ts'
import { belongs } from './decide/statuses.ts'
import { Feed } from './feed.ts'
import { InstanceStore } from './instance-store.ts'
import type { ManagerMetrics } from './metrics.ts'
import { CONCURRENCY, DEFAULTS, type ManagerOptions } from './options.ts'
import { Reporter } from './reporter.ts'
import { metadataOf, type Instance } from './views/instance.ts'
import type { NodeView } from './views/node.ts'

export interface Leading {
  readonly allocator: Allocator
  readonly cluster: Cluster
  /** Stops every controller and watch; resolves when nothing runs any more. */
  stop(): Promise<void>
}

/**
 * Builds the state from a consistent list and starts the controllers.
 *
 * @param client refuses writes as soon as leadership may be lost
 * @throws when the lists cannot be read before `signal` aborts
 */
export async function lead(
  options: ManagerOptions,
  client: KubeClient,
  metrics: ManagerMetrics,
  signal: AbortSignal,
): Promise<Leading> {
  const { log } = options
  const defaults = { ...DEFAULTS, ...options.defaults }
  const concurrency = { ...CONCURRENCY, ...options.concurrency }
  const cluster = new Cluster(client, log, options.podLabelSelector ?? '')
  const giveUp = (): void => void cluster.stop()
  signal.addEventListener('abort', giveUp, { once: true })
  const started = performance.now()
  await cluster.start()
  signal.removeEventListener('abort', giveUp)

  const allocator = new Allocator()
  const store = new InstanceStore(client, allocator, cluster, log)
  const recorder = (component: string): EventRecorder => new EventRecorder(options.client, { component, logger: log })
  const recorders = {
    pod: recorder('PodController'),
    network: recorder('NetworkStatusController'),
    subnet: recorder('SubnetStatusController'),
    ipam: recorder('IPAMController'),
  }
  const shared = { client, cluster, allocator, store, metrics, log, defaults }
  const intervalMs = options.statusIntervalMs ?? 1000
  const networkStatuses = networkStatusController({
    ...shared,
    events: recorders.network,
    concurrency: concurrency.networkStatus,
    intervalMs,
  })
  const subnetStatuses = subnetStatusController({
    ...shared,
    events: recorders.subnet,
    concurrency: concurrency.subnetStatus,
    intervalMs,
  })
  const pods = new PodController({
    ...shared,
    events: recorders.pod,
    concurrency: concurrency.pod,
    virtualMachines: options.virtualMachines ?? false,
  })
  const nodes = nodeController({ ...shared, concurrency: concurrency.node })
  const retained = retainedController({
    ...shared,
    events: recorders.ipam,
    expiryMs: options.retainedExpiryMs ?? null,
  })
  const duplicates = duplicateController({ ...shared, events: recorders.ipam })
  const instances = instanceController({
    ...shared,
    concurrency: concurrency.ipInstance,
    onFreed: (network) => pods.waiters.addressFreed(network),
  })
  const queues: readonly WorkQueue<never>[] = [
    networkStatuses,
    subnetStatuses,
    nodes.queue,
    duplicates,
    retained.queue,
    instances,
  ] as unknown as readonly WorkQueue<never>[]

  const malformed = new Set<string>()
  const feed = new Feed(cluster, allocator, {
    networkTouched(network) {
      networkStatuses.add(network)
      nodes.usageChanged(network)
    },
    subnetTouched: (subnet) => subnetStatuses.add(subnet),
    freed: (network) => pods.waiters.addressFreed(network),
    duplicate: (address) => duplicates.add(address),
    doubt() {
      reporter.doubt()
      pods.waiters.configurationChanged()
    },
    malformed(instance) {
      malformed.add(instance.key)
      metrics.malformed.set(malformed.size)
      recorders.ipam.event(
        involvedObject(IPINSTANCES, metadataOf(instance)),
        'Warning',
        'Malformed',
        instance.problem ?? '',
      )
    },
    rewound() {
      for (const key of cluster.pods.store.keys()) pods.queue.add(key)
    },
  })
  const reporter = new Reporter(
    cluster,
    allocator,
    () => feed.unreadable,
    recorders.ipam,
    metrics,
    log,
    ({ kind, name }) => {
      if (kind === 'Subnet') {
        subnetStatuses.add(name)
        const network = cluster.subnets.store.get(name)?.spec?.network
        if (network) networkStatuses.add(network)
      }
      pods.waiters.configurationChanged()
    },
  )

  // All of memory first; nobody decides anything before.
  feed.start()
  reporter.look()

  const onNetwork = ({ type, key, object, old }: InformerEvent<Network>): void => {
    const spec = type !== 'modified' || old.metadata.generation !== object.metadata.generation
    if (spec || isTerminating(object)) nodes.networksChanged()
    const before = old?.status?.nodeList ?? []
    const after = type === 'deleted' ? [] : (object.status?.nodeList ?? [])
    if (!spec && before.join() === after.join()) return
    for (const node of new Set([...before, ...after])) nodes.queue.add(node)
    networkStatuses.add(key)
    pods.waiters.configurationChanged()
    reporter.doubt()
  }
  const onNode = ({ type, key, object, old }: InformerEvent<NodeView>): void => {
    nodes.queue.add(key)
    for (const network of cluster.networks.store.values()) {
      const was = old !== null && !old.terminating && belongs(network, old.labels)
      const is = type !== 'deleted' && !object.terminating && belongs(network, object.labels)
      if (was !== is) networkStatuses.add(network.metadata.name)
    }
    // Heartbeats change nothing that pods wait for.
    if (type !== 'modified' || !deepEqual(old.labels, object.labels)) pods.waiters.configurationChanged()
    // A stateful pod of a node that is lost needs to wait no longer for its containers.
    const lost =
      type === 'deleted' || (old !== null && (old.ready !== object.ready || old.outOfService !== object.outOfService))
    if (lost) for (const pod of cluster.pods.store.keysByIndex('node', key)) pods.queue.add(pod)
  }
  const onInstance = ({ type, key, object, old }: InformerEvent<Instance>): void => {
    if (object.terminating) instances.add(key)
    if (object.vm !== '') pods.machineChanged(object.namespace, object.vm)
    retained.changed(key, old)
    if (type !== 'deleted') return
    if (malformed.delete(key)) metrics.malformed.set(malformed.size)
    pods.instanceGone(object.namespace, object.podName)
  }
  const release = [
    cluster.networks.onChange(onNetwork),
    cluster.nodes.onChange(onNode),
    cluster.instances.onChange(onInstance),
    cluster.namespaces.onChange(() => pods.waiters.configurationChanged()),
    cluster.pods.onChange(({ key }) => {
      pods.queue.add(key)
      // It may have been held for the pod.
      for (const { terminating, key: instance } of cluster.instances.store.byIndex('pod', key)) {
        if (terminating) instances.add(instance)
      }
    }),
  ]
  for (const queue of queues) queue.start()
  pods.start()
  log.info(
    {
      networks: cluster.networks.store.size,
      subnets: cluster.subnets.store.size,
      addresses: cluster.instances.store.size,
      pods: cluster.pods.store.size,
      milliseconds: Math.round(performance.now() - started),
    },
    'leading: state built, controllers started',
  )

  return {
    allocator,
    cluster,
    async stop() {
      for (const end of release) end()
      feed.stop()
      reporter.stop()
      await Promise.all([pods.stop(), ...queues.map((queue) => queue.stop())])
      await cluster.stop()
      await Promise.all(Object.values(recorders).map((one) => one.stop(1000)))
    },
  }
}
