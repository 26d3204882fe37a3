// Steps about pods and the sets that make them.
import { ANNOTATION_IP_FAMILY, NAMESPACES, PODS, SPECIFIED_SUBNET, type Pod } from '../../../../lib/api/index.ts'
import type { KubeClient, KubeObject } from '../../../../lib/kube/index.ts'
import { DEPLOYMENTS, STATEFUL_SETS } from '../../../../lib/standalone/controllers/index.ts'
import { eventually } from '../../../support/eventually.ts'
import { keyOf } from '../objects.ts'
import { splitName, type Ending, type SetKind, type Wish } from '../steps.ts'
import type { Background } from './background.ts'
import { created, found, persist } from './requests.ts'

/** Which of a pod's lives it is. */
const lifeAnnotation = 'churn.test/life'
const containers = [{ name: 'main', image: 'none' }]
const resourceOf = (kind: SetKind): typeof DEPLOYMENTS => (kind === 'Deployment' ? DEPLOYMENTS : STATEFUL_SETS)

export class PodSteps {
  /** Plain pods that have to be there, `namespace/name`. */
  readonly wanted = new Set<string>()
  readonly #client: KubeClient
  readonly #background: Background
  readonly #patienceMs: number
  #lives = 0

  /** @param patienceMs how long a pod's earlier life may take to leave the API before it is made again */
  constructor(client: KubeClient, background: Background, patienceMs: number) {
    this.#client = client
    this.#background = background
    this.#patienceMs = patienceMs
  }

  async create(pod: string, wish: Wish): Promise<boolean> {
    const annotations: Record<string, string> = {}
    if (wish.startsWith('subnet:')) {
      annotations[SPECIFIED_SUBNET] = wish.slice('subnet:'.length)
      annotations[ANNOTATION_IP_FAMILY] = wish.endsWith('3') ? 'IPv6Only' : 'IPv4Only'
    } else if (wish !== 'any') annotations[ANNOTATION_IP_FAMILY] = wish
    const { namespace, name } = splitName(pod)
    const life = String(++this.#lives)
    annotations[lifeAnnotation] = life
    const made = await created(() =>
      this.#client.create(PODS, {
        metadata: { name, namespace, annotations },
        spec: { containers, terminationGracePeriodSeconds: 1 },
      }),
    )
    // It may be there already since an answer was lost, as in a restart of the API server.
    if (!made && !(await this.#isThere(pod, life))) return false
    this.wanted.add(pod)
    return true
  }

  async #isThere(pod: string, life: string): Promise<boolean> {
    const there = await persist(() => this.#client.find<Pod>(PODS, splitName(pod)))
    return there?.metadata.annotations?.[lifeAnnotation] === life && there.metadata.deletionTimestamp === undefined
  }

  async delete(pod: string, how: Ending): Promise<boolean> {
    this.wanted.delete(pod)
    return this.#end(pod, how)
  }

  async replace(pod: string, how: Ending, wish: Wish): Promise<boolean> {
    await this.delete(pod, how)
    this.#background.run(this.#tryUntilMade(pod, wish))
    return true
  }

  /** End a pod that has lost its node; one that nobody looks after is made again, elsewhere. */
  async again(pod: Pod, how: Ending): Promise<void> {
    const key = keyOf(pod)
    const wanted = this.wanted.delete(key)
    await this.#end(key, how)
    if (wanted) this.#background.run(this.#tryUntilMade(key, wishOf(pod)))
  }

  /** A pod has left the API with its node: if nobody deleted it, it is made again. */
  lost(pod: Pod): void {
    const key = keyOf(pod)
    if (this.wanted.delete(key)) this.#background.run(this.#tryUntilMade(key, wishOf(pod)))
  }

  createSet(kind: SetKind, set: string, replicas: number, parallel: boolean): Promise<boolean> {
    const { namespace, name } = splitName(set)
    const labels = { app: name }
    const more =
      kind === 'StatefulSet' ? { serviceName: name, podManagementPolicy: parallel ? 'Parallel' : 'OrderedReady' } : {}
    return created(() =>
      this.#client.create(resourceOf(kind), {
        metadata: { namespace, name },
        spec: {
          replicas,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers, terminationGracePeriodSeconds: 1 } },
          ...more,
        },
      }),
    )
  }

  scale(kind: SetKind, set: string, replicas: number): Promise<boolean> {
    return found(() =>
      this.#client.patch('merge', resourceOf(kind), splitName(set), { spec: { replicas } }, { subresource: 'scale' }),
    )
  }

  deleteSet(kind: SetKind, set: string): Promise<boolean> {
    return found(() => this.#client.delete(resourceOf(kind), splitName(set)))
  }

  /** Delete the pod of the set that is `index`th by name. */
  async deleteOfSet(set: string, index: number, how: Ending): Promise<boolean> {
    const { namespace, name } = splitName(set)
    const labelSelector = `app=${name}`
    const { items } = await persist(() => this.#client.list<Pod>(PODS, { namespace, labelSelector }))
    const names = items.map(({ metadata }) => metadata.name ?? '').sort()
    const victim = names[index % Math.max(1, names.length)]
    return victim === undefined ? false : this.#end(`${namespace}/${victim}`, how)
  }

  deleteNamespace(name: string): Promise<boolean> {
    for (const pod of [...this.wanted]) if (splitName(pod).namespace === name) this.wanted.delete(pod)
    return found(() => this.#client.delete(NAMESPACES, { name }))
  }

  #end(pod: string, how: Ending): Promise<boolean> {
    const { namespace, name } = splitName(pod)
    if (how === 'evict') {
      const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } }
      return found(() => this.#client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, { body }))
    }
    const gracePeriodSeconds = how === 'force' ? 0 : 1
    return found(() => this.#client.delete(PODS, { namespace, name }, { gracePeriodSeconds }))
  }

  /** Until its earlier life has left the API. Another step may make the pod, or end its namespace, before. */
  async #tryUntilMade(pod: string, wish: Wish): Promise<void> {
    const { namespace, name } = splitName(pod)
    await eventually(
      async () => {
        if (this.wanted.has(pod) || (await this.create(pod, wish))) return true
        const there = await persist(() => this.#client.find<Pod>(PODS, { namespace, name }))
        const home = await persist(() => this.#client.find<KubeObject>(NAMESPACES, { name: namespace }))
        const over = home === null || home.metadata.deletionTimestamp !== undefined
        return over || (there !== null && there.metadata.deletionTimestamp === undefined)
      },
      this.#patienceMs,
      50,
    ).catch((error: unknown) => {
      throw new Error(`pod ${pod} cannot be made again, its earlier life does not leave the API`, { cause: error })
    })
  }
}

/** What a pod was made with. */
function wishOf({ metadata }: Pod): Wish {
  const subnet = metadata.annotations?.[SPECIFIED_SUBNET]
  if (subnet !== undefined) return `subnet:${subnet}`
  const family = metadata.annotations?.[ANNOTATION_IP_FAMILY]
  return family === 'IPv4Only' || family === 'IPv6Only' ? family : 'any'
}
