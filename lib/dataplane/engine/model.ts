// Desired state kept up to date: which contributors an input or a fact concerns, and nothing more. Pure but for the table
// numbers, which it inherits from the kernel's rules.
//
// A pod or a tunnel endpoint is one contributor and costs its own few records. All subnets are one contributor, the node
// itself another. Facts that pods and endpoints look at (name of the VXLAN device, IPv6 on or off, own MAC) hardly ever
// change; when they do, everything is computed anew. `incremental == full` is a property test.
import type { Family, IPAddress } from '../../ip/index.ts'
import {
  allocateTables,
  nodeDesired,
  podDesired,
  subnetsDesired,
  tableCandidates,
  vtepDesired,
} from '../desired/index.ts'
import type { Contribution, Problem, TableMap } from '../desired/index.ts'
import { formatPrefix } from '../../ip/index.ts'
import { sameFacts, type NodeFacts } from '../facts.ts'
import { applyDelta, emptyInput, type ClusterInput, type DataplaneConfig, type InputDelta } from '../inputs.ts'
import type { KernelState } from '../mirror/state.ts'
import { TABLE_MAIN } from '../constants.ts'
import type { DataplaneRecord } from '../state.ts'
import { DesiredStore, type DesiredChange } from '../store.ts'

export interface ModelUpdate {
  readonly changes: readonly DesiredChange[]
  /** The facts depend on what changed and have to be drawn anew. */
  readonly factsStale: boolean
}

export class DesiredModel {
  readonly input: ClusterInput = emptyInput()
  readonly store = new DesiredStore()
  readonly config: DataplaneConfig
  readonly #state: KernelState
  readonly #problems = new Map<string, readonly Problem[]>()
  readonly #podsByAddress = new Map<IPAddress, string>()
  readonly #addressOfPod = new Map<string, IPAddress>()
  #facts: NodeFacts | null = null
  #tables: TableMap = { 4: new Map(), 6: new Map() }

  /** @param state read for table numbers only */
  constructor(config: DataplaneConfig, state: KernelState) {
    this.config = config
    this.#state = state
  }

  get facts(): NodeFacts | null {
    return this.#facts
  }

  /** Table numbers given out, by family and prefixKey. */
  get tables(): TableMap {
    return this.#tables
  }

  problems(): Problem[] {
    const text = ({ object, message }: Problem): string => `${object}: ${message}`
    return [...this.#problems.values()].flat().sort((a, b) => (text(a) < text(b) ? -1 : 1))
  }

  /** Key of the pod address, if it is one of this node. */
  podOf(address: IPAddress): string | undefined {
    return this.#podsByAddress.get(address)
  }

  /** Applies a delta of the input. Before the first facts nothing is computed. */
  update(delta: InputDelta): ModelUpdate {
    const change = applyDelta(this.input, delta)
    for (const key of change.pods) this.#indexPod(key)
    const factsStale = change.overlay || change.nodeAddresses
    const facts = this.#facts
    if (facts === null) return { changes: [], factsStale: true }
    const changes: DesiredChange[] = []
    for (const key of change.pods) changes.push(...this.#pod(key, facts))
    for (const name of change.vteps) changes.push(...this.#vtep(name, facts))
    if (change.subnets.length > 0) changes.push(...this.#subnets(facts))
    return { changes, factsStale }
  }

  /** Takes new facts; equal ones change nothing. */
  setFacts(facts: NodeFacts): readonly DesiredChange[] {
    const old = this.#facts
    if (old !== null && sameFacts(old, facts)) return []
    this.#facts = facts
    const changes = [...this.#node(facts), ...this.#subnets(facts)]
    const same = old !== null && old.ipv6 === facts.ipv6 && old.vxlan === facts.vxlan && old.vxlanMac === facts.vxlanMac
    if (same) return changes
    for (const key of this.input.pods.keys()) changes.push(...this.#pod(key, facts))
    for (const name of this.input.vteps.keys()) changes.push(...this.#vtep(name, facts))
    return changes
  }

  #indexPod(key: string): void {
    const before = this.#addressOfPod.get(key)
    // Of two pods with one address, which must not be, the later one counts.
    if (before !== undefined && this.#podsByAddress.get(before) === key) this.#podsByAddress.delete(before)
    const pod = this.input.pods.get(key)
    if (pod === undefined) {
      this.#addressOfPod.delete(key)
      return
    }
    this.#podsByAddress.set(pod.address, key)
    this.#addressOfPod.set(key, pod.address)
  }

  #node(facts: NodeFacts): DesiredChange[] {
    return this.#contribute('node', nodeDesired(this.input, facts, this.config))
  }

  #pod(key: string, facts: NodeFacts): DesiredChange[] {
    const pod = this.input.pods.get(key)
    return this.#contribute(`pod ${key}`, pod === undefined ? NOTHING : podDesired(pod, facts, this.config))
  }

  #vtep(name: string, facts: NodeFacts): DesiredChange[] {
    const vtep = this.input.vteps.get(name)
    return this.#contribute(`vtep ${name}`, vtep === undefined ? NOTHING : vtepDesired(vtep, facts))
  }

  #subnets(facts: NodeFacts): DesiredChange[] {
    const problems: Problem[] = []
    const tables = (family: Family): ReadonlyMap<string, number> => {
      const answer = allocateTables({
        wanted: tableCandidates(this.input, facts, family),
        rules: this.#state.rules(family),
        inUse: (table) => table !== TABLE_MAIN && this.#state.routesOf(family, table).length > 0,
        previous: this.#tables[family],
        fixed: [this.config.localDirectTable, this.config.toOverlayTable, this.config.overlayMarkTable],
      })
      for (const prefix of answer.exhausted) {
        problems.push({ object: `subnet ${formatPrefix(prefix)}`, message: 'no routing table number is free' })
      }
      return answer.tables
    }
    this.#tables = { 4: tables(4), 6: tables(6) }
    const { records, problems: more } = subnetsDesired(this.input, facts, this.config, this.#tables)
    return this.#contribute('subnets', { records, problems: [...problems, ...more] })
  }

  #contribute(contributor: string, { records, problems }: Contribution<DataplaneRecord>): DesiredChange[] {
    if (problems.length === 0) this.#problems.delete(contributor)
    else this.#problems.set(contributor, problems)
    return this.store.set(contributor, records)
  }
}

const NOTHING: Contribution<DataplaneRecord> = { records: [], problems: [] }
