// The place of the original's integration suite (manager.md §5.1): the embedded API server without scheduler, kubelet and
// webhook, the manager as a process of its own, over HTTP, with no environment set, and the suite's objects made after its
// controllers started. Each file has one such cluster; its tests share it and run in order.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { IPINSTANCES, NETWORKS, NODES, PODS, SUBNETS } from '../../../lib/api/index.ts'
import type { IPInstance, Network, Node, Pod, Subnet } from '../../../lib/api/index.ts'
import { isNotFound, type KubeClient } from '../../../lib/kube/index.ts'
import type { IpamReport } from '../../../lib/manager/index.ts'
import { Program } from '../../../lib/standalone/programs.ts'
import { programCommand } from '../../../lib/standalone/project.ts'
import { fixture, Rig, type PodOptions } from '../../node/manager/rig.ts'
import { eventually } from '../../support/eventually.ts'

/** Prefix of our labels and annotations. */
export const N = 'networking.alibaba.com/'

/** Every "≤30 s" of the catalogue. */
export const within = <T>(check: () => T | Promise<T>): Promise<Exclude<T, false | null>> =>
  eventually(check, 30_000, 50)

/** As `within`, for a block of assertions. */
export async function holds(check: () => Promise<void>): Promise<void> {
  await within(async () => (await check(), true))
}

const port = 9899

export class SpecCluster {
  readonly rig: Rig
  readonly client: KubeClient
  readonly #manager: Program
  readonly #directory: string
  /** Times the manager was started on purpose. */
  #starts = 1

  private constructor(rig: Rig, manager: Program, directory: string) {
    this.rig = rig
    this.client = rig.client
    this.#manager = manager
    this.#directory = directory
  }

  /** @param flags of the manager besides the original's defaults */
  static async start(flags: readonly string[] = []): Promise<SpecCluster> {
    const rig = await Rig.start()
    const directory = mkdtempSync(join(tmpdir(), 'hybridnet-spec-'))
    const kubeconfig = join(directory, 'kubeconfig')
    writeFileSync(kubeconfig, rig.server.kubeconfig())
    const manager = new Program({
      name: 'manager',
      command: [...programCommand('manager'), `--kubeconfig=${kubeconfig}`, ...flags],
      environment: { NAMESPACE: 'kube-system' },
      logFile: join(directory, 'manager.log'),
    })
    const cluster = new SpecCluster(rig, manager, directory)
    manager.start()
    try {
      await within(async () => /^hybridnet_manager_leader 1$/m.test(await cluster.metrics()))
      await fixture(rig)
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  async close(): Promise<void> {
    await this.#manager.stop()
    const { starts } = this.#manager.state
    if (starts > this.#starts) console.error(this.log().slice(-4000))
    rmSync(this.#directory, { recursive: true })
    await this.rig.close()
    assert.is(starts, this.#starts, 'the manager did not end by itself')
  }

  /** Ends the manager, and starts another. */
  async restart(): Promise<void> {
    await this.#manager.stop()
    this.#starts++
    this.#manager.start()
    await within(async () => /^hybridnet_manager_leader 1$/m.test(await this.metrics()))
  }

  /** Lines of the manager's log. */
  log(): string {
    return readFileSync(this.#manager.logFile, 'utf8')
  }

  /** The manager's series as text. */
  async metrics(): Promise<string> {
    return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  }

  /** What the manager's allocator knows now. */
  async ipam(): Promise<IpamReport> {
    const response = await fetch(`http://127.0.0.1:${port}/debug/ipam`)
    assert.is(response.status, 200)
    return (await response.json()) as IpamReport
  }

  network(name: string): Promise<Network> {
    return this.client.get<Network>(NETWORKS, { name })
  }

  subnet(name: string): Promise<Subnet> {
    return this.client.get<Subnet>(SUBNETS, { name })
  }

  /** Our labels of a node, without the prefix. */
  async nodeLabels(name: string): Promise<Record<string, string>> {
    const { metadata } = await this.client.get<Node>(NODES, { name })
    const own = Object.entries(metadata.labels ?? {}).filter(([key]) => key.startsWith(N))
    return Object.fromEntries(own.map(([key, value]) => [key.slice(N.length), value]))
  }

  /** IPInstances of a pod's name that are not being deleted, IPv4 first. */
  async live(pod: string, namespace = 'default'): Promise<IPInstance[]> {
    const all = await this.rig.instances(pod, namespace)
    return all.filter(({ metadata }) => !metadata.deletionTimestamp)
  }

  /** A pod of the StatefulSet "fake". */
  stateful(name: string, options: PodOptions = {}): Promise<Pod> {
    return this.rig.pod(name, { statefulSet: 'fake', ...options })
  }

  async deletePod(name: string, namespace = 'default'): Promise<void> {
    await this.rig.deletePod(name, namespace)
    await this.podGone(name, namespace)
  }

  async podGone(name: string, namespace = 'default'): Promise<void> {
    await within(async () => (await this.client.find(PODS, { name, namespace })) === null)
  }

  /** P-29, done after every case: pod deleted, its IPInstances deleted by label while it goes, both gone. */
  async cleanUp(name: string, namespace = 'default'): Promise<void> {
    await ignoringAbsence(this.rig.deletePod(name, namespace))
    await this.deleteInstances(name, namespace)
    await this.podGone(name, namespace)
    await within(async () => {
      // A pod that was being served while it was deleted may have got one more.
      await this.deleteInstances(name, namespace)
      return (await this.rig.instances(name, namespace)).length === 0
    })
  }

  /** Deletes the IPInstances labelled with the pod's name, as the original's suite does in the place of the garbage collector. */
  async deleteInstances(pod: string, namespace = 'default'): Promise<void> {
    const labelSelector = `${N}pod=${pod}`
    const { items } = await this.client.list<IPInstance>(IPINSTANCES, { namespace, labelSelector })
    for (const { metadata } of items) await ignoringAbsence(this.client.delete(IPINSTANCES, metadata))
  }

  /** Deletes cluster-scoped objects, and waits until they are gone. */
  async remove(resource: typeof NODES, ...names: string[]): Promise<void> {
    for (const name of names) await this.client.delete(resource, { name })
    for (const name of names) await within(async () => (await this.client.find(resource, { name })) === null)
  }
}

async function ignoringAbsence(deletion: Promise<void>): Promise<void> {
  try {
    await deletion
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
