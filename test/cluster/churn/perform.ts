// Carries steps out on a cluster. What it made and did not delete it remembers: that is what has to be there in the end.
import {
  ANNOTATION_IP_FAMILY,
  IPINSTANCES,
  NAMESPACES,
  NETWORKS,
  PODS,
  SPECIFIED_SUBNET,
  SUBNETS,
  type IPInstance,
  type Pod,
  type Subnet,
} from '../../../lib/api/index.ts'
import {
  RequestError,
  isAlreadyExists,
  isForbidden,
  isNotFound,
  isRetryable,
  type KubeClient,
  type KubeObject,
} from '../../../lib/kube/index.ts'
import type { Cluster, ClusterNode, Program } from '../../../lib/standalone/index.ts'
import { DEPLOYMENTS, STATEFUL_SETS } from '../../../lib/standalone/controllers/index.ts'
import { eventually } from '../../support/eventually.ts'
import { toNumber, toText } from './blocks.ts'
import { damageCommands, foreignThings } from './damage.ts'
import { splitName, type Ending, type SetKind, type Step, type Wish } from './steps.ts'

const containers = [{ name: 'main', image: 'none' }]
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Where a step's subnet lies; the third is one of IPv6. */
function subnetPlan(number: number): { version: '4' | '6'; cidr: string; first: string } {
  return number === 3
    ? { version: '6', cidr: 'fd66:3::/112', first: 'fd66:3::10' }
    : { version: '4', cidr: `100.66.${2 * number}.0/24`, first: `100.66.${2 * number}.16` }
}

/** @returns the address `count` - 1 after `first` */
function lastOf(first: string, count: number): string {
  const { value, bits } = toNumber(first)
  return toText(value + BigInt(count - 1), bits)
}

/** One address inside every range is never to be used. */
const excludedOf = (first: string): string => lastOf(first, 3)

export class Performer {
  /** Plain pods that have to be there, `namespace/name`. */
  readonly wanted = new Set<string>()
  /** Lines of foreign state by node. */
  readonly foreign = new Map<string, Set<string>>()
  /** How often each kind of step did something. */
  readonly done = new Map<string, number>()
  /** Requests that faults have hit. */
  faultsHit = 0
  readonly #cluster: Cluster
  readonly #client: KubeClient
  readonly #endings = new Set<() => void>()
  readonly #tasks = new Set<Promise<void>>()
  /** Nodes that are cut off, and what ends it. */
  readonly #cuts = new Map<string, () => void>()
  #stalled = false
  #problem: Error | null = null

  constructor(cluster: Cluster, client: KubeClient) {
    this.#cluster = cluster
    this.#client = client
  }

