// Names other components and existing clusters know: labels, annotations, finalizers, taints (api.md §2.1 to §2.4).

const N = 'networking.alibaba.com/'
const M = 'multicluster.alibaba.com/'

// Labels of IPInstances, RemoteSubnets and RemoteVteps.
export const LABEL_SUBNET = `${N}subnet`
export const LABEL_NETWORK = `${N}network`
/** On IPInstances removed while the address is reserved. */
export const LABEL_NODE = `${N}node`
/** Value: the pod's name through `podNameLabel`. */
export const LABEL_POD = `${N}pod`
export const LABEL_POD_UID = `${N}pod-uid`
export const LABEL_VERSION = `${N}version`
/** The value of LABEL_VERSION. */
export const IPINSTANCE_VERSION = 'v1.2'
export const LABEL_VM = `${N}vm`
export const LABEL_CLUSTER = `${N}cluster`

// Labels of (Remote)EndpointSlices.
export const LABEL_REMOTE_CLUSTER = `${N}remote-cluster`
export const LABEL_SERVICE_NAME = 'kubernetes.io/service-name'
export const LABEL_ENDPOINT_SLICE_MANAGED_BY = 'endpointslice.kubernetes.io/managed-by'
export const ENDPOINT_SLICE_MANAGER = 'remote-endpointslice.hybridnet'

// Labels of Nodes, which the scheduler reads through a pod's node selector.
export const LABEL_UNDERLAY_ATTACHMENT = `${N}underlay-network-attachment`
export const LABEL_OVERLAY_ATTACHMENT = `${N}overlay-network-attachment`
export const LABEL_BGP_ATTACHMENT = `${N}bgp-network-attachment`
export const ATTACHED = 'true'
export const LABEL_IPV4_QUOTA = `${N}ipv4-address-quota`
export const LABEL_IPV6_QUOTA = `${N}ipv6-address-quota`
export const LABEL_DUAL_STACK_QUOTA = `${N}dualstack-address-quota`
/** Written by nobody any more; a reserved name. */
export const LABEL_LEGACY_QUOTA = `${N}address-quota`
export const QUOTA_NONEMPTY = 'nonempty'
export const QUOTA_EMPTY = 'empty'

/** On pods: "true" or "TRUE" keeps both pod webhooks away. */
export const LABEL_WEBHOOK_IGNORE = 'webhook.hybridnet.io/ignore'

// Annotations of pods and namespaces; the first three also as labels of the same key.
export const SPECIFIED_NETWORK = `${N}specified-network`
export const SPECIFIED_SUBNET = `${N}specified-subnet`
export const NETWORK_TYPE = `${N}network-type`
export const ANNOTATION_IP_FAMILY = `${N}ip-family`
export const ANNOTATION_IP_POOL = `${N}ip-pool`
export const ANNOTATION_MAC_POOL = `${N}mac-pool`
export const ANNOTATION_IP_RETAIN = `${N}ip-retain`
export const ANNOTATION_HANDLED_BY_WEBHOOK = `${N}handled-by-webhook`
/** Of Services. */
export const ANNOTATION_GLOBAL_SERVICE = `${N}global-service`
/** Felix learns a pod's addresses from it before the kubelet reports them. */
export const ANNOTATION_CALICO_POD_IPS = 'cni.projectcalico.org/podIPs'

/** On pods and IPInstances. */
export const FINALIZER_IP_ALLOCATED = `${N}ip-allocated`
/** On Networks and Subnets. */
export const FINALIZER_METRICS_REGISTERED = `${N}metrics-registered`
/** On RemoteClusters. */
export const FINALIZER_REMOTE_CLUSTER = `${M}manager-runtime-registered`

/** Tolerated for host-network pods. */
export const TAINT_NETWORK_UNAVAILABLE = 'node.kubernetes.io/network-unavailable'
