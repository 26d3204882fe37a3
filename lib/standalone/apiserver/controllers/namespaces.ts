// Namespaces from beginning to end: those every cluster has, what each new one contains, and deletion of the content of
// one that ends. In a real cluster the controller manager does this.
import type { Context } from '../context.ts'
import { StatusError } from '../errors.ts'
import { apiVersionOf } from '../registry.ts'
import type { Resource } from '../registry.ts'
import type { KubeObject } from '../types.ts'
import { create, remove } from '../write.ts'

const initial = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const silent = { dryRun: false, manager: null } as const

export interface NamespaceOptions {
  /** PEM, for the ConfigMap kube-root-ca.crt of each namespace. */
  readonly caCert: string | null
}

export interface Namespaces {
  /** Create those that every cluster has, where they are missing. */
  createInitial(): void
  stop(): void
}

/** Look after all namespaces. */
export function runNamespaces(context: Context, { caCert }: NamespaceOptions): Namespaces {
  const { store, registry, log } = context
  const namespaces = required(registry.find('v1', 'namespaces'))
  const terminating = new Set<string>()
  const due = new Set<string>()
  let scheduled: NodeJS.Immediate | null = null

  const schedule = (name: string): void => {
    due.add(name)
    scheduled ??= setImmediate(() => {
      scheduled = null
      for (const namespace of [...due]) {
        due.delete(namespace)
        try {
          finish(namespace)
        } catch (error) {
          log.error({ object: `Namespace/${namespace}`, err: error }, 'deleting the content of a namespace')
        }
      }
    })
  }

  const populate = (name: string): void => {
    const seed = (plural: string, object: KubeObject): void => {
      const resource = required(registry.find('v1', plural))
      if (store.get(resource.collection, `${name}/${object.metadata.name ?? ''}`) !== undefined) return
      create(context, resource, name, object, silent)
    }
    seed('serviceaccounts', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } })
    if (caCert !== null) {
      seed('configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'kube-root-ca.crt' },
        data: { 'ca.crt': caCert },
      })
    }
  }

  /** One pass over a namespace that ends; called again whenever something in it goes. */
  const finish = (name: string): void => {
    const namespace = store.get(namespaces.collection, name)?.object
    if (namespace?.metadata.deletionTimestamp === undefined) {
      terminating.delete(name)
      return
    }
    let left = 0
    for (const resource of namespacedResources(registry.all())) {
      for (const [, { object }] of [...store.collection(resource.collection).entries(`${name}/`)]) {
        if (object.metadata.deletionTimestamp === undefined) removeQuietly(resource, name, object.metadata.name ?? '')
      }
      left += count(store.collection(resource.collection).entries(`${name}/`))
    }
    if (left > 0) return
    terminating.delete(name)
    // The namespace's own finalizer, in its spec, held it until here; those in its metadata are others' and hold on.
    const next = { ...namespace, metadata: { ...namespace.metadata }, spec: { finalizers: [] } }
    if ((next.metadata.finalizers ?? []).length === 0) store.remove(namespaces.collection, name)
    else store.put(namespaces.collection, name, next)
  }

  const removeQuietly = (resource: Resource, namespace: string, name: string): void => {
    try {
      remove(context, resource, namespace, name, { dryRun: false })
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      log.warn({ object: `${resource.kind}/${namespace}/${name}`, err: error }, 'delete in a namespace that ends')
    }
  }

  const stop = store.subscribe('', ({ collection, type, current }) => {
    const { name = '', namespace = '', deletionTimestamp } = current.object.metadata
    if (collection === namespaces.collection) {
      // One that was ending when the server last ran is ADDED like that.
      if (type !== 'DELETED' && deletionTimestamp !== undefined) {
        terminating.add(name)
        schedule(name)
      } else if (type === 'ADDED') setImmediate(() => tryPopulate(name))
    } else if (terminating.has(namespace)) schedule(namespace)
    else if (type === 'DELETED' && isSeeded(collection, name)) setImmediate(() => tryPopulate(namespace))
  })

  const tryPopulate = (name: string): void => {
    try {
      const namespace = store.get(namespaces.collection, name)?.object
      if (namespace !== undefined && namespace.metadata.deletionTimestamp === undefined) populate(name)
    } catch (error) {
      log.error({ object: `Namespace/${name}`, err: error }, 'filling a new namespace')
    }
  }

  const createInitial = (): void => {
    for (const name of initial) {
      if (store.get(namespaces.collection, name) === undefined) {
        create(context, namespaces, '', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, silent)
      }
      populate(name)
    }
  }
  return {
    createInitial,
    stop: () => {
      stop()
      if (scheduled !== null) clearImmediate(scheduled)
    },
  }
}

const isSeeded = (collection: string, name: string): boolean =>
  (collection === '/serviceaccounts' && name === 'default') ||
  (collection === '/configmaps' && name === 'kube-root-ca.crt')

/** Each collection once. */
function namespacedResources(all: readonly Resource[]): Resource[] {
  return all.filter((resource) => resource.namespaced && apiVersionOf(resource) === resource.storedApiVersion)
}

function count(entries: Iterable<unknown>): number {
  let total = 0
  for (const entry of entries) if (entry !== undefined) total++
  return total
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a built-in kind is missing from the registry')
  return value
}
