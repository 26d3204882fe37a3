// Metrics of the node program: read from the parts when scraped, so that nothing is counted twice and nothing runs at rest.
import type { DataplaneEngine } from '../dataplane/index.ts'
import type { NeighbourResolver } from '../netlink/index.ts'
import { Gauge, type Registry } from '../telemetry/metrics.ts'
import type { ClusterView } from './view/cluster-view.ts'

export interface MetricSources {
  readonly engine: DataplaneEngine
  readonly view: ClusterView
  readonly resolver: NeighbourResolver
}

/** Register the daemon's series; labels are bounded (never an address or a pod). */
export function registerDaemonMetrics(registry: Registry, { engine, view, resolver }: MetricSources): void {
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name: `hybridnet_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  const status = (): ReturnType<DataplaneEngine['status']> => engine.status()
  gauge('dataplane_in_sync', '1 while the kernel is as wanted.', () => Number(status().inSync))
  gauge('dataplane_desired_records', 'Kernel objects wanted.', () => status().desired)
  gauge('dataplane_repairs', "Operations that undid somebody else's change.", () => status().repairs)
  gauge('dataplane_failing_records', 'Kernel objects the kernel refuses.', () => status().failing.length)
  gauge('dataplane_contested_records', 'Kernel objects another writer keeps changing.', () => status().contested.length)
  gauge('dataplane_overruns', 'Overruns of the kernel notification socket.', () => status().overruns)
  gauge('dataplane_nft_transactions', 'nftables transactions applied.', () => status().netfilter.transactions)
  gauge('remote_pods', 'Pods on other nodes known to this one.', () => view.remotePods.size)
  gauge('remote_pods_bytes', 'Memory of the index of remote pods.', () => view.remotePods.bytes)
  gauge('unserved_objects', 'Networks and Subnets that are wrong and left out.', () => view.problems.size)
  new Gauge({
    name: 'hybridnet_dataplane_operations',
    help: 'Operations applied, by action and kind.',
    labelNames: ['operation'],
    registers: [registry],
    collect() {
      for (const [operation, count] of Object.entries(status().operations)) this.set({ operation }, count)
    },
  })
  new Gauge({
    name: 'hybridnet_watch_last_contact_seconds',
    help: 'Time of the last sign of life of the API server, by resource.',
    labelNames: ['resource'],
    registers: [registry],
    collect() {
      for (const [resource, { lastContact }] of Object.entries(view.health())) {
        if (lastContact !== null) this.set({ resource }, lastContact / 1000)
      }
    },
  })
  new Gauge({
    name: 'hybridnet_resolver',
    help: 'Counters of the neighbour resolver.',
    labelNames: ['counter'],
    registers: [registry],
    collect() {
      for (const [counter, value] of Object.entries(resolver.stats())) {
        if (typeof value === 'number') this.set({ counter }, value)
      }
    },
  })
}
