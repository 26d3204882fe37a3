// The step list of a seed. Pure: a small model of what should be there (what was made and not deleted) keeps the steps
// meaningful and the number of pods near its target; the cluster is never asked.
import type { Fault } from '../../../lib/standalone/index.ts'
import { Random } from './random.ts'
import { splitName, type Damage, type Ending, type SetKind, type Step, type Wish } from './steps.ts'

export interface Shape {
  readonly seed: number
  /** Pods to keep about. */
  readonly pods: number
  /** Random steps; those that fill the cluster first and those that let it settle come on top. */
  readonly steps: number
  readonly nodes: number
  /** Random steps between two settlements. */
  readonly settleEvery: number
}

const namespaces = ['default', 'churn-a', 'churn-b', 'churn-c'] as const
/** Namespaces that are deleted and come again. */
const mortal = ['churn-b', 'churn-c'] as const
const damages: readonly Damage[] = [
  'base-rule',
  'subnet-rule',
  'pod-routes',
  'overlay-routes',
  'marked-default',
  'fdb',
  'proxies',
  'nft-sets',
  'nft-table',
  'device-addresses',
  'device-down',
  'device',
  'stray-route',
  'stray-rule',
  'stray-fdb',
  'stray-proxy',
]
/** Addresses a subnet of a step has, in the order it grows. */
const sizes = [6, 24, 60, 120] as const
const extraSubnets = ['extra-1', 'extra-2', 'extra-3'] as const

interface Workload {
  readonly kind: SetKind
  readonly name: string
  replicas: number
}

export function generate(shape: Shape): Step[] {
  return new Generator(shape).run()
}

class Generator {
  readonly #shape: Shape
  readonly #random: Random
  readonly #steps: Step[] = []
  readonly #namespaces = new Set<string>(['default'])
  readonly #plain = new Map<string, Wish>()
  readonly #sets = new Map<string, Workload>()
  readonly #subnets = new Map<string, number>()
  readonly #extraAddresses = new Set<string>()
  readonly #nodes: string[]
  #lastNode: number
  #nextPod = 0
  #nextForeign = 0

  constructor(shape: Shape) {
    this.#shape = shape
    this.#random = new Random(shape.seed)
    this.#nodes = Array.from({ length: shape.nodes }, (_, index) => `node${index + 1}`)
    this.#lastNode = shape.nodes
  }

  run(): Step[] {
    this.#fill()
    this.#steps.push({ do: 'settle' })
    for (let done = 0; done < this.#shape.steps; done++) {
      if (done > 0 && done % this.#shape.settleEvery === 0) this.#steps.push({ do: 'settle' })
      this.#steps.push(this.#one())
      // Some come close after each other, some see what the earlier ones did.
      if (this.#random.chance(0.3)) this.#steps.push({ do: 'pause', ms: this.#random.between(10, 400) })
    }
    this.#steps.push({ do: 'settle' })
    return this.#steps
  }

  #pods(): number {
    return this.#plain.size + [...this.#sets.values()].reduce((sum, { replicas }) => sum + replicas, 0)
  }

  /** Two fifths of the pods in Deployments, one in StatefulSets, the rest by themselves. */
  #fill(): void {
    const { pods } = this.#shape
    for (const name of namespaces) if (name !== 'default') this.#steps.push(this.#namespace(name))
    this.#steps.push(this.#subnet('extra-1'), this.#subnet('extra-2'))
    const share = Math.max(1, Math.round(pods / 10))
    for (const [index, namespace] of namespaces.entries()) {
      this.#steps.push(this.#set('Deployment', `${namespace}/d${index}`, share))
      this.#steps.push(this.#set('StatefulSet', `${namespace}/s${index}`, Math.max(1, Math.round(share / 2))))
    }
    while (this.#pods() < pods) this.#steps.push(this.#pod())
  }

  #namespace(name: string): Step {
    this.#namespaces.add(name)
    return { do: 'namespace', name }
  }

