// Does everything agree? The objects among themselves, every node's kernel with the objects, the sandboxes and files of
// the nodes with the pods, the processes with the programs, and the pods with each other over the wire. A judgement is a
// list of sentences; an empty one is the good one.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { hostVethName, type Pod } from '../../../lib/api/index.ts'
import type { KubeClient } from '../../../lib/kube/index.ts'
import { echoPort, probeFrom, type Cluster, type ClusterNode, type Sandbox } from '../../../lib/standalone/index.ts'
import { differences, expectedState, localAddresses, tunnelEndpoint, type NodeFacts } from './expect.ts'
import { readKernel, type KernelView } from './kernel.ts'
import { isRunning, keyOf, objectProblems, podAddresses, readObjects, type Objects } from './objects.ts'
import { Random } from './random.ts'

export interface JudgeOptions {
  readonly cluster: Cluster
  readonly client: KubeClient
  /** Plain pods that have to be there, `namespace/name`. */
  readonly wanted: () => ReadonlySet<string>
  /** Lines of foreign state by node that have to be there still. */
  readonly foreign: () => ReadonlyMap<string, ReadonlySet<string>>
  readonly seed: number
  /** Pods whose pairs are probed. */
  readonly sample: number
}

const namespaces = '/run/netns'

export class Judge {
  readonly #options: JudgeOptions
  /** Chains and rules of our nft tables as they were when all was first well. */
  #netfilter: readonly string[] | null = null
  #looks = 0

  constructor(options: JudgeOptions) {
    this.#options = options
  }

