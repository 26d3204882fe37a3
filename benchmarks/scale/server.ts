// The API server of the benchmark, in a process of its own: counts what clients do, and can be filled and kept busy without
// going through HTTP.
import {
  IPINSTANCES,
  LABEL_NODE,
  NODEINFOS,
  NODES,
  PODS,
  addressToName,
  type ResourceType,
} from '../../lib/api/index.ts'
import { formatAddress, formatMac, type IPAddress } from '../../lib/ip/index.ts'
import { assemble } from '../../lib/standalone/apiserver/server.ts'
import type { Context } from '../../lib/standalone/apiserver/context.ts'
import type { Resource } from '../../lib/standalone/apiserver/registry.ts'
import type { Change } from '../../lib/standalone/apiserver/store.ts'
import type { ApiServer, KubeObject } from '../../lib/standalone/apiserver/types.ts'
import { create, remove, update } from '../../lib/standalone/apiserver/write.ts'
import { hollowNode, nodeInfoObject, nodeObject } from '../../lib/standalone/hollow/index.ts'
import { crdDirectory } from '../../lib/standalone/project.ts'
import { podObject } from './objects.ts'
import { Traffic } from './traffic.ts'
import { answer } from './worker.ts'

/** Counts of the store. */
export interface Counts {
  readonly nodes: number
  readonly pods: number
  readonly instances: number
  /** Pods whose status says Running. */
  readonly running: number
}

/** One event made by `events`: what was written and when, nanoseconds of the monotonic clock. */
export interface MadeEvent {
  readonly address: IPAddress
  readonly type: 'new' | 'del'
  readonly at: bigint
}

const traffic = new Traffic().start()
let running: { server: ApiServer; context: Context } | null = null
let runningPods = 0

/** Milliseconds of work between two turns of the event loop while the store is filled. */
const sliceMs = 20
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function context(): Context {
  if (running === null) throw new Error('not started')
  return running.context
}

const apiVersionOf = ({ group, version }: ResourceType): string => (group === '' ? version : `${group}/${version}`)

function served(resource: ResourceType): Resource {
  const apiVersion = apiVersionOf(resource)
  const found = context().registry.find(apiVersion, resource.plural)
  if (found === undefined) throw new Error(`the server has no ${apiVersion} ${resource.plural}`)
  return found
}

function write(resource: ResourceType, object: object): void {
  const body = { apiVersion: apiVersionOf(resource), kind: resource.kind, ...object } as unknown as KubeObject
  create(context(), served(resource), body.metadata.namespace ?? '', body, { dryRun: false, manager: null })
}

/** What a kubelet says of a pod that runs, as far as anybody here looks. */
function reportRunning(name: string, address: IPAddress): void {
  const podIP = formatAddress(address)
  const status = { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [{ type: 'Ready', status: 'True' }] }
  const change = (pod: KubeObject): KubeObject => ({ ...pod, status })
  update(context(), served(PODS), 'default', name, 'status', change, { dryRun: false, manager: null })
}

/**
 * An IPInstance as the manager would write it.
 *
 * @param owned whether the pod exists: an owner that does not would have it collected
 */
function instance(address: IPAddress, node: string, pod: string, uid: string, owned = false): object {
  const text = formatAddress(address)
  const owner = { apiVersion: 'v1', kind: 'Pod', name: pod, uid, controller: true, blockOwnerDeletion: true }
  const kept = { finalizers: ['networking.alibaba.com/ip-allocated'], ownerReferences: [owner] }
  return {
    metadata: {
      name: addressToName(address),
      namespace: 'default',
      ...(owned ? kept : {}),
      labels: {
        'networking.alibaba.com/version': 'v1.2',
        'networking.alibaba.com/network': 'overlay',
        'networking.alibaba.com/subnet': 'overlay-v4',
        [LABEL_NODE]: node,
        'networking.alibaba.com/pod': pod,
        'networking.alibaba.com/pod-uid': uid,
      },
    },
    spec: {
      network: 'overlay',
      subnet: 'overlay-v4',
      address: {
        version: '4',
        ip: `${text}/10`,
        netID: 4,
        mac: formatMac(0x0212_3400_0000 + (Number(address) & 0xffffff)),
      },
      binding: {
        referredObject: { kind: 'Pod', name: pod, uid },
        nodeName: node,
        podUID: uid,
        podName: pod,
      },
    },
  }
}

