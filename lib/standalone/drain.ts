// What `kubectl drain --ignore-daemonsets --force` does to a node: no new pods, and the end of those there are, by eviction,
// so that disruption budgets are respected.
import { NODES, PODS } from '../api/index.ts'
import { ApiError, type KubeClient, type ObjectMeta, sleep } from '../kube/index.ts'

interface DrainPod {
  readonly metadata: ObjectMeta & { readonly name: string; readonly namespace: string; readonly uid: string }
}

const pollMs = 250

/** Pods that belong to a node rather than run on it. */
function stays({ metadata }: DrainPod): boolean {
  const mirror = metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined
  return mirror || (metadata.ownerReferences ?? []).some(({ kind, controller }) => kind === 'DaemonSet' && controller)
}

/**
 * Cordon a node and evict its pods; returns when they are gone.
 *
 * @throws Error naming the pods that are left after `timeoutMs` milliseconds
 */
export async function drain(client: KubeClient, node: string, timeoutMs: number): Promise<void> {
  await client.patch('merge', NODES, { name: node }, { spec: { unschedulable: true } })
  const end = performance.now() + timeoutMs
  for (;;) {
    const { items } = await client.list<DrainPod>(PODS, { fieldSelector: `spec.nodeName=${node}` })
    const left = items.filter((pod) => !stays(pod))
    if (left.length === 0) return
    if (performance.now() > end) {
      const names = left.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ')
      throw new Error(`drain of ${node}: after ${timeoutMs} ms there are still ${names}`)
    }
    for (const { metadata } of left) if (metadata.deletionTimestamp === undefined) await evict(client, metadata)
    await sleep(pollMs)
  }
}

/** Equivalent to: `kubectl create --raw /api/v1/namespaces/NS/pods/NAME/eviction -f -` */
async function evict(client: KubeClient, { name, namespace, uid }: DrainPod['metadata']): Promise<void> {
  try {
    await client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, {
      body: {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name, namespace },
        deleteOptions: { preconditions: { uid } },
      },
    })
  } catch (error) {
    // Gone or replaced meanwhile, or a budget that does not allow it yet: the next look tells.
    if (!(error instanceof ApiError && (error.isNotFound || error.isConflict || error.status === 429))) throw error
  }
}
