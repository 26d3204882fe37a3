// Steps about nodes: their machines, kubelets, links and kernels.
import { PODS, type Pod } from '../../../../lib/api/index.ts'
import type { KubeClient } from '../../../../lib/kube/index.ts'
import type { Cluster, ClusterNode } from '../../../../lib/standalone/index.ts'
import { damageCommands, foreignThings } from '../damage.ts'
import type { Damage } from '../steps.ts'
import type { Background } from './background.ts'
import type { PodSteps } from './pods.ts'
import { persist, sleep } from './requests.ts'

export class NodeSteps {
  /** Lines of foreign state by node. */
  readonly foreign = new Map<string, Set<string>>()
  readonly #cluster: Cluster
  readonly #client: KubeClient
  readonly #background: Background
  readonly #pods: PodSteps
  /** Nodes that are cut off, and what ends it. */
  readonly #cuts = new Map<string, () => void>()

  constructor(cluster: Cluster, client: KubeClient, background: Background, pods: PodSteps) {
    this.#cluster = cluster
    this.#client = client
    this.#background = background
    this.#pods = pods
  }

  find(name: string): ClusterNode | null {
    return this.#cluster.nodes.find((node) => node.name === name) ?? null
  }

  async add(name: string): Promise<boolean> {
    if (this.#cluster.fabric.hosts.has(name)) return false
    await persist(async () => {
      const node = this.find(name)
      if (node === null) await this.#cluster.addNode(name)
      else await node.startKubelet()
    })
    return true
  }

  /** Its pods go with it; those that stand alone are made again. */
  async remove(name: string, drained: boolean): Promise<boolean> {
    if (this.find(name) === null || this.#cluster.nodes.length < 2) return false
    this.#heal(name)
    if (drained) {
      const fieldSelector = `spec.nodeName=${name}`
      const { items } = await persist(() => this.#client.list<Pod>(PODS, { fieldSelector }))
      await Promise.all(items.map((pod) => this.#pods.again(pod, 'evict')))
    }
    await this.#cluster.removeNode(name)
    this.foreign.delete(name)
    await this.collectPods()
    return true
  }

  /** What kube-controller-manager's pod collector does: pods of nodes that are no more are deleted by force. */
  async collectPods(): Promise<void> {
    const { items } = await persist(() => this.#client.list<Pod>(PODS))
    for (const pod of items) {
      const name = pod.spec?.nodeName ?? ''
      if (name === '' || this.find(name) !== null) continue
      await this.#pods.again(pod, 'force')
    }
  }

  /** What steps did to its interface and kernel is gone afterwards. */
  async reboot(name: string, downMs: number): Promise<boolean> {
    const node = this.find(name)
    if (node === null) return false
    this.#heal(name)
    await node.powerOff()
    this.foreign.delete(name)
    await sleep(downMs)
    // A second try finds it switched on, without a kubelet.
    await persist(() => (node.bootId === null ? node.powerOn() : node.startKubelet()))
    return true
  }

  killDaemon(name: string): boolean {
    return this.find(name)?.daemon?.kill('SIGKILL') ?? false
  }

  async restartKubelet(name: string, downMs: number, kill: boolean): Promise<boolean> {
    const node = this.find(name)
    if (node === null) return false
    await (kill ? node.killKubelet() : node.stopKubelet())
    await sleep(downMs)
    await persist(() => node.startKubelet())
    return true
  }

  async partition(node: string, from: 'all' | 'api', forMs: number): Promise<boolean> {
    if (this.find(node) === null || this.#cuts.has(node)) return false
    await this.#cluster.partition(node, true, from)
    const end = this.#background.lasting(forMs, () => {
      this.#cuts.delete(node)
      this.#background.run(this.#cluster.partition(node, false, from))
    })
    this.#cuts.set(node, end)
    return true
  }

  #heal(node: string): void {
    this.#cuts.get(node)?.()
  }

  /** A host address that `--extra-node-local-vxlan-ip-cidrs` makes one of the node's own, in both families. */
  address(node: string, number: number, present: boolean): Promise<boolean> {
    const host = 10 * Number(node.replace(/\D/g, '')) + number
    const verb = present ? 'replace' : 'del'
    return this.#run(
      node,
      `ip addr ${verb} 192.0.2.${host}/32 dev eth0; ip -6 addr ${verb} 2001:db8:5::${host}/128 dev eth0 ${present ? 'nodad' : ''}`,
    )
  }

  mac(node: string, number: number): Promise<boolean> {
    const mac = `52:54:00:00:aa:${number.toString(16).padStart(2, '0')}`
    const place = node.replace(/\D/g, '').padStart(2, '0')
    return this.#run(node, `ip link set eth0 address ${mac.replace(':aa:', `:${place}:`)}`)
  }

  damage(node: string, what: Damage): Promise<boolean> {
    return this.#run(node, damageCommands[what])
  }

  async plantForeign(node: string, number: number): Promise<boolean> {
    const { command, lines } = foreignThings(number)
    const known = this.foreign.get(node) ?? new Set()
    if (known.has(lines[0] ?? '') || !(await this.#run(node, command))) return false
    this.foreign.set(node, new Set([...known, ...lines]))
    return true
  }

  /** Commands may find nothing to damage, or too much gone already. */
  async #run(node: string, command: string): Promise<boolean> {
    const target = this.find(node)
    if (target === null) return false
    await target.exec(['sh', '-c', command])
    return true
  }
}
