// The nodes: kubelets and node daemons in one. They see the API late, set a sandbox up with what they saw, and report in
// several writes with time in between, as the real ones do.
import { type IPInstance, type Pod } from '../../../lib/api/index.ts'
import type { KubeObject } from '../../../lib/kube/index.ts'
import type { Dice } from '../engine/dice.ts'
import type { Scheduler } from '../engine/scheduler.ts'
import { Refusal, type Api } from '../server/api.ts'
import type { Change } from '../server/store.ts'
import { addressOf, familiesOfPod, isFinished, isLeaving, podKeyOf } from './shapes.ts'
import type { Sandbox, Truth } from './truth.ts'

export interface NodesOptions {
  readonly api: Api
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly truth: Truth
  /** A sandbox is about to run. */
  readonly onSandbox: (sandbox: Sandbox, pod: Pod) => void
}

type Ending = 'Succeeded' | 'Failed' | 'Evicted'

export class Nodes {
  readonly #options: NodesOptions
  readonly #due = new Set<string>()
  /** Lives of pods being set up or torn down. */
  readonly #busy = new Set<string>()
  readonly #downUntil = new Map<string, number>()
  #sandboxes = 0

  constructor(options: NodesOptions) {
    this.#options = options
    options.api.store.onChange((change) => this.#changed(change))
  }

  /** Everything on the node stops; the kubelet comes back after a while and sets it up again. */
  reboot(node: string): void {
    const { truth, scheduler, dice, api } = this.#options
    const downMs = dice.between(1000, 12_000)
    this.#downUntil.set(node, scheduler.now + downMs)
    for (const sandbox of [...truth.sandboxes()]) if (sandbox.node === node) truth.end(sandbox.uid)
    scheduler.after(downMs + 1, null, () => {
      for (const pod of api.store.list<Pod>('pods')) if (pod.spec?.nodeName === node) this.#later(podKeyOf(pod))
    })
  }

  /** The containers of a running pod end by themselves, or the kubelet evicts it. */
  finish(key: string, how: Ending): void {
    const { api, truth } = this.#options
    const pod = api.store.get<Pod>('pods', key)
    if (pod === undefined || isLeaving(pod) || isFinished(pod)) return
    const uid = pod.metadata.uid ?? ''
    if (truth.sandbox(uid) === undefined || this.#busy.has(uid)) return
    this.#busy.add(uid)
    truth.end(uid)
    this.#soon(20, 500, () => {
      this.#busy.delete(uid)
      const status = {
        phase: how === 'Succeeded' ? how : 'Failed',
        ...(how === 'Evicted' ? { reason: how } : {}),
        containerStatuses: [{ name: 'main', state: { terminated: {} } }],
      }
      this.#report(pod, status)
    })
  }

