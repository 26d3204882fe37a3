// Node labels: attachment (manager.md §3.3, the original's Node controller) and address quota (§3.6, its Quota controller),
// in one patch per node, and none when nothing changes.
import { NODES } from '../../api/index.ts'
import type { Allocator } from '../../ipam/index.ts'
import { isNotFound, type KubeClient, type WorkQueue } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Cluster } from '../cluster.ts'
import { labelDifference, pictureOf, wantedLabels, type NetworkPicture } from '../decide/node-labels.ts'
import { controllerQueue } from './frame.ts'

export interface NodeControllerOptions {
  /** With fenced writes. */
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly allocator: Allocator
  readonly log: Logger
  readonly concurrency: number
}

export interface NodeController {
  readonly queue: WorkQueue
  /** Networks changed: every node is looked at again. */
  networksChanged(): void
  /** Whether a network has addresses left may have changed: its nodes are looked at when it has. */
  usageChanged(network: string): void
}

export function nodeController(options: NodeControllerOptions): NodeController {
  const { client, cluster, allocator } = options
  let picture: NetworkPicture | null = null
  /** What each network's quota labels say. */
  const said = new Map<string, string>()

  const available = (network: string) => allocator.networkUsage(network)?.open ?? null

  const queue = controllerQueue<string>({
    name: 'Node',
    log: options.log,
    concurrency: options.concurrency,
    process: async (name) => {
      const node = cluster.nodes.store.get(name)
      if (node === undefined || node.terminating) return
      picture ??= pictureOf(cluster.networks.store.list())
      const [network] = cluster.networksOfNode(name)
      const wanted = wantedLabels(node.labels, picture, network?.metadata.name ?? null, available)
      const labels = labelDifference(node.labels, wanted)
      if (labels === null) return
      try {
        await client.patch('merge', NODES, { name }, { metadata: { labels } })
      } catch (error) {
        if (!isNotFound(error)) throw error
      }
    },
  })

  return {
    queue,
    networksChanged() {
      picture = null
      for (const name of cluster.nodes.store.keys()) queue.add(name)
    },
    usageChanged(network) {
      const left = available(network)
      const now = left === null ? '' : [left.ipv4 > 0, left.ipv6 > 0, left.dualStack > 0].join()
      if (said.get(network) === now) return
      said.set(network, now)
      const object = cluster.networks.store.get(network)
      for (const name of object?.status?.nodeList ?? []) queue.add(name)
    },
  }
}
