// The containers of one pod, without containers: they start with the sandbox and run until they are told to end. One with
// the image `process` is more: its command runs as a process in the pod's network namespace, and its exit is the
// container's, so that pods can complete, fail, crash, be restarted by their policy, and take their time to end.
//
// They belong to the kubelet's process: one that stops ends them, and its successor starts them anew.
import { type ChildProcess, spawn } from 'node:child_process'
import { namespaceCommand } from '../exec.ts'
import { Prober, type ProbeSpec, type ProbeTarget } from './probes.ts'
import { type ContainerReport, type ContainerSpec, type Pod, timestamp } from './pod-status.ts'

/** The image whose command is run. */
export const processImage = 'process'

/** Kubelet's: the second restart waits 10 s, each further one twice as long, up to 300 s. */
const firstBackOffMs = 10_000
const longestBackOffMs = 300_000

export interface ContainersOptions {
  readonly pod: Pod
  readonly target: Omit<ProbeTarget, 'ports'>
  /** Something about them changed. */
  readonly onChange: () => void
  /** Words for the pod's events. */
  readonly onEvent: (type: 'Normal' | 'Warning', reason: string, message: string) => void
}

export class Containers {
  readonly #containers: readonly Container[]

  constructor(options: ContainersOptions) {
    this.#containers = (options.pod.spec.containers ?? []).map((spec) => new Container(spec, options))
    for (const container of this.#containers) container.start()
  }

  reports(): ContainerReport[] {
    return this.#containers.map((container) => container.report())
  }

  /** All have ended and none will start again. */
  get ended(): boolean {
    return this.#containers.every((container) => container.isOver)
  }

  /** Told to end: SIGTERM now, SIGKILL at the end of the grace period. May be repeated with another one. */
  terminate(graceMs: number): void {
    for (const container of this.#containers) container.terminate(graceMs)
  }

  /** End at once, and wait for it. */
  async kill(): Promise<void> {
    await Promise.all(this.#containers.map((container) => container.kill()))
  }
}

class Container {
  readonly #spec: ContainerSpec
  readonly #options: ContainersOptions
  #state: ContainerReport['state'] = { waiting: { reason: 'ContainerCreating' } }
  #lastState: ContainerReport['lastState']
  #ready = false
  #restarts = 0
  #child: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  #probers: Prober[] = []
  #restart: NodeJS.Timeout | null = null
  #kill: NodeJS.Timeout | null = null
  #terminating = false

  constructor(spec: ContainerSpec, options: ContainersOptions) {
    this.#spec = spec
    this.#options = options
  }

  get isOver(): boolean {
    return 'terminated' in this.#state && this.#restart === null
  }

  report(): ContainerReport {
    const { name, image = '' } = this.#spec
    const state = this.#state
    return { name, image, state, lastState: this.#lastState, ready: this.#ready, restarts: this.#restarts }
  }

  start(): void {
    const { target, pod, onEvent } = this.#options
    const startedAt = timestamp()
    this.#state = { running: { startedAt } }
    const { readinessProbe, livenessProbe } = this.#spec
    this.#ready = readinessProbe === undefined
    if (this.#spec.image === processImage) this.#spawn(startedAt)
    const ports = new Map((this.#spec.ports ?? []).map(({ name = '', containerPort }) => [name, containerPort]))
    const probe = (spec: ProbeSpec | undefined, act: (healthy: boolean, why: string) => void): void => {
      if (spec !== undefined) this.#probers.push(new Prober(spec, { ...target, ports }, act).start())
    }
    probe(readinessProbe, (healthy, why) => {
      if (!healthy) onEvent('Warning', 'Unhealthy', `Readiness probe failed: ${why}`)
      if (healthy === this.#ready) return
      this.#ready = healthy
      this.#options.onChange()
    })
    probe(livenessProbe, (healthy, why) => {
      if (healthy || this.#terminating) return
      onEvent('Warning', 'Unhealthy', `Liveness probe failed: ${why}`)
      onEvent('Normal', 'Killing', `Container ${this.#spec.name} failed liveness probe, will be restarted`)
      if (this.#child === null) this.#exit(137, startedAt)
      else this.#signal((pod.spec.terminationGracePeriodSeconds ?? 30) * 1000)
    })
  }

  terminate(graceMs: number): void {
    this.#terminating = true
    if (this.#restart !== null) {
      clearTimeout(this.#restart)
      this.#restart = null
      if (!('terminated' in this.#state)) this.#state = this.#lastState ?? this.#state
      this.#options.onChange()
    }
    if (this.#child !== null) this.#signal(graceMs)
    else if ('running' in this.#state) this.#exit(0, this.#state.running.startedAt)
  }

  async kill(): Promise<void> {
    this.terminate(0)
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  #spawn(startedAt: string): void {
    const { target } = this.#options
    const command = [...(this.#spec.command ?? []), ...(this.#spec.args ?? [])]
    const [file, ...args] = namespaceCommand(target.netns, command)
    const child = spawn(file, args, { stdio: 'ignore' })
    this.#child = child
    this.#exited = new Promise((resolve) => {
      const over = (code: number): void => {
        if (this.#child !== child) return
        this.#child = null
        if (this.#kill !== null) clearTimeout(this.#kill)
        this.#kill = null
        this.#exit(code, startedAt)
        resolve()
      }
      child.once('exit', (code, signal) => over(code ?? (signal === 'SIGKILL' ? 137 : 143)))
      // As a runtime reports a command that is not there.
      child.once('error', () => {
        if (child.pid === undefined) over(127)
      })
    })
  }

  #signal(graceMs: number): void {
    const child = this.#child
    if (child === null) return
    child.kill('SIGTERM')
    if (this.#kill !== null) clearTimeout(this.#kill)
    this.#kill = setTimeout(() => child.kill('SIGKILL'), graceMs)
  }

  #exit(exitCode: number, startedAt: string): void {
    for (const prober of this.#probers.splice(0)) prober.stop()
    this.#ready = false
    const reason = exitCode === 0 ? 'Completed' : 'Error'
    const terminated = { terminated: { exitCode, reason, startedAt, finishedAt: timestamp() } }
    const policy = this.#options.pod.spec.restartPolicy ?? 'Always'
    const again = !this.#terminating && (policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0))
    this.#state = terminated
    if (again) {
      const waitMs = this.#restarts === 0 ? 0 : Math.min(longestBackOffMs, firstBackOffMs * 2 ** (this.#restarts - 1))
      this.#lastState = terminated
      if (waitMs > 0) {
        const message = `back-off ${waitMs / 1000}s restarting failed container=${this.#spec.name}`
        this.#state = { waiting: { reason: 'CrashLoopBackOff', message } }
      }
      this.#restart = setTimeout(() => {
        this.#restart = null
        this.#restarts++
        this.start()
        this.#options.onChange()
      }, waitMs)
    }
    this.#options.onChange()
  }
}
