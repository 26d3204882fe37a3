// The engine: ties input, desired state, mirror, diff, plan and apply together, and keeps the kernel as wanted.
//
// One flush runs at a time. Input changes start one at once; what arrives while it runs is collected and makes the next,
// so a burst costs few batches and a single pod event waits for nothing. Kernel events wait `driftMs`, in which the
// echoes of our own writes arrive and cancel out; what then still differs is drift and is repaired by the same path.
// Refused operations come back with growing delays; keys that another writer keeps changing are held and reported.
//
// The netfilter half (netfilter.ts) follows by itself, after the netlink half of the same change.
//
// Not here: where the input comes from, resolution of neighbours, pod wiring, publication of the node's endpoint. The
// kernel state is left standing on stop().
import { isContainerInterface } from '../../api/index.ts'
import type { IPAddress } from '../../ip/index.ts'
import { RouteSocket, type NetworkNamespace } from '../../netlink/index.ts'
import { silentLogger, type Logger } from '../../telemetry/log.ts'
import { applyPlan, type OperationResult } from '../apply.ts'
import { FROM_SUBNET_TABLE_END, FROM_SUBNET_TABLE_FIRST } from '../constants.ts'
import { diffAll, diffKeys, type DiffInput, type DiffResult, type DirtyKeys } from '../diff.ts'
import { nodeFacts, sameFacts, type NodeFacts } from '../facts.ts'
import type { DataplaneConfig, InputDelta } from '../inputs.ts'
import { Mirror, type MirrorListener, type NeighbourListener } from '../mirror/mirror.ts'
import type { KernelState } from '../mirror/state.ts'
import type { Operation } from '../operation.ts'
import { Ownership } from '../ownership.ts'
import { plan } from '../plan.ts'
import { linksOf, type DataplaneRecord } from '../state.ts'
import type { DesiredChange, DesiredEntry } from '../store.ts'
import { Contests, Failures } from './backoff.ts'
import { AUDITED, classOf, wasExamined } from './classes.ts'
import { ipv6Enabled } from './ipv6.ts'
import type { EngineMetrics } from './metrics.ts'
import { DesiredModel } from './model.ts'
import { Netfilter } from './netfilter.ts'
import { podReady } from './readiness.ts'
import { DEFAULT_TIMING, type EngineStatus, type EngineTiming } from './status.ts'
import { Work } from './work.ts'

export interface EngineOptions {
  readonly namespace: NetworkNamespace
  readonly config: DataplaneConfig
  readonly log?: Logger
  readonly metrics?: EngineMetrics
  readonly timing?: Partial<EngineTiming>
  /** Told of neighbours, from the same notifications. */
  readonly neighbours?: NeighbourListener
}

export class DataplaneEngine {
  readonly #options: EngineOptions
  readonly #timing: EngineTiming
  readonly #log: Logger
  readonly #socket: RouteSocket
  readonly #mirror: Mirror
  readonly #model: DesiredModel
  readonly #netfilter: Netfilter
  readonly #failures = new Failures()
  readonly #contests = new Contests()
  readonly #work = new Work()
  /** Kernel events whose `driftMs` has not passed. */
  readonly #drift = new Work()
  readonly #waiting = new Map<string, string>()
  /** When entries of vanished tunnel endpoints may go, by key. */
  readonly #grace = new Map<string, number>()
  readonly #operations = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  readonly #factListeners = new Set<(facts: NodeFacts) => void>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #ipv6 = true
  #factsStale = true
  #running: Promise<void> | null = null
  #started = false
  #stopped = false
  #repairs = 0
  /** The first flush is take-over, not repair. */
  #settledOnce = false
  #netfilterDue = false

