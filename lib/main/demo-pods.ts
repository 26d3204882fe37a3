// The demo's pods: made, and waited for.
import { PODS } from '../api/index.ts'
import type { KubeClient } from '../kube/index.ts'
import type { Cluster, Pod } from '../standalone/index.ts'

const namespace = 'default'
const familyAnnotation = 'networking.alibaba.com/ip-family'

/** What the pods ask for, over and over: mostly both families. */
const families = ['IPv4', 'DualStack', 'DualStack', 'DualStack', 'DualStack', 'IPv6', 'DualStack', 'IPv4', 'DualStack']

/** How long pods may take before that is a failure. */
const limitMs = 60_000

/** Create `count` pods: pod-1, pod-2, ... */
export async function createPods(client: KubeClient, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const annotations = { [familyAnnotation]: families[i % families.length] ?? 'DualStack' }
    await client.create(PODS, {
      metadata: { name: `pod-${i + 1}`, namespace, annotations },
      spec: { containers: [{ name: 'main', image: 'none' }] },
    })
  }
}

/**
 * Wait until all pods run.
 *
 * @throws Error saying which do not, and why, after a minute or when told to stop
 */
export async function waitForPods(
  cluster: Cluster,
  count: number,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Pod[]> {
  const deadline = Date.now() + limitMs
  let reported = -1
  for (;;) {
    const { items } = await cluster.client.list<Pod>(PODS, { namespace })
    const running = items.filter((pod) => pod.status?.phase === 'Running')
    if (running.length !== reported && (running.length === count || running.length >= reported + count / 4)) {
      reported = running.length
      say(`${running.length} of ${count} pods run`)
    }
    if (running.length === count) return running.sort(byNumber)
    if (Date.now() > deadline) throw new Error(`pods do not run after ${limitMs / 1000} s:\n${reasons(items)}`)
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function byNumber(a: Pod, b: Pod): number {
  return a.metadata.name.localeCompare(b.metadata.name, 'en', { numeric: true })
}

function reasons(pods: readonly Pod[]): string {
  return pods
    .filter((pod) => pod.status?.phase !== 'Running')
    .sort(byNumber)
    .map((pod) => {
      const said = (pod.status?.conditions ?? []).filter(({ status, message }) => status === 'False' && message)
      return `  ${pod.metadata.name} on ${pod.spec.nodeName ?? 'no node'}: ${said[0]?.message ?? 'nothing reported'}\n`
    })
    .join('')
}
