// One churn: a fresh cluster, the steps one after the other, everything judged at each settlement, everything deleted at the
// end, and nothing left of the cluster when it has stopped.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { PODS, SUBNETS, IPINSTANCES, NAMESPACES, type Pod } from '../../../lib/api/index.ts'
import { KubeClient } from '../../../lib/kube/index.ts'
import { Cluster, createOverlay, overlayEnvironment } from '../../../lib/standalone/index.ts'
import { DEPLOYMENTS, STATEFUL_SETS } from '../../../lib/standalone/controllers/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { extraNodeCidrs } from './expect.ts'
import { readEnds } from './ends.ts'
import { Judge, programs, type Process } from './judge.ts'
import { keyOf, readObjects } from './objects.ts'
import { Observer } from './observer.ts'
import { Performer } from './perform/index.ts'
import type { Plant } from './plant.ts'
import type { Step } from './steps.ts'

export interface RunOptions {
  readonly steps: readonly Step[]
  readonly seed: number
  readonly nodes: number
  /** Milliseconds after the first settlement in which steps are taken, the last settlement apart; no limit unless given. */
  readonly stepMs?: number
  /** Milliseconds a settlement may take, once all programs run again. */
  readonly settleMs: number
  /** Pods whose pairs are probed at each. */
  readonly sample: number
  readonly onProgress: (text: string) => void
  /** A bug planted on purpose; see plant.ts. */
  readonly plant?: (cluster: Cluster) => Plant
  /** Tell what a settlement waits for, whenever that changes. */
  readonly verbose?: boolean
  /** Told of a failure while the cluster still stands. */
  readonly onFailure?: (cluster: Cluster, failure: ChurnFailure) => void | Promise<void>
}

export interface RunReport {
  readonly seconds: number
  /** Steps taken. */
  readonly taken: number
  /** Steps that did something, by kind. */
  readonly done: ReadonlyMap<string, number>
  readonly faultsHit: number
  /** Changes of pods and IPInstances that were judged as they came. */
  readonly changes: number
  readonly settlements: readonly Settlement[]
  readonly mostPods: number
  /** Managers that went since they could not renew their lease in time. */
  readonly leasesRunOut: number
}

/** How things stood when everything agreed. */
export interface Settlement {
  readonly step: number
  /** Since the start. */
  readonly seconds: number
  /** Until everything agreed, of which `calm` until all programs ran. */
  readonly took: number
  readonly calm: number
  readonly nodes: number
  readonly pods: number
  readonly addresses: number
  readonly changes: number
  readonly processes: readonly Process[]
  /** Of this process: API server, controllers, kubelets and judge. */
  readonly ownMegabytes: number
}

/** Something is not as it should be. */
export class ChurnFailure extends Error {
  override readonly name = 'ChurnFailure'
  /** Index of the step it was found at; the number of steps for the end. */
  readonly step: number
  readonly problems: readonly string[]

  constructor(step: number, problems: readonly string[], options?: ErrorOptions) {
    const shown = problems.slice(0, 30).map((problem) => `\n  ${problem}`)
    super(`at step ${step}: ${problems.length} problems:${shown.join('')}`, options)
    this.step = step
    this.problems = problems
  }
}

/** What cannot be done is a failure as well: it is kept, shown and cut down as what the judge finds. */
async function failureOf(step: number, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw error instanceof ChurnFailure
      ? error
      : new ChurnFailure(step, [error instanceof Error ? error.message : String(error)], { cause: error })
  }
}

/** The churn's own client: faults pass it by, by its name. */
export function churnClient(cluster: Cluster): KubeClient {
  const { url, caCert, token } = cluster.apiServer
  return KubeClient.connect({
    server: url,
    ...(caCert === null ? {} : { tls: { ca: caCert } }),
    ...(token === null ? {} : { token }),
    userAgent: 'churn/1',
  })
}