function countRunning({ type, current, previous }: Change): void {
  const phase = (object: KubeObject | undefined): string =>
    (object?.['status'] as { phase?: string } | undefined)?.phase ?? ''
  if (phase(previous?.object) === 'Running') runningPods--
  if (type !== 'DELETED' && phase(current.object) === 'Running') runningPods++
}

answer({
  async start({ hosts, port }: { hosts: readonly string[]; port: number }) {
    running = await assemble({ listen: hosts.map((host) => ({ host, port })), crdDirectory: crdDirectory() })
    running.context.store.subscribe('/pods', countRunning)
    return { url: running.server.url, kubeconfig: running.server.kubeconfig() }
  },

  traffic: () => traffic.read(),

  counts: (): Counts => {
    const size = (collection: string): number => context().store.collection(collection).size
    return {
      nodes: size('/nodes'),
      pods: size('/pods'),
      instances: size('networking.alibaba.com/ipinstances'),
      running: runningPods,
    }
  },

  /** Nodes with NodeInfos, and IPInstances spread over them; with the pods they are of, or without. */
  async fill({ nodes, instances, first, pods }: FillOrder) {
    const { store } = context()
    let sliceEnd = performance.now() + sliceMs
    const pause = async (): Promise<void> => {
      if (performance.now() < sliceEnd) return
      await breathe()
      sliceEnd = performance.now() + sliceMs
    }
    for (let index = 1; index <= nodes; index++) {
      const node = hollowNode(index, 'hollow-')
      write(NODES, nodeObject(node, {}))
      write(NODEINFOS, nodeInfoObject(node, store.get('/nodes', node.name)?.object.metadata.uid ?? ''))
      await pause()
    }
    for (let index = 0; index < instances; index++) {
      const node = hollowNode((index % nodes) + 1, 'hollow-').name
      const name = `pod-${index}`
      if (pods !== 'none') write(PODS, podObject(name, node))
      if (pods === 'waiting') {
        await pause()
        continue
      }
      const uid = pods !== 'none' ? store.get('/pods', `default/${name}`)?.object.metadata.uid : undefined
      const invented = `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
      write(IPINSTANCES, instance(first + index, node, name, uid ?? invented, pods !== 'none'))
      if (pods === 'running') reportRunning(name, first + index)
      await pause()
    }
  },

  /** IPInstances of one node come and go in turn, `rate` a second for `count` events, at even distances. */
  async events({ node, addresses, pods, rate, count }: EventOrder): Promise<MadeEvent[]> {
    const resource = context().registry.find('networking.alibaba.com/v1', IPINSTANCES.plural)
    if (resource === undefined) throw new Error('no IPInstances')
    const made: MadeEvent[] = []
    const one = (number: number): void => {
      const slot = number % addresses.length
      const address = addresses[slot] ?? 0
      const isNew = Math.floor(number / addresses.length) % 2 === 0
      made.push({ address, type: isNew ? 'new' : 'del', at: process.hrtime.bigint() })
      if (isNew) write(IPINSTANCES, instance(address, node, pods[slot] ?? '', `uid-${slot}`))
      else remove(context(), resource, 'default', addressToName(address), { dryRun: false, preconditions: {} })
    }
    const started = performance.now()
    while (made.length < count) {
      const due = Math.min(count, Math.floor(((performance.now() - started) / 1000) * rate))
      while (made.length < due) one(made.length)
      await breathe()
    }
    return made
  },

  async close() {
    await running?.server.close()
  },
})

export interface FillOrder {
  readonly nodes: number
  readonly instances: number
  /** Address of the first. */
  readonly first: number
  /** IPInstances without pods; pods with them, as the manager leaves them, or as they run; pods that have none yet. */
  readonly pods: 'none' | 'addressed' | 'running' | 'waiting'
}

export interface EventOrder {
  readonly node: string
  readonly addresses: readonly number[]
  /** Pod of each address. */
  readonly pods: readonly string[]
  readonly rate: number
  readonly count: number
}