  #subnet(name: string): Step {
    const [size] = sizes
    this.#subnets.set(name, 0)
    return { do: 'subnet', name, number: extraSubnets.indexOf(name as (typeof extraSubnets)[number]) + 1, size }
  }

  #set(kind: SetKind, set: string, replicas: number): Step {
    this.#sets.set(set, { kind, name: set, replicas })
    // Ordered sets of many pods would take minutes for a step.
    return {
      do: 'set',
      kind,
      set,
      replicas,
      parallel: kind === 'StatefulSet' && (replicas > 6 || this.#random.chance(0.5)),
    }
  }

  #wish(): Wish {
    const dice = this.#random.below(100)
    if (dice < 70) return 'any'
    if (dice < 78) return 'IPv4Only'
    if (dice < 86) return 'IPv6Only'
    // Sometimes one that is not there: the pod waits until it comes.
    return `subnet:${this.#random.pick(extraSubnets)}`
  }

  #pod(): Step {
    const pod = `${this.#random.pick(this.#namespaces)}/p${this.#nextPod++}`
    const wish = this.#wish()
    this.#plain.set(pod, wish)
    return { do: 'pod', pod, wish }
  }

  #ending(): Ending {
    return this.#random.pick(['graceful', 'graceful', 'force', 'evict'] as const)
  }

  #one(): Step {
    const { pods } = this.#shape
    const few = this.#pods() < pods
    const random = this.#random
    const missing = namespaces.filter((name) => !this.#namespaces.has(name))
    const absentSubnets = extraSubnets.filter((name) => !this.#subnets.has(name))
    const growing = [...this.#subnets].filter(([, size]) => size < sizes.length - 1)
    const present = mortal.filter((name) => this.#namespaces.has(name))
    const possible = new Map<() => Step, number>([
      [() => this.#pod(), few ? 24 : 8],
      [() => this.#deletePod(), this.#plain.size === 0 ? 0 : few ? 8 : 18],
      [() => this.#replacePod(), this.#plain.size === 0 ? 0 : 9],
      [() => this.#scale(), this.#sets.size === 0 ? 0 : 9],
      [() => this.#deleteSetPod(), this.#sets.size === 0 ? 0 : 9],
      [() => this.#toggleSet(), 2],
      [() => ({ do: 'kill', program: 'daemon', node: random.pick(this.#nodes) }), 4],
      [() => ({ do: 'kill', program: 'manager' }), 1.5],
      [
        () => ({
          do: 'restart-kubelet',
          node: random.pick(this.#nodes),
          downMs: random.between(0, 800),
          kill: random.chance(0.5),
        }),
        2,
      ],
      [() => ({ do: 'fault', fault: this.#fault(), forMs: random.between(200, 4000) }), 7],
      [() => ({ do: 'restart-api', downMs: random.between(0, 1500), compact: random.chance(0.3) }), 0.8],
      [() => ({ do: 'cut-watches' }), 2],
      [() => ({ do: 'compact' }), 1],
      [() => ({ do: 'touch-network' }), 1.5],
      [() => this.#subnet(random.pick(absentSubnets)), absentSubnets.length === 0 ? 0 : 2],
      [() => this.#growSubnet(random.pick(growing)[0]), growing.length === 0 ? 0 : 1.5],
      [() => this.#deleteSubnet(), this.#subnets.size === 0 ? 0 : 1],
      [() => this.#deleteNamespace(random.pick(present)), present.length === 0 ? 0 : 0.7],
      [() => this.#namespace(random.pick(missing)), missing.length === 0 ? 0 : 4],
      [() => this.#nodeAddress(), 2],
      [() => ({ do: 'node-mac', node: random.pick(this.#nodes), number: random.below(256) }), 0.8],
      [() => ({ do: 'damage', node: random.pick(this.#nodes), what: random.pick(damages) }), 8],
      [() => this.#addNode(), this.#nodes.length > this.#shape.nodes ? 0 : 0.8],
      [() => this.#removeNode(), this.#nodes.length <= this.#shape.nodes ? 0.1 : 1.2],
      [() => ({ do: 'reboot-node', node: random.pick(this.#nodes), downMs: random.between(0, 2000) }), 0.5],
      [
        () => ({
          do: 'partition',
          node: random.pick(this.#nodes),
          from: random.pick(['all', 'api'] as const),
          forMs: random.between(200, 5000),
        }),
        1.5,
      ],
      [() => ({ do: 'foreign', node: random.pick(this.#nodes), number: this.#nextForeign++ % 50 }), 0.7],
    ])
    return random.weighted(possible)()
  }

  #deletePod(): Step {
    const pod = this.#random.pick(this.#plain.keys())
    this.#plain.delete(pod)
    return { do: 'delete-pod', pod, how: this.#ending() }
  }

  #replacePod(): Step {
    const pod = this.#random.pick(this.#plain.keys())
    const wish = this.#wish()
    this.#plain.set(pod, wish)
    return { do: 'replace-pod', pod, how: this.#ending(), wish }
  }

  #scale(): Step {
    const workload = this.#random.pick(this.#sets.values())
    // Around its share, so that the cluster stays as full as it was asked to be; now and then empty.
    const share = this.#shape.pods / (workload.kind === 'Deployment' ? 10 : 20)
    const most = Math.max(3, Math.round(1.6 * share))
    workload.replicas = this.#random.chance(0.1) ? 0 : this.#random.between(Math.round(0.6 * share), most)
    return { do: 'scale', kind: workload.kind, set: workload.name, replicas: workload.replicas }
  }

  #deleteSetPod(): Step {
    const { name, replicas } = this.#random.pick(this.#sets.values())
    return { do: 'delete-set-pod', set: name, index: this.#random.below(Math.max(1, replicas)), how: this.#ending() }
  }

  /** A set goes, or one that went comes again. */
  #toggleSet(): Step {
    const index = this.#random.below(namespaces.length)
    const kind: SetKind = this.#random.chance(0.5) ? 'Deployment' : 'StatefulSet'
    const namespace = namespaces[index] ?? 'default'
    const name = `${namespace}/${kind === 'Deployment' ? 'd' : 's'}${index}`
    if (this.#sets.delete(name)) return { do: 'delete-set', kind, set: name }
    if (!this.#namespaces.has(namespace)) return this.#namespace(namespace)
    const share = this.#shape.pods / (kind === 'Deployment' ? 10 : 20)
    return this.#set(kind, name, this.#random.between(1, Math.max(2, Math.round(1.6 * share))))
  }

  #growSubnet(name: string): Step {
    const size = (this.#subnets.get(name) ?? 0) + 1
    this.#subnets.set(name, size)
    return { do: 'grow-subnet', name, size: sizes[size] ?? 120 }
  }

  #deleteSubnet(): Step {
    const name = this.#random.pick(this.#subnets.keys())
    this.#subnets.delete(name)
    for (const [pod, wish] of this.#plain) if (wish === `subnet:${name}`) this.#plain.delete(pod)
    return { do: 'delete-subnet', name }
  }

  #deleteNamespace(name: string): Step {
    this.#namespaces.delete(name)
    for (const pod of [...this.#plain.keys()]) if (splitName(pod).namespace === name) this.#plain.delete(pod)
    for (const set of [...this.#sets.keys()]) if (splitName(set).namespace === name) this.#sets.delete(set)
    return { do: 'delete-namespace', name }
  }

  #nodeAddress(): Step {
    const node = this.#random.pick(this.#nodes)
    const number = this.#random.between(1, 3)
    const key = `${node} ${number}`
    const present = !this.#extraAddresses.delete(key)
    if (present) this.#extraAddresses.add(key)
    return { do: 'node-address', node, number, present }
  }

  #addNode(): Step {
    const node = `node${++this.#lastNode}`
    this.#nodes.push(node)
    return { do: 'add-node', node }
  }

  #removeNode(): Step {
    const node = this.#random.pick(this.#nodes)
    this.#nodes.splice(this.#nodes.indexOf(node), 1)
    return { do: 'remove-node', node, drain: this.#random.chance(0.3) }
  }

  #fault(): Fault {
    const random = this.#random
    // Who is hit: our programs, the rest of the cluster, or both; never the churn's own client.
    const agent = random.pick(['hybridnet/', 'hybridnet-standalone', '!churn', '!churn'])
    const resource = random.pick([undefined, undefined, 'pods', 'ipinstances.networking.alibaba.com', 'nodes'])
    const about = { agent, ...(resource === undefined ? {} : { resource }) }
    const probability = random.pick([0.1, 0.3, 0.6])
    const reads = random.pick(['get', 'list', 'watch', 'list|watch', 'get|list'])
    const writes = random.pick(['create', 'update|patch', 'delete', 'create|update|patch|delete'])
    const verb = random.chance(0.5) ? reads : writes
    switch (random.below(9)) {
      case 0:
        return { ...about, verb, status: random.pick([500, 503, 504]), probability }
      case 1:
        return { ...about, verb, status: 429, retryAfter: 1, probability }
      case 2:
        return { ...about, verb, latencyMs: random.between(50, 1500), probability }
      case 3:
        return { ...about, verb, effect: 'drop', probability }
      case 4:
        return { ...about, verb: writes, effect: 'lose', probability }
      case 5:
        return {
          ...about,
          verb: 'watch',
          effect: random.pick(['cut', 'half', 'expire']),
          after: random.below(6),
          probability,
        }
      case 6:
        return { ...about, verb: 'list', effect: 'stale', behind: random.between(5, 60), probability }
      case 7:
        return { ...about, verb: 'update|patch|delete', effect: 'conflict', probability }
      default:
        return { ...about, verb: 'watch', effect: 'stall', after: random.below(6), probability: 0.3, times: 4 }
    }
  }
}
