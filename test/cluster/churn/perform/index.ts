// Carries steps out on a cluster. What it made and did not delete it remembers: that is what has to be there in the end.
import { NAMESPACES, NETWORKS, type Pod } from '../../../../lib/api/index.ts'
import type { KubeClient } from '../../../../lib/kube/index.ts'
import type { Cluster, Fault } from '../../../../lib/standalone/index.ts'
import { eventually } from '../../../support/eventually.ts'
import type { Step } from '../steps.ts'
import { Background } from './background.ts'
import { NodeSteps } from './nodes.ts'
import { PodSteps } from './pods.ts'
import { created, found, sleep } from './requests.ts'
import { createSubnet, deleteSubnet, growSubnet } from './subnets.ts'

export class Performer {
  /** How often each kind of step did something. */
  readonly done = new Map<string, number>()
  /** Requests that faults have hit. */
  faultsHit = 0
  readonly #cluster: Cluster
  readonly #client: KubeClient
  readonly #background = new Background()
  readonly #pods: PodSteps
  readonly #nodes: NodeSteps
  #stalled = false

  /** @param patienceMs how long what steps wait for beside the others may take */
  constructor(cluster: Cluster, client: KubeClient, patienceMs: number) {
    this.#cluster = cluster
    this.#client = client
    this.#pods = new PodSteps(client, this.#background, patienceMs)
    this.#nodes = new NodeSteps(cluster, client, this.#background, this.#pods)
  }

  /** Plain pods that have to be there, `namespace/name`. */
  get wanted(): Set<string> {
    return this.#pods.wanted
  }

  /** Lines of foreign state by node that have to be there still. */
  get foreign(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#nodes.foreign
  }

  async perform(step: Step): Promise<void> {
    this.#background.check()
    if (await this.#carryOut(step)) this.done.set(step.do, (this.done.get(step.do) ?? 0) + 1)
  }

  /** A pod has left the API: one that went with its node, whoever collected it, is made again. */
  podGone(pod: Pod): void {
    const node = pod.spec?.nodeName ?? ''
    if (node !== '' && this.#nodes.find(node) === null) this.#pods.lost(pod)
  }

  collectPods(): Promise<void> {
    return this.#nodes.collectPods()
  }

  /** End all faults, and wait until the programs run again and nothing of an earlier step is under way. */
  async calm(): Promise<void> {
    await this.#background.rest()
    // A client of an open, silent connection cannot know for minutes.
    if (this.#stalled) this.#cluster.apiServer.faults.cutWatches()
    this.#stalled = false
    const programs = [this.#cluster.manager, ...this.#cluster.nodes.map(({ daemon }) => daemon)]
    // They come back ever more slowly after deaths in their first seconds, at most 15 s after the last.
    await eventually(() => programs.every((program) => program === null || program.state.pid !== null), 60_000, 50)
  }

  /** @returns whether there was something to do */
  async #carryOut(step: Step): Promise<boolean> {
    switch (step.do) {
      case 'namespace':
        return created(() => this.#client.create(NAMESPACES, { metadata: { name: step.name } }))
      case 'delete-namespace':
        return this.#pods.deleteNamespace(step.name)
      case 'pod':
        return this.#pods.create(step.pod, step.wish)
      case 'delete-pod':
        return this.#pods.delete(step.pod, step.how)
      case 'replace-pod':
        return this.#pods.replace(step.pod, step.how, step.wish)
      case 'set':
        return this.#pods.createSet(step.kind, step.set, step.replicas, step.parallel)
      case 'scale':
        return this.#pods.scale(step.kind, step.set, step.replicas)
      case 'delete-set':
        return this.#pods.deleteSet(step.kind, step.set)
      case 'delete-set-pod':
        return this.#pods.deleteOfSet(step.set, step.index, step.how)
      case 'subnet':
        return createSubnet(this.#client, step.name, step.number, step.size)
      case 'grow-subnet':
        return growSubnet(this.#client, step.name, step.size)
      case 'delete-subnet':
        return deleteSubnet(this.#client, step.name, (pod) => this.#pods.delete(pod, 'graceful'))
      case 'touch-network': {
        const labels = { touched: String(Date.now()) }
        return found(() => this.#client.patch('merge', NETWORKS, { name: 'overlay' }, { metadata: { labels } }))
      }
      case 'kill':
        return step.program === 'manager'
          ? (this.#cluster.manager?.kill('SIGKILL') ?? false)
          : this.#nodes.killDaemon(step.node ?? '')
      case 'restart-kubelet':
        return this.#nodes.restartKubelet(step.node, step.downMs, step.kill)
      case 'fault':
        return this.#fault(step.fault, step.forMs)
      case 'restart-api':
        await this.#cluster.apiServer.restart({ downMs: step.downMs, compact: step.compact })
        return true
      case 'cut-watches':
        return this.#cluster.apiServer.faults.cutWatches() > 0
      case 'compact':
        this.#cluster.apiServer.faults.compact()
        return true
      case 'node-address':
        return this.#nodes.address(step.node, step.number, step.present)
      case 'node-mac':
        return this.#nodes.mac(step.node, step.number)
      case 'damage':
        return this.#nodes.damage(step.node, step.what)
      case 'foreign':
        return this.#nodes.plantForeign(step.node, step.number)
      case 'add-node':
        return this.#nodes.add(step.node)
      case 'remove-node':
        return this.#nodes.remove(step.node, step.drain)
      case 'reboot-node':
        return this.#nodes.reboot(step.node, step.downMs)
      case 'partition':
        return this.#nodes.partition(step.node, step.from, step.forMs)
      case 'pause':
        await sleep(step.ms)
        return true
      case 'settle':
        throw new Error('a settlement is not a step of the performer')
    }
  }

  #fault(fault: Fault, forMs: number): boolean {
    const active = this.#cluster.apiServer.faults.add(fault)
    if (fault.effect === 'stall') this.#stalled = true
    this.#background.lasting(forMs, () => {
      active.remove()
      this.faultsHit += active.hit
    })
    return true
  }
}
