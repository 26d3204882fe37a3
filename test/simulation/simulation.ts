// One run: the real manager over a simulated API server and clock, in a cluster that lives, from a scenario. Deterministic: the
// same scenario gives the same steps.
import { Dice } from './engine/dice.ts'
import { installGlobals } from './engine/globals.ts'
import type { SimProcess } from './engine/process.ts'
import { Scheduler } from './engine/scheduler.ts'
import { NODES, RESTED_LINK, UNDERLAY_NODES, type Scenario } from './scenario.ts'
import { Api } from './server/api.ts'
import { Endpoint } from './server/endpoint.ts'
import type { Tap } from './server/link.ts'
import { Store } from './server/store.ts'
import { Always } from './world/always.ts'
import { checkAtRest } from './world/at-rest.ts'
import { Collector } from './world/collector.ts'
import { Managers, type LogLine } from './world/managers.ts'
import { Nodes } from './world/nodes.ts'
import type { Order } from './world/orders.ts'
import { networkObject, subnetObject } from './world/shapes.ts'
import { Truth } from './world/truth.ts'
import { Violation } from './world/violation.ts'
import { Workloads } from './world/workloads.ts'

/** A planted bug: what of the manager's surroundings is other than it should be. */
export interface Variant {
  readonly tap?: (process: SimProcess) => Tap
  /** Changes the code of this process for a run. @returns puts it back */
  readonly patch?: () => () => void
}

export interface RunOptions {
  readonly variant?: Variant | undefined
  /** Every order, write, start and end, as text with its moment. */
  readonly onTrace?: ((line: string) => void) | undefined
  /** Of the managers' log, shown in the trace. */
  readonly logLevel?: string | undefined
}

export interface Outcome {
  readonly violation: Violation | null
  readonly steps: number
  readonly simulatedMs: number
  /** A digest of all writes: two runs of a scenario have the same. */
  readonly digest: string
  readonly writes: number
  readonly sandboxes: number
  /** Lives of managers that led. */
  readonly leaders: number
}

/** Nothing but leases has changed for that long: longer than a silent watch is believed (120 s) and the longest back-off (30 s). */
const REST_MS = 170_000
/** Rest has come by then or never will. */
const LONGEST_REST_MS = 1_500_000

export async function simulate(scenario: Scenario, options: RunOptions = {}): Promise<Outcome> {
  const run = new Run(scenario, options)
  return await run.go()
}

class Run {
  readonly #scenario: Scenario
  readonly #options: RunOptions
  readonly #scheduler = new Scheduler()
  readonly #store = new Store()
  readonly #api = new Api(this.#store, this.#scheduler)
  readonly #endpoint = new Endpoint(this.#api)
  readonly #truth = new Truth(this.#store)
  readonly #always: Always
  readonly #workloads: Workloads
  readonly #nodes: Nodes
  readonly #managers: Managers
  #rested = false
  #lastChange = 0
  #failure: Violation | null = null
  #digest = 0x811c9dc5
  #writes = 0
  #sandboxes = 0
  readonly #leaders = new Set<string>()