  constructor(options: EngineOptions) {
    this.#options = options
    this.#timing = { ...DEFAULT_TIMING, ...options.timing }
    this.#log = options.log ?? silentLogger()
    const { namespace, config } = options
    this.#socket = RouteSocket.open(namespace)
    this.#mirror = new Mirror({
      namespace,
      socket: this.#socket,
      listener: this.#listener(),
      neighbours: options.neighbours,
      isOwnTable: (table) =>
        (table >= FROM_SUBNET_TABLE_FIRST && table < FROM_SUBNET_TABLE_END) ||
        table === config.localDirectTable ||
        table === config.toOverlayTable ||
        table === config.overlayMarkTable,
    })
    this.#model = new DesiredModel(config, this.#mirror.state)
    this.#netfilter = new Netfilter({
      namespace,
      log: this.#log,
      onProgress: () => this.#progress(),
      onRepair: () => options.metrics?.repair('element'),
    })
  }

  /**
   * Reads the kernel and begins to keep it as wanted.
   *
   * @param input the complete input: what is of ours in the kernel and not asked for is removed
   * @throws NetlinkError when the kernel cannot be read
   */
  async start(input: InputDelta): Promise<void> {
    // First of all: what setInput() brings while this waits comes on top.
    this.#absorb(this.#model.update({ ...input, replace: true }).changes)
    this.#ipv6 = await ipv6Enabled(this.#options.namespace)
    await this.#mirror.start()
    this.#started = true
    this.#work.full = true
    this.#kick()
    await this.#flushed()
    this.#netfilter.start()
    this.#every('proxy check', this.#timing.proxyCheckMs, () => this.#checkProxies())
    this.#scheduleAudit()
  }

  /** Takes a change of the input. Cheap; the kernel follows at once, asynchronously. */
  setInput(delta: InputDelta): void {
    const { changes, factsStale } = this.#model.update(delta)
    if (factsStale) this.#factsStale = true
    this.#absorb(changes)
    if (this.#netfilterTouched(changes)) this.#netfilterDue = true
    this.#kick()
  }

  /** Closes sockets and timers; waits for the batch in progress. The kernel's state stays. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
    await this.#running
    await this.#netfilter.stop()
    this.#mirror.stop()
    this.#socket.close()
    this.#progress()
  }

  /** What this node is; null before start. */
  facts(): NodeFacts | null {
    return this.#model.facts
  }

  /** Called with new facts whenever they change. Returns the way to unsubscribe. */
  onFacts(listener: (facts: NodeFacts) => void): () => void {
    this.#factListeners.add(listener)
    return () => this.#factListeners.delete(listener)
  }

  /** Called after every change of the engine's state. Returns the way to unsubscribe. */
  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Everything wanted, with who asks for it. */
  desired(): Iterable<readonly [string, DesiredEntry]> {
    return this.#model.store.entries()
  }

  /** The mirror. Read only. */
  actual(): KernelState {
    return this.#mirror.state
  }

  /** What would have to be done now. Set elements are not part of it. */
  diff(): DiffResult {
    return diffAll(this.#diffInput())
  }

  status(): EngineStatus {
    const now = Date.now()
    const operationCount = [...this.#operations.values()].reduce((sum, count) => sum + count, 0)
    const netfilter = this.#netfilter.status
    const contested = [
      ...this.#contests.list(now).map(({ key, repairs }) => ({ key, repairs })),
      ...netfilter.contested,
    ]
    return {
      inSync: this.#idle() && this.#failures.size === 0 && contested.length === 0 && netfilter.inSync,
      desired: this.#model.store.size,
      operations: Object.fromEntries(this.#operations),
      operationCount,
      repairs: this.#repairs + netfilter.repairs,
      waiting: [...this.#waiting].map(([key, reason]) => ({ key, for: reason })),
      failing: this.#failures.list().map(({ operation, error, attempts }) => ({
        key: operation.key,
        error: error.message,
        attempts,
      })),
      contested,
      problems: this.#model.problems(),
      conflicts: this.#model.store.conflicts(),
      netfilter,
      overruns: this.#mirror.overruns,
    }
  }

  /** Whether the node would carry the pod's traffic now: its own records and the rule of its subnet stand. */
  ready(address: IPAddress): boolean {
    return this.#started && !this.#stopped && podReady(address, this.#model, this.#mirror.state, this.#netfilter)
  }

  /** Resolves true once the address is ready, false when the time is over or the engine stops. */
  waitReady(address: IPAddress, timeoutMs: number): Promise<boolean> {
    return this.waitFor(() => this.ready(address), timeoutMs)
  }

  /** Resolves true once the predicate holds, which is asked after every change; false when the time is over. */
  waitFor(predicate: () => boolean, timeoutMs: number): Promise<boolean> {
    if (predicate()) return Promise.resolve(true)
    if (this.#stopped) return Promise.resolve(false)
    return new Promise((resolve) => {
      const done = (result: boolean): void => {
        clearTimeout(timer)
        this.#listeners.delete(check)
        resolve(result)
      }
      const check = (): void => {
        if (predicate()) done(true)
        else if (this.#stopped) done(false)
      }
      const timer = setTimeout(() => done(predicate()), timeoutMs)
      this.#listeners.add(check)
    })
  }

  /** Compares everything with fresh dumps, as the periodic audit does. */
  audit(): void {
    for (const what of AUDITED) this.#mirror.doubt(what)
    this.#mirror.forgetSysctls()
    this.#netfilter.doubt()
    ipv6Enabled(this.#options.namespace).then(
      (ipv6) => {
        if (ipv6 === this.#ipv6) return
        this.#ipv6 = ipv6
        this.#factsStale = true
        this.#kick()
      },
      (error: unknown) => this.#log.warn({ err: error }, 'cannot tell whether IPv6 is on'),
    )
  }

  // -- from the mirror

  #listener(): MirrorListener {
    return {
      touched: (record) => {
        this.#drift.look(record)
        this.#kickDrift()
      },
      rulesTouched: (family) => {
        this.#drift.lookAtRules(family)
        this.#kickDrift()
      },
      linkTouched: (name) => this.#linkTouched(name),
      factsTouched: () => {
        this.#factsStale = true
        this.#kickDrift()
      },
      doubted: (what) => {
        this.#log.debug({ operation: 'mirror', class: what }, 'reading the kernel state anew')
        this.#drift.full = true
        this.#kickDrift()
      },
      failed: (error) => {
        this.#log.error({ err: error }, 'kernel notifications ended; subscribing again')
        this.#after('resubscribe', 1000, () => this.#resubscribe())
      },
    }
  }

  #linkTouched(name: string): void {
    const { store } = this.#model
    const own = store.get(`link ${name}`)
    if (own !== undefined) this.#drift.look(own.record)
    for (const key of store.keysOnLink(name)) {
      const entry = store.get(key)
      if (entry !== undefined) this.#drift.look(entry.record)
    }
    this.#kickDrift()
  }

  /** The dumps are the next flush's: beside one that runs they would take its events. */
  #resubscribe(): void {
    try {
      this.#mirror.resubscribe()
    } catch (error) {
      this.#log.error({ err: error }, 'cannot subscribe to kernel notifications; trying again')
      this.#after('resubscribe', 5000, () => this.#resubscribe())
    }
  }

  // -- scheduling

  #idle(): boolean {
    return this.#running === null && this.#work.empty && this.#drift.empty && !this.#factsStale
  }

  #kickDrift(): void {
    if (!this.#started || this.#stopped || this.#timers.has('drift')) return
    this.#after('drift', this.#timing.driftMs, () => {
      this.#mergeDrift()
      this.#kick()
    })
  }

  #mergeDrift(): void {
    const { dirty, full } = this.#drift.take()
    for (const record of dirty.records.values()) this.#work.look(record)
    for (const family of dirty.ruleFamilies) this.#work.lookAtRules(family)
    if (full) this.#work.full = true
  }

  #kick(): void {
    if (!this.#started || this.#stopped || this.#running !== null) return
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    // Everything asked for in this turn of the event loop shares the first batch.
    await Promise.resolve()
    try {
      while (!this.#stopped && (!this.#work.empty || this.#factsStale || this.#mirror.doubtful)) await this.#flush()
    } catch (error) {
      if (!this.#stopped) {
        this.#log.error({ err: error }, 'dataplane flush failed; comparing everything again')
        this.#work.full = true
        this.#after('retry flush', 1000, () => this.#kick())
      }
    } finally {
      this.#running = null
    }
    this.#progress()
  }

  async #flushed(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  #after(name: string, ms: number, action: () => void | Promise<void>): void {
    const old = this.#timers.get(name)
    if (old !== undefined) clearTimeout(old)
    if (this.#stopped) return
    const timer = setTimeout(() => {
      this.#timers.delete(name)
      Promise.resolve(action()).catch((error: unknown) =>
        this.#log.error({ err: error, operation: name }, 'timer failed'),
      )
    }, ms)
    this.#timers.set(name, timer)
  }

  #every(name: string, ms: number, action: () => Promise<void>): void {
    if (ms === 0) return
    this.#after(name, ms, async () => {
      await action()
      this.#every(name, ms, action)
    })
  }

  #scheduleAudit(): void {
    const { auditMs } = this.#timing
    if (auditMs === 0) return
    this.#after('audit', auditMs * (0.75 + Math.random() / 2), () => {
      this.audit()
      this.#contests.prune(Date.now())
      this.#scheduleAudit()
    })
  }

  async #checkProxies(): Promise<void> {
    if (this.#running !== null) return
    try {
      await this.#mirror.checkProxies()
    } catch (error) {
      if (!this.#stopped) this.#log.warn({ err: error }, 'cannot compare proxy neighbours')
    }
  }

  #progress(): void {
    for (const listener of [...this.#listeners]) listener()
  }

  // -- the flush

  #netfilterTouched(changes: readonly DesiredChange[]): boolean {
    return changes.some(({ old, now }) => (now ?? old)?.kind === 'element')
  }

  /** Files changes of the desired state: netlink records for the flush, elements for the netfilter half. */
  #absorb(changes: readonly DesiredChange[]): void {
    for (const change of changes) {
      const { key, old, now } = change
      if (now?.kind === 'element') this.#netfilter.want(now)
      else if (old?.kind === 'element') this.#netfilter.unwant(old)
      this.#failures.forget(key)
      if (now !== null) this.#grace.delete(key)
      this.#work.wish(change)
    }
  }

  #drawFacts(): void {
    this.#factsStale = false
    const { state } = this.#mirror
    const facts = nodeFacts(
      { links: state.links.values(), addresses: state.addresses(), mainRoutes: state.mainRoutes(), ipv6: this.#ipv6 },
      this.#model.input,
      this.#model.config,
    )
    const old = this.#model.facts
    if (old !== null && sameFacts(old, facts)) return
    const changes = this.#model.setFacts(facts)
    if (this.#netfilterTouched(changes)) this.#netfilterDue = true
    this.#absorb(changes)
    for (const listener of this.#factListeners) listener(facts)
  }

  async #flush(): Promise<void> {
    const started = performance.now()
    if (this.#mirror.doubtful) {
      await this.#mirror.resolveDoubts()
      this.#work.full = true
    }
    if (this.#factsStale) this.#drawFacts()
    const { dirty, wished, full } = this.#work.take()
    await this.#readSettings(full ? null : dirty.records)
    const result = full ? diffAll(this.#diffInput(), dirty) : diffKeys(this.#diffInput(), dirty)
    this.#noteWaiting(result, full ? null : dirty)
    const operations = this.#admit(result.operations, wished)
    if (operations.length > 0) {
      const { results, held } = await applyPlan(plan(operations), {
        socket: this.#socket,
        namespace: this.#options.namespace,
        state: this.#mirror.state,
        unfilled: this.#unfilledTables(),
      })
      this.#noteResults(results, wished)
      for (const { key, link } of held) this.#waiting.set(key, `link ${link}`)
    }
    this.#noteSettled(full ? null : dirty, operations)
    this.#afterFlush()
    this.#options.metrics?.flush((performance.now() - started) / 1000)
    this.#progress()
  }

  #diffInput(): DiffInput {
    const { input, config, tables, store } = this.#model
    const facts = this.#model.facts
    if (facts === null) throw new Error('the engine has not been started')
    const { state } = this.#mirror
    const isPodAddress = (address: IPAddress): boolean => this.#model.podOf(address) !== undefined
    const ownership = new Ownership({ input, facts, config, state, tables, isPodAddress })
    return { store, state, ownership }
  }

  /** Reads what the diff is about to compare and nobody has read yet. */
  async #readSettings(records: ReadonlyMap<string, DataplaneRecord> | null): Promise<void> {
    const paths: string[] = []
    const collect = (record: DataplaneRecord): void => {
      if (record.kind !== 'sysctl') return
      if (record.link === null || this.#mirror.state.link(record.link) !== undefined) paths.push(record.path)
    }
    if (records === null) for (const [, { record }] of this.#model.store.entries()) collect(record)
    else for (const record of records.values()) collect(record)
    await this.#mirror.readSysctls(paths)
  }

  /** Leaves out what has to wait: refused a moment ago, contested, within its grace. */
  #admit(operations: readonly Operation[], wished: ReadonlySet<string>): Operation[] {
    const now = Date.now()
    const blockedLinks = new Set<string>()
    for (const { key, action, record } of operations) {
      if (record.kind !== 'link' || action === 'delete') continue
      if (this.#failures.blocked(key, now) || this.#contests.held(key, now)) blockedLinks.add(record.name)
    }
    return operations.filter((operation) => {
      const { key, action, record } = operation
      if (this.#failures.blocked(key, now)) return false
      // The diff counted on a device that is not tried now.
      const absent = action === 'delete' ? undefined : linksOf(record).find((link) => blockedLinks.has(link))
      if (absent !== undefined) {
        this.#waiting.set(key, `link ${absent}`)
        return false
      }
      if (action === 'delete' && record.kind === 'fdb' && !this.#graceOver(key, record, now)) return false
      if (wished.has(key)) return true
      return !this.#contests.held(key, now)
    })
  }

  #graceOver(key: string, record: DataplaneRecord, now: number): boolean {
    const until = this.#grace.get(key) ?? now + this.#timing.fdbGraceMs
    if (until > now) {
      this.#grace.set(key, until)
      this.#after(`grace ${key}`, until - now, () => {
        this.#work.look(record)
        this.#kick()
      })
      return false
    }
    this.#grace.delete(key)
    return true
  }

  #unfilledTables(): Set<string> {
    const tables = new Set<string>()
    for (const { operation } of this.#failures.list()) {
      const { record } = operation
      if (record.kind === 'route') tables.add(`${record.family} ${record.table}`)
    }
    return tables
  }

  /** @param examined what the diff looked at; null for everything */
  #noteWaiting(result: DiffResult, examined: DirtyKeys | null): void {
    for (const key of [...this.#waiting.keys()]) if (wasExamined(key, examined)) this.#waiting.delete(key)
    for (const { key, for: reason } of result.waiting) this.#waiting.set(key, reason)
  }

  #noteResults(results: readonly OperationResult[], wished: ReadonlySet<string>): void {
    const now = Date.now()
    for (const { operation, error, sent } of results) {
      const { key, action, record } = operation
      if (error === null && !sent) continue
      if (error === null) {
        const label = `${action} ${record.kind}`
        this.#operations.set(label, (this.#operations.get(label) ?? 0) + 1)
        this.#options.metrics?.operation(action, record.kind)
        const retried = this.#failures.get(key) !== undefined
        this.#failures.forget(key)
        if (!wished.has(key) && !retried) this.#noteRepair(operation, now)
        continue
      }
      const failure = this.#failures.note(operation, error, now)
      this.#options.metrics?.failure(record.kind)
      const level = failure.attempts === 1 ? 'warn' : 'debug'
      this.#log[level]({ object: key, operation: action, attempts: failure.attempts, err: error }, 'the kernel refused')
      // What was assumed did not come about.
      if (sent) this.#mirror.doubt(classOf(record))
    }
  }

  #noteRepair({ key, action, record, why }: Operation, now: number): void {
    if (!this.#settledOnce) return
    // CNI ADD makes these beside us, and the kernel announces none: making one again undoes nobody's change.
    if (record.kind === 'proxy' && isContainerInterface(record.link)) return
    this.#repairs++
    this.#options.metrics?.repair(record.kind)
    this.#log.info({ object: key, operation: action, why }, 'repaired')
    if (this.#contests.note(key, now)) {
      this.#log.warn({ object: key }, 'somebody else keeps changing this; leaving it alone for a while')
    }
  }

  /** Refused keys that need nothing any more: somebody else did it, or it is wanted no longer. */
  #noteSettled(examined: DirtyKeys | null, operations: readonly Operation[]): void {
    if (this.#failures.size === 0) return
    const attempted = new Set(operations.map(({ key }) => key))
    for (const { operation } of this.#failures.due(Date.now())) {
      if (!attempted.has(operation.key) && wasExamined(operation.key, examined)) this.#failures.forget(operation.key)
    }
  }

  #afterFlush(): void {
    this.#settledOnce = true
    const facts = this.#model.facts
    const vxlan = facts?.vxlan ?? null
    const device = vxlan === null ? undefined : this.#mirror.state.link(vxlan)
    if (device === undefined) this.#netfilter.setFanOut(null, 0)
    else this.#netfilter.setFanOut(vxlan, device.index)
    if (this.#netfilterDue) {
      this.#netfilterDue = false
      this.#netfilter.sync()
    }
    const now = Date.now()
    const next = [this.#failures.nextAt(), this.#contests.nextAt(now)].filter((at) => at !== null)
    if (next.length > 0) this.#after('retry', Math.max(10, Math.min(...next) - now), () => this.#retry())
  }

  #retry(): void {
    const now = Date.now()
    for (const { operation } of this.#failures.due(now)) this.#work.look(operation.record)
    for (const { key } of this.#contests.list(now)) {
      const entry = this.#model.store.get(key)
      if (entry !== undefined) this.#work.look(entry.record)
      else if (/^rule[46] /.test(key)) this.#work.lookAtRules(key.startsWith('rule6') ? 6 : 4)
      else this.#work.full = true
    }
    this.#kick()
  }
}
