// Capability arguments of a pod for the plugins of a chain, as pure functions: what containerd makes of hostPorts and of the
// bandwidth annotations (pkg/cri/server/sandbox_run.go, cniNamespaceOpts). Not here: `dns`, `cgroupPath`, `aliases`.
import type { CapabilityArguments } from './cni-config.ts'
import type { Pod } from './pod-status.ts'

const factors: Readonly<Record<string, number>> = {
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
}

/** Bits per second of a Kubernetes quantity. @throws Error naming the annotation and its value */
export function parseBandwidth(name: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi)?$/.exec(text)
  if (match === null) throw new Error(`annotation ${name} '${text}': expected a quantity such as 10M`)
  return Math.round(Number(match[1]) * (factors[match[2] ?? ''] ?? 1))
}

/** What the plugins of a pod's chain may ask for. @throws Error when an annotation makes no sense */
export function capabilitiesOf({ metadata, spec }: Pod): CapabilityArguments {
  const capabilities: Record<string, unknown> = {}
  const ports = (spec.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .filter(({ hostPort }) => hostPort !== undefined)
  if (ports.length > 0) {
    capabilities['portMappings'] = ports.map(({ hostPort, containerPort, protocol = 'TCP', hostIP = '' }) => ({
      hostPort,
      containerPort,
      protocol: protocol.toLowerCase(),
      hostIP,
    }))
  }
  const bandwidth: Record<string, number> = {}
  for (const direction of ['ingress', 'egress'] as const) {
    const name = `kubernetes.io/${direction}-bandwidth`
    const text = metadata.annotations?.[name]
    if (text === undefined) continue
    bandwidth[`${direction}Rate`] = parseBandwidth(name, text)
    // Unlimited bursts, as containerd has it.
    bandwidth[`${direction}Burst`] = 2 ** 31 - 1
  }
  if (Object.keys(bandwidth).length > 0) capabilities['bandwidth'] = bandwidth
  return capabilities
}
