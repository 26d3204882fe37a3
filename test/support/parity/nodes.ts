// The nodes of the sessions: two Node objects whose kubelet keeps their leases and says of every pod that it runs.
import { NODES } from '../../../lib/api/index.ts'
import type { KubeClient, KubeObject } from '../../../lib/kube/index.ts'
import { eventually } from '../eventually.ts'
import { HollowKubelet } from '../hollow.ts'

const names = ['node-a', 'node-b']
const heartbeatMs = 5000
const namespace = 'kube-node-lease'
const leases = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true }

type Node = KubeObject & { readonly spec?: { readonly taints?: readonly { readonly key: string }[] } }

export class ParityNodes {
  readonly #client: KubeClient
  readonly #kubelet: HollowKubelet
  #timer: NodeJS.Timeout | null = null
  #beat: Promise<unknown> = Promise.resolve()

  /** @param client stays the caller's to close */
  constructor(client: KubeClient) {
    this.#client = client
    // Binding is the scheduler's.
    this.#kubelet = new HollowKubelet(client, { place: () => null })
  }

  /** Returns when the first node takes pods. The second is cordoned, so that it can be told where pods go. */
  async start(): Promise<this> {
    for (const name of names) {
      const metadata = { name, labels: { 'kubernetes.io/hostname': name } }
      const spec = name === 'node-b' ? { unschedulable: true } : {}
      await this.#client.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata, spec, status: status(name) })
    }
    await this.#kubelet.start()
    this.#timer = setInterval(() => {
      this.#beat = Promise.all(names.map((name) => this.#heartbeat(name)))
      this.#beat.catch((error: unknown) => console.error('heartbeat of the hollow nodes:', error))
    }, heartbeatMs)
    await eventually(async () => {
      const node = await this.#client.get<Node>(NODES, { name: 'node-a' })
      return (node.spec?.taints ?? []).length === 0
    }, 60_000, 100) // prettier-ignore
    return this
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await Promise.allSettled([this.#beat, this.#kubelet.stop()])
  }

  /** As kubelets: a renewed lease. */
  async #heartbeat(name: string): Promise<void> {
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: 40,
      renewTime: new Date().toISOString().replace('Z', '000Z'),
    }
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec }
    await this.#client.apply(leases, lease, { fieldManager: 'kubelet', force: true })
  }
}

function status(name: string): { conditions: object[] } & Record<string, unknown> {
  const now = new Date().toISOString().replace(/\.\d+/, '')
  return {
    capacity: { cpu: '4', memory: '8Gi', pods: '110' },
    allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
    addresses: [
      { type: 'InternalIP', address: `192.0.2.${names.indexOf(name) + 1}` },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'kubelet is posting ready status',
        lastHeartbeatTime: now,
        lastTransitionTime: now,
      },
    ],
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: '6.1.0',
      osImage: 'Debian',
      containerRuntimeVersion: 'none://1',
      kubeletVersion: 'v1.32.0',
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: 'amd64',
    },
  }
}
