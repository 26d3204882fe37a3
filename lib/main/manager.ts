// `hybridnet manager`: the cluster-wide controllers (api.md §5.1 to §5.3).
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { randomUUID } from 'node:crypto'
import { KubeClient, longLivedAbort } from '../kube/index.ts'
import { selectorProblem, startManager, type Concurrency, type Manager } from '../manager/index.ts'
import { createLogger, type Logger } from '../telemetry/log.ts'
import { createRegistry, type Registry } from '../telemetry/metrics.ts'
import { defaultsOfEnvironment } from './environment.ts'
import { UsageError, boolFlag, helpText, intFlag, listFlag, parseFlags, stringFlag } from './flags.ts'

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
  'feature-gates': listFlag([], 'NAME=BOOL', 'MultiCluster and VMIPRetain are known, neither can be turned on yet'),
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

/** @throws UsageError for a gate that is unknown or cannot be turned on */
export function checkFeatureGates(entries: readonly string[]): void {
  for (const entry of entries) {
    const [name = '', text = ''] = entry.split('=', 2)
    if (!['MultiCluster', 'VMIPRetain', 'AllAlpha', 'AllBeta'].includes(name)) {
      throw new UsageError(`--feature-gates '${entry}': known gates are MultiCluster and VMIPRetain`)
    }
    if (!/^(true|false)$/i.test(text))
      throw new UsageError(`--feature-gates '${entry}': expected ${name}=true or =false`)
    if (text.toLowerCase() === 'true' && name !== 'AllBeta') {
      throw new UsageError(`--feature-gates '${entry}': this version of the manager does not have it yet`)
    }
  }
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type })
  response.end(body)
}

/**
 * Metrics, health, and what the allocator knows. Ready means: able to work, whether leading or waiting.
 *
 * @param report null while this process does not lead: what it has not it cannot show
 */
async function serveHttp(port: number, registry: Registry, report: () => object | null, log: Logger): Promise<Server> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]
    if (path === '/healthz' || path === '/readyz') return answer(response, 200, 'text/plain', 'ok')
    if (path === '/debug/ipam') {
      const known = report()
      if (known === null)
        return answer(response, 503, 'text/plain', 'this manager does not lead: ask the one that does')
      return answer(response, 200, 'application/json', JSON.stringify(known))
    }
    if (path !== '/metrics')
      return answer(response, 404, 'text/plain', 'try /metrics, /healthz, /readyz or /debug/ipam')
    registry.metrics().then(
      (text) => answer(response, 200, registry.contentType, text),
      (error: unknown) => {
        log.error({ err: error }, 'metrics could not be collected')
        answer(response, 500, 'text/plain', 'metrics could not be collected')
      },
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, resolve)
  })
  log.info({ port: (server.address() as AddressInfo).port }, 'metrics are served')
  return server
}

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
    checkFeatureGates(parsed.values['feature-gates'])
    const problem = selectorProblem(parsed.values['pod-label-selector'])
    if (problem !== null) throw new UsageError(`--pod-label-selector: ${problem}`)
    settings = { ...defaultsOfEnvironment(), concurrency: parseConcurrency(parsed.values['controller-concurrency']) }
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
  const server = await serveHttp(values['metrics-port'], registry, () => manager?.report() ?? null, log)
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
      signal: stopping.signal,
    })
    const error = await manager.ended
    if (error !== null) log.error({ err: error }, 'the manager has ended')
    return error === null ? 0 : 1
  } finally {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    client.close()
  }
}
