// Kubernetes' own kinds, reduced to the fields the programs read or write.
import type { KubeObject, ObjectMeta } from './meta.ts'

export interface Pod extends KubeObject {
  readonly spec?: PodSpec
  readonly status?: PodStatus
}

export interface PodSpec {
  readonly nodeName?: string
  readonly hostNetwork?: boolean
  readonly nodeSelector?: Readonly<Record<string, string>> | null
  readonly tolerations?: readonly Toleration[] | null
  readonly containers?: readonly PodContainer[] | null
}

export interface PodContainer {
  readonly name: string
  readonly ports?: readonly ContainerPort[] | null
}

export interface ContainerPort {
  readonly name?: string
  readonly containerPort: number
  readonly hostPort?: number
  readonly protocol?: string
}

export interface Toleration {
  readonly key?: string
  readonly operator?: string
  readonly value?: string
  readonly effect?: string
  readonly tolerationSeconds?: number | null
}

export interface PodStatus {
  /** Pending, Running, Succeeded, Failed, Unknown. */
  readonly phase?: string
  readonly reason?: string
  readonly podIP?: string
  readonly podIPs?: readonly { readonly ip: string }[] | null
  readonly hostIP?: string
  readonly containerStatuses?: readonly ContainerStatus[] | null
}

export interface ContainerStatus {
  readonly name: string
  readonly state?: {
    readonly running?: object | null
    readonly waiting?: object | null
    readonly terminated?: object | null
  } | null
}

export interface Node extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string
    readonly podCIDRs?: readonly string[] | null
    readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[] | null
  }
  readonly status?: {
    readonly addresses?: readonly NodeAddress[] | null
    readonly conditions?: readonly { readonly type: string; readonly status: string }[] | null
  }
}

export interface NodeAddress {
  /** InternalIP, ExternalIP, Hostname, ... */
  readonly type: string
  readonly address: string
}

export interface Namespace extends KubeObject {
  readonly status?: { readonly phase?: string }
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly clusterIP?: string
    readonly clusterIPs?: readonly string[] | null
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly protocol?: string }[] | null
  }
}

/** discovery.k8s.io/v1. */
export interface EndpointSlice extends KubeObject {
  readonly addressType: string
  readonly endpoints?: readonly Endpoint[] | null
  readonly ports?: readonly EndpointPort[] | null
}

export interface Endpoint {
  readonly addresses: readonly string[]
  readonly conditions?: {
    readonly ready?: boolean | null
    readonly serving?: boolean | null
    readonly terminating?: boolean | null
  }
  readonly hints?: { readonly forZones?: readonly { readonly name: string }[] | null } | null
  readonly hostname?: string | null
  readonly nodeName?: string | null
  readonly zone?: string | null
  readonly targetRef?: ObjectReference | null
  /** Of v1beta1 only. */
  readonly topology?: Readonly<Record<string, string>> | null
}

export interface EndpointPort {
  readonly name?: string | null
  readonly port?: number | null
  readonly protocol?: string | null
  readonly appProtocol?: string | null
}

export interface ObjectReference {
  readonly apiVersion?: string
  readonly fieldPath?: string
  readonly kind?: string
  readonly name?: string
  readonly namespace?: string
  readonly resourceVersion?: string
  readonly uid?: string
}

/** A list as the API server answers it. */
export interface ObjectList<T extends KubeObject> {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string }
  readonly items: readonly T[]
}

/** `application/json;as=PartialObjectMetadata`: metadata and nothing else. */
export interface PartialObjectMetadata extends KubeObject {
  readonly metadata: ObjectMeta
}
