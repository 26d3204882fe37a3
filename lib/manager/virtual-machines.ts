// What the manager knows of KubeVirt's VirtualMachines: whose pod a pod is, and whether a machine goes on when its pod ends.
//
// Read live and by metadata only, one object at a time: KubeVirt may be installed later, be removed, or not be there at all,
// and a manager has no permission to watch it. Questions wait in a queue of their own, so a KubeVirt API that does not answer
// costs pods of machines only (manager.md D36). Where the kind does not exist there is no machine; that is no error.
//
// An answer to whose pod it is holds as long as the pod is there. How a machine fares is asked each time.
import {
  VIRTUAL_MACHINES,
  VIRTUAL_MACHINE_INSTANCES,
  isTerminating,
  machineInstance,
  machineOfInstance,
  podNameLabel,
  type KubeObject,
  type OwnerReference,
} from '../api/index.ts'
import type { WorkQueue } from '../kube/index.ts'
import { type KubeClient } from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'
import { controllerQueue } from './controllers/frame.ts'
import type { PodView } from './views/pod.ts'

export interface VirtualMachinesOptions {
  readonly client: KubeClient
  readonly log: Logger
  /** A question about the pod has its answer: look at the pod again. */
  readonly onAnswer: (pod: string) => void
  /** A question about the pod has none yet; it is asked again. */
  readonly onFailure: (pod: string, error: unknown) => void
}

/** Milliseconds for one read. */
const TIMEOUT_MS = 5000
const CONCURRENCY = 4

interface Question {
  /** What is asked; the same is not asked twice at once. */
  readonly about: string
  readonly ask: (signal: AbortSignal) => Promise<void>
}

interface Known {
  readonly uid: string
  readonly machine: OwnerReference | null
}

const groupKey = (namespace: string, machine: OwnerReference): string => `${namespace}/${podNameLabel(machine.name)}`

export class VirtualMachines {
  readonly #options: VirtualMachinesOptions
  readonly #queue: WorkQueue<string>
  /** By key of the pod. */
  readonly #questions = new Map<string, Question>()
  readonly #known = new Map<string, Known>()
  readonly #ending = new Map<string, { readonly uid: string; readonly ending: boolean }>()
  /** Keys of pods by namespace and label value of their machine. */
  readonly #pods = new Map<string, Set<string>>()

  constructor(options: VirtualMachinesOptions) {
    this.#options = options
    this.#queue = controllerQueue<string>({
      name: 'VirtualMachine',
      log: options.log,
      concurrency: CONCURRENCY,
      process: async (key, signal) => {
        const question = this.#questions.get(key)
        if (question === undefined) return
        await question.ask(signal)
        if (this.#questions.get(key) === question) this.#questions.delete(key)
        options.onAnswer(key)
      },
      onError: (error, key) => options.onFailure(key, error),
    })
  }

  start(): void {
    this.#queue.start()
  }

  async stop(): Promise<void> {
    await this.#queue.stop()
  }

  /** The machine whose pod it is, null for none; undefined when it is being asked, and `onAnswer` follows. */
  of(pod: PodView): OwnerReference | null | undefined {
    const instance = machineInstance(pod.controller)
    if (instance === null) return null
    const known = this.#known.get(pod.key)
    if (known?.uid === pod.uid) return known.machine
    this.#ask(pod.key, `whose pod ${pod.uid} is`, async (signal) => {
      const ref = { namespace: pod.namespace, name: instance.name }
      const found = await this.#find(VIRTUAL_MACHINE_INSTANCES, ref, signal)
      this.#learn(pod, machineOfInstance(instance, found))
    })
    return undefined
  }

  /**
   * Whether the machine is gone or going, so that its addresses go with it; undefined when it is being asked, and `onAnswer`
   * follows. An answer is given once: the next call asks again.
   */
  isEnding(pod: PodView, machine: OwnerReference): boolean | undefined {
    const answer = this.#ending.get(pod.key)
    this.#ending.delete(pod.key)
    if (answer?.uid === pod.uid) return answer.ending
    this.#ask(pod.key, `how ${machine.uid} fares, for pod ${pod.uid}`, async (signal) => {
      const found = await this.#find(VIRTUAL_MACHINES, { namespace: pod.namespace, name: machine.name }, signal)
      const ending = found === null || found.metadata.uid !== machine.uid || isTerminating(found)
      this.#ending.set(pod.key, { uid: pod.uid, ending })
    })
    return undefined
  }

  /** Keys of the pods of a machine. @param label its name as a label value */
  podsOf(namespace: string, label: string): readonly string[] {
    return [...(this.#pods.get(`${namespace}/${label}`) ?? [])]
  }

  /** The pod is gone. @returns keys of the other pods of its machine */
  forget(key: string): readonly string[] {
    this.#questions.delete(key)
    this.#ending.delete(key)
    this.#queue.forget(key)
    const machine = this.#known.get(key)?.machine ?? null
    this.#known.delete(key)
    if (machine === null) return []
    const group = groupKey(key.split('/', 1)[0] ?? '', machine)
    const pods = this.#pods.get(group)
    pods?.delete(key)
    if (pods?.size === 0) this.#pods.delete(group)
    return [...(pods ?? [])]
  }

  #learn(pod: PodView, machine: OwnerReference | null): void {
    this.forget(pod.key)
    this.#known.set(pod.key, { uid: pod.uid, machine })
    if (machine === null) return
    const group = groupKey(pod.namespace, machine)
    this.#pods.set(group, (this.#pods.get(group) ?? new Set()).add(pod.key))
  }

  #ask(key: string, about: string, ask: Question['ask']): void {
    if (this.#questions.get(key)?.about === about) return
    this.#questions.set(key, { about, ask })
    this.#queue.add(key)
  }

  async #find(
    resource: typeof VIRTUAL_MACHINES,
    ref: { namespace: string; name: string },
    signal: AbortSignal,
  ): Promise<KubeObject | null> {
    const options = { metadataOnly: true, timeoutMs: TIMEOUT_MS, signal }
    return await this.#options.client.find<KubeObject>(resource, ref, options)
  }
}
