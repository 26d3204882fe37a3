// The cluster as one node sees it: informers with projections at the edge, and the changes they add up to for the
// dataplane. Level, not edge: a handler only notes what to look at; one flush a turn of the event loop turns that into
// deltas computed from the stores.
//
// Cost per event: a pod of this node costs that pod; a pod elsewhere costs one look-up (remote-pods.ts); a Network or Subnet
// costs all Subnets and all pods of this node, of which there are few; a NodeInfo costs that node.
import {
  IPINSTANCES,
  LABEL_NODE,
  NETWORKS,
  NODEINFOS,
  NODES,
  PODS,
  SUBNETS,
  type ParsedIPInstance,
  type ParsedNetwork,
  type ParsedVtep,
} from '../../api/index.ts'
import type { InputDelta, PodAddressInput } from '../../dataplane/index.ts'
import type { IPAddress } from '../../ip/index.ts'
import { Informer, type InformerHealth, type KubeClient, type KubeObject, type ResourceType } from '../../kube/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import {
  decideNetworks,
  decideSubnets,
  podInput,
  projectIPInstance,
  projectNetwork,
  projectNode,
  projectNodeInfo,
  projectPod,
  projectSubnet,
} from './projections.ts'
import { RemotePods } from './remote-pods.ts'
import { REWIND_HOLD_MS } from './rewind.ts'

export interface ClusterViewOptions {
  readonly client: KubeClient
  readonly nodeName: string
  readonly log: Logger
  /** The dataplane's input changed. The first call, after everything is synced, is the whole input (`replace`). */
  readonly onInput: (delta: InputDelta) => void
  /** A node's tunnel endpoint changed; null when it is gone. The own node's too. */
  readonly onVtep: (name: string, vtep: ParsedVtep | null) => void
  /** The API server went back in time: the own NodeInfo may be missing there, though it is still among what the view has. */
  readonly onNodeInfosRewound: () => void
  /** A remote pod's node changed; null when the pod is gone. */
  readonly onRemotePod: (address: IPAddress, node: string | null) => void
  /** IPInstances or pods of this node changed: whoever waits for them may look again. */
  readonly onLocalChange: () => void
}

export class ClusterView {
  readonly remotePods: RemotePods
  readonly #options: ClusterViewOptions
  readonly #networks
  readonly #subnets
  readonly #nodeInfos
  readonly #instances
  readonly #pods
  readonly #node
  /** Networks that can be used, by name. */
  #usable: ReadonlyMap<string, ParsedNetwork> = new Map()
  #problems: ReadonlyMap<string, string> = new Map()
  #synced = false
  #flushing: NodeJS.Immediate | null = null
  #topologyDirty = false
  #nodeDirty = false
  readonly #dirtyInstances = new Set<string>()
  readonly #dirtyVteps = new Set<string>()

