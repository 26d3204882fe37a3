// The manager at work: very many pods at once, as many as there are addresses, on the embedded API server. Manager and server are
// processes of their own; the pods are made in the server, without HTTP, so that all are there before the first is served.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { IPINSTANCES, NETWORKS, SUBNETS } from '../../lib/api/index.ts'
import { formatAddress } from '../../lib/ip/index.ts'
import { KubeClient } from '../../lib/kube/index.ts'
import { programCommand } from '../../lib/standalone/project.ts'
import type { Figure, Section } from '../scale/figures.ts'
import type { Counts, FillOrder } from '../scale/server.ts'
import { logged, pause, until } from '../scale/stage.ts'
import { type AgentTraffic, trafficSince, writesOf } from '../scale/traffic.ts'
import { startProgram, Worker } from '../scale/worker.ts'

const FIRST = 0x0a00_0001

export interface ManagerSize {
  readonly nodes: number
  /** And addresses. */
  readonly pods: number
}

export async function managerThroughput(directory: string, { nodes, pods }: ManagerSize): Promise<Section[]> {
  const server = Worker.start(new URL('../scale/server.ts', import.meta.url), join(directory, 'server.log'))
  const { url, kubeconfig } = await server.ask<{ url: string; kubeconfig: string }>('start', {
    hosts: ['127.0.0.1'],
    port: 0,
  })
  const path = join(directory, 'kubeconfig')
  writeFileSync(path, kubeconfig, { mode: 0o600 })
  const client = KubeClient.connect({ server: url, userAgent: 'benchmark/1' })
  await client.create(NETWORKS, { metadata: { name: 'overlay' }, spec: { type: 'Overlay', mode: 'VXLAN', netID: 4 } })
  const range = { version: '4', cidr: '10.0.0.0/8', start: formatAddress(FIRST), end: formatAddress(FIRST + pods - 1) }
  await client.create(SUBNETS, { metadata: { name: 'overlay-v4' }, spec: { network: 'overlay', range } })
  const flags = [`--kubeconfig=${path}`, '--kube-client-qps=100000', '--kube-client-burst=100000', '--metrics-port=0']
  const environment = { NAMESPACE: 'kube-system', DEFAULT_NETWORK_TYPE: 'Overlay', DEFAULT_IP_FAMILY: 'IPv4' }
  const manager = startProgram([...programCommand('manager'), ...flags], environment, join(directory, 'manager.log'))
  try {
    await logged(manager, 'leading: state built, controllers started')
    const before = await server.ask<Record<string, AgentTraffic>>('traffic')
    const idle = { manager: manager.usage().cpu, server: server.usage().cpu }
    const started = performance.now()
    const order: FillOrder = { nodes, instances: pods, first: FIRST, pods: 'waiting' }
    await server.ask('fill', order)
    const made = performance.now()
    await until('every pod has an address', async () => {
      manager.usage()
      return (await server.ask<Counts>('counts')).instances >= pods
    })
    const done = performance.now()
    // Events about the last pods are still on their way.
    await pause(3000)
    const traffic = trafficSince(before, await server.ask<Record<string, AgentTraffic>>('traffic'))['hybridnet-manager']
    if (traffic === undefined) throw new Error('no requests of the manager were counted')
    const { cpu, rss, peak } = manager.usage()
    const held = await addresses(client)
    const figures: Figure[] = [
      { what: 'pods made in the server', value: (made - started) / 1000, unit: 's' },
      { what: 'until all had addresses', value: (done - started) / 1000, unit: 's' },
      { what: 'pods per second', value: pods / ((done - started) / 1000), unit: '1/s' },
      { what: 'original: pods per second at its limits (300 requests/s)', value: 100, unit: '1/s' },
      { what: 'manager: processor time per pod', value: ((cpu - idle.manager) / pods) * 1e6, unit: 'µs' },
      {
        what: 'API server: processor time per pod, making it included',
        value: ((server.usage().cpu - idle.server) / pods) * 1e6,
        unit: 'µs',
      },
      { what: 'manager: API writes per pod', value: writesOf(traffic) / pods, unit: '' },
      ...Object.entries(traffic.requests)
        .filter(([, count]) => count >= pods / 100)
        .map(([key, count]): Figure => ({ what: `of which ${key}`, value: count / pods, unit: '' })),
      { what: 'manager: sent per pod', value: traffic.bytesUp / pods, unit: 'B' },
      { what: 'manager: received per pod', value: traffic.bytesDown / pods, unit: 'B' },
      { what: 'manager: memory (RSS)', value: rss, unit: 'MiB' },
      { what: 'manager: memory, highest', value: peak, unit: 'MiB' },
      { what: 'pods with an address of their own', value: held, unit: '', reach: pods, atLeast: true },
    ]
    return [{ title: `Manager: ${pods} pods at once over ${nodes} nodes, ${pods} addresses`, figures }]
  } finally {
    await manager.stop()
    client.close()
    await server.stop('SIGKILL')
  }
}

/** Pods that hold exactly one address, which nobody else holds. */
async function addresses(client: KubeClient): Promise<number> {
  const { items } = await client.list(IPINSTANCES, {
    project: ({ spec }) => {
      const { address, binding } = spec as { address: { ip: string }; binding: { podUID: string } }
      return { address: address.ip, pod: binding.podUID }
    },
  })
  const count = (values: readonly string[]): Map<string, number> => {
    const counts = new Map<string, number>()
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
    return counts
  }
  const byAddress = count(items.map(({ address }) => address))
  const byPod = count(items.map(({ pod }) => pod))
  return items.filter(({ address, pod }) => byAddress.get(address) === 1 && byPod.get(pod) === 1).length
}