  async perform(step: Step): Promise<void> {
    if (this.#problem !== null) throw this.#problem
    if (await this.#carryOut(step)) this.done.set(step.do, (this.done.get(step.do) ?? 0) + 1)
  }

  /** A pod has left the API: one that went with its node, whoever collected it, is made again. */
  podGone(pod: Pod): void {
    const node = pod.spec?.nodeName ?? ''
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`
    if (node === '' || this.#node(node) !== null || !this.wanted.delete(key)) return
    this.#later(this.#tryUntilMade(key, wishOf(pod)))
  }

  /** End all faults, and wait until the programs run again and nothing of an earlier step is under way. */
  async calm(): Promise<void> {
    for (const end of [...this.#endings]) end()
    await Promise.all(this.#tasks)
    if (this.#problem !== null) throw this.#problem
    // A client of an open, silent connection cannot know for minutes.
    if (this.#stalled) this.#cluster.apiServer.faults.cutWatches()
    this.#stalled = false
    const programs = [this.#cluster.manager, ...this.#cluster.nodes.map(({ daemon }) => daemon)]
    // They come back ever more slowly after deaths in their first seconds, at most 15 s after the last.
    await eventually(() => programs.every((program) => program === null || program.state.pid !== null), 60_000, 50)
  }

  /** What goes on beside the steps; its failure is the failure of the next step. */
  #later(work: Promise<unknown>): void {
    const task: Promise<void> = work
      .then(
        () => undefined,
        (error: unknown) => {
          this.#problem ??= error instanceof Error ? error : new Error(String(error))
        },
      )
      .finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  /** @returns whether there was something to do */
  async #carryOut(step: Step): Promise<boolean> {
    switch (step.do) {
      case 'namespace':
        return this.#create(() => this.#client.create(NAMESPACES, { metadata: { name: step.name } }))
      case 'delete-namespace':
        return this.#deleteNamespace(step.name)
      case 'pod':
        return this.#createPod(step.pod, step.wish)
      case 'delete-pod':
        return this.#deletePod(step.pod, step.how)
      case 'replace-pod':
        return this.#replacePod(step.pod, step.how, step.wish)
      case 'set':
        return this.#createSet(step.kind, step.set, step.replicas, step.parallel)
      case 'scale':
        return this.#scale(step.kind, step.set, step.replicas)
      case 'delete-set':
        return this.#gone(() => this.#client.delete(resourceOf(step.kind), splitName(step.set)))
      case 'delete-set-pod':
        return this.#deleteSetPod(step.set, step.index, step.how)
      case 'subnet':
        return this.#createSubnet(step.name, step.number, step.size)
      case 'grow-subnet':
        return this.#growSubnet(step.name, step.size)
      case 'delete-subnet':
        return this.#deleteSubnet(step.name)
      case 'touch-network':
        return this.#gone(() =>
          this.#client.patch(
            'merge',
            NETWORKS,
            { name: 'overlay' },
            { metadata: { labels: { touched: String(Date.now()) } } },
          ),
        )
      case 'kill':
        return step.program === 'manager'
          ? this.#kill(this.#cluster.manager)
          : this.#kill(this.#node(step.node ?? '')?.daemon ?? null)
      case 'restart-kubelet':
        return this.#restartKubelet(step.node, step.downMs, step.kill)
      case 'fault':
        return this.#fault(step)
      case 'restart-api':
        await this.#cluster.apiServer.restart({ downMs: step.downMs, compact: step.compact })
        return true
      case 'cut-watches':
        return this.#cluster.apiServer.faults.cutWatches() > 0
      case 'compact':
        this.#cluster.apiServer.faults.compact()
        return true
      case 'node-address':
        return this.#nodeAddress(step.node, step.number, step.present)
      case 'node-mac': {
        const mac = `52:54:00:00:aa:${step.number.toString(16).padStart(2, '0')}`
        const number = step.node.replace(/\D/g, '').padStart(2, '0')
        return this.#run(step.node, `ip link set eth0 address ${mac.replace(':aa:', `:${number}:`)}`)
      }
      case 'damage':
        return this.#run(step.node, damageCommands[step.what])
      case 'foreign': {
        const { command, lines } = foreignThings(step.number)
        const known = this.foreign.get(step.node) ?? new Set()
        if (known.has(lines[0] ?? '') || !(await this.#run(step.node, command))) return false
        this.foreign.set(step.node, new Set([...known, ...lines]))
        return true
      }
      case 'add-node':
        if (this.#cluster.fabric.hosts.has(step.node)) return false
        await this.#persist(async () => {
          const node = this.#node(step.node)
          if (node === null) await this.#cluster.addNode(step.node)
          else await node.startKubelet()
        })
        return true
      case 'remove-node':
        return this.#removeNode(step.node, step.drain)
      case 'reboot-node':
        return this.#reboot(step.node, step.downMs)
      case 'partition':
        return this.#partition(step.node, step.from, step.forMs)
      case 'pause':
        await sleep(step.ms)
        return true
      case 'settle':
        throw new Error('a settlement is not a step of the performer')
    }
  }

  #node(name: string): ClusterNode | null {
    return this.#cluster.nodes.find((node) => node.name === name) ?? null
  }

  async #run(node: string, command: string): Promise<boolean> {
    // Commands may find nothing to damage, or too much gone already.
    const target = this.#node(node)
    if (target === null) return false
    await target.exec(['sh', '-c', command])
    return true
  }

  /** Ask again while the API cannot be reached, at most half a minute. */
  async #persist<T>(request: () => Promise<T>): Promise<T> {
    const end = performance.now() + 30_000
    for (;;) {
      try {
        return await request()
      } catch (error) {
        if (!(error instanceof RequestError || isRetryable(error)) || performance.now() > end) throw error
        await sleep(50)
      }
    }
  }

  async #create(request: () => Promise<unknown>): Promise<boolean> {
    try {
      await this.#persist(request)
      return true
    } catch (error) {
      // There already; or its namespace is not, or is going.
      if (isAlreadyExists(error) || isNotFound(error) || isForbidden(error)) return false
      throw error
    }
  }

  async #gone(request: () => Promise<unknown>): Promise<boolean> {
    try {
      await this.#persist(request)
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  async #createPod(pod: string, wish: Wish): Promise<boolean> {
    const annotations: Record<string, string> = {}
    if (wish.startsWith('subnet:')) {
      annotations[SPECIFIED_SUBNET] = wish.slice('subnet:'.length)
      annotations[ANNOTATION_IP_FAMILY] = wish.endsWith('3') ? 'IPv6Only' : 'IPv4Only'
    } else if (wish !== 'any') annotations[ANNOTATION_IP_FAMILY] = wish
    const { namespace, name } = splitName(pod)
    // Before the request: an answer that is lost is no pod that is not there.
    const made = await this.#create(async () => {
      await this.#client.create(PODS, {
        metadata: { name, namespace, annotations },
        spec: { containers, terminationGracePeriodSeconds: 1 },
      })
    })
    if (made) this.wanted.add(pod)
    return made
  }

  async #deletePod(pod: string, how: Ending): Promise<boolean> {
    this.wanted.delete(pod)
    return this.#end(pod, how)
  }

  async #end(pod: string, how: Ending): Promise<boolean> {
    const { namespace, name } = splitName(pod)
    if (how === 'evict') {
      const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } }
      return this.#gone(() =>
        this.#client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, { body }),
      )
    }
    const gracePeriodSeconds = how === 'force' ? 0 : 1
    return this.#gone(() => this.#client.delete(PODS, { namespace, name }, { gracePeriodSeconds }))
  }

  async #replacePod(pod: string, how: Ending, wish: Wish): Promise<boolean> {
    this.wanted.delete(pod)
    await this.#end(pod, how)
    this.#later(this.#tryUntilMade(pod, wish))
    return true
  }

  /** Until its earlier life has left the API. Another step may make the pod, or end its namespace, before. */
  async #tryUntilMade(pod: string, wish: Wish): Promise<void> {
    const { namespace, name } = splitName(pod)
    await eventually(
      async () => {
        if (this.wanted.has(pod) || (await this.#createPod(pod, wish))) return true
        const there = await this.#persist(() => this.#client.find<Pod>(PODS, { namespace, name }))
        const home = await this.#persist(() => this.#client.find<KubeObject>(NAMESPACES, { name: namespace }))
        const over = home === null || home.metadata.deletionTimestamp !== undefined
        return over || (there !== null && there.metadata.deletionTimestamp === undefined)
      },
      90_000,
      50,
    )
  }

  async #createSet(kind: SetKind, set: string, replicas: number, parallel: boolean): Promise<boolean> {
    const { namespace, name } = splitName(set)
    const labels = { app: name }
    const more =
      kind === 'StatefulSet' ? { serviceName: name, podManagementPolicy: parallel ? 'Parallel' : 'OrderedReady' } : {}
    return this.#create(() =>
      this.#client.create(resourceOf(kind), {
        metadata: { namespace, name },
        spec: {
          replicas,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers, terminationGracePeriodSeconds: 1 } },
          ...more,
        },
      }),
    )
  }

  #scale(kind: SetKind, set: string, replicas: number): Promise<boolean> {
    return this.#gone(() =>
      this.#client.patch('merge', resourceOf(kind), splitName(set), { spec: { replicas } }, { subresource: 'scale' }),
    )
  }

  async #deleteSetPod(set: string, index: number, how: Ending): Promise<boolean> {
    const { namespace, name } = splitName(set)
    const labelSelector = `app=${name}`
    const { items } = await this.#persist(() => this.#client.list<Pod>(PODS, { namespace, labelSelector }))
    const names = items.map(({ metadata }) => metadata.name ?? '').sort()
    const victim = names[index % Math.max(1, names.length)]
    return victim === undefined ? false : this.#end(`${namespace}/${victim}`, how)
  }

  #createSubnet(name: string, number: number, size: number): Promise<boolean> {
    const { version, cidr, first } = subnetPlan(number)
    const range = { version, cidr, start: first, end: lastOf(first, size), excludeIPs: [excludedOf(first)] }
    const config = { autoNatOutgoing: true, private: true }
    return this.#create(() =>
      this.#client.create(SUBNETS, { metadata: { name }, spec: { network: 'overlay', range, config } }),
    )
  }

  async #growSubnet(name: string, size: number): Promise<boolean> {
    const subnet = await this.#persist(() => this.#client.find<Subnet>(SUBNETS, { name }))
    const start = subnet?.spec?.range.start
    if (!start) return false
    const end = lastOf(start, size)
    if (toNumber(end).value <= toNumber(subnet.spec?.range.end ?? start).value) return false
    return this.#gone(() => this.#client.patch('merge', SUBNETS, { name }, { spec: { range: { end } } }))
  }

  /** As an operator does it: who uses it goes first. */
  async #deleteSubnet(name: string): Promise<boolean> {
    const inUse = async (): Promise<boolean> => {
      const { items: pods } = await this.#persist(() => this.#client.list<Pod>(PODS))
      for (const pod of pods) {
        if (pod.metadata.annotations?.[SPECIFIED_SUBNET] !== name || pod.metadata.deletionTimestamp !== undefined)
          continue
        await this.#deletePod(`${pod.metadata.namespace}/${pod.metadata.name}`, 'graceful')
      }
      const { items } = await this.#persist(() => this.#client.list<IPInstance>(IPINSTANCES))
      return items.some((instance) => instance.spec?.subnet === name)
    }
    if ((await this.#persist(() => this.#client.find(SUBNETS, { name }))) === null) return false
    // Faults may keep it in use for long; then it stays, as the webhook would have it.
    for (let attempt = 0; attempt < 50; attempt++) {
      if (!(await inUse())) return this.#gone(() => this.#client.delete(SUBNETS, { name }))
      await sleep(100)
    }
    return false
  }

  async #deleteNamespace(name: string): Promise<boolean> {
    for (const pod of [...this.wanted]) if (splitName(pod).namespace === name) this.wanted.delete(pod)
    return this.#gone(() => this.#client.delete(NAMESPACES, { name }))
  }

  #kill(program: Program | null): boolean {
    return program?.kill('SIGKILL') ?? false
  }

  async #restartKubelet(name: string, downMs: number, kill: boolean): Promise<boolean> {
    const node = this.#node(name)
    if (node === null) return false
    await (kill ? node.killKubelet() : node.stopKubelet())
    await sleep(downMs)
    await this.#persist(() => node.startKubelet())
    return true
  }

  /** Its pods go with it; those that stand alone are made again. */
  async #removeNode(name: string, drained: boolean): Promise<boolean> {
    if (this.#node(name) === null || this.#cluster.nodes.length < 2) return false
    this.#heal(name)
    if (drained) {
      const fieldSelector = `spec.nodeName=${name}`
      const { items } = await this.#persist(() => this.#client.list<Pod>(PODS, { fieldSelector }))
      await Promise.all(items.map((pod) => this.#again(pod, 'evict')))
    }
    await this.#cluster.removeNode(name)
    this.foreign.delete(name)
    await this.collectPods()
    return true
  }

  /** End a pod that has lost its node; one that nobody looks after is made again, elsewhere. */
  async #again(pod: Pod, how: Ending): Promise<void> {
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`
    const wanted = this.wanted.delete(key)
    await this.#end(key, how)
    if (wanted) this.#later(this.#tryUntilMade(key, wishOf(pod)))
  }

  /** What kube-controller-manager's pod collector does: pods of nodes that are no more are deleted by force. */
  async collectPods(): Promise<void> {
    const { items } = await this.#persist(() => this.#client.list<Pod>(PODS))
    for (const pod of items) {
      const name = pod.spec?.nodeName ?? ''
      if (name === '' || this.#node(name) !== null) continue
      await this.#again(pod, 'force')
    }
  }

  /** What steps did to its interface and kernel is gone afterwards. */
  async #reboot(name: string, downMs: number): Promise<boolean> {
    const node = this.#node(name)
    if (node === null) return false
    this.#heal(name)
    await node.powerOff()
    this.foreign.delete(name)
    await sleep(downMs)
    // A second try finds it switched on, without a kubelet.
    await this.#persist(() => (node.bootId === null ? node.powerOn() : node.startKubelet()))
    return true
  }

  async #partition(node: string, from: 'all' | 'api', forMs: number): Promise<boolean> {
    if (this.#node(node) === null || this.#cuts.has(node)) return false
    await this.#cluster.partition(node, true, from)
    const end = (): void => {
      if (!this.#endings.delete(end)) return
      clearTimeout(timer)
      this.#cuts.delete(node)
      this.#later(this.#cluster.partition(node, false, from))
    }
    const timer = setTimeout(end, forMs)
    this.#endings.add(end)
    this.#cuts.set(node, end)
    return true
  }

  #heal(node: string): void {
    this.#cuts.get(node)?.()
  }

  #fault({ fault, forMs }: Step & { readonly do: 'fault' }): boolean {
    const active = this.#cluster.apiServer.faults.add(fault)
    if (fault.effect === 'stall') this.#stalled = true
    const end = (): void => {
      if (!this.#endings.delete(end)) return
      clearTimeout(timer)
      active.remove()
      this.faultsHit += active.hit
    }
    const timer = setTimeout(end, forMs)
    this.#endings.add(end)
    return true
  }

  /** A host address that `--extra-node-local-vxlan-ip-cidrs` makes one of the node's own, in both families. */
  #nodeAddress(node: string, number: number, present: boolean): Promise<boolean> {
    const host = 10 * Number(node.replace(/\D/g, '')) + number
    const verb = present ? 'replace' : 'del'
    return this.#run(
      node,
      `ip addr ${verb} 192.0.2.${host}/32 dev eth0; ip -6 addr ${verb} 2001:db8:5::${host}/128 dev eth0 ${present ? 'nodad' : ''}`,
    )
  }
}

/** What a pod was made with. */
function wishOf({ metadata }: Pod): Wish {
  const subnet = metadata.annotations?.[SPECIFIED_SUBNET]
  if (subnet !== undefined) return `subnet:${subnet}`
  const family = metadata.annotations?.[ANNOTATION_IP_FAMILY]
  return family === 'IPv4Only' || family === 'IPv6Only' ? family : 'any'
}

const resourceOf = (kind: SetKind): typeof DEPLOYMENTS => (kind === 'Deployment' ? DEPLOYMENTS : STATEFUL_SETS)
