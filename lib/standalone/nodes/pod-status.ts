// The status a kubelet reports, as pure functions: of a pod whose sandbox runs, and of a node. Containers are emulated: they
// start with the sandbox, are ready at once and end, with success, with it.

import { release } from 'node:os'

/** The fields of a Pod this folder reads. */
export interface Pod {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly deletionTimestamp?: string
    readonly deletionGracePeriodSeconds?: number
    readonly annotations?: Readonly<Record<string, string>>
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly nodeName?: string
    readonly hostNetwork?: boolean
    readonly schedulerName?: string
    readonly nodeSelector?: Readonly<Record<string, string>>
    readonly containers?: readonly { readonly name: string; readonly image?: string }[]
  }
  readonly status?: {
    readonly phase?: string
    readonly podIP?: string
    readonly podIPs?: readonly { readonly ip: string }[]
    readonly conditions?: readonly Condition[]
  }
}

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string | null
  /** Of nodes: when the kubelet last said so. */
  readonly lastHeartbeatTime?: string | null
}

/** What the runtime knows of a running sandbox. */
export interface SandboxState {
  /** 64 hex digits; null for a pod in the node's own network, which has no sandbox here. */
  readonly containerId: string | null
  /** Without prefix length; the first is `podIP`. */
  readonly addresses: readonly string[]
  /** When it started, RFC 3339. */
  readonly startedAt: string
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timestamp(date: Date = new Date()): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Conditions merged over the present ones; a transition time changes only with the status. */
export function mergeConditions(present: readonly Condition[], wanted: readonly Condition[], now: string): Condition[] {
  const merged = wanted.map((condition) => {
    const before = present.find(({ type }) => type === condition.type)
    const since = before?.status === condition.status ? (before.lastTransitionTime ?? now) : now
    return { ...condition, lastTransitionTime: since }
  })
  return [...present.filter(({ type }) => !wanted.some((condition) => condition.type === type)), ...merged]
}

/** Status of a pod that runs. `hostAddresses`: the node's, the first is `hostIP`. */
export function runningStatus(
  pod: Pod,
  sandbox: SandboxState,
  hostAddresses: readonly string[],
): Record<string, unknown> {
  const ready = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady'].map((type): Condition => ({
    type,
    status: 'True',
  }))
  const conditions = mergeConditions(pod.status?.conditions ?? [], ready, sandbox.startedAt)
  return {
    phase: 'Running',
    hostIP: hostAddresses[0],
    hostIPs: hostAddresses.map((ip) => ({ ip })),
    podIP: sandbox.addresses[0],
    podIPs: sandbox.addresses.map((ip) => ({ ip })),
    startTime: sandbox.startedAt,
    conditions,
    containerStatuses: containerStatuses(pod, sandbox, { running: { startedAt: sandbox.startedAt } }, true),
  }
}

/** Status of a pod whose sandbox could not be made yet. */
export function creatingStatus(pod: Pod, hostAddresses: readonly string[], message: string): Record<string, unknown> {
  const waiting: Condition[] = [
    { type: 'PodReadyToStartContainers', status: 'False' },
    { type: 'Ready', status: 'False', reason: 'ContainersNotReady', message },
    { type: 'ContainersReady', status: 'False', reason: 'ContainersNotReady', message },
  ]
  return {
    phase: 'Pending',
    hostIP: hostAddresses[0],
    conditions: mergeConditions(pod.status?.conditions ?? [], waiting, timestamp()),
    containerStatuses: containerStatuses(pod, null, { waiting: { reason: 'ContainerCreating', message } }, false),
  }
}

/** Status of a pod that was told to go, reported before the final deletion as kubelet does since 1.27. */
export function finishedStatus(pod: Pod, sandbox: SandboxState | null): Record<string, unknown> {
  const now = timestamp()
  const ended: Condition[] = [
    { type: 'PodReadyToStartContainers', status: 'False' },
    { type: 'Ready', status: 'False', reason: 'PodCompleted' },
    { type: 'ContainersReady', status: 'False', reason: 'PodCompleted' },
  ]
  const terminated = { exitCode: 0, reason: 'Completed', startedAt: sandbox?.startedAt ?? now, finishedAt: now }
  return {
    phase: 'Succeeded',
    conditions: mergeConditions(pod.status?.conditions ?? [], ended, now),
    containerStatuses: containerStatuses(pod, sandbox, { terminated }, false),
  }
}

function containerStatuses(
  pod: Pod,
  sandbox: SandboxState | null,
  state: Record<string, unknown>,
  ready: boolean,
): Record<string, unknown>[] {
  return (pod.spec.containers ?? []).map((container) => ({
    name: container.name,
    image: container.image ?? '',
    imageID: '',
    ready,
    started: ready,
    restartCount: 0,
    state,
    ...containerIdOf(sandbox),
  }))
}

function containerIdOf(sandbox: SandboxState | null): { containerID?: string } {
  const id = sandbox?.containerId ?? null
  return id === null ? {} : { containerID: `hybridnet://${id}` }
}

/** true for a pod whose containers have all ended; it keeps no sandbox. */
export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

/** What a kubelet says of its node. `problem` is why pods cannot get a network; null when they can. */
export function nodeStatus(
  node: {
    name: string
    addresses: readonly string[]
    bootId: string
    machineId: string
    present: readonly Condition[]
  },
  problem: string | null,
): Record<string, unknown> {
  const now = timestamp()
  const ready: Condition =
    problem === null
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : {
          type: 'Ready',
          status: 'False',
          reason: 'KubeletNotReady',
          message: `container runtime network not ready: ${problem}`,
        }
  const fine = (type: string, reason: string, message: string): Condition => ({
    type,
    status: 'False',
    reason,
    message,
  })
  const said = [
    fine('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    fine('DiskPressure', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    fine('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    ready,
  ]
  const resources = { cpu: '4', memory: '8Gi', pods: '256', 'ephemeral-storage': '16Gi' }
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [
      ...node.addresses.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: node.name },
    ],
    conditions: mergeConditions(
      node.present,
      said.map((condition) => ({ ...condition, lastHeartbeatTime: now })),
      now,
    ),
    nodeInfo: {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      operatingSystem: 'linux',
      containerRuntimeVersion: 'hybridnet://standalone',
      kubeletVersion: 'v1.32.0',
      kubeProxyVersion: '',
      kernelVersion: release(),
      osImage: 'network namespace',
      bootID: node.bootId,
      machineID: node.machineId,
      systemUUID: node.machineId,
    },
  }
}
