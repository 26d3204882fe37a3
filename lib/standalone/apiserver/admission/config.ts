// Webhook configurations: what the server fills in, what it refuses, and their webhooks in calling order.
import type { Context } from '../context.ts'
import { fieldError } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { isObject, list, object, own, text } from '../json.ts'
import type { Strategy } from '../registry.ts'
import { fill } from '../strategies/pods.ts'
import type { JsonObject } from '../types.ts'

/** What admission needs of a server. */
export type Surroundings = Pick<Context, 'store' | 'registry' | 'log'>

export const group = 'admissionregistration.k8s.io'

export interface Webhook {
  readonly phase: 'mutating' | 'validating'
  /** Name of the configuration it is in. */
  readonly configuration: string
  readonly name: string
  readonly spec: JsonObject
}

/** All webhooks of a phase: configurations by name, webhooks as they are listed. */
export function webhooksOf({ store }: Surroundings, phase: Webhook['phase']): Webhook[] {
  const webhooks: Webhook[] = []
  for (const [, { object: configuration }] of store.collection(`${group}/${phase}webhookconfigurations`).entries()) {
    for (const spec of list(configuration, 'webhooks').filter(isObject)) {
      webhooks.push({ phase, configuration: configuration.metadata.name ?? '', name: text(spec, 'name'), spec })
    }
  }
  return webhooks
}

/** k8s.io/kubernetes/pkg/apis/admissionregistration/v1/defaults.go and validation. */
export function webhookStrategy(phase: Webhook['phase']): Strategy {
  return {
    defaults: (configuration) => {
      for (const webhook of list(configuration, 'webhooks').filter(isObject)) {
        fill(webhook, {
          failurePolicy: 'Fail',
          matchPolicy: 'Equivalent',
          namespaceSelector: {},
          objectSelector: {},
          timeoutSeconds: 10,
          ...(phase === 'mutating' ? { reinvocationPolicy: 'Never' } : {}),
        })
        for (const rule of list(webhook, 'rules').filter(isObject)) fill(rule, { scope: '*' })
        const service = own(object(webhook, 'clientConfig'), 'service')
        if (isObject(service)) fill(service, { port: 443 })
      }
    },
    validate: (configuration) => {
      const names = new Set<string>()
      return list(configuration, 'webhooks')
        .filter(isObject)
        .flatMap((webhook, index) => {
          const at = `webhooks[${index}]`
          const name = text(webhook, 'name')
          const errors = validateWebhook(webhook, at)
          if (names.has(name)) errors.push(fieldError.duplicate(`${at}.name`, name))
          names.add(name)
          return errors
        })
    },
  }
}

function validateWebhook(webhook: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = []
  const name = text(webhook, 'name')
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?){2,}$/.test(name)) {
    errors.push(fieldError.invalid(`${at}.name`, name, 'should be a domain with at least three segments separated by dots')) // prettier-ignore
  }
  const oneOf = (member: string, supported: readonly string[]): void => {
    if (!supported.includes(text(webhook, member))) errors.push(fieldError.notSupported(`${at}.${member}`, webhook[member] ?? '', supported)) // prettier-ignore
  }
  oneOf('failurePolicy', ['Fail', 'Ignore'])
  oneOf('matchPolicy', ['Equivalent', 'Exact'])
  if (webhook['sideEffects'] === undefined)
    errors.push(fieldError.required(`${at}.sideEffects`, 'must specify one of None, NoneOnDryRun')) // prettier-ignore
  else oneOf('sideEffects', ['None', 'NoneOnDryRun'])
  if (webhook['reinvocationPolicy'] !== undefined) oneOf('reinvocationPolicy', ['IfNeeded', 'Never'])
  const versions = list(webhook, 'admissionReviewVersions')
  if (versions.length === 0)
    errors.push(fieldError.required(`${at}.admissionReviewVersions`, 'must specify one of v1, v1beta1')) // prettier-ignore
  else if (!versions.includes('v1') && !versions.includes('v1beta1')) {
    errors.push(fieldError.invalid(`${at}.admissionReviewVersions`, versions, 'must include at least one of v1, v1beta1')) // prettier-ignore
  }
  const timeout = webhook['timeoutSeconds']
  if (typeof timeout !== 'number' || timeout < 1 || timeout > 30) {
    errors.push(fieldError.invalid(`${at}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds')) // prettier-ignore
  }
  // They are CEL; a webhook that is called although its condition says no would be worse than a refusal.
  if (list(webhook, 'matchConditions').length > 0) {
    errors.push(fieldError.forbidden(`${at}.matchConditions`, 'not evaluated by the standalone API server'))
  }
  const config = object(webhook, 'clientConfig')
  const [url, service] = [own(config, 'url'), own(config, 'service')]
  if ((url === undefined) === (service === undefined)) {
    errors.push(fieldError.required(`${at}.clientConfig`, 'exactly one of url or service is required'))
  } else if (url !== undefined && !/^https:\/\/[^/?#@]+(\/[^?#]*)?$/.test(text(config, 'url'))) {
    errors.push(fieldError.invalid(`${at}.clientConfig.url`, url, "desired format: https://host[:port]/path, without user, query and fragment")) // prettier-ignore
  }
  for (const member of service === undefined ? [] : ['name', 'namespace']) {
    if (text(config, 'service', member) === '') errors.push(fieldError.required(`${at}.clientConfig.service.${member}`))
  }
  return errors
}
