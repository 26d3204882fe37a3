// The demo's connections: from every pod and node to every pod, node and the host outside that makes sense, each with what
// the far side saw and what the capture saw of it.
import { NODEINFOS } from '../api/index.ts'
import { type Family, formatAddress } from '../ip/index.ts'
import { NetworkNamespace } from '../netlink/index.ts'
import {
  type Cluster,
  defaultOverlay,
  echoPort,
  FabricCapture,
  type HostAddress,
  type Pod,
  probe,
} from '../standalone/index.ts'
import type { Connection, Endpoint, Overlay } from './demo-report.ts'

/** Everything that is connected. */
export interface Endpoints {
  readonly pods: readonly Endpoint[]
  readonly nodes: readonly Endpoint[]
  readonly outside: Endpoint
  readonly overlay: Overlay
}

interface NodeInfo {
  readonly metadata: { readonly name: string }
  readonly spec?: { readonly vtepInfo?: { readonly ip?: string } }
}

/** Pods, nodes and the tunnel ends they published. */
export async function endpointsOf(cluster: Cluster, pods: readonly Pod[]): Promise<Endpoints> {
  const nodes = cluster.nodes.map(({ name, host }): Endpoint => {
    return { kind: 'node', name, node: name, addresses: byFamily(host.addresses.map(text)) }
  })
  const { items } = await cluster.client.list<NodeInfo>(NODEINFOS)
  const vteps = Object.fromEntries(items.map(({ metadata, spec }) => [metadata.name, spec?.vtepInfo?.ip ?? '']))
  return {
    pods: pods.map(({ metadata, spec, status }) => ({
      kind: 'pod',
      name: metadata.name,
      node: spec.nodeName ?? null,
      addresses: byFamily((status?.podIPs ?? []).map(({ ip }) => ip)),
    })),
    nodes,
    outside: {
      kind: 'outside',
      name: 'outside',
      node: null,
      addresses: byFamily(cluster.fabric.outside.addresses.map(text)),
    },
    overlay: { vni: defaultOverlay.vni, vteps, nodes: Object.fromEntries(nodes.map((node) => [node.name, node])) },
  }
}

function text({ address }: HostAddress): string {
  return formatAddress(address)
}

function byFamily(addresses: readonly string[]): Partial<Record<Family, string>> {
  return Object.fromEntries(addresses.map((address) => [address.includes(':') ? 6 : 4, address]))
}

/** Targets a source connects to at once: a broken node then costs seconds, not minutes. */
const parallel = 4

/** Connect all that should reach each other, all sources at once. */
export async function connectAll(
  cluster: Cluster,
  { pods, nodes, outside }: Endpoints,
): Promise<{ connections: Connection[]; lostFrames: number }> {
  const capture = await FabricCapture.start(nodes.map(({ name }) => name))
  try {
    const targets = (from: Endpoint): Endpoint[] => (from.kind === 'pod' ? [...pods, ...nodes, outside] : [...pods])
    const probed = await Promise.all(
      [...pods, ...nodes].map(async (from) => {
        const path =
          from.kind === 'pod' ? cluster.sandbox(from.name).attachment.netns : cluster.node(from.name).host.path
        const namespace = NetworkNamespace.open(path)
        try {
          return await connectFrom(namespace, from, targets(from))
        } finally {
          namespace.close()
        }
      }),
    )
    // The last frames are on their way from the kernel.
    await new Promise((resolve) => setTimeout(resolve, 50))
    return { connections: probed.flat().map((attempt) => judgePath(attempt, capture)), lostFrames: capture.lostFrames }
  } finally {
    capture.close()
  }
}

interface Attempt {
  readonly family: Family
  readonly from: Endpoint
  readonly to: Endpoint
  readonly result: Awaited<ReturnType<typeof probe>>
}

async function connectFrom(namespace: NetworkNamespace, from: Endpoint, targets: Endpoint[]): Promise<Attempt[]> {
  const wanted = ([4, 6] as const).flatMap((family) =>
    from.addresses[family] === undefined
      ? []
      : targets.filter((to) => to !== from).map((to) => ({ family, to, address: to.addresses[family] })),
  )
  const attempts: Attempt[] = []
  const worker = async (): Promise<void> => {
    for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
      const { family, to, address } = next
      if (address === undefined) continue
      attempts.push({ family, from, to, result: await probe(namespace, { address, port: echoPort }) })
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return attempts
}

/** The path of a connection, by what the capture has of exactly the packets the far side received. */
function judgePath({ family, from, to, result }: Attempt, capture: FabricCapture): Connection {
  const base = { family, from, to }
  if (result.greeting === null) return { ...base, seen: null, error: result.error }
  const { source, sourcePort, destination } = result.greeting
  if (result.roundTripMs === null) return { ...base, seen: null, error: 'connects, but does not answer an ICMP echo' }
  const roundTripMs = result.roundTripMs
  const sighting = capture.sighting({ source, sourcePort, destination, destinationPort: echoPort })
  if (sighting === null) return { ...base, seen: { source, path: 'local', tunnel: null, roundTripMs }, error: null }
  if (sighting.tunnel === null) {
    const path = source === from.addresses[family] ? 'plain' : 'nat'
    return { ...base, seen: { source, path, tunnel: null, roundTripMs }, error: null }
  }
  const { vni, source: outer, destination: far } = sighting.tunnel
  const tunnel = { vni, source: formatAddress(outer), destination: formatAddress(far) }
  return { ...base, seen: { source, path: 'vxlan', tunnel, roundTripMs }, error: null }
}