export function startChurnCluster(nodes: number): Promise<Cluster> {
  return Cluster.start({
    nodes,
    environment: overlayEnvironment,
    daemonFlags: [
      '--patch-calico-pod-ips-annotation=false',
      `--extra-node-local-vxlan-ip-cidrs=${extraNodeCidrs.join(',')}`,
    ],
    log: silentLogger(),
  })
}

/** @throws ChurnFailure of what the judge found or a step that could not be done; other errors from the cluster's start and stop */
export async function runChurn(options: RunOptions): Promise<RunReport> {
  const started = performance.now()
  const cluster = await startChurnCluster(options.nodes)
  const client = churnClient(cluster)
  const observer = new Observer(client)
  let report: RunReport
  try {
    await createOverlay(client)
    await observer.start()
    report = await new Run(options, cluster, client, observer, started).go()
  } catch (error) {
    if (error instanceof ChurnFailure) await options.onFailure?.(cluster, error)
    throw error
  } finally {
    await observer.stop()
    client.close()
    await cluster.stop()
  }
  const left = await leftovers(cluster.directory)
  if (left.length > 0) throw new ChurnFailure(options.steps.length, left)
  return report
}

class Run {
  readonly #options: RunOptions
  readonly #client: KubeClient
  readonly #observer: Observer
  readonly #performer: Performer
  readonly #judge: Judge
  readonly #plant: Plant
  readonly #started: number
  readonly #settlements: Settlement[] = []
  readonly #directory: string
  #mostPods = 0

