// Puts the parts together: store, kinds, controllers, identity, sockets.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { longLivedAbort } from '../../kube/index.ts'
import { silentLogger } from '../../telemetry/log.ts'
import { Admission } from './admission/index.ts'
import { Authenticator } from './auth.ts'
import type { Context } from './context.ts'
import { expireEvents } from './controllers/events.ts'
import { runGarbageCollector } from './controllers/gc.ts'
import { runNamespaces } from './controllers/namespaces.ts'
import { loadDefinitions, serveDefinitions } from './crds/controller.ts'
import { builtinResources } from './kinds.ts'
import { Faults } from './faults/index.ts'
import { Journal } from './journal/index.ts'
import { kubeconfig } from './kubeconfig.ts'
import { Listeners } from './listeners.ts'
import { Registry } from './registry.ts'
import { createHandler } from './routes.ts'
import { Store } from './store.ts'
import { loadAuthority, loadToken, servingCertificate } from './tls/identity.ts'
import type { ApiServer, ApiServerOptions } from './types.ts'
import { create } from './write.ts'

/**
 * Start the server.
 *
 * @throws Error when an address cannot be listened on, a CRD file is wrong or an option is out of range
 */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  return (await assemble(options)).server
}

/** The server and what is inside it: for benchmarks and tests that fill or compact the store directly. */
export async function assemble(options: ApiServerOptions): Promise<{ server: ApiServer; context: Context }> {
  if (options.listen.length === 0) throw new Error('API server: listen: expected at least one place to listen')
  const log = (options.log ?? silentLogger()).child({ component: 'apiserver' })
  const closing = longLivedAbort()
  const store = new Store({ historySize: options.historySize ?? 20_000 })
  const registry = new Registry()
  const serviceCidr = options.serviceCidr ?? '10.96.0.0/16'
  for (const resource of builtinResources(serviceCidr)) registry.add(resource)
  const admission = new Admission({ store, registry, log }, options.resolveService)
  const faults = new Faults(store, log, options.faultSeed)
  const authority = options.tls === undefined ? null : await loadAuthority(options.dataDirectory)
  const token = options.token ?? (options.tls === undefined ? null : await loadToken(options.dataDirectory))
  // Nothing between here and its close() below may fail: it holds the lock of the directory.
  const journal =
    options.dataDirectory === undefined
      ? null
      : await Journal.open({ directory: join(options.dataDirectory, 'journal'), log })
  const context: Context = {
    store,
    registry,
    log,
    admission,
    faults,
    journal,
    bookmarkIntervalMs: options.bookmarkIntervalMs ?? 60_000,
    closing: closing.signal,
  }
  const definitions = serveDefinitions(context)

  const caCert = authority?.cert ?? null
  // The collector first: it has to know every object from the beginning.
  const collector = runGarbageCollector(context)
  const namespaces = runNamespaces(context, { caCert })
  const stops = [collector, () => namespaces.stop(), expireEvents(context)]
  let reviving = false
  // What is special about a kind follows its objects, whatever makes them change behind its back.
  const followStrategies = store.subscribe('', ({ collection, type, current, previous }) => {
    if (reviving) registry.byCollection(collection)?.strategy.changed?.(type === 'DELETED' ? undefined : current.object, previous?.object) // prettier-ignore
  })
  stops.push(followStrategies)
  const revive = async (work: () => Promise<void> | void): Promise<void> => {
    reviving = true
    try {
      await work()
    } finally {
      reviving = false
    }
  }
  /** What every cluster has, as far as it is missing. */
  const populate = async (): Promise<void> => {
    namespaces.createInitial()
    if (store.get('/services', 'default/kubernetes') === undefined) createKubernetesService(context)
    if (options.crdDirectory !== undefined) await loadDefinitions(context, definitions, options.crdDirectory)
  }
  const handler = createHandler(context, new Authenticator(token))
  const tls =
    authority === null
      ? null
      : { serving: servingCertificate(authority, options.tls?.subjectAltNames ?? []), ca: authority.cert }
  const listeners = new Listeners(handler, tls, log, (socket) => faults.connected(socket))
  const urls: string[] = []
  const close = async (): Promise<void> => {
    closing.abort()
    for (const stop of stops.splice(0)) stop()
    faults.close()
    await listeners.close()
    admission.close()
    await journal?.close()
  }
  try {
    const kept = journal?.state ?? null
    if (kept !== null) {
      // Definitions first: what follows them is of kinds that they define.
      const definitionsFirst = [...kept.collections].sort(
        ([a], [b]) => Number(b === definitions.collection) - Number(a === definitions.collection),
      )
      await revive(() => store.restore(kept.version, definitionsFirst))
      log.info({ version: kept.version }, 'objects restored from the journal')
    }
    journal?.follow(store)
    await populate()
    for (const where of options.listen) urls.push(await listeners.listen(where))
  } catch (error) {
    await close()
    throw error
  }
  log.info({ urls }, 'API server listens')
  const [url = ''] = urls
  const server: ApiServer = {
    urls,
    url,
    caCert,
    token,
    kubeconfig: (server = url) => kubeconfig({ server, caCert, token }),
    listen: async (where) => {
      const added = await listeners.listen(where)
      urls.push(added)
      return added
    },
    faults,
    get version() {
      return store.version
    },
    restart: async ({ downMs = 0, compact = false, state = 'kept' } = {}) => {
      if (state !== 'kept' && journal !== null) {
        throw new Error(`API server: restart with state ${state}: expected 'kept', as objects are journalled`)
      }
      if (typeof state === 'number' && (state < store.history.compacted || state > store.version)) {
        throw new Error(`API server: restart with state of version ${state}: expected ${store.history.compacted} to ${store.version}`) // prettier-ignore
      }
      faults.cutWatches()
      await listeners.close()
      if (state !== 'kept') {
        await revive(() => store.rewind(state === 'lost' ? null : state))
        await populate()
      }
      if (compact) store.compact()
      await sleep(downMs, undefined, { signal: closing.signal })
      await listeners.reopen()
      log.info({ urls }, 'API server restarted')
    },
    close,
  }
  return { server, context }
}

/** The Service through which pods find the API; its endpoints are for whoever runs the nodes to fill. */
function createKubernetesService(context: Context): void {
  const services = context.registry.find('v1', 'services')
  if (services === undefined) throw new Error('the kind Service is missing from the registry')
  const metadata = { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } }
  const spec = { ports: [{ name: 'https', port: 443, targetPort: 6443 }] }
  create(
    context,
    services,
    'default',
    { apiVersion: 'v1', kind: 'Service', metadata, spec },
    { dryRun: false, manager: null },
  )
}
