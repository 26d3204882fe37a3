// The kinds these controllers work on: descriptors, and the fields they read. Pure types and data.
import type { ObjectMeta, ResourceType } from '../../kube/index.ts'
import type { LabelSelector } from './selector.ts'

const apps = (kind: string, plural: string): ResourceType => ({
  group: 'apps',
  version: 'v1',
  plural,
  kind,
  namespaced: true,
})

export const DEPLOYMENTS = apps('Deployment', 'deployments')
export const REPLICA_SETS = apps('ReplicaSet', 'replicasets')
export const STATEFUL_SETS = apps('StatefulSet', 'statefulsets')
export const CONTROLLER_REVISIONS = apps('ControllerRevision', 'controllerrevisions')
export const ENDPOINTS: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'endpoints',
  kind: 'Endpoints',
  namespaced: true,
}

export const DISRUPTION_BUDGETS: ResourceType = {
  group: 'policy',
  version: 'v1',
  plural: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  namespaced: true,
}

/** metadata of an object that came from the API. */
export type Meta = ObjectMeta & { readonly name: string; readonly namespace: string; readonly uid: string }

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string | null
  readonly lastUpdateTime?: string | null
}

export interface ContainerPort {
  readonly name?: string
  readonly containerPort: number
  readonly protocol?: string
}

export interface PodSpec {
  readonly nodeName?: string
  readonly hostname?: string
  readonly subdomain?: string
  readonly containers?: readonly { readonly name: string; readonly ports?: readonly ContainerPort[] }[]
  readonly [field: string]: unknown
}

export interface Pod {
  readonly metadata: Meta
  readonly spec: PodSpec
  readonly status?: {
    readonly phase?: string
    readonly podIP?: string
    readonly podIPs?: readonly { readonly ip: string }[]
    readonly conditions?: readonly Condition[]
  }
}

export interface PodTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly finalizers?: readonly string[]
  }
  readonly spec: PodSpec
}

export interface ReplicaSet {
  readonly metadata: Meta
  readonly spec: {
    readonly replicas?: number
    readonly minReadySeconds?: number
    readonly selector: LabelSelector
    readonly template: PodTemplate
  }
  readonly status?: {
    readonly replicas?: number
    readonly fullyLabeledReplicas?: number
    readonly readyReplicas?: number
    readonly availableReplicas?: number
    readonly observedGeneration?: number
    readonly conditions?: readonly Condition[]
  }
}

/** A count or a share of the replicas, `25%`. */
export type IntOrPercent = number | string

export interface Deployment {
  readonly metadata: Meta
  readonly spec: {
    readonly replicas?: number
    readonly selector: LabelSelector
    readonly template: PodTemplate
    readonly paused?: boolean
    readonly minReadySeconds?: number
    readonly revisionHistoryLimit?: number
    readonly progressDeadlineSeconds?: number
    readonly strategy?: {
      readonly type?: string
      readonly rollingUpdate?: { readonly maxSurge?: IntOrPercent; readonly maxUnavailable?: IntOrPercent } | null
    }
  }
  readonly status?: {
    readonly observedGeneration?: number
    readonly replicas?: number
    readonly updatedReplicas?: number
    readonly readyReplicas?: number
    readonly availableReplicas?: number
    readonly unavailableReplicas?: number
    readonly collisionCount?: number
    readonly conditions?: readonly Condition[]
  }
}

export interface StatefulSet {
  readonly metadata: Meta
  readonly spec: {
    readonly replicas?: number
    readonly serviceName?: string
    readonly selector: LabelSelector
    readonly template: PodTemplate
    readonly podManagementPolicy?: string
    readonly minReadySeconds?: number
    readonly revisionHistoryLimit?: number
    readonly ordinals?: { readonly start?: number }
    readonly updateStrategy?: {
      readonly type?: string
      readonly rollingUpdate?: { readonly partition?: number; readonly maxUnavailable?: IntOrPercent } | null
    }
  }
  readonly status?: {
    readonly observedGeneration?: number
    readonly replicas?: number
    readonly readyReplicas?: number
    readonly availableReplicas?: number
    readonly currentReplicas?: number
    readonly updatedReplicas?: number
    readonly currentRevision?: string
    readonly updateRevision?: string
    readonly collisionCount?: number
  }
}

export interface ControllerRevision {
  readonly metadata: Meta
  readonly data: unknown
  readonly revision: number
}

export interface ServicePort {
  readonly name?: string
  readonly protocol?: string
  readonly port: number
  readonly targetPort?: number | string
  readonly appProtocol?: string
}

export interface Service {
  readonly metadata: Meta
  readonly spec: {
    readonly type?: string
    readonly clusterIP?: string
    readonly selector?: Readonly<Record<string, string>> | null
    readonly ports?: readonly ServicePort[]
    readonly ipFamilies?: readonly string[]
    readonly publishNotReadyAddresses?: boolean
  }
}

export interface EndpointConditions {
  readonly ready?: boolean
  readonly serving?: boolean
  readonly terminating?: boolean
}

export interface Endpoint {
  readonly addresses: readonly string[]
  readonly conditions?: EndpointConditions
  readonly hostname?: string
  readonly nodeName?: string
  readonly targetRef?: {
    readonly kind: string
    readonly name: string
    readonly namespace: string
    readonly uid: string
  }
}

export interface EndpointPort {
  readonly name: string
  readonly protocol: string
  readonly port: number
  readonly appProtocol?: string
}

export interface EndpointSlice {
  readonly metadata: ObjectMeta
  readonly addressType: string
  readonly endpoints?: readonly Endpoint[]
  readonly ports?: readonly EndpointPort[]
}

export interface Endpoints {
  readonly metadata: ObjectMeta
  readonly subsets?: readonly unknown[]
}

export interface DisruptionBudget {
  readonly metadata: Meta
  readonly spec: {
    readonly minAvailable?: number | string
    readonly maxUnavailable?: number | string
    readonly selector?: LabelSelector
  }
  readonly status?: {
    readonly conditions?: readonly Condition[]
    /** RFC 3339 time of the eviction, by name of the pod. */
    readonly disruptedPods?: Readonly<Record<string, string>>
    readonly [field: string]: unknown
  }
}
