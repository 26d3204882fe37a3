// `hybridnet manager`: the cluster-wide controllers (api.md §5.1 to §5.3).
import { hostname } from 'node:os'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { parseLabelSelector } from '../api/index.ts'
import { KubeClient, longLivedAbort } from '../kube/index.ts'
import {
  createAbsent,
  parseStartObjects,
  startManager,
  type Concurrency,
  type Manager,
  type StartObject,
} from '../manager/index.ts'
import { createLogger } from '../telemetry/log.ts'
import { createRegistry, type Registry } from '../telemetry/metrics.ts'
import { servePages, textPage, type Pages } from '../telemetry/pages.ts'
import { defaultsOfEnvironment } from './environment.ts'
import { featureGatesFlag, parseFeatureGates } from './feature-gates.ts'
import { UsageError, boolFlag, durationFlag, helpText, intFlag, listFlag, parseFlags, stringFlag } from './flags.ts'

export const managerFlags = {
  kubeconfig: stringFlag('', 'PATH', 'kubeconfig file; KUBECONFIG, then the service account, when empty'),
  'controller-concurrency': listFlag(
    [],
    'NAME=N',
    'objects a controller works on at once, 1 to 100: Pod, IPInstance, Node, NetworkStatus, SubnetStatus. ' +
      'IPAM and Quota are accepted and need none',
  ),
  'kube-client-qps': intFlag(300, 1, 1_000_000, 'API requests per second'),
  'kube-client-burst': intFlag(600, 1, 1_000_000, 'API requests at once'),
  'metrics-port': intFlag(
    9899,
    0,
    65535,
    '/metrics, /healthz, /readyz and /debug/ipam on all addresses; 0: any free port',
  ),
  'pod-label-selector': stringFlag('', 'SELECTOR', 'handle only pods that match, for example app!=legacy'),
  'default-ip-retain': boolFlag(true, 'stateful pods without the ip-retain annotation keep their addresses'),
  'stateful-workload-kinds': listFlag(
    ['StatefulSet'],
    'KIND',
    'controller kinds whose pods keep their addresses; GROUP/KIND to name the API group too',
  ),
  'retained-address-expiry': durationFlag(
    '0s',
    'how long an address is kept for a stateful pod that does not come back; 0s: until its workload is deleted',
  ),
  'feature-gates': featureGatesFlag(
    'VMIPRetain: addresses belong to KubeVirt VirtualMachines and outlive their pods. MultiCluster is not here yet',
  ),
  'init-objects': stringFlag(
    '',
    'PATH',
    'JSON file of Networks and Subnets this cluster starts with: the leader creates those that are not there',
  ),
  'log-level': stringFlag('info', 'LEVEL', 'trace, debug, info, warn or error'),
}

const description = `
Runs the cluster-wide controllers: gives pods their addresses (IPInstance objects), keeps the statuses of Networks and
Subnets and the attachment and quota labels of nodes. Start as many as you like; the holder of the Lease
hybridnet-manager-election works, the others wait.

Environment:
  NAMESPACE             namespace of the Lease (default: the pod's own, else kube-system)
  DEFAULT_NETWORK_TYPE  Underlay, Overlay or GlobalBGP, for pods that ask for nothing (default Underlay)
  DEFAULT_IP_FAMILY     IPv4, IPv6 or DualStack, likewise (default IPv4)

The process exits with status 1 when it loses the Lease, so that it starts afresh.
`

/** Names of --controller-concurrency to ours; null for controllers that have no queue of their own here. */
const CONTROLLERS: Readonly<Record<string, keyof Concurrency | null>> = {
  Pod: 'pod',
  IPInstance: 'ipInstance',
  Node: 'node',
  NetworkStatus: 'networkStatus',
  SubnetStatus: 'subnetStatus',
  IPAM: null,
  Quota: null,
  RemoteClusterUUID: null,
  RemoteCluster: null,
  RemoteClusterStatus: null,
  GlobalService: null,
}

