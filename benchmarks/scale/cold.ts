// A node's first start in a large cluster: the API server holds everything already, the daemon has to read it and bring the
// kernel in order. Then pods of this node come and go, fast.
import { hostVethName } from '../../lib/api/index.ts'
import { addressKey, type IPAddress } from '../../lib/ip/index.ts'
import { Monitor, type Request, request, RouteSocket } from '../../lib/netlink/index.ts'
import { median, percentile } from '../support/statistics.ts'
import type { Figure, Section } from './figures.ts'
import type { EventOrder, FillOrder, MadeEvent } from './server.ts'
import { FIRST_LOCAL, FIRST_REMOTE } from './objects.ts'
import { logged, pause, type Stage, until } from './stage.ts'
import { type Process } from './worker.ts'

export interface ColdOptions {
  readonly nodes: number
  readonly pods: number
  /** Pod events to make in all; 0 for none. */
  readonly events: number
  /** A second. */
  readonly rate: number
}

/** Pods of the node under test that come and go in turn. */
const localPods = 250
const MIB = 2 ** 20

export async function cold(stage: Stage, { nodes, pods, events, rate }: ColdOptions): Promise<Section[]> {
  const { say } = stage.options
  await stage.server.ask('fill', { nodes, instances: pods, first: FIRST_REMOTE, pods: 'none' } satisfies FillOrder)
  say(`API server filled: ${nodes} nodes, ${pods} IPInstances`)
  const daemon = stage.startDaemon()
  const { time: inOrder } = (await logged(daemon, 'the kernel is in order')) as { time: number }
  const resolverReady = await until('all addresses in the resolver', async () =>
    (await stage.daemonMetric('hybridnet_resolver{counter="entries"}')) >= pods + nodes ? Date.now() : null,
  )
  const traffic = (await stage.traffic())['hybridnet-daemon']
  const served = traffic?.lastListAt ?? NaN
  const starting = daemon.usage()
  await pause(5000)
  const figures: Figure[] = [
    { what: 'API list served → kernel in order', value: (inOrder - served) / 1000, unit: 's', reach: 5 },
    { what: 'API list served → every address resolves', value: (resolverReady - served) / 1000, unit: 's', reach: 5 },
    { what: 'start of the process → list served', value: (served - daemon.startedAt) / 1000, unit: 's' },
    { what: 'processor time until in order', value: starting.cpu, unit: 's' },
    { what: 'memory (RSS), highest', value: daemon.usage().peak, unit: 'MiB', reach: 150 },
    { what: 'memory (RSS), 5 s later', value: daemon.usage().rss, unit: 'MiB', reach: 150 },
    {
      what: 'index of remote pods, bytes per pod',
      value: (await stage.daemonMetric('hybridnet_remote_pods_bytes')) / pods,
      unit: 'B',
      reach: 64,
    },
    {
      what: 'API requests',
      value: Object.values(traffic?.requests ?? {}).reduce((sum, n) => sum + n, 0),
      unit: '',
    },
    { what: 'API bytes received', value: (traffic?.bytesDown ?? NaN) / MIB, unit: 'MiB' },
  ]
  const sections: Section[] = [{ title: `Daemon's first start: ${nodes} nodes, ${pods} pods`, figures }]
  if (events > 0) {
    sections.push({
      title: `Pods of the node come and go, ${rate} events/s, ${pods} pods elsewhere`,
      figures: await localEvents(stage, daemon, events, rate),
    })
  }
  return sections
}

async function localEvents(stage: Stage, daemon: Process, count: number, rate: number): Promise<Figure[]> {
  const pods = Array.from({ length: localPods }, (_, index) => `local-${index}`)
  const addresses = pods.map((_, index) => FIRST_LOCAL + index)
  await makeVeths(stage, pods)
  await pause(2000)
  // Code that has run is compiled; a daemon lives for weeks.
  await play(stage, { node: stage.node.name, addresses, pods, rate, count: 4 * localPods })
  const before = daemon.usage().cpu
  const { seen, made } = await play(stage, { node: stage.node.name, addresses, pods, rate, count })
  const spent = daemon.usage().cpu - before
  const latencies = delays(made, seen)
  return [
    { what: 'events', value: made.length, unit: '' },
    { what: 'seen in the kernel', value: latencies.length, unit: '' },
    { what: 'written to the API → route in the kernel, median', value: median(latencies), unit: 'ms' },
    { what: '99 %', value: percentile(latencies, 99), unit: 'ms', reach: 5 },
    { what: 'longest', value: Math.max(...latencies), unit: 'ms' },
    { what: 'daemon: processor time per event', value: (spent / made.length) * 1e6, unit: 'µs' },
  ]
}

/** Equivalent to: `ip link add hybrXXXXXXXXXXX type veth peer name pN`, up, in the namespace of the node. */
async function makeVeths(stage: Stage, pods: readonly string[]): Promise<void> {
  const socket = RouteSocket.open(stage.node.namespace)
  try {
    const requests: Request[] = pods.map((pod, index) =>
      request.linkAdd({ kind: 'veth', name: hostVethName('default', pod), peer: { name: `p${index}` }, up: true }),
    )
    const failure = (await socket.apply(requests)).find((error) => error !== null)
    if (failure) throw failure
  } finally {
    socket.close()
  }
}

interface Sighting {
  readonly type: 'new' | 'del'
  readonly at: bigint
}

/** Make events, and see what the kernel says of routes to these addresses meanwhile. */
async function play(stage: Stage, order: EventOrder): Promise<{ made: MadeEvent[]; seen: Map<string, Sighting[]> }> {
  const seen = new Map<string, Sighting[]>()
  const monitor = Monitor.open(stage.node.namespace, {
    groups: ['route'],
    onEvents: (events) => {
      const at = process.hrtime.bigint()
      for (const { object, type, value } of events) {
        if (object !== 'route' || value.dst === null || value.dst.length !== 32) continue
        const key = addressKey(value.dst.address)
        const list = seen.get(key)
        if (list === undefined) seen.set(key, [{ type, at }])
        else list.push({ type, at })
      }
    },
    onOverrun: (where) => stage.options.say(`notifications were lost in the ${where}`),
    onError: (error) => stage.options.say(`monitor: ${error.message}`),
  })
  try {
    const made = await stage.server.ask<MadeEvent[]>('events', order)
    await pause(2000)
    return { made, seen }
  } finally {
    monitor.close()
  }
}

/** Milliseconds from each event to the first sighting of its kind after it and before the address's next event. */
function delays(made: readonly MadeEvent[], seen: ReadonlyMap<string, readonly Sighting[]>): number[] {
  const byAddress = new Map<IPAddress, MadeEvent[]>()
  for (const event of made) byAddress.set(event.address, [...(byAddress.get(event.address) ?? []), event])
  const result: number[] = []
  for (const [address, events] of byAddress) {
    const sightings = seen.get(addressKey(address)) ?? []
    for (const [index, event] of events.entries()) {
      const next = events[index + 1]?.at
      const sighting = sightings.find(
        ({ type, at }) => type === event.type && at >= event.at && (next === undefined || at < next),
      )
      if (sighting !== undefined) result.push(Number(sighting.at - event.at) / 1e6)
    }
  }
  return result
}
