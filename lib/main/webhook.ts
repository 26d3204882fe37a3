// `hybridnet webhook`: admission (api.md §4, §5.1, §5.2, §5.4).
import { parseLabelSelector } from '../api/index.ts'
import { KubeClient } from '../kube/index.ts'
import { createLogger } from '../telemetry/log.ts'
import { createRegistry } from '../telemetry/metrics.ts'
import { servePages } from '../telemetry/pages.ts'
import { startWebhook, type CertificateFiles } from '../webhook/index.ts'
import { defaultsOfEnvironment } from './environment.ts'
import { featureGatesFlag, parseFeatureGates } from './feature-gates.ts'
import { UsageError, boolFlag, durationFlag, helpText, intFlag, listFlag, parseFlags, stringFlag } from './flags.ts'

export const webhookFlags = {
  kubeconfig: stringFlag('', 'PATH', 'kubeconfig file; KUBECONFIG, then the service account, when empty'),
  port: intFlag(9898, 0, 65535, 'HTTPS: /validate, /mutate, /healthz and /readyz; 0: any free port'),
  'metrics-bind-address': stringFlag('0', 'ADDRESS', 'plain HTTP: /metrics, for example :8080; 0: none'),
  'default-ip-retain': boolFlag(true, 'stateful pods without the ip-retain annotation keep their addresses'),
  'stateful-workload-kinds': listFlag(
    ['StatefulSet'],
    'KIND',
    'controller kinds whose pods keep their addresses; GROUP/KIND to name the API group too',
  ),
  'feature-gates': featureGatesFlag(
    'MultiCluster: rules between clusters; VMIPRetain: pods of KubeVirt VirtualMachines are steered to where their addresses are',
  ),
  'service-name': stringFlag('hybridnet-webhook', 'NAME', 'Service by which the API server calls, in NAMESPACE'),
  'service-port': intFlag(443, 1, 65535, 'port of the Service, for --register-webhooks'),
  'tls-secret': stringFlag(
    'hybridnet-webhook-tls',
    'NAME',
    'Secret with the certificates all replicas share; made if missing',
  ),
  'certificate-lifetime': durationFlag('8760h', 'of a serving certificate; replaced after 80 % of it'),
  'authority-lifetime': durationFlag(
    '87600h',
    'of the authority that issues them; likewise, in steps that lose no call',
  ),
  'certificate-settle-time': durationFlag('10m', 'in which all replicas and API servers have seen a new authority'),
  'tls-cert-file': stringFlag(
    '',
    'PATH',
    'serve this certificate (PEM), as cert-manager keeps it; no Secret is made then',
  ),
  'tls-key-file': stringFlag('', 'PATH', 'its key; both are read again when they change'),
  'tls-ca-file': stringFlag('', 'PATH', 'its authorities, for the caBundle; empty: somebody else writes that'),
  'pod-label-selector': stringFlag('', 'SELECTOR', 'look only at pods that match, as the manager with the same flag'),
  'register-webhooks': boolFlag(
    false,
    'create the two webhook configurations when they are missing (a chart does it otherwise)',
  ),
  'max-subnet-addresses': intFlag(
    0,
    0,
    Number.MAX_SAFE_INTEGER,
    'addresses a new Subnet may hold; 0: any number. The original allows 65536, which is what its manager can bear',
  ),
  'log-level': stringFlag('info', 'LEVEL', 'trace, debug, info, warn or error'),
}

const description = `
Admission: refuses Networks, Subnets and RemoteClusters that are wrong or would strand pods, with the reason and the way out;
writes on each new pod the network, type and family it gets and the labels of the nodes that can hold it. Start as many as you
like: all serve. Manager and nodes decide the same for pods that were admitted without it.

Environment:
  NAMESPACE             namespace of Service and Secret (default: the pod's own, else kube-system)
  DEFAULT_NETWORK_TYPE  Underlay, Overlay or GlobalBGP, for pods that ask for nothing (default Underlay)
  DEFAULT_IP_FAMILY     IPv4, IPv6 or DualStack, likewise (default IPv4)
`

