// Objects a cluster should start with (the default Network and Subnet of the chart, node-agent.md R-CHT-05): created when they are
// absent, never changed and never deleted, so that neither an upgrade nor an uninstall touches what pods stand on. Whoever deletes one
// on purpose gets it again with the next leader; to be rid of it, take it out of the file.
import { OWN_RESOURCES } from '../api/index.ts'
import {
  Backoff,
  apiVersionOf,
  isAlreadyExists,
  isNotFound,
  sleep,
  type KubeClient,
  type Writable,
} from '../kube/index.ts'
import type { Logger } from '../telemetry/log.ts'

export type StartObject = Writable & { readonly apiVersion: string; readonly kind: string }

/**
 * Objects of a JSON file: one, an array, or a List.
 *
 * @throws Error naming the entry and what was expected
 */
export function parseStartObjects(text: string): readonly StartObject[] {
  const root: unknown = JSON.parse(text)
  const items = Array.isArray(root) ? root : ((root as { items?: unknown } | null)?.items ?? [root])
  if (!Array.isArray(items)) throw new Error('items: expected an array')
  return items.map((item: unknown, index) => {
    const { apiVersion, kind, metadata } = (item ?? {}) as Partial<StartObject>
    const known = OWN_RESOURCES.find((resource) => resource.kind === kind && apiVersionOf(resource) === apiVersion)
    if (known === undefined) {
      const kinds = OWN_RESOURCES.map((resource) => `${apiVersionOf(resource)} ${resource.kind}`).join(', ')
      throw new Error(`entry ${index}: '${apiVersion ?? ''} ${kind ?? ''}', expected one of ${kinds}`)
    }
    if (typeof metadata?.name !== 'string' || metadata.name === '') {
      throw new Error(`entry ${index}: metadata.name is missing`)
    }
    return item as StartObject
  })
}

/**
 * Creates, in order, the objects that are not there; tries again for as long as it takes (the webhook, which may have to admit
 * them, starts beside the manager), until `signal` aborts.
 */
export async function createAbsent(
  client: KubeClient,
  objects: readonly StartObject[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (const object of objects) {
    const resource = OWN_RESOURCES.find(({ kind }) => kind === object.kind)
    if (resource === undefined) continue
    const backoff = new Backoff({ baseMs: 1000, maxMs: 30_000 })
    const named = { kind: object.kind, name: object.metadata.name }
    while (!signal.aborted) {
      try {
        if (await isThere(client, resource, object, signal)) break
        await client.create(resource, object, { signal })
        log.info(named, 'created: it was not there')
        break
      } catch (error) {
        if (isAlreadyExists(error) || signal.aborted) break
        const waitMs = backoff.next()
        log.warn({ ...named, err: error, waitMs }, 'cannot create an object this cluster should start with')
        await sleep(waitMs, signal).catch(() => undefined)
      }
    }
  }
}

async function isThere(
  client: KubeClient,
  resource: (typeof OWN_RESOURCES)[number],
  { metadata }: StartObject,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await client.get(resource, { name: metadata.name ?? '', namespace: metadata.namespace }, { signal })
    return true
  } catch (error) {
    if (isNotFound(error)) return false
    throw error
  }
}
