// `hybridnet daemon`: flags, environment and signals; the rest is lib/daemon.
import { hostname } from 'node:os'
import { parseIPFamily } from '../api/index.ts'
import { startDaemon } from '../daemon/index.ts'
import { AddressError, parsePrefix, type Prefix } from '../ip/index.ts'
import { KubeClient } from '../kube/index.ts'
import { createLogger, type Logger } from '../telemetry/log.ts'
import { createRegistry } from '../telemetry/metrics.ts'
import { daemonFlags } from './daemon-flags.ts'
import { parseFeatureGates } from './feature-gates.ts'
import { helpText, parseFlags, UsageError } from './flags.ts'
import { stayInLittleMemory } from './memory.ts'

const description = `
The node agent. Watches the cluster and keeps this node's links, addresses, routes, rules, neighbours, FDB and nftables equal
to what it asks for; answers the CNI plugin on a Unix socket. Needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN.

Environment: KUBE_NODE_NAME (required) is the name of the own Node; DEFAULT_IP_FAMILY (IPv4, IPv6 or DualStack) holds for
pods that do not say; KUBECONFIG.
`

function prefixes(flag: string, texts: readonly string[]): Prefix[] {
  return texts.map((text) => {
    try {
      return parsePrefix(text)
    } catch (error) {
      if (error instanceof AddressError) throw new UsageError(`--${flag}: ${error.message}`)
      throw error
    }
  })
}

/** Run until SIGTERM or SIGINT. @returns the exit status */
export async function run(argv: string[]): Promise<number> {
  const { values: flags, help, positionals } = parse(argv)
  if (help) {
    process.stdout.write(helpText('KUBE_NODE_NAME=NAME hybridnet daemon [FLAGS]', description, daemonFlags))
    return 0
  }
  try {
    if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0] ?? ''}'`)
    parseFeatureGates(flags['feature-gates'])
    const nodeName = process.env['KUBE_NODE_NAME'] ?? ''
    if (nodeName === '')
      throw new UsageError(`KUBE_NODE_NAME is empty, expected the name of this Node (perhaps '${hostname()}')`)
    const family = parseIPFamily(process.env['DEFAULT_IP_FAMILY'])
    if (family === null) {
      throw new UsageError(
        `DEFAULT_IP_FAMILY is '${process.env['DEFAULT_IP_FAMILY'] ?? ''}', expected IPv4, IPv6 or DualStack`,
      )
    }
    const log = createLogger({ name: 'daemon', level: flags['log-level'] })
    const leaveStartUp = exitOnSignals(log)
    stayInLittleMemory()
    const client = await KubeClient.load({ kubeconfig: flags.kubeconfig, userAgent: 'hybridnet-daemon/1', logger: log })
    const vlan = flags['prefer-vlan-interfaces']
    const daemon = await startDaemon({
      client,
      log,
      registry: createRegistry(),
      nodeName,
      preferences: {
        vlan: vlan.length > 0 ? vlan : flags['prefer-interfaces'],
        vxlan: flags['prefer-vxlan-interfaces'],
        bgp: flags['prefer-bgp-interfaces'],
      },
      dataplane: {
        localDirectTable: flags['local-direct-table'],
        toOverlayTable: flags['to-overlay-table'],
        overlayMarkTable: flags['overlay-mark-table'],
        vxlanPort: flags['vxlan-udp-port'],
        vxlanBaseReachableMs: flags['vxlan-base-reachable-time'],
        vtepAddressCidrs: prefixes('vtep-address-cidrs', vtepCidrs(flags['vtep-address-cidrs'])),
        extraNodeLocalCidrs: prefixes('extra-node-local-vxlan-ip-cidrs', flags['extra-node-local-vxlan-ip-cidrs']),
        neighGcThresh: [flags['neigh-gc-thresh1'], flags['neigh-gc-thresh2'], flags['neigh-gc-thresh3']],
        ipv6RouteCacheMaxSize: flags['ipv6-route-cache-max-size'],
        ipv6RouteCacheGcThresh: flags['ipv6-route-cache-gc-thresh'],
        vlanArpEnhancement: flags['enable-vlan-arp-enhancement'],
      },
      vlanCheckTimeoutMs: flags['vlan-check-timeout'],
      vxlanMtu: flags['vxlan-mtu'],
      cni: {
        socketPath: flags['bind-socket'],
        stateDirectory: flags['state-dir'],
        waitTimeoutMs: flags['cni-add-wait-timeout'],
        checkConnectivity: flags['check-pod-connectivity-from-host'],
        updateStatus: flags['update-ipinstance-status'],
        patchCalicoAnnotation: flags['patch-calico-pod-ips-annotation'],
        configuration:
          flags['cni-conf-dir'] === ''
            ? null
            : {
                confDirectory: flags['cni-conf-dir'],
                confName: flags['cni-conf-name'],
                binDirectory: flags['cni-bin-dir'],
                ...(flags['cni-conf-template'] === '' ? {} : { template: flags['cni-conf-template'] }),
              },
      },
      family: { family, retain: flags['default-ip-retain'], statefulKinds: flags['stateful-workload-kinds'] },
      sweepIntervalMs: flags['vxlan-expired-neigh-caches-clear-interval'],
      healthAddress: flags['health-probe-addr'],
      metricsAddress: flags['metrics-addr'],
    })
    leaveStartUp()
    const signal = await stopSignal()
    log.info({ signal }, 'stopping')
    await daemon.stop()
    client.close()
    return 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`hybridnet daemon: ${error.message}\n`)
    return 2
  }
}

function parse(argv: readonly string[]): ReturnType<typeof parseFlags<typeof daemonFlags>> {
  return parseFlags(daemonFlags, argv)
}

/** An empty list means any address (R-CFG-10). */
function vtepCidrs(texts: readonly string[]): readonly string[] {
  return texts.length > 0 ? texts : ['0.0.0.0/0', '::/0']
}

/**
 * End at once on a signal while starting, which may wait for the API for ever; the kernel's state stays as it is. As first
 * process of a container a program ignores signals it has no handler for.
 *
 * @returns ends this
 */
function exitOnSignals(log: Logger): () => void {
  const exit = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopped while starting')
    process.exit(0)
  }
  process.on('SIGTERM', exit)
  process.on('SIGINT', exit)
  return () => {
    process.off('SIGTERM', exit)
    process.off('SIGINT', exit)
  }
}

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    process.once('SIGTERM', resolve)
    process.once('SIGINT', resolve)
  })
}
