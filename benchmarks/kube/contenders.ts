// Who takes part. Each keeps all IPInstances and looks at each of them once when it comes and once per event: ours by a work
// queue of keys, @kubernetes/client-node's informer, which has none, in its handlers.
import type { KubernetesObject } from '@kubernetes/client-node'
import type { InformerOptions, KubeObject } from '../../lib/kube/index.ts'

export interface Running {
  stop(): Promise<void>
}

export interface Contender {
  readonly name: string
  /** Load what is needed; the result starts it and tells `reconcile` of each object looked at. */
  readonly prepare: (base: string) => Promise<(reconcile: () => void) => Promise<Running>>
}

const resource = {
  group: 'networking.alibaba.com',
  version: 'v1',
  plural: 'ipinstances',
  kind: 'IPInstance',
  namespaced: true,
}
const path = '/apis/networking.alibaba.com/v1/ipinstances'

/** What the manager's allocator needs of an IPInstance. */
const project = (raw: KubeObject): object => {
  const spec = raw['spec'] as {
    network: string
    subnet: string
    address: { ip: string }
    binding: { nodeName: string }
  }
  const { name, namespace, uid } = raw.metadata
  return { name, namespace, uid, subnet: spec.subnet, ip: spec.address.ip, node: spec.binding.nodeName }
}
/** What a node keeps of other nodes' pods. */
const projectMetadata = (raw: KubeObject): string => raw.metadata.labels?.['networking.alibaba.com/node'] ?? ''

function ours<T>(name: string, options: Omit<InformerOptions<T>, 'resource'>): Contender {
  return {
    name,
    prepare: async (base) => {
      const { Informer, KubeClient, WorkQueue } = await import('../../lib/kube/index.ts')
      return (reconcile) => {
        const client = KubeClient.connect({ server: base })
        const informer = new Informer<T>(client, { resource, ...options })
        const queue = new WorkQueue<string>({
          process: (key) => {
            if (informer.store.get(key) !== undefined) reconcile()
          },
        }).start()
        informer.onChange(({ key }) => queue.add(key))
        informer.start()
        return Promise.resolve({
          stop: async () => {
            await informer.stop()
            await queue.stop()
            client.close()
          },
        })
      }
    },
  }
}

export const REFERENCE = 'client-node'

export const contenders: readonly Contender[] = [
  {
    name: REFERENCE,
    prepare: async (base) => {
      const { CustomObjectsApi, KubeConfig, makeInformer } = await import('@kubernetes/client-node')
      return async (reconcile) => {
        const config = new KubeConfig()
        config.loadFromOptions({
          clusters: [{ name: 'c', server: base, skipTLSVerify: true }],
          users: [{ name: 'u' }],
          contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
          currentContext: 'x',
        })
        const api = config.makeApiClient(CustomObjectsApi)
        const { group, version, plural } = resource
        const informer = makeInformer<KubernetesObject>(
          config,
          path,
          () => api.listClusterCustomObject({ group, version, plural }) as Promise<{ items: KubernetesObject[] }>,
        )
        const look = ({ metadata }: KubernetesObject): void => {
          if (informer.get(metadata?.name ?? '', metadata?.namespace) !== undefined) reconcile()
        }
        informer.on('add', look)
        informer.on('update', look)
        informer.on('error', (error) => {
          throw error
        })
        await informer.start()
        return { stop: () => informer.stop() }
      }
    },
  },
  ours('hybridnet whole objects', {}),
  ours('hybridnet projected', { project }),
  ours('hybridnet metadata only', { project: projectMetadata, metadataOnly: true }),
]
