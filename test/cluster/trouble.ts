// What the tests of a control plane in trouble share: 20 pods on three nodes, probes between them, and what the kernels hold.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { namespaceCommand, type Cluster, type ClusterNode } from '../../lib/standalone/index.ts'
import { present } from '../support/present.ts'
import { createPod, runningPod, startCluster } from './support.ts'

export const nodes = ['node1', 'node2', 'node3']
const podCount = 20

/** The cluster, and the addresses of its pods by name. */
export interface Work {
  readonly cluster: Cluster
  readonly pods: Map<string, string[]>
}

export async function startWork(): Promise<Work> {
  const cluster = await startCluster(nodes.length)
  const pods = new Map<string, string[]>()
  const names = Array.from({ length: podCount }, (_, index) => `pod-${index}`)
  for (const [index, name] of names.entries()) await createPod(cluster, name, { node: present(nodes[index % 3]) })
  for (const name of names) pods.set(name, await runningPod(cluster, name, 60_000))
  return { cluster, pods }
}

/** A ping every few milliseconds, until stopped. */
export class Probe {
  readonly #child
  #output = ''

  constructor(netns: string, target: string) {
    const [command, ...args] = namespaceCommand(netns, ['ping', '-q', '-n', '-i', '0.002', '-W', '1', target])
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#output += chunk.toString()))
  }

  async stop(): Promise<{ sent: number; lost: number }> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGINT')
    await closed
    const match = present(/(\d+) packets transmitted, (\d+) received/.exec(this.#output), 'a summary of ping')
    const sent = Number(match[1])
    // The last one may still be under way when ping is interrupted.
    return { sent, lost: Math.max(0, sent - Number(match[2]) - 1) }
  }
}

/** One pod of each node pings both addresses of one pod of the next node. */
export function startProbes({ cluster, pods }: Work): Probe[] {
  return nodes.flatMap((_, index) => {
    const { netns } = cluster.sandbox(`pod-${index}`).attachment
    return present(pods.get(`pod-${(index + 1) % 3}`)).map((address) => new Probe(netns, address))
  })
}

/** What the daemon keeps in a node's kernel, a line each; what counts or ages is left out. */
async function kernelState(node: ClusterNode): Promise<Set<string>> {
  const device = 'eth0.vxlan4'
  const commands = [
    'ip rule; ip -6 rule',
    'for t in 39999 40000 40001 10000 10001; do ip route show table $t; ip -6 route show table $t; done',
    'ip neigh show proxy; ip -6 neigh show proxy',
    `bridge fdb show dev ${device} | grep permanent`,
    `ip -o addr show dev ${device} scope global | cut -d: -f2-`,
    'ip -o link show type veth | cut -d: -f2',
    'nft -s list table inet hybridnet | tr "," "\\n"',
  ]
  const { stdout } = await node.exec(['sh', '-c', `{ ${commands.join('; ')}; } 2>/dev/null`])
  return new Set(stdout.split('\n').map((line) => line.replace(/elements = \{|\}/g, '').trim()))
}

export async function kernels({ cluster }: Work): Promise<Map<string, Set<string>>> {
  const states = await Promise.all(cluster.nodes.map(async (node) => [node.name, await kernelState(node)] as const))
  return new Map(states)
}

/** What `before` had and `after` has not. */
export function lost(before: Map<string, Set<string>>, after: Map<string, Set<string>>): string[] {
  return [...before].flatMap(([node, lines]) =>
    [...lines].filter((line) => after.get(node)?.has(line) !== true).map((line) => `${node}: ${line}`),
  )
}
