// What can be done to a running cluster from outside: orders as data, and what each does.
import type { Cluster } from '../cluster.ts'
import type { Program } from '../programs.ts'

export type ProgramAction = 'start' | 'stop' | 'restart' | 'kill'

/** An order, as it crosses the control socket. */
export type Order =
  | { readonly do: 'list' }
  | { readonly do: 'add'; readonly name: string | null }
  | { readonly do: 'remove'; readonly name: string; readonly drain: boolean }
  | { readonly do: 'reboot'; readonly name: string; readonly downMs: number }
  | { readonly do: 'off' | 'on'; readonly name: string }
  /** One node, cut off from all or from the API; or two, from each other. */
  | { readonly do: 'partition'; readonly nodes: readonly string[]; readonly from: 'all' | 'api'; readonly on: boolean }
  | { readonly do: 'delay'; readonly name: string; readonly ms: number; readonly lossPercent: number }
  /** `node` is null for the manager. */
  | {
      readonly do: 'program'
      readonly program: 'manager' | 'daemon' | 'kubelet'
      readonly node: string | null
      readonly action: ProgramAction
    }

/** A node as {@link execute} tells of it. */
export interface NodeReport {
  readonly name: string
  readonly on: boolean
  readonly addresses: readonly string[]
  readonly bootId: string | null
  readonly kubelet: boolean
  /** Process id inside the sandbox; null while it does not run. */
  readonly daemonPid: number | null
  /** Times the daemon was started. */
  readonly daemonStarts: number
  /** What it is cut off from: `all`, `api`, or other nodes. */
  readonly cutFrom: readonly string[]
  readonly delayMs: number
  readonly lossPercent: number
}

/** Carry out an order. @returns the nodes as they are then. @throws Error for a person */
export async function execute(cluster: Cluster, order: Order): Promise<readonly NodeReport[]> {
  switch (order.do) {
    case 'list':
      break
    case 'add':
      await (order.name === null ? cluster.addNode() : cluster.addNode(order.name))
      break
    case 'remove':
      await cluster.removeNode(order.name, { drain: order.drain })
      break
    case 'reboot':
      await cluster.node(order.name).reboot(order.downMs)
      break
    case 'off':
      await cluster.node(order.name).powerOff()
      break
    case 'on':
      await cluster.node(order.name).powerOn()
      break
    case 'partition': {
      const [one = '', other] = order.nodes
      for (const name of order.nodes) cluster.node(name)
      await cluster.partition(other === undefined ? one : [one, other], order.on, order.from)
      break
    }
    case 'delay':
      await cluster.delay(cluster.node(order.name).name, order.ms, order.lossPercent)
      break
    case 'program':
      await executeProgram(cluster, order)
  }
  return reports(cluster)
}

async function executeProgram(cluster: Cluster, order: Extract<Order, { do: 'program' }>): Promise<void> {
  const { program, action } = order
  if (program === 'kubelet') {
    const node = cluster.node(order.node ?? '')
    if (action === 'start') await node.startKubelet()
    else if (action === 'stop') await node.stopKubelet()
    else {
      await (action === 'kill' ? node.killKubelet() : node.stopKubelet())
      await node.startKubelet()
    }
    return
  }
  const running: Program | null = program === 'manager' ? cluster.manager : cluster.node(order.node ?? '').daemon
  if (running === null) throw new Error(`there is no ${program}: the cluster was started with --programs=false`)
  if (action === 'start') running.start()
  else if (action === 'stop') await running.stop()
  else if (action === 'restart') await running.restart()
  else if (!running.kill('SIGKILL')) throw new Error(`${running.name} does not run`)
}

function reports(cluster: Cluster): NodeReport[] {
  return cluster.nodes.map((node): NodeReport => {
    const cuts = cluster.fabric.cuts.filter(({ hosts }) => (hosts as readonly string[]).includes(node.name))
    const cutFrom = cuts.map(({ hosts, from }) => (from === 'each other' ? hosts.find((h) => h !== node.name) : from))
    const { ms, lossPercent } = cluster.fabric.impairment(node.name)
    return {
      name: node.name,
      on: node.bootId !== null,
      addresses: node.addresses,
      bootId: node.bootId,
      kubelet: node.hasKubelet,
      daemonPid: node.daemon?.state.pid ?? null,
      daemonStarts: node.daemon?.state.starts ?? 0,
      cutFrom: cutFrom.filter((name) => name !== undefined),
      delayMs: ms,
      lossPercent,
    }
  })
}
