// A cluster for a test file: started once, stopped at the end, its logs shown when something fails.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ANNOTATION_IP_FAMILY, PODS, type IPFamily, type Pod } from '../../lib/api/index.ts'
import {
  Cluster,
  createOverlay,
  echoPort,
  namespaceCommand,
  overlayEnvironment,
  probeFrom,
} from '../../lib/standalone/index.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import { chosenControlPlane } from '../support/control-plane.ts'
import { eventually } from '../support/eventually.ts'
import { present } from '../support/present.ts'
import { requireSandbox } from '../support/sandbox.ts'

/** Flags that make daemons of a test quick to talk about. */
const daemonFlags = ['--patch-calico-pod-ips-annotation=false']

/** A cluster with the default overlay, ready for pods. */
export async function startCluster(nodes: number, overlay = true): Promise<Cluster> {
  requireSandbox()
  const cluster = await Cluster.start({
    ...chosenControlPlane(),
    nodes,
    environment: overlayEnvironment,
    daemonFlags,
    log: silentLogger(),
  })
  if (overlay) await createOverlay(cluster.client)
  return cluster
}

/** Print the end of every program's log: call it when a test failed. */
export function showLogs(cluster: Cluster, lines = 40): void {
  const directory = join(cluster.directory, 'logs')
  for (const name of readdirSync(directory)) {
    const text = readFileSync(join(directory, name), 'utf8').trimEnd().split('\n').slice(-lines).join('\n')
    console.error(`--- ${name}\n${text}`)
  }
}

/** Create a pod, on a node if given. */
export async function createPod(
  cluster: Cluster,
  name: string,
  options: { node?: string; family?: IPFamily; annotations?: Record<string, string> } = {},
): Promise<void> {
  const annotations = { ...options.annotations, ...(options.family ? { [ANNOTATION_IP_FAMILY]: options.family } : {}) }
  await cluster.client.create(PODS, {
    metadata: { name, namespace: 'default', annotations },
    spec: {
      ...(options.node ? { nodeName: options.node } : {}),
      containers: [{ name: 'main', image: 'none' }],
    },
  })
}

/** Wait until a pod runs, and return its addresses, IPv4 first. */
export async function runningPod(cluster: Cluster, name: string, timeoutMs = 30_000): Promise<string[]> {
  return await eventually(
    async () => {
      const pod = await cluster.client.get<Pod>(PODS, { namespace: 'default', name })
      const addresses = pod.status?.podIPs?.map(({ ip }) => ip) ?? []
      return pod.status?.phase === 'Running' && addresses.length > 0 ? addresses : null
    },
    timeoutMs,
    50,
  )
}

/** Delete a pod and wait until the API has forgotten it. */
export async function deletePod(cluster: Cluster, name: string): Promise<void> {
  await cluster.client.delete(PODS, { namespace: 'default', name }, { gracePeriodSeconds: 1 })
  await eventually(async () => (await cluster.client.find(PODS, { namespace: 'default', name })) === null, 30_000, 50)
}

/** One pair of the matrix that did not behave. */
export interface Unreached {
  readonly from: string
  readonly to: string
  readonly problem: string
}

/** Every pod to every address of every pod, same family: reached, and seen with its own address. */
export async function checkPairs(cluster: Cluster, pods: ReadonlyMap<string, readonly string[]>): Promise<Unreached[]> {
  const wrong: Unreached[] = []
  for (const [from, own] of pods) {
    const targets = [...pods]
      .filter(([name]) => name !== from)
      .flatMap(([name, list]) => list.map((address) => ({ name, address })))
    const reachable = targets.filter(({ address }) =>
      own.some((source) => source.includes(':') === address.includes(':')),
    )
    const netns = cluster.sandbox(from).attachment.netns
    const results = await probeFrom(
      netns,
      reachable.map(({ address }) => ({ address, port: echoPort })),
    )
    for (const [index, { name, address }] of reachable.entries()) {
      const result = present(results[index])
      const source = result.greeting?.source ?? ''
      if (result.error !== null) wrong.push({ from, to: `${name} ${address}`, problem: result.error })
      else if (!own.includes(source)) wrong.push({ from, to: `${name} ${address}`, problem: `seen as ${source}` })
    }
  }
  return wrong
}

/** A ping every `intervalMs`, until stopped. */
export class Probe {
  readonly #child
  #output = ''

  constructor(netns: string, target: string, intervalMs: number) {
    // Intervals below 2 ms need root, which this is in its own namespace.
    const interval = (intervalMs / 1000).toFixed(3)
    const [command, ...args] = namespaceCommand(netns, ['ping', '-q', '-n', '-i', interval, '-W', '1', target])
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#output += chunk.toString()))
  }

  async stop(): Promise<{ sent: number; lost: number }> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGINT')
    await closed
    const match = present(/(\d+) packets transmitted, (\d+) received/.exec(this.#output), 'a summary of ping')
    const sent = Number(match[1])
    // The last one may still be under way when ping is interrupted.
    return { sent, lost: Math.max(0, sent - Number(match[2]) - 1) }
  }
}

/** A hook whose failure is told: uvu only counts the tests that did not run. */
export function reported(hook: () => Promise<void>): () => Promise<void> {
  return async () => {
    try {
      await hook()
    } catch (error) {
      console.error(error)
      throw error
    }
  }
}