  /** Look at everything once, the cheap things first; the first kind of thing that is wrong is told. */
  async look(): Promise<string[]> {
    const { cluster, client, wanted } = this.#options
    const objects = await readObjects(client)
    const wrong = objectProblems(objects, wanted())
    if (wrong.length > 0) return wrong
    const views = await Promise.all(cluster.nodes.map(readKernel))
    const facts = views.map((view) => view.facts)
    const problems = [
      ...nodeInfoProblems(facts, objects),
      ...views.flatMap((view) => this.#kernelProblems(view, facts, objects)),
      ...this.#programProblems(),
      ...sandboxFileProblems(cluster, objects),
    ]
    for (const node of cluster.nodes) {
      const view = views.find((one) => one.facts.name === node.name)
      if (view !== undefined) problems.push(...(await sandboxProblems(node, view, objects)))
    }
    if (problems.length > 0) return problems
    this.#netfilter ??= views[0]?.netfilter ?? null
    return await this.#probe(objects)
  }

  #kernelProblems(view: KernelView, facts: readonly NodeFacts[], objects: Objects): string[] {
    const { name } = view.facts
    const problems = differences(name, expectedState(view.facts, facts, objects), view.state)
    if (this.#netfilter !== null) {
      for (const line of this.#netfilter)
        if (!view.netfilter.includes(line)) problems.push(`${name}: nftables: missing ${line}`)
      if (view.netfilter.join() !== this.#netfilter.join())
        problems.push(
          `${name}: nftables: not the ${this.#netfilter.length} chains and rules of the beginning, in their order`,
        )
    }
    for (const line of this.#options.foreign().get(name) ?? [])
      if (!view.foreign.has(line)) problems.push(`${name}: '${line}' of somebody else is gone`)
    for (const pod of objects.pods) {
      const home = facts.find((node) => node.name === pod.spec?.nodeName)
      if (home === undefined || home.name === name || !isRunning(pod)) continue
      for (const address of podAddresses(pod)) {
        const mac = view.neighbours.get(address)
        if (mac !== undefined && mac !== home.mac)
          problems.push(`${name}: ${keyOf(pod)} ${address} is taken to be at ${mac}; ${home.name} is ${home.mac}`)
      }
    }
    return problems
  }

  #programProblems(): string[] {
    const { cluster } = this.#options
    const wanted = [cluster.manager, ...cluster.nodes.map(({ daemon }) => daemon)]
    const problems = wanted
      .filter((program) => program?.state.pid === null)
      .map((program) => `${program?.name ?? 'a program'} does not run`)
    const running = programs().length
    if (running !== wanted.length) problems.push(`${running} processes of ours run, expected ${wanted.length}`)
    return problems
  }

  /** Pods of a sample reach each other with their own addresses, and nodes reach them. */
  async #probe(objects: Objects): Promise<string[]> {
    const { cluster, seed, sample } = this.#options
    const random = new Random(seed + this.#looks++)
    const running = objects.pods.filter(isRunning)
    const chosen: { pod: Pod; sandbox: Sandbox }[] = []
    for (let i = 0; i < sample && running.length > 0; i++) {
      const [pod] = running.splice(random.below(running.length), 1)
      const sandbox = pod === undefined ? null : sandboxOf(cluster, pod)
      if (pod !== undefined && sandbox !== null) chosen.push({ pod, sandbox })
    }
    const problems: string[] = []
    const reach = async (from: string, netns: string, own: readonly string[] | null): Promise<void> => {
      const targets = chosen
        .filter(({ pod }) => keyOf(pod) !== from)
        .flatMap(({ pod }) => podAddresses(pod).map((address) => ({ pod: keyOf(pod), address, port: echoPort })))
        .filter(({ address }) => own === null || own.some((one) => one.includes(':') === address.includes(':')))
      const results = await probeFrom(netns, targets)
      for (const [index, { pod, address }] of targets.entries()) {
        const result = results[index]
        if (result === undefined || result.error !== null)
          problems.push(`${from} does not reach ${pod} at ${address}: ${result?.error}`)
        else if (own !== null && !own.includes(result.greeting.source))
          problems.push(`${from} is seen as ${result.greeting.source} by ${pod} at ${address}`)
      }
    }
    const sources = chosen.map(({ pod, sandbox }) => reach(keyOf(pod), sandbox.attachment.netns, podAddresses(pod)))
    await Promise.all([...sources, ...cluster.nodes.map((node) => reach(node.name, node.host.path, null))])
    return problems
  }
}

export function sandboxOf(cluster: Cluster, pod: Pod): Sandbox | null {
  const node = cluster.nodes.find(({ name }) => name === pod.spec?.nodeName)
  if (node === undefined || !node.hasKubelet) return null
  return node.kubelet.sandbox(pod.metadata.namespace ?? '', pod.metadata.name ?? '')
}

function nodeInfoProblems(facts: readonly NodeFacts[], objects: Objects): string[] {
  const problems: string[] = []
  const told = new Map(objects.nodeInfos.map((info) => [info.metadata.name, info.spec?.vtepInfo]))
  for (const node of facts) {
    const info = told.get(node.name)
    told.delete(node.name)
    const local = localAddresses(node, objects)
      .map((address) => address.split('/')[0] ?? '')
      .sort()
    const wanted = JSON.stringify([tunnelEndpoint(node), node.mac, local])
    const found = JSON.stringify([info?.ip, info?.mac, info?.localIPs])
    if (wanted !== found) problems.push(`NodeInfo ${node.name} says ${found}, the node is ${wanted}`)
  }
  for (const name of told.keys()) problems.push(`NodeInfo ${name} is of no node`)
  return problems
}

/** Inside the pods: the addresses of the API on the interface whose other end is the pod's veth. */
async function sandboxProblems(node: ClusterNode, view: KernelView, objects: Objects): Promise<string[]> {
  const problems: string[] = []
  const pods = objects.pods.filter((pod) => pod.spec?.nodeName === node.name && isRunning(pod))
  const found: { pod: Pod; sandbox: Sandbox }[] = []
  for (const pod of pods) {
    const sandbox = node.hasKubelet ? node.kubelet.sandbox(pod.metadata.namespace ?? '', pod.metadata.name ?? '') : null
    if (sandbox === null || sandbox.owner.uid !== pod.metadata.uid)
      problems.push(`${keyOf(pod)} runs without a sandbox`)
    else found.push({ pod, sandbox })
  }
  if (problems.length > 0 || found.length === 0) return problems
  const names = found.map(({ sandbox }) => sandbox.attachment.netns.slice(namespaces.length + 1))
  const script = names.map((name) => `ip -n ${name} -j addr show dev eth0 || echo '[]'`).join('\n')
  const { stdout } = await node.exec(['sh', '-c', script])
  const lines = stdout.split('\n').filter((line) => line !== '')
  for (const [index, { pod }] of found.entries()) {
    const [link] = JSON.parse(lines[index] ?? '[]') as {
      ifindex: number
      link_index: number
      addr_info: { scope: string; local: string }[]
    }[]
    const veth = view.links.get(hostVethName(pod.metadata.namespace ?? '', pod.metadata.name ?? ''))
    const addresses = (link?.addr_info ?? []).filter(({ scope }) => scope === 'global').map(({ local }) => local)
    if (addresses.sort().join() !== podAddresses(pod).sort().join())
      problems.push(`${keyOf(pod)} has ${addresses.join() || 'nothing'} on its eth0, not ${podAddresses(pod).join()}`)
    if (veth === undefined || link === undefined || veth.index !== link.link_index || veth.peer !== link.ifindex)
      problems.push(`${keyOf(pod)}: its eth0 is not the other end of its veth`)
  }
  return problems
}

/**
 * Namespaces, the runtime's cache and the daemon's records: those of the pods that run, and no others. A pod that waits for
 * an address has attempts that come and go.
 */
export function sandboxFileProblems(cluster: Cluster, objects: Objects): string[] {
  const problems: string[] = []
  const wantedNamespaces = new Set<string>()
  let waiting = 0
  for (const node of cluster.nodes) {
    const pods = objects.pods.filter((pod) => pod.spec?.nodeName === node.name)
    const attempts = pods.filter((pod) => !isRunning(pod)).length
    waiting += attempts
    const containers = new Set<string>()
    for (const pod of pods) {
      const sandbox = sandboxOf(cluster, pod)
      if (sandbox === null) continue
      containers.add(sandbox.containerId)
      wantedNamespaces.add(sandbox.attachment.netns.slice(namespaces.length + 1))
    }
    const compare = (what: string, directory: string): void => {
      const found = list(join(node.directory, directory)).map((file) => file.slice(0, 64))
      const strays = found.filter((id) => !containers.has(id))
      if (strays.length > attempts) problems.push(`${node.name}: ${what} of no pod: ${strays.join(' ')}`)
      for (const id of containers) if (!found.includes(id)) problems.push(`${node.name}: ${what} ${id} is missing`)
    }
    compare('sandbox in the cache of the runtime', 'cni-cache')
    compare('attachment in the records of the daemon', join('state', 'attachments'))
  }
  const strays = list(namespaces).filter((name) => name.startsWith('cni-') && !wantedNamespaces.has(name))
  if (strays.length > waiting) problems.push(`network namespaces of no pod: ${strays.join(' ')}`)
  return problems
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

export interface Process {
  readonly pid: number
  readonly command: string
  readonly descriptors: number
  /** Resident, megabytes. */
  readonly megabytes: number
}

/** The processes of our programs in this sandbox, plugins included. */
export function programs(): Process[] {
  const found: Process[] = []
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      const executable = readlinkSync(`/proc/${pid}/exe`)
      if (!/hybridnet\.mjs (manager|daemon)/.test(command) && !executable.endsWith('/hybridnet')) continue
      const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
      found.push({
        pid,
        command,
        descriptors: readdirSync(`/proc/${pid}/fd`).length,
        megabytes: Math.round((pages * 4096) / 1e6),
      })
    } catch (error) {
      // It ended while we looked.
      if (!(error instanceof Error && 'code' in error && /ENOENT|ESRCH|EACCES/.test(String(error.code)))) throw error
    }
  }
  return found
}