  constructor(options: ClusterViewOptions) {
    this.#options = options
    const { client, nodeName, log } = options
    const own = { fieldSelector: `metadata.name=${nodeName}` }
    this.#networks = this.#informer(NETWORKS, projectNetwork, {})
    this.#subnets = this.#informer(SUBNETS, projectSubnet, {})
    this.#nodeInfos = this.#informer(NODEINFOS, projectNodeInfo, { onRewind: options.onNodeInfosRewound })
    this.#node = this.#informer(NODES, projectNode, own)
    this.#pods = this.#informer(PODS, projectPod, { fieldSelector: `spec.nodeName=${nodeName}` })
    this.#instances = new Informer(client, {
      resource: IPINSTANCES,
      rewindHoldMs: REWIND_HOLD_MS,
      labelSelector: `${LABEL_NODE}=${nodeName}`,
      project: projectIPInstance,
      indexes: {
        podUID: ({ value }) => (value === null ? [] : [value.podUIDLabel]),
        pod: ({ value }) => (value === null ? [] : [`${value.namespace}/${value.podName}`]),
      },
      logger: log,
    })
    this.remotePods = new RemotePods(client, nodeName, log, options.onRemotePod)
    this.#networks.onChange(() => this.#mark(() => (this.#topologyDirty = true)))
    this.#subnets.onChange(() => this.#mark(() => (this.#topologyDirty = true)))
    this.#node.onChange(() => this.#mark(() => (this.#nodeDirty = true)))
    this.#nodeInfos.onChange(({ key }) => this.#mark(() => this.#dirtyVteps.add(key)))
    this.#instances.onChange(({ key }) => this.#mark(() => this.#dirtyInstances.add(key)))
    this.#pods.onChange(() => options.onLocalChange())
  }

  #informer<T>(
    resource: ResourceType,
    project: (raw: KubeObject) => T,
    selection: { fieldSelector?: string; onRewind?: () => void },
  ): Informer<T> {
    const { client, log: logger } = this.#options
    return new Informer<T>(client, { resource, project, logger, rewindHoldMs: REWIND_HOLD_MS, ...selection })
  }

  /** Objects with faults, served in part or not at all: `kind/name` → sentence. */
  get problems(): ReadonlyMap<string, string> {
    return this.#problems
  }

  /** The own Node object; undefined while the API does not know it. */
  get node(): { readonly uid: string; readonly addresses: readonly IPAddress[] } | undefined {
    return this.#node.store.get(this.#options.nodeName)
  }

  network(name: string): ParsedNetwork | undefined {
    return this.#usable.get(name)
  }

  /** A pod of this node, from the watch. */
  pod(namespace: string, name: string): ReturnType<typeof projectPod> | undefined {
    return this.#pods.store.get(`${namespace}/${name}`)
  }

  /** The IPInstances bound to a pod by its UID, terminating ones left out. */
  instancesOf(podUID: string): readonly ParsedIPInstance[] {
    return this.#instances.store
      .byIndex('podUID', podUID)
      .map(({ value }) => value)
      .filter((value) => value !== null && !value.terminating) as ParsedIPInstance[]
  }

  /** Container ID of the sandbox the pod was last wired into, as its IPInstances say. */
  sandboxOf(podUID: string): string | null {
    const instances = this.#instances.store.byIndex('podUID', podUID)
    return instances.find(({ sandboxId }) => sandboxId !== null)?.sandboxId ?? null
  }

  /** UIDs of the pods that have IPInstances on this node. */
  assignedPodUIDs(): string[] {
    return [...this.#instances.store.indexValues('podUID')].filter((uid) => uid !== '')
  }

  /** Every pod of this node that the API knows, or that some IPInstance of this node names. Some come twice. */
  *knownPods(): IterableIterator<{ readonly namespace: string; readonly name: string }> {
    for (const key of this.#pods.store.keys()) {
      const slash = key.indexOf('/')
      yield { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
    }
    for (const { value } of this.#instances.store.values()) {
      if (value !== null && value.podName !== '') yield { namespace: value.namespace, name: value.podName }
    }
  }

  nodeInfo(name: string): ParsedVtep | null {
    return this.#nodeInfos.store.get(name)?.value ?? null
  }

  *vteps(): IterableIterator<ParsedVtep> {
    for (const { value } of this.#nodeInfos.store.values()) if (value !== null) yield value
  }

  health(): Readonly<Record<string, InformerHealth | ReturnType<RemotePods['health']>>> {
    const entries = this.#all().map((informer) => [informer.resource.plural, informer.health()] as const)
    return { ...Object.fromEntries(entries), remotepods: this.remotePods.health() }
  }

  get synced(): boolean {
    return this.#synced
  }

  #all(): Informer<unknown>[] {
    const all = [this.#networks, this.#subnets, this.#nodeInfos, this.#node, this.#instances, this.#pods]
    return all as unknown as Informer<unknown>[]
  }

  /** Start watching; resolves when everything is there and the first input was handed over. */
  async start(): Promise<void> {
    for (const informer of this.#all()) informer.start()
    await Promise.all(this.#all().map((informer) => informer.synced))
    // Endpoints are known before the pods behind them, so that no pod needs a second look.
    this.remotePods.start()
    await this.remotePods.synced
    this.#synced = true
    this.#topologyDirty = true
    this.#nodeDirty = true
    this.#flush(true)
  }

  async stop(): Promise<void> {
    if (this.#flushing !== null) clearImmediate(this.#flushing)
    this.#flushing = null
    this.#synced = false
    await Promise.all([...this.#all().map((informer) => informer.stop()), this.remotePods.stop()])
  }

  #mark(note: () => void): void {
    note()
    if (this.#synced) this.#flushing ??= setImmediate(() => this.#flush(false))
  }

  #flush(replace: boolean): void {
    this.#flushing = null
    const delta: { -readonly [K in keyof InputDelta]: InputDelta[K] } = {}
    const topology = this.#topologyDirty
    if (topology) this.#decideTopology(delta)
    if (topology || this.#dirtyInstances.size > 0) {
      const keys = topology ? new Set([...this.#instances.store.keys(), ...this.#dirtyInstances]) : this.#dirtyInstances
      delta.pods = this.#podDelta(keys)
    }
    if (replace || this.#dirtyVteps.size > 0) {
      const names = replace ? [...this.#nodeInfos.store.keys()] : [...this.#dirtyVteps]
      delta.vteps = this.#vtepDelta(names)
    }
    // A Node that is deleted and registered again (or not) is no reason to take addresses from the VXLAN device.
    if (this.#nodeDirty && this.node !== undefined) delta.nodeAddresses = this.node.addresses
    if (replace) delta.replace = true
    this.#topologyDirty = false
    this.#nodeDirty = false
    this.#dirtyInstances.clear()
    this.#dirtyVteps.clear()
    this.#options.onInput(delta)
    this.#options.onLocalChange()
  }

  #decideTopology(delta: { -readonly [K in keyof InputDelta]: InputDelta[K] }): void {
    const problems = new Map<string, string>()
    const networks = decideNetworks(this.#networks.store.list())
    const { usable, overlay } = networks
    for (const [name, problem] of networks.problems) problems.set(`network/${name}`, problem)
    const before = new Set(this.#usable.keys())
    const decision = decideSubnets(this.#options.nodeName, usable, this.#subnets.store.list())
    for (const [name, problem] of decision.problems) problems.set(`subnet/${name}`, problem)
    this.#report(problems)
    this.#usable = usable
    delta.overlay = overlay
    const standing = new Set(decision.inputs.map(({ name }) => name))
    const left = [...this.#served].filter((name) => !standing.has(name))
    this.#served = standing
    delta.subnets = { set: decision.inputs, delete: left }
    if (before.size !== usable.size) this.#options.log.info({ networks: [...usable.keys()] }, 'networks changed')
  }

  /** Names of the Subnets the dataplane was last told of. */
  #served: ReadonlySet<string> = new Set()

  #report(problems: ReadonlyMap<string, string>): void {
    for (const [object, problem] of problems) {
      if (this.#problems.get(object) !== problem)
        this.#options.log.warn({ object, problem }, 'object is not served as it is')
    }
    for (const object of this.#problems.keys()) {
      if (!problems.has(object))
        this.#options.log.info({ object }, 'what was wrong with the object is right, or it is gone')
    }
    this.#problems = problems
  }

  #podDelta(keys: Iterable<string>): { set: PodAddressInput[]; delete: string[] } {
    const set: PodAddressInput[] = []
    const gone: string[] = []
    for (const key of keys) {
      const instance = this.#instances.store.get(key)?.value ?? null
      const input = instance === null ? null : podInput(instance, this.#usable)
      if (input === null) gone.push(key)
      else set.push(input)
    }
    return { set, delete: gone }
  }

  #vtepDelta(names: Iterable<string>): NonNullable<InputDelta['vteps']> {
    const set: { name: string; address: IPAddress; mac: number; localIPs: readonly IPAddress[] }[] = []
    const gone: string[] = []
    for (const name of names) {
      const vtep = this.nodeInfo(name)
      if (vtep === null) gone.push(name)
      else set.push({ name, address: vtep.ip, mac: vtep.mac, localIPs: vtep.localIPs })
      this.#options.onVtep(name, vtep)
    }
    return { set, delete: gone }
  }
}
