// The status a kubelet reports, as pure functions: of a pod and its containers (containers.ts), and of a node.

import { release } from 'node:os'
import type { ProbeSpec } from './probes.ts'

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
    readonly restartPolicy?: string
    readonly terminationGracePeriodSeconds?: number
    readonly containers?: readonly ContainerSpec[]
  }
  readonly status?: {
    readonly phase?: string
    readonly podIP?: string
    readonly podIPs?: readonly { readonly ip: string }[]
    readonly conditions?: readonly Condition[]
  }
}

export interface ContainerSpec {
  readonly name: string
  readonly image?: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly ports?: readonly {
    readonly name?: string
    readonly containerPort: number
    readonly hostPort?: number
    readonly hostIP?: string
    readonly protocol?: string
  }[]
  readonly readinessProbe?: ProbeSpec
  readonly livenessProbe?: ProbeSpec
}

/** `state` of a container's status. */
export type ContainerState =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | { readonly terminated: ContainerEnd }

export interface ContainerEnd {
  readonly exitCode: number
  readonly reason: string
  readonly startedAt: string
  readonly finishedAt: string
}

/** What there is to say about one container. */
export interface ContainerReport {
  readonly name: string
  readonly image: string
  readonly state: ContainerState
  readonly lastState: ContainerState | undefined
  readonly ready: boolean
  readonly restarts: number
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

/**
 * Status of a pod that has its sandbox: it runs, or its containers have all ended for good.
 *
 * @param hostAddresses the node's, the first is `hostIP`
 * @param containers all running and ready unless given
 */
export function runningStatus(
  pod: Pod,
  sandbox: SandboxState,
  hostAddresses: readonly string[],
  containers: readonly ContainerReport[] = wellReports(pod, sandbox),
): Record<string, unknown> {
  const phase = phaseOf(pod, containers)
  const over = phase !== 'Running'
  const unready = containers.filter(({ ready }) => !ready).map(({ name }) => name)
  const well = (type: string): Condition => ({ type, status: 'True' })
  const readiness = (type: string): Condition => {
    if (unready.length === 0) return well(type)
    const reason = over ? (phase === 'Failed' ? 'PodFailed' : 'PodCompleted') : 'ContainersNotReady'
    return over
      ? { type, status: 'False', reason }
      : { type, status: 'False', reason, message: `containers with unready status: [${unready.join(' ')}]` }
  }
  const started: Condition = over
    ? { type: 'PodReadyToStartContainers', status: 'False' }
    : well('PodReadyToStartContainers')
  // A pod that came with its node's name was scheduled by nobody: its kubelet says so.
  const wanted = [well('PodScheduled'), started, well('Initialized'), readiness('Ready'), readiness('ContainersReady')]
  // What is so since the beginning is so since the sandbox is there; what changes later, from now.
  const now = containers.every(({ restarts, state }) => restarts === 0 && 'running' in state)
    ? sandbox.startedAt
    : timestamp()
  return {
    phase,
    hostIP: hostAddresses[0],
    hostIPs: hostAddresses.map((ip) => ({ ip })),
    podIP: sandbox.addresses[0],
    podIPs: sandbox.addresses.map((ip) => ({ ip })),
    startTime: sandbox.startedAt,
    conditions: mergeConditions(pod.status?.conditions ?? [], wanted, now),
    containerStatuses: containers.map((report) => containerStatus(report, sandbox)),
  }
}

/** Running while anything runs or will be started again (k8s.io/kubernetes/pkg/kubelet, getPhase). */
function phaseOf(pod: Pod, containers: readonly ContainerReport[]): 'Running' | 'Succeeded' | 'Failed' {
  const ends = containers.map(({ state }) => ('terminated' in state ? state.terminated.exitCode : null))
  if (ends.length === 0 || ends.includes(null)) return 'Running'
  const failed = ends.some((code) => code !== 0)
  const policy = pod.spec.restartPolicy ?? 'Always'
  if (policy === 'Always' || (policy === 'OnFailure' && failed)) return 'Running'
  return failed ? 'Failed' : 'Succeeded'
}

/** Containers of which nothing special is to be said. */
function wellReports(pod: Pod, { startedAt }: SandboxState): ContainerReport[] {
  return (pod.spec.containers ?? []).map(({ name, image = '' }) => ({
    name,
    image,
    state: { running: { startedAt } },
    lastState: undefined,
    ready: true,
    restarts: 0,
  }))
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
    containerStatuses: containerStatuses(pod, null, { waiting: { reason: 'ContainerCreating', message } }),
  }
}

/**
 * Status of a pod that was told to go, reported before the final deletion as kubelet does since 1.27.
 *
 * @param containers as they ended; all well unless given
 */
export function finishedStatus(
  pod: Pod,
  sandbox: SandboxState | null,
  containers: readonly ContainerReport[] = [],
): Record<string, unknown> {
  const now = timestamp()
  const failed = containers.some(({ state }) => 'terminated' in state && state.terminated.exitCode !== 0)
  const reason = failed ? 'PodFailed' : 'PodCompleted'
  const ended: Condition[] = [
    { type: 'PodReadyToStartContainers', status: 'False' },
    { type: 'Ready', status: 'False', reason },
    { type: 'ContainersReady', status: 'False', reason },
  ]
  const terminated = { exitCode: 0, reason: 'Completed', startedAt: sandbox?.startedAt ?? now, finishedAt: now }
  return {
    phase: failed ? 'Failed' : 'Succeeded',
    conditions: mergeConditions(pod.status?.conditions ?? [], ended, now),
    containerStatuses:
      containers.length > 0
        ? containers.map((report) => containerStatus(report, sandbox))
        : containerStatuses(pod, sandbox, { terminated }),
  }
}

/** The same of all containers of a pod. */
function containerStatuses(pod: Pod, sandbox: SandboxState | null, state: ContainerState): Record<string, unknown>[] {
  return (pod.spec.containers ?? []).map(({ name, image = '' }) =>
    containerStatus({ name, image, state, lastState: undefined, ready: false, restarts: 0 }, sandbox),
  )
}

function containerStatus(report: ContainerReport, sandbox: SandboxState | null): Record<string, unknown> {
  const { name, image, state, lastState, ready, restarts } = report
  return {
    name,
    image,
    imageID: '',
    ready,
    started: 'running' in state,
    restartCount: restarts,
    state,
    lastState: lastState ?? {},
    ...containerIdOf(sandbox),
  }
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