/** @throws UsageError for files that make no sense together */
export function certificateFilesOf(values: {
  readonly 'tls-cert-file': string
  readonly 'tls-key-file': string
  readonly 'tls-ca-file': string
  readonly 'register-webhooks': boolean
}): CertificateFiles | undefined {
  const paths = { cert: values['tls-cert-file'], key: values['tls-key-file'], authorities: values['tls-ca-file'] }
  if ((paths.cert === '') !== (paths.key === '')) {
    const [given, missing] = paths.cert === '' ? ['key', 'cert'] : ['cert', 'key']
    throw new UsageError(`--tls-${given}-file is given without --tls-${missing}-file: expected both or none`)
  }
  if (paths.cert === '') {
    if (paths.authorities !== '') throw new UsageError('--tls-ca-file is given without --tls-cert-file')
    return undefined
  }
  if (values['register-webhooks'] && paths.authorities === '') {
    throw new UsageError(
      '--register-webhooks with --tls-cert-file needs --tls-ca-file: nobody would trust the certificate',
    )
  }
  return paths
}

const DAY = 86_400_000

export async function run(argv: string[]): Promise<number> {
  let parsed
  let settings
  try {
    parsed = parseFlags(webhookFlags, argv)
    if (parsed.help) {
      process.stdout.write(helpText('hybridnet webhook [FLAGS]', description, webhookFlags))
      return 0
    }
    if (parsed.positionals.length > 0) throw new UsageError(`unexpected argument '${parsed.positionals[0] ?? ''}'`)
    const selector = parseLabelSelector(parsed.values['pod-label-selector'])
    if (selector.value === null) throw new UsageError(`--pod-label-selector: ${selector.error}`)
    settings = {
      ...defaultsOfEnvironment(),
      gates: parseFeatureGates(parsed.values['feature-gates']),
      certificateFiles: certificateFilesOf(parsed.values),
      handles: selector.value,
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`hybridnet webhook: ${error.message}\n`)
    return 2
  }
  const { values } = parsed
  const log = createLogger({ name: 'hybridnet-webhook', level: values['log-level'] })
  const registry = createRegistry()
  const client = await KubeClient.load({
    kubeconfig: values.kubeconfig,
    userAgent: 'hybridnet-webhook/1',
    logger: log,
  })
  const stopped = new Promise<null>((resolve) => {
    const onSignal = (signal: string): void => {
      log.info({ signal }, 'stopping')
      resolve(null)
    }
    process.once('SIGTERM', onSignal)
    process.once('SIGINT', onSignal)
  })
  const address = values['metrics-bind-address']
  const pages = ['', '0'].includes(address)
    ? null
    : await servePages(address, {
        '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
      })
  try {
    const webhook = await startWebhook({
      client,
      log,
      registry,
      rules: {
        networkType: settings.networkType,
        ipFamily: settings.ipFamily,
        ipRetain: values['default-ip-retain'],
        statefulKinds: values['stateful-workload-kinds'],
        virtualMachines: settings.gates.VMIPRetain,
        multiCluster: settings.gates.MultiCluster,
        capacityLimit: values['max-subnet-addresses'],
        handles: settings.handles,
      },
      port: values.port,
      service: {
        namespace: process.env['NAMESPACE'] || client.namespace || 'kube-system',
        name: values['service-name'],
        port: values['service-port'],
      },
      secretName: values['tls-secret'],
      register: values['register-webhooks'],
      certificateDays: values['certificate-lifetime'] / DAY,
      authorityDays: values['authority-lifetime'] / DAY,
      settleMs: values['certificate-settle-time'],
      certificateFiles: settings.certificateFiles,
    })
    try {
      await Promise.race([stopped, webhook.failed])
      return 0
    } finally {
      await webhook.stop()
    }
  } finally {
    await pages?.stop()
    client.close()
  }
}