  constructor(scenario: Scenario, options: RunOptions) {
    this.#scenario = scenario
    this.#options = options
    const scheduler = this.#scheduler
    const dice = new Dice(scenario.seed).split(`${scenario.profile} world`)
    const api = this.#api
    this.#endpoint.cacheLag = scenario.cacheLag
    this.#endpoint.pageSize = scenario.pageSize
    this.#always = new Always({ store: this.#store, truth: this.#truth, fenced: scenario.profile !== 'zombies' })
    this.#workloads = new Workloads({
      api,
      scheduler,
      dice: dice.split('workloads'),
      nodes: NODES,
      underlayNodes: UNDERLAY_NODES,
    })
    this.#nodes = new Nodes({
      api,
      scheduler,
      dice: dice.split('nodes'),
      truth: this.#truth,
      onSandbox: (sandbox, pod) => {
        this.#sandboxes++
        this.#trace(
          () => `sandbox of ${sandbox.pod} (${sandbox.uid}) on ${sandbox.node}: ${sandbox.addresses.join(' ')}`,
        )
        this.#always.sandbox(sandbox, pod)
      },
    })
    new Collector(api, scheduler, dice.split('collector'))
    this.#store.onChange(({ kind, key, version, type, by }) => {
      for (const character of `${kind} ${key} ${version} ${type}`) {
        this.#digest = Math.imul(this.#digest ^ character.charCodeAt(0), 0x01000193)
      }
      if (kind === 'leases') return
      this.#writes++
      this.#lastChange = scheduler.now
      if (!by.startsWith('manager-')) this.#trace(() => `${by}: ${type} ${kind} ${key}`)
    })
    this.#managers = new Managers({
      scheduler,
      endpoint: this.#endpoint,
      store: this.#store,
      dice: dice.split('managers'),
      count: scenario.managers,
      clocks: scenario.clocks,
      settings: () => (this.#rested ? RESTED_LINK : scenario.link),
      tap: (process) => this.#tap(process),
      logLevel: options.logLevel ?? 'warn',
      onLog: (line, process) => this.#log(line, process),
      ...(options.onTrace === undefined ? {} : { trace: (text: string) => this.#trace(() => text) }),
    })
  }

  async go(): Promise<Outcome> {
    const restore = installGlobals(this.#scheduler)
    const repair = this.#options.variant?.patch?.()
    const onRejection = (error: unknown): void => {
      this.#failure ??= new Violation(
        'no promise is left alone',
        error instanceof Error ? (error.stack ?? '') : String(error),
      )
    }
    process.on('unhandledRejection', onRejection)
    try {
      this.#build()
      await this.#until(() => this.#scheduler.now >= this.#scenario.endMs)
      this.#calmDown()
      const limit = this.#scheduler.now + LONGEST_REST_MS
      await this.#until(() => this.#scheduler.now - this.#lastChange > REST_MS || this.#scheduler.now > limit)
      if (this.#scheduler.now > limit) throw new Violation('rest comes', 'objects still change')
      this.#checkRest()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#failure ??= error
    } finally {
      // What is left of the managers must never run again.
      for (const { process: one } of this.#managers.living()) one.dead = true
      process.off('unhandledRejection', onRejection)
      repair?.()
      restore()
    }
    if (this.#failure !== null) this.#trace(() => `VIOLATION ${this.#failure?.message ?? ''}`)
    return {
      violation: this.#failure,
      steps: this.#scheduler.steps,
      simulatedMs: Math.round(this.#scheduler.now),
      digest: (this.#digest >>> 0).toString(16).padStart(8, '0'),
      writes: this.#writes,
      sandboxes: this.#sandboxes,
      leaders: this.#leaders.size,
    }
  }

  async #until(over: () => boolean): Promise<void> {
    while (!over()) {
      if (!(await this.#scheduler.step())) throw new Error('the simulation has nothing left to do')
      if (this.#failure !== null) throw this.#failure
    }
  }

  #build(): void {
    const { orders, managers, sets, namespaces, smallSubnetEnd } = this.#scenario
    const make = (kind: string, object: Parameters<Api['create']>[1]): void =>
      void this.#api.create(kind, object, 'user')
    for (const name of namespaces) make('namespaces', { metadata: { name } })
    for (const name of NODES) {
      const attached = (UNDERLAY_NODES as readonly string[]).includes(name)
      make('nodes', { metadata: { name, labels: attached ? { rack: 'wired' } : {} } })
    }
    make('networks', networkObject('overlay', 'Overlay'))
    make('networks', networkObject('underlay', 'Underlay', { rack: 'wired' }))
    make('subnets', subnetObject('overlay-a', 'overlay', '10.1.0.0/24', smallSubnetEnd))
    make('subnets', subnetObject('overlay-b', 'overlay', '10.2.0.0/29'))
    make('subnets', subnetObject('overlay-six', 'overlay', 'fd00::/124'))
    make('subnets', subnetObject('underlay-a', 'underlay', '192.168.0.0/29'))
    for (const shape of sets) this.#workloads.define(shape)
    for (let index = 0; index < managers; index++) this.#managers.start(index)
    for (const order of orders) this.#scheduler.after(order.at, null, () => this.#obey(order))
  }

  #obey(order: Order): void {
    this.#trace(() => `order ${JSON.stringify(order)}`)
    const managers = this.#managers
    switch (order.kind) {
      case 'pod':
        return this.#workloads.createPod(order)
      case 'delete':
        return this.#workloads.deletePod(`${order.namespace}/${order.name}`, order.forced)
      case 'finish':
        return this.#nodes.finish(`${order.namespace}/${order.name}`, order.how)
      case 'scale':
        return this.#workloads.scale(order.namespace, order.set, order.replicas)
      case 'drop-set':
        return this.#workloads.dropSet(order.namespace, order.set)
      case 'retain':
        return this.#workloads.retain(order.namespace, order.set, order.retain)
      case 'reboot':
        return this.#nodes.reboot(order.node)
      case 'crash':
        return managers.kill(order.manager, 200 + (order.at % 9000))
      case 'terminate':
        return managers.terminate(order.manager)
      case 'pause': {
        const life = managers.life(order.manager)
        if (order.suspended) life?.process.suspend(order.ms)
        else life?.process.pause(order.ms)
        return
      }
      case 'wall':
        return managers.life(order.manager)?.process.shiftWall(order.ms)
      case 'partition':
        return managers.life(order.manager)?.link.partition(order.ms)
      case 'watches':
        return managers.life(order.manager)?.link.breakWatches(order.how)
      case 'compact':
        this.#endpoint.expireTokens()
        return this.#store.compact()
      case 'drop-lease': {
        for (const { metadata } of this.#store.list('leases')) {
          this.#store.remove('leases', `${metadata.namespace ?? ''}/${metadata.name ?? ''}`, 'user')
        }
        return
      }
    }
  }

  #calmDown(): void {
    this.#trace(() => 'faults are over')
    this.#rested = true
    this.#lastChange = this.#scheduler.now
    for (let index = 0; index < this.#scenario.managers; index++) this.#managers.start(index)
  }

  #checkRest(): void {
    const leading = this.#managers.living().filter(({ manager }) => manager?.isLeading())
    checkAtRest({
      store: this.#store,
      truth: this.#truth,
      allocator: leading[0]?.manager?.allocator ?? null,
      fenced: this.#scenario.profile !== 'zombies',
    })
  }

  /** Sees the first consistent list of addresses a process is given; a planted bug may sit behind. */
  #tap(process: SimProcess): Tap {
    const planted = this.#options.variant?.tap?.(process)
    return {
      request: (exchange) => planted?.request?.(exchange) ?? exchange,
      lost: (exchange) => planted?.lost?.(exchange) ?? null,
      reply: (exchange, reply) => {
        if (
          exchange.method === 'GET' &&
          reply.status === 200 &&
          /\/ipinstances\?(?!.*watch=true)/.test(exchange.path)
        ) {
          this.#leaders.add(process.name)
          this.#always.built(process.name)
        }
        return planted?.reply?.(exchange, reply) ?? reply
      },
    }
  }

  #log(line: LogLine, process: SimProcess): void {
    this.#trace(() => `${process.name} log: ${line.msg} ${line.err?.message ?? ''}`)
    const type = line.err?.type ?? ''
    const ours = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError'].includes(type)
    const handler =
      line.msg === 'informer handler failed' || line.msg === 'skipped' || line.msg.startsWith('object cannot')
    if (!ours && !handler) return
    this.#failure ??= new Violation('no programming error', `${process.name}: ${line.msg}: ${line.err?.stack ?? ''}`)
  }

  #trace(text: () => string): void {
    this.#options.onTrace?.(`${(this.#scheduler.now / 1000).toFixed(3).padStart(9)} ${text()}`)
  }
}
