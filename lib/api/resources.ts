// Which resource is which on the API server. Structurally equal to the ResourceType lib/kube takes.

/** Where a kind lives: `/apis/{group}/{version}/{plural}`, or `/api/{version}/{plural}` when group is empty. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

/** Group of Network, Subnet, IPInstance and NodeInfo. */
export const NETWORKING_GROUP = 'networking.alibaba.com'
/** Group of the Remote* kinds. */
export const MULTICLUSTER_GROUP = 'multicluster.alibaba.com'

function resource(group: string, kind: string, plural: string, namespaced: boolean, version = 'v1'): ResourceType {
  return { group, version, plural, kind, namespaced }
}

export const NETWORKS = resource(NETWORKING_GROUP, 'Network', 'networks', false)
export const SUBNETS = resource(NETWORKING_GROUP, 'Subnet', 'subnets', false)
export const IPINSTANCES = resource(NETWORKING_GROUP, 'IPInstance', 'ipinstances', true)
/** The plural is irregular, and part of the stored API. */
export const NODEINFOS = resource(NETWORKING_GROUP, 'NodeInfo', 'nodeinfoes', false)
export const REMOTE_CLUSTERS = resource(MULTICLUSTER_GROUP, 'RemoteCluster', 'remoteclusters', false)
export const REMOTE_SUBNETS = resource(MULTICLUSTER_GROUP, 'RemoteSubnet', 'remotesubnets', false)
export const REMOTE_VTEPS = resource(MULTICLUSTER_GROUP, 'RemoteVtep', 'remotevteps', false)
/** Plural equals singular. */
export const REMOTE_ENDPOINT_SLICES = resource(MULTICLUSTER_GROUP, 'RemoteEndpointSlice', 'remoteendpointslice', false)

/** All eight kinds of ours. */
export const OWN_RESOURCES: readonly ResourceType[] = [
  NETWORKS,
  SUBNETS,
  IPINSTANCES,
  NODEINFOS,
  REMOTE_CLUSTERS,
  REMOTE_SUBNETS,
  REMOTE_VTEPS,
  REMOTE_ENDPOINT_SLICES,
]

export const PODS = resource('', 'Pod', 'pods', true)
export const NODES = resource('', 'Node', 'nodes', false)
export const NAMESPACES = resource('', 'Namespace', 'namespaces', false)
export const SERVICES = resource('', 'Service', 'services', true)
export const CONFIG_MAPS = resource('', 'ConfigMap', 'configmaps', true)
export const SECRETS = resource('', 'Secret', 'secrets', true)
export const EVENTS = resource('', 'Event', 'events', true)
export const ENDPOINT_SLICES = resource('discovery.k8s.io', 'EndpointSlice', 'endpointslices', true)
export const NETWORK_POLICIES = resource('networking.k8s.io', 'NetworkPolicy', 'networkpolicies', true)
export const LEASES = resource('coordination.k8s.io', 'Lease', 'leases', true)
export const VALIDATING_WEBHOOK_CONFIGURATIONS = resource(
  'admissionregistration.k8s.io',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
)
export const MUTATING_WEBHOOK_CONFIGURATIONS = resource(
  'admissionregistration.k8s.io',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  false,
)
export const VIRTUAL_MACHINES = resource('kubevirt.io', 'VirtualMachine', 'virtualmachines', true)
export const VIRTUAL_MACHINE_INSTANCES = resource(
  'kubevirt.io',
  'VirtualMachineInstance',
  'virtualmachineinstances',
  true,
)

/** "networking.alibaba.com/v1", or "v1" for the core group: the `apiVersion` of objects of the resource. */
export function apiVersionOf(resource: ResourceType): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
}

/** "networks.networking.alibaba.com": the name of the CustomResourceDefinition. */
export function crdName(resource: ResourceType): string {
  return `${resource.plural}.${resource.group}`
}
