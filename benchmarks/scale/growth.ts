// A cluster grows from nothing: hollow nodes register, then pods are created as fast as the API server takes them, with the
// manager and one real daemon running. Then it rests; then the manager is replaced.
import { IPINSTANCES, PODS } from '../../lib/api/index.ts'
import { median, percentile } from '../support/statistics.ts'
import type { Figure, Section } from './figures.ts'
import type { HollowOrder } from './hollow.ts'
import { FIRST_REMOTE, podObject } from './objects.ts'
import type { FillOrder } from './server.ts'
import { each, logged, pause, type Stage, until } from './stage.ts'
import { type AgentTraffic, trafficSince, writesOf } from './traffic.ts'
import { type Process } from './worker.ts'

export interface GrowthOptions {
  readonly nodes: number
  /** At the end. */
  readonly pods: number
  /** Of them, so many run before the programs start. */
  readonly filled: number
  /** Between two heartbeats of a node. */
  readonly heartbeatSeconds: number
  /** How long to look at the cluster at rest, seconds. */
  readonly restSeconds: number
}

const MIB = 2 ** 20
const requestsOf = ({ requests }: AgentTraffic): number => Object.values(requests).reduce((sum, n) => sum + n, 0)

export async function growth(stage: Stage, options: GrowthOptions): Promise<Section[]> {
  const { nodes, pods, filled, heartbeatSeconds, restSeconds } = options
  const { say, family } = stage.options
  if (filled > 0) {
    const fill: FillOrder = { nodes, instances: filled, first: FIRST_REMOTE, pods: 'running' }
    await stage.server.ask('fill', fill)
    say(`API server filled: ${nodes} nodes, ${filled} pods that run`)
  }
  const grown = pods - filled
  const manager = stage.startManager()
  await logged(manager, 'leading: state built, controllers started')
  const daemon = stage.startDaemon()
  await logged(daemon, 'the kernel is in order')

  const hollow = stage.startHollow()
  let started = performance.now()
  const order: HollowOrder = { server: stage.url, count: nodes, family, heartbeatMs: heartbeatSeconds * 1000 }
  await hollow.ask('start', order)
  const registered = (performance.now() - started) / 1000
  await until('endpoints in the kernel', async () => (await stage.daemonMetric('hybridnet_dataplane_in_sync')) === 1)
  say(`${nodes} nodes registered in ${registered.toFixed(1)} s`)

  const before = await stage.traffic()
  const usage = {
    manager: manager.usage(),
    daemon: daemon.usage(),
    server: stage.server.usage(),
    hollow: hollow.usage(),
  }
  started = performance.now()
  let addressedAt = 0
  const progress = setInterval(() => {
    stage
      .counts()
      .then(({ pods, instances, running }) => {
        const seconds = ((performance.now() - started) / 1000).toFixed(0)
        const memory = `manager ${manager.usage().rss.toFixed(0)} MiB, daemon ${daemon.usage().rss.toFixed(0)} MiB`
        say(`${seconds} s: ${pods} pods, ${instances} addresses, ${running} running; ${memory}`)
      })
      .catch(say)
  }, 10_000)
  let createdAt = 0
  try {
    const numbers = Array.from({ length: grown }, (_, index) => filled + index)
    const creating = each(numbers, 8, async (index) => {
      await stage.client.create(PODS, podObject(`pod-${index}`, `hollow-${(index % nodes) + 1}`))
    }).then(() => (createdAt = performance.now()))
    await until(
      'all pods run',
      async () => {
        const { instances, running } = await stage.counts()
        // They throw when the process has ended.
        for (const process of [manager, daemon, hollow]) process.usage()
        if (instances >= pods && addressedAt === 0) addressedAt = performance.now()
        return running >= pods && addressedAt > 0
      },
      { everyMs: 100 },
    )
    await creating
  } finally {
    clearInterval(progress)
  }
  const seconds = (performance.now() - started) / 1000
  // Events about the last pods are still on their way.
  await pause(5000)
  const traffic = trafficSince(before, await stage.traffic())
  const spent = (process: Process, since: { cpu: number }): number => process.usage().cpu - since.cpu
  const figures: Figure[] = [
    { what: 'between two heartbeats of a node', value: heartbeatSeconds, unit: 's' },
    { what: `${nodes} nodes registered`, value: registered, unit: 's' },
    { what: 'pods that ran before', value: filled, unit: '' },
    { what: `${grown} pods created`, value: (createdAt - started) / 1000, unit: 's' },
    { what: 'until all had addresses', value: (addressedAt - started) / 1000, unit: 's' },
    { what: 'until all ran', value: seconds, unit: 's' },
    { what: 'addresses per second', value: grown / ((addressedAt - started) / 1000), unit: '1/s' },
    { what: 'manager: processor time per pod', value: (spent(manager, usage.manager) / grown) * 1e6, unit: 'µs' },
    { what: 'daemon: processor time per remote pod', value: (spent(daemon, usage.daemon) / grown) * 1e6, unit: 'µs' },
    {
      what: 'API server: processor time per pod',
      value: (spent(stage.server, usage.server) / grown) * 1e6,
      unit: 'µs',
    },
    { what: 'hollow nodes: processor time per pod', value: (spent(hollow, usage.hollow) / grown) * 1e6, unit: 'µs' },
    { what: 'manager: memory (RSS)', value: manager.usage().rss, unit: 'MiB' },
    { what: 'manager: memory, highest', value: manager.usage().peak, unit: 'MiB' },
    { what: 'daemon: memory (RSS)', value: daemon.usage().rss, unit: 'MiB' },
    { what: 'daemon: memory, highest', value: daemon.usage().peak, unit: 'MiB', reach: 150 },
    { what: 'API server: memory, highest', value: stage.server.usage().peak, unit: 'MiB' },
    { what: 'hollow nodes: memory, highest', value: hollow.usage().peak, unit: 'MiB' },
    {
      what: 'daemon: index of remote pods, bytes per pod',
      value:
        (await stage.daemonMetric('hybridnet_remote_pods_bytes')) / (await stage.daemonMetric('hybridnet_remote_pods')),
      unit: 'B',
      reach: 64,
    },
  ]
  for (const agent of ['hybridnet-manager', 'hybridnet-daemon', 'hollow']) {
    const account = traffic[agent]
    if (account === undefined) throw new Error(`no requests of ${agent} were counted`)
    figures.push(
      { what: `${agent}: API requests per pod`, value: requestsOf(account) / grown, unit: '' },
      { what: `${agent}: API writes per pod`, value: writesOf(account) / grown, unit: '' },
      { what: `${agent}: sent per pod`, value: account.bytesUp / grown, unit: 'B' },
      { what: `${agent}: received per pod`, value: account.bytesDown / grown, unit: 'B' },
      { what: `${agent}: received in all`, value: account.bytesDown / MIB, unit: 'MiB' },
    )
  }
  say(`grown: ${seconds.toFixed(0)} s`)
  return [
    { title: `Growth: ${nodes} hollow nodes, ${pods} pods`, figures },
    { title: 'At rest, heartbeats only', figures: await rest(stage, manager, daemon, restSeconds) },
    { title: 'One pod at a time', figures: await paced(stage, nodes) },
    { title: `Daemon restarted, nothing changed`, figures: await daemonRestart(stage, daemon) },
    { title: `Manager replaced, ${pods} pods`, figures: await failover(stage, manager) },
  ]
}

