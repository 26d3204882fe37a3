// What the tests of a control plane in trouble share: 20 pods on three nodes, probes every few milliseconds between pods of all
// nodes, what the kernels hold, and the way through a fault.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, type IPInstance } from '../../lib/api/index.ts'
import type { Fault } from '../../lib/standalone/apiserver/index.ts'
import type { Cluster, ClusterNode } from '../../lib/standalone/index.ts'
import { present } from '../support/present.ts'
import { Probe, checkPairs, createPod, reported, runningPod, showLogs, startCluster } from './support.ts'

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

/** One pod of each node pings both addresses of one pod of the next node. */
export function startProbes({ cluster, pods }: Work): Probe[] {
  return nodes.flatMap((_, index) => {
    const { netns } = cluster.sandbox(`pod-${index}`).attachment
    return present(pods.get(`pod-${(index + 1) % 3}`)).map((address) => new Probe(netns, address, 2))
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

/** IPInstances, as the API has them, claim no address twice. */
async function assertSound({ cluster }: Work): Promise<void> {
  const { items } = await cluster.client.list<IPInstance>(IPINSTANCES)
  const addresses = items.map((instance) => instance.spec?.address.ip ?? '')
  assert.is(new Set(addresses).size, addresses.length, addresses.sort().join(' '))
}

/** A fault of the API server, and whether it finds watches cut and the history forgotten. */
export interface Trouble {
  readonly faults: readonly Fault[]
  readonly cut?: boolean
  readonly compact?: boolean
}

/** A pod is made while there is trouble, and runs when it is over; all the while no packet and nothing of a kernel is lost. */
async function through(work: Work, name: string, { faults, cut, compact }: Trouble): Promise<void> {
  const { cluster, pods } = work
  const { apiServer } = cluster
  const before = await kernels(work)
  const probes = startProbes(work)
  for (const fault of faults) apiServer.faults.add(fault)
  if (compact === true) apiServer.faults.compact()
  if (cut === true) apiServer.faults.cutWatches()
  await createPod(cluster, name, { node: 'node1' })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  apiServer.faults.clear()
  // What has fallen silent would be found out in two minutes.
  apiServer.faults.cutWatches()
  const addresses = await runningPod(cluster, name, 90_000)
  const results = await Promise.all(probes.map((probe) => probe.stop()))
  const sum = (pick: (result: { sent: number; lost: number }) => number): number =>
    results.reduce((total, result) => total + pick(result), 0)
  const sent = sum((result) => result.sent)
  assert.ok(sent > 300, `${sent} packets were sent`)
  assert.is(
    sum((result) => result.lost),
    0,
    `of ${sent} packets`,
  )
  assert.equal(lost(before, await kernels(work)), [], 'taken away')
  for (const [other, used] of pods) {
    for (const address of addresses) assert.not(used.includes(address), `${other} has ${address}`)
  }
  assert.equal(await checkPairs(cluster, new Map([...pods].slice(0, 3)).set(name, addresses)), [])
  await assertSound(work)
}

/** A test for each trouble, on one cluster; the file ends with test.run(). */
export function troubleTests(troubles: Readonly<Record<string, Trouble>>): void {
  const entries = Object.entries(troubles)
  let work: Work
  let finished = 0
  test.before(reported(async () => void (work = await startWork())))
  test.after(async () => {
    if (finished < entries.length) showLogs(work.cluster, 30)
    await work.cluster.stop()
  })
  for (const [index, [what, trouble]] of entries.entries()) {
    test(`${what}: traffic goes on, nothing is taken away, a new pod runs`, async () => {
      await through(work, `new-${index}`, trouble)
      finished++
    })
  }
}