  constructor(options: RunOptions, cluster: Cluster, client: KubeClient, observer: Observer, started: number) {
    this.#options = options
    this.#client = client
    this.#observer = observer
    this.#started = started
    this.#directory = cluster.directory
    this.#plant = options.plant?.(cluster) ?? (() => undefined)
    this.#performer = new Performer(cluster, client, options.settleMs)
    observer.onPodGone = (pod) => this.#performer.podGone(pod)
    this.#judge = new Judge({
      cluster,
      client,
      wanted: () => this.#performer.wanted,
      foreign: () => this.#performer.foreign,
      seed: options.seed,
      sample: options.sample,
    })
  }

  async go(): Promise<RunReport> {
    const { steps, stepMs = Infinity } = this.#options
    let taken = 0
    let filled = Infinity
    for (const [index, step] of steps.entries()) {
      if (performance.now() - filled > stepMs && index < steps.length - 1) continue
      taken++
      await failureOf(index, async () => {
        if (step.do === 'settle') {
          await this.#settle(index)
          filled = Math.min(filled, performance.now())
        } else await this.#performer.perform(step)
      })
      this.#plant(step)
      if (this.#observer.violations.length > 0) throw new ChurnFailure(index, this.#observer.violations)
    }
    await failureOf(steps.length, () => this.#end())
    const { done, faultsHit } = this.#performer
    return {
      seconds: (performance.now() - this.#started) / 1000,
      taken,
      done,
      faultsHit,
      changes: this.#observer.changes,
      settlements: this.#settlements,
      mostPods: this.#mostPods,
      leasesRunOut: readEnds(this.#directory).leasesRunOut,
    }
  }

  /** @throws ChurnFailure when it does not agree in time */
  async #settle(index: number): Promise<void> {
    const { settleMs, onProgress, steps, verbose = false } = this.#options
    const started = performance.now()
    await this.#performer.calm()
    const calm = (performance.now() - started) / 1000
    let last = ''
    for (;;) {
      const began = performance.now()
      await this.#performer.collectPods()
      const problems = await this.#judge.look()
      if (problems.length === 0) break
      const waited = ((performance.now() - started) / 1000).toFixed(1)
      if (verbose && !last.endsWith(problems[0] ?? ''))
        onProgress(`  ${waited} s: ${problems.length}: ${problems[0] ?? ''}`)
      last = `, the last of it: ${problems[0] ?? ''}`
      if (performance.now() - started > settleMs + calm * 1000) throw new ChurnFailure(index, problems)
      if (this.#observer.violations.length > 0) throw new ChurnFailure(index, this.#observer.violations)
      // Looking is work for the API server: most of its time is for those who are looked at.
      await new Promise((resolve) => setTimeout(resolve, Math.max(250, 3 * (performance.now() - began))))
    }
    const ended = readEnds(this.#directory).problems
    if (ended.length > 0) throw new ChurnFailure(index, ended)
    const { pods, instances, nodes } = await readObjects(this.#client)
    this.#mostPods = Math.max(this.#mostPods, pods.length)
    const settlement: Settlement = {
      step: index,
      seconds: (performance.now() - this.#started) / 1000,
      took: (performance.now() - started) / 1000,
      calm,
      nodes: nodes.length,
      pods: pods.length,
      addresses: instances.length,
      changes: this.#observer.changes,
      processes: programs(),
      ownMegabytes: Math.round(process.memoryUsage().rss / 1e6),
    }
    this.#settlements.push(settlement)
    onProgress(
      `${settlement.seconds.toFixed(0)} s: step ${index} of ${steps.length}: all agrees after ${settlement.took.toFixed(1)} s` +
        ` (${calm.toFixed(1)} s until all programs ran${last})`,
    )
    onProgress(settlementLine(settlement))
  }

  /** Everything deleted: no address, no sandbox, no trace in any kernel is left. */
  async #end(): Promise<void> {
    await this.#performer.calm()
    for (const resource of [DEPLOYMENTS, STATEFUL_SETS]) {
      for (const { metadata } of (await this.#client.list(resource)).items)
        await this.#client.delete(resource, metadata)
    }
    for (const pod of (await this.#client.list<Pod>(PODS)).items) {
      this.#performer.wanted.delete(keyOf(pod))
      if ((pod.metadata.ownerReferences ?? []).length > 0) continue
      // Some went with their namespace or their set.
      await this.#performer.perform({ do: 'delete-pod', pod: keyOf(pod), how: 'graceful' })
    }
    for (const { metadata } of (await this.#client.list(NAMESPACES)).items)
      if (/^churn-/.test(metadata.name ?? ''))
        await this.#performer.perform({ do: 'delete-namespace', name: metadata.name ?? '' })
    await eventually(async () => (await this.#client.list(IPINSTANCES)).items.length === 0, this.#options.settleMs, 250)
    for (const { metadata } of (await this.#client.list(SUBNETS)).items)
      if (/^extra-/.test(metadata.name ?? '')) await this.#client.delete(SUBNETS, metadata)
    await this.#settle(this.#options.steps.length)
  }
}

/** One line of the table of a run. */
export function settlementLine(settlement: Settlement): string {
  const { step, seconds, took, nodes, pods, addresses, changes, processes, ownMegabytes } = settlement
  const show = (what: RegExp): string =>
    processes
      .filter(({ command }) => what.test(command))
      .map(({ megabytes, descriptors }) => `${megabytes} MB/${descriptors} fds`)
      .join(' ')
  return (
    `step ${step}, ${seconds.toFixed(0)} s: settled in ${took.toFixed(0)} s; ${nodes} nodes, ${pods} pods, ${addresses} addresses, ` +
    `${changes} changes; manager ${show(/mjs manager/)}; daemons ${show(/mjs daemon/)}; rest ${ownMegabytes} MB`
  )
}

/** What of a stopped cluster is still there after a while; the kernel takes links of dead namespaces away in its own time. */
async function leftovers(directory: string): Promise<string[]> {
  const look = (): string[] => {
    const links = JSON.parse(execFileSync('ip', ['-j', 'link'], { encoding: 'utf8' })) as { ifname: string }[]
    return [
      ...links.filter(({ ifname }) => ifname !== 'lo').map(({ ifname }) => `interface ${ifname} is left`),
      ...readdirSync('/run/netns').map((name) => `network namespace ${name} is left`),
      ...programs().map(({ command, pid }) => `process ${pid} is left: ${command}`),
      ...(existsSync(directory) ? [`directory ${directory} is left`] : []),
    ]
  }
  const end = performance.now() + 30_000
  while (look().length > 0 && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 200))
  return look()
}