/** Processor time of the programs while nothing happens but leases of nodes. */
async function rest(stage: Stage, manager: Process, daemon: Process, seconds: number): Promise<Figure[]> {
  const [before, m, d] = [await stage.traffic(), manager.usage().cpu, daemon.usage().cpu]
  await pause(seconds * 1000)
  const percent = (process: Process, since: number): number => ((process.usage().cpu - since) / seconds) * 100
  const traffic = trafficSince(before, await stage.traffic())
  const rate = (agent: string): number =>
    requestsOf(traffic[agent] ?? { requests: {}, bytesUp: 0, bytesDown: 0, lastListAt: null }) / seconds
  return [
    { what: 'manager: of one core', value: percent(manager, m), unit: '%' },
    { what: 'daemon: of one core', value: percent(daemon, d), unit: '%', reach: 1 },
    { what: 'manager: API requests', value: rate('hybridnet-manager'), unit: '1/s' },
    { what: 'daemon: API requests', value: rate('hybridnet-daemon'), unit: '1/s' },
  ]
}

/** Pod created → its IPInstance seen by a client, one after the other in a full cluster. */
async function paced(stage: Stage, nodes: number): Promise<Figure[]> {
  const times: number[] = []
  const count = 100
  const seen = new Map<string, () => void>()
  const stop = new AbortController()
  const { resourceVersion } = await stage.client.list(IPINSTANCES, { pageSize: 1, namespace: 'none' })
  const watching = stage.client.watch(
    IPINSTANCES,
    { resourceVersion, timeoutSeconds: 600, inactivityMs: 600_000, signal: stop.signal },
    {
      onOpen: () => undefined,
      onEvent: (_type, { spec }) => seen.get((spec as { binding: { podName: string } }).binding.podName)?.(),
      onBookmark: () => undefined,
      onBatchEnd: () => undefined,
    },
  )
  watching.catch(() => undefined)
  for (let index = 0; index < count; index++) {
    const name = `paced-${index}`
    const addressed = new Promise<void>((resolve) => seen.set(name, resolve))
    const started = performance.now()
    await stage.client.create(PODS, podObject(name, `hollow-${(index % nodes) + 1}`))
    await addressed
    times.push(performance.now() - started)
    seen.delete(name)
  }
  stop.abort()
  return [
    { what: 'pod created → address, median', value: median(times), unit: 'ms' },
    { what: 'pod created → address, 99 %', value: percentile(times, 99), unit: 'ms' },
  ]
}

