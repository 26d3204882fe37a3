// The two webhook configurations (api.md §4.1), as the original's chart registers them: our kinds fail closed, since a wrong
// Network costs many pods; pods fail open, since manager and nodes decide the same without us.
import { LABEL_WEBHOOK_IGNORE, MULTICLUSTER_GROUP, NETWORKING_GROUP, type KubeObject } from '../api/index.ts'

export const VALIDATING_CONFIGURATION = 'hybridnet-validating-webhook'
export const MUTATING_CONFIGURATION = 'hybridnet-mutating-webhook'
export const VALIDATE_PATH = '/validate'
export const MUTATE_PATH = '/mutate'
/** Every webhook of ours is called so, in both configurations. */
export const WEBHOOK_NAME_SUFFIX = '.hybridnet'

export interface Webhook {
  readonly name: string
  readonly clientConfig: { readonly caBundle?: string; readonly service?: object; readonly url?: string }
  readonly [field: string]: unknown
}

export interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly Webhook[] | null
}

export interface ServiceReference {
  readonly namespace: string
  readonly name: string
  readonly port: number
}

/** The configurations; caBundle follows by whoever serves. */
export function webhookConfigurations(service: ServiceReference): {
  readonly validating: WebhookConfiguration
  readonly mutating: WebhookConfiguration
} {
  const common = {
    matchPolicy: 'Equivalent',
    sideEffects: 'None',
    timeoutSeconds: 10,
    admissionReviewVersions: ['v1', 'v1beta1'],
  }
  const at = (path: string): Webhook['clientConfig'] => ({ service: { ...service, path } })
  const pods = {
    ...common,
    failurePolicy: 'Ignore',
    rules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], operations: ['CREATE'], scope: '*' }],
    objectSelector: {
      matchExpressions: [
        { key: LABEL_WEBHOOK_IGNORE, operator: 'NotIn', values: ['TRUE', 'true'] },
        { key: 'app', operator: 'NotIn', values: ['kube-proxy'] },
      ],
    },
  }
  const rule = (apiGroup: string, resources: string[]): object => ({
    apiGroups: [apiGroup],
    apiVersions: ['v1'],
    resources,
    operations: ['CREATE', 'UPDATE', 'DELETE'],
    scope: '*',
  })
  return {
    validating: {
      metadata: { name: VALIDATING_CONFIGURATION },
      webhooks: [
        {
          ...common,
          name: 'hybridnet-v1.validating.hybridnet',
          clientConfig: at(VALIDATE_PATH),
          failurePolicy: 'Fail',
          rules: [
            rule(NETWORKING_GROUP, ['networks', 'subnets']),
            rule(MULTICLUSTER_GROUP, ['remoteclusters', 'remotesubnets']),
          ],
        },
        { ...pods, name: 'core-v1.validating.hybridnet', clientConfig: at(VALIDATE_PATH) },
      ],
    },
    mutating: {
      metadata: { name: MUTATING_CONFIGURATION },
      webhooks: [
        {
          ...pods,
          name: 'core-v1.mutating.hybridnet',
          clientConfig: at(MUTATE_PATH),
          reinvocationPolicy: 'Never',
        },
      ],
    },
  }
}

/** The JSON patch that makes our webhooks trust the bundle; null when they do. It fails if the webhooks have moved. */
export function bundlePatch(configuration: WebhookConfiguration, bundle: string): readonly object[] | null {
  const operations = (configuration.webhooks ?? []).flatMap((webhook, index) => {
    if (!webhook.name.endsWith(WEBHOOK_NAME_SUFFIX) || webhook.clientConfig.caBundle === bundle) return []
    return [
      { op: 'test', path: `/webhooks/${index}/name`, value: webhook.name },
      { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: bundle },
    ]
  })
  return operations.length === 0 ? null : operations
}