  #changed({ kind, shown, before }: Change): void {
    if (kind === 'pods') {
      const pod = shown.object as unknown as Pod
      if (pod.spec?.nodeName) this.#later(podKeyOf(pod))
    } else if (kind === 'ipinstances') {
      for (const object of [shown.object, before?.object]) {
        const { namespace = '' } = object?.metadata ?? {}
        const binding = (object as unknown as IPInstance | undefined)?.spec?.binding
        if (binding?.podName) this.#later(`${namespace}/${binding.podName}`)
      }
    }
  }

  #later(key: string): void {
    if (this.#due.has(key)) return
    this.#due.add(key)
    this.#soon(5, 600, () => {
      this.#due.delete(key)
      this.#sync(key)
    })
  }

  #soon(from: number, to: number, run: () => void): void {
    const { scheduler, dice } = this.#options
    scheduler.after(dice.between(from, to), null, run)
  }

  #sync(key: string): void {
    const { api, truth, scheduler } = this.#options
    const pod = api.store.get<Pod>('pods', key)
    for (const sandbox of [...truth.sandboxes()]) {
      // Deleted by force: the kubelet finds out, and stops it.
      if (sandbox.pod === key && sandbox.uid !== pod?.metadata.uid) this.#soon(50, 3000, () => truth.end(sandbox.uid))
    }
    if (pod === undefined) return
    const node = pod.spec?.nodeName ?? ''
    const uid = pod.metadata.uid ?? ''
    if (node === '' || this.#busy.has(uid)) return
    const down = (this.#downUntil.get(node) ?? 0) - scheduler.now
    if (down > 0) return
    if (isLeaving(pod)) this.#tearDown(pod)
    else if (!isFinished(pod) && truth.sandbox(uid) === undefined) this.#setUp(pod)
  }

  #setUp(pod: Pod): void {
    const { api, truth, onSandbox } = this.#options
    const uid = pod.metadata.uid ?? ''
    const node = pod.spec?.nodeName ?? ''
    const instances = api.store.list<IPInstance>('ipinstances').filter(({ spec, metadata }) => {
      const binding = spec?.binding
      return binding?.podUID === uid && binding.nodeName === node && !isLeaving({ metadata })
    })
    if (instances.length !== (familiesOfPod(pod) === 'DualStack' ? 2 : 1)) return
    this.#busy.add(uid)
    const sandbox = { uid, pod: podKeyOf(pod), node, addresses: instances.map(addressOf) }
    this.#soon(1, 300, () => {
      this.#busy.delete(uid)
      if (this.#isDown(node)) return
      truth.begin(sandbox)
      onSandbox(sandbox, pod)
      this.#claim(pod, instances)
      this.#later(sandbox.pod)
      this.#soon(50, 900, () => {
        if (truth.sandbox(uid) !== sandbox) return
        const [podIP = ''] = sandbox.addresses
        this.#report(pod, {
          phase: 'Running',
          podIP,
          podIPs: sandbox.addresses.map((ip) => ({ ip })),
          containerStatuses: [{ name: 'main', state: { running: {} } }],
        })
      })
    })
  }

  /** The daemon writes into the IPInstances that a sandbox has them. */
  #claim(pod: Pod, instances: readonly IPInstance[]): void {
    const sandboxID = `sandbox-${++this.#sandboxes}`
    const { namespace, name, uid } = pod.metadata
    for (const { metadata } of instances) {
      const status = { nodeName: pod.spec?.nodeName, podName: name, podNamespace: namespace, sandboxID }
      this.#soon(1, 400, () => {
        const key = `${metadata.namespace ?? ''}/${metadata.name}`
        const now = this.#options.api.store.get<IPInstance>('ipinstances', key)
        if (now?.metadata.uid !== metadata.uid || now?.spec?.binding?.podUID !== uid) return
        this.#patch('ipinstances', key, { metadata: {}, status })
      })
    }
  }

  #tearDown(pod: Pod): void {
    const { truth } = this.#options
    const uid = pod.metadata.uid ?? ''
    const final = pod.metadata.deletionGracePeriodSeconds === 0 && truth.sandbox(uid) === undefined
    // What holds it now is a finalizer.
    if (final && pod.status?.containerStatuses?.every(({ state }) => !state?.running) !== false) return
    this.#busy.add(uid)
    this.#soon(20, 4000, () => {
      truth.end(uid)
      this.#soon(5, 300, () => {
        const ended = { containerStatuses: [{ name: 'main', state: { terminated: {} } }] }
        this.#report(pod, ended)
        this.#soon(5, 500, () => {
          this.#busy.delete(uid)
          this.#quietly(() => this.#options.api.delete('pods', podKeyOf(pod), { uid, graceSeconds: 0 }, 'kubelet'))
        })
      })
    })
  }

  #report(pod: Pod, status: object): void {
    const now = this.#options.api.store.get<Pod>('pods', podKeyOf(pod))
    if (now?.metadata.uid === pod.metadata.uid) this.#patch('pods', podKeyOf(pod), { metadata: {}, status })
  }

  #patch(kind: string, key: string, body: KubeObject): void {
    this.#quietly(() => this.#options.api.patch('merge', kind, key, body, true, 'node'))
  }

  #quietly(run: () => void): void {
    try {
      run()
    } catch (error) {
      // Gone, or another of the name: nothing is left to do.
      if (!(error instanceof Refusal)) throw error
    }
  }

  #isDown(node: string): boolean {
    return (this.#downUntil.get(node) ?? 0) > this.#options.scheduler.now
  }
}