async function daemonRestart(stage: Stage, daemon: Process): Promise<Figure[]> {
  const before = await stage.traffic()
  await daemon.stop()
  const next = stage.startDaemon()
  const { operations, time } = (await logged(next, 'the kernel is in order')) as { operations: number; time: number }
  const traffic = trafficSince(before, await stage.traffic())['hybridnet-daemon']
  return [
    { what: 'operations on the kernel', value: operations, unit: '', reach: 0 },
    { what: 'start of the process → in order', value: (time - next.startedAt) / 1000, unit: 's' },
    { what: 'processor time', value: next.usage().cpu, unit: 's' },
    { what: 'API requests', value: traffic === undefined ? NaN : requestsOf(traffic), unit: '' },
    { what: 'API bytes received', value: (traffic?.bytesDown ?? NaN) / MIB, unit: 'MiB' },
  ]
}

/** The leader is killed; a standby takes over. Then that one ends in order, and another starts. */
async function failover(stage: Stage, leader: Process): Promise<Figure[]> {
  const standby = stage.startManager()
  await until('the standby sees the leader', () => standby.lines('lease holder').length > 0)
  const killedAt = Date.now()
  await leader.stop('SIGKILL')
  const took = (await logged(standby, 'leading: state built, controllers started')) as {
    milliseconds: number
    time: number
  }
  const before = await stage.traffic()
  await pause(5000)
  const writes = trafficSince(before, await stage.traffic())['hybridnet-manager']
  const { 'update leases': renewals = 0, 'patch leases': patched = 0 } = writes?.requests ?? {}
  const next = stage.startManager()
  await until('the next one sees the leader', () => next.lines('lease holder').length > 0)
  const stoppedAt = Date.now()
  await standby.stop()
  const again = (await logged(next, 'leading: state built, controllers started')) as {
    milliseconds: number
    time: number
  }
  return [
    { what: 'leader killed → standby works (lease of 15 s)', value: (took.time - killedAt) / 1000, unit: 's' },
    { what: 'of which lists and rebuild', value: took.milliseconds / 1000, unit: 's' },
    { what: 'leader ends → next works', value: (again.time - stoppedAt) / 1000, unit: 's' },
    { what: 'of which lists and rebuild', value: again.milliseconds / 1000, unit: 's' },
    {
      what: 'writes after taking over but for the lease',
      value: writes === undefined ? NaN : writesOf(writes) - renewals - patched,
      unit: '',
      reach: 0,
    },
    { what: 'memory (RSS) of the new leader, highest', value: next.usage().peak, unit: 'MiB' },
  ]
}
