// The endpoints of a Service out of its pods, as pure functions (k8s.io/endpointslice; pkg/controller/endpoint). One set
// of endpoints per family and set of ports: pods may mean different numbers by the same port name.
import { isFinished, isReady, isTerminating } from './pods.ts'
import { canonical } from './template.ts'
import type { Endpoint, EndpointPort, Pod, Service } from './types.ts'

export type AddressType = 'IPv4' | 'IPv6'

/** Endpoints that share family and ports. */
export interface EndpointGroup {
  readonly addressType: AddressType
  readonly ports: readonly EndpointPort[]
  readonly endpoints: readonly Endpoint[]
}

export const addressTypesOf = ({ spec }: Service): readonly AddressType[] =>
  (spec.ipFamilies ?? ['IPv4']).filter((family): family is AddressType => family === 'IPv4' || family === 'IPv6')

/** A Service whose endpoints are for this controller to keep. */
export const hasEndpoints = ({ metadata, spec }: Service): boolean =>
  spec.type !== 'ExternalName' &&
  metadata.deletionTimestamp === undefined &&
  Object.keys(spec.selector ?? {}).length > 0

/** The ports as a pod serves them; a named port that the pod does not have is left out. */
export function portsOf({ spec }: Service, pod: Pod): EndpointPort[] {
  return (spec.ports ?? []).flatMap(({ name = '', protocol = 'TCP', port, targetPort = port, appProtocol }) => {
    const number = typeof targetPort === 'number' ? targetPort : namedPort(pod, targetPort, protocol)
    if (number === null) return []
    return [{ name, protocol, port: number, ...(appProtocol === undefined ? {} : { appProtocol }) }]
  })
}

function namedPort({ spec }: Pod, name: string, protocol: string): number | null {
  const ports = (spec.containers ?? []).flatMap((container) => container.ports ?? [])
  return ports.find((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)?.containerPort ?? null
}

function endpointOf(service: Service, pod: Pod, address: string): Endpoint {
  const { name, namespace, uid } = pod.metadata
  const terminating = isTerminating(pod)
  const serving = isReady(pod)
  const { hostname, subdomain, nodeName } = pod.spec
  return {
    addresses: [address],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: { kind: 'Pod', name, namespace, uid },
  }
}

/** All endpoints of a Service, grouped; in the order of the pods' names. */
export function endpointGroups(service: Service, pods: readonly Pod[]): EndpointGroup[] {
  const groups = new Map<string, { addressType: AddressType; ports: EndpointPort[]; endpoints: Endpoint[] }>()
  const sorted = pods.filter((pod) => !isFinished(pod)).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  for (const addressType of addressTypesOf(service)) {
    for (const pod of sorted) {
      const address = addressesOf(pod).find((ip) => ip.includes(':') === (addressType === 'IPv6'))
      if (address === undefined) continue
      const ports = portsOf(service, pod)
      // Nothing a client of this service could reach.
      if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue
      const key = `${addressType} ${canonical(ports)}`
      let group = groups.get(key)
      if (group === undefined) groups.set(key, (group = { addressType, ports, endpoints: [] }))
      group.endpoints.push(endpointOf(service, pod, address))
    }
  }
  return [...groups.values()]
}

const addressesOf = ({ status }: Pod): readonly string[] =>
  status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : [])

/** The older form of the same: subsets of an Endpoints object, of the first family, without pods on their way out. */
export function subsetsOf(service: Service, groups: readonly EndpointGroup[]): unknown[] {
  const [first] = addressTypesOf(service)
  return groups
    .filter(({ addressType }) => addressType === first)
    .flatMap(({ ports, endpoints }) => {
      const staying = endpoints.filter(
        ({ conditions }) => conditions?.terminating !== true || service.spec.publishNotReadyAddresses === true,
      )
      const of = (ready: boolean): object[] =>
        staying
          .filter(({ conditions }) => conditions?.ready === ready)
          .map(({ addresses, hostname, nodeName, targetRef }) => ({
            ip: addresses[0],
            ...(hostname === undefined ? {} : { hostname }),
            ...(nodeName === undefined ? {} : { nodeName }),
            targetRef,
          }))
      const [ready, notReady] = [of(true), of(false)]
      if (ready.length + notReady.length === 0) return []
      return [
        {
          ...(ready.length === 0 ? {} : { addresses: ready }),
          ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
          ports: ports.map(({ name, ...port }) => ({ ...(name === '' ? {} : { name }), ...port })),
        },
      ]
    })
}