/** @throws UsageError naming the entry */
export function parseConcurrency(entries: readonly string[]): Partial<Concurrency> {
  const result: Partial<Record<keyof Concurrency, number>> = {}
  for (const entry of entries) {
    const [name = '', text = ''] = entry.split('=', 2)
    const key = CONTROLLERS[name]
    if (key === undefined || !/^-?\d+$/.test(text)) {
      const known = Object.keys(CONTROLLERS).join(', ')
      throw new UsageError(`--controller-concurrency '${entry}': expected NAME=NUMBER with NAME one of ${known}`)
    }
    if (key !== null) result[key] = Math.min(100, Math.max(1, Number(text)))
  }
  return result
}

/** Metrics, health, and what the allocator knows. Ready means: able to work, whether leading or waiting. */
function pagesOf(registry: Registry, report: () => object | null): Pages {
  const well = textPage(200, 'ok')
  return {
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
    '/healthz': () => well,
    '/readyz': () => well,
    '/debug/ipam': () => {
      const known = report()
      if (known === null) return textPage(503, 'this manager does not lead: ask the one that does')
      return { status: 200, type: 'application/json', body: JSON.stringify(known) }
    },
  }
}

/** @throws UsageError naming the file and what is wrong with it */
async function readStartObjects(path: string): Promise<readonly StartObject[]> {
  if (path === '') return []
  try {
    return parseStartObjects(await readFile(path, 'utf8'))
  } catch (error) {
    throw new UsageError(`--init-objects ${path}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Run until SIGTERM or SIGINT, or until leadership is lost. @returns the exit status */
export async function run(argv: string[]): Promise<number> {
  let parsed
  let settings
  try {
    parsed = parseFlags(managerFlags, argv)
    if (parsed.help) {
      process.stdout.write(helpText('hybridnet manager [FLAGS]', description, managerFlags))
      return 0
    }
    if (parsed.positionals.length > 0) throw new UsageError(`unexpected argument '${parsed.positionals[0] ?? ''}'`)
    const gates = parseFeatureGates(parsed.values['feature-gates'], ['MultiCluster'])
    const { error } = parseLabelSelector(parsed.values['pod-label-selector'])
    if (error !== null) throw new UsageError(`--pod-label-selector: ${error}`)
    settings = {
      startObjects: await readStartObjects(parsed.values['init-objects']),
      ...defaultsOfEnvironment(),
      concurrency: parseConcurrency(parsed.values['controller-concurrency']),
      virtualMachines: gates.VMIPRetain,
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`hybridnet manager: ${error.message}\n`)
    return 2
  }
  const { values } = parsed
  const log = createLogger({ name: 'hybridnet-manager', level: values['log-level'] })
  const registry = createRegistry()
  const client = await KubeClient.load({
    kubeconfig: values.kubeconfig,
    qps: values['kube-client-qps'],
    burst: values['kube-client-burst'],
    userAgent: 'hybridnet-manager/1',
    logger: log,
  })
  let manager: Manager | null = null
  const pages = await servePages(
    `:${values['metrics-port']}`,
    pagesOf(registry, () => manager?.report() ?? null),
  )
  log.info({ port: pages.port }, 'metrics are served')
  const stopping = longLivedAbort()
  const onSignal = (signal: string): void => {
    log.info({ signal }, 'stopping')
    stopping.abort()
  }
  process.once('SIGTERM', onSignal)
  process.once('SIGINT', onSignal)
  try {
    manager = startManager({
      client,
      log,
      registry,
      identity: `${hostname()}_${randomUUID()}`,
      namespace: process.env['NAMESPACE'] || client.namespace || 'kube-system',
      defaults: {
        networkType: settings.networkType,
        ipFamily: settings.ipFamily,
        ipRetain: values['default-ip-retain'],
        statefulKinds: values['stateful-workload-kinds'],
      },
      concurrency: settings.concurrency,
      podLabelSelector: values['pod-label-selector'],
      virtualMachines: settings.virtualMachines,
      retainedExpiryMs: values['retained-address-expiry'] || undefined,
      signal: stopping.signal,
    })
    void manager.leading.then(() => createAbsent(client, settings.startObjects, log, stopping.signal))
    const error = await manager.ended
    stopping.abort()
    if (error !== null) log.error({ err: error }, 'the manager has ended')
    return error === null ? 0 : 1
  } finally {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
    await pages.stop()
    client.close()
  }
}
