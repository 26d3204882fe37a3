// Admission: the webhooks that may change or refuse a write, called over HTTPS as the real server does. Mutating ones run
// one after the other, and again (once, where `reinvocationPolicy: IfNeeded` says so) when a later one changed the object;
// validating ones all at once. While no webhook wants to be asked, a write takes no time here and stays atomic.
//
// Not done: matchConditions (refused), audit annotations (dropped), webhooks about the server's own writes (garbage
// collection, the content of namespaces that end), about evictions' deletes and about access reviews.
import { randomUUID } from 'node:crypto'
import { decode } from '../decode.ts'
import { StatusError, badRequest, internalError } from '../errors.ts'
import { clone, equal, text } from '../json.ts'
import { jsonPatch } from '../patch/json.ts'
import type { Resource } from '../registry.ts'
import { adminUser } from '../reviews.ts'
import type { JsonObject, KubeObject } from '../types.ts'
import type { AdmissionPoint, Steps } from '../write.ts'
import { endpointResolver, type ServiceResolver, type Verdict, WebhookCaller } from './call.ts'
import { type Surroundings, type Webhook, webhooksOf } from './config.ts'
import { asVersion, kindOf, matchWebhook, resourceOf } from './match.ts'

export type { ServiceAddress, ServiceResolver } from './call.ts'

/** What a request tells webhooks besides its objects. */
export interface Occasion {
  /** CreateOptions, UpdateOptions, PatchOptions or DeleteOptions. */
  readonly options: JsonObject
  readonly warn: (warnings: readonly string[]) => void
}

/** Another kind than the resource's own, for subresources: Binding, Eviction, Scale. */
export interface SubresourcePoint extends AdmissionPoint {
  readonly kind: JsonObject
}

interface Matched {
  readonly webhook: Webhook
  readonly as: Resource
}

export class Admission {
  readonly #context: Surroundings
  readonly #caller: WebhookCaller

  constructor(context: Surroundings, resolve?: ServiceResolver) {
    this.#context = context
    this.#caller = new WebhookCaller(resolve ?? endpointResolver(context))
  }

  /** Run a write, asking the webhooks where it stops. @throws StatusError of the write, or of a webhook that refuses it */
  async run<T>(steps: Steps<T>, occasion: Occasion): Promise<T> {
    let step = steps.next()
    while (step.done !== true) {
      const point = step.value
      const matched = this.#matching(point)
      step = steps.next(matched.length === 0 ? point.object : await this.#ask(point, matched, occasion))
    }
    return step.value
  }

  /** Both phases for what is no write of an object: a binding, an eviction, a scale. @returns the admitted body */
  async review(point: Omit<SubresourcePoint, 'phase'>, occasion: Occasion): Promise<KubeObject | null> {
    let object = point.object
    for (const phase of ['mutating', 'validating'] as const) {
      const now = { ...point, phase, object }
      const matched = this.#matching(now)
      if (matched.length > 0) object = await this.#ask(now, matched, occasion)
    }
    return object
  }

  close(): void {
    this.#caller.close()
  }

  #matching(point: AdmissionPoint): Matched[] {
    return webhooksOf(this.#context, point.phase).flatMap((webhook) => {
      const as = matchWebhook(this.#context, webhook, point)
      return as === null ? [] : [{ webhook, as }]
    })
  }

  async #ask(point: AdmissionPoint, matched: readonly Matched[], occasion: Occasion): Promise<KubeObject | null> {
    if (point.phase === 'validating') {
      const results = await Promise.allSettled(matched.map((one) => this.#call(point, one, occasion)))
      const refused = results.find((result) => result.status === 'rejected')
      if (refused !== undefined) throw refused.reason
      return point.object
    }
    let object = point.object
    const again: { one: Matched; seen: KubeObject | null }[] = []
    for (const one of matched) {
      object = await this.#mutate({ ...point, object }, one, occasion)
      if (text(one.webhook.spec, 'reinvocationPolicy') === 'IfNeeded') again.push({ one, seen: object })
    }
    for (const { one, seen } of again) {
      if (seen !== object && !equal(seen, object)) object = await this.#mutate({ ...point, object }, one, occasion)
    }
    return object
  }

  async #mutate(point: AdmissionPoint, one: Matched, occasion: Occasion): Promise<KubeObject | null> {
    const { webhook, as } = one
    const verdict = await this.#call(point, one, occasion)
    if (verdict?.patch === null || verdict === null) return point.object
    const { object, resource } = point
    if (object === null) {
      throw internalError(`admission webhook ${JSON.stringify(webhook.name)} attempted to modify the object, which is not supported for this operation`) // prettier-ignore
    }
    try {
      const sent = 'kind' in point ? object : asVersion(object, as)
      const patched = jsonPatch(sent, verdict.patch)
      if ('kind' in point) return patched as KubeObject
      return decode(resource, asVersion(patched as KubeObject, resource) ?? patched, 'Ignore').object
    } catch (error) {
      throw internalError(error instanceof Error ? error.message : String(error))
    }
  }

  /** @returns null when it could not be asked and may be ignored */
  async #call(point: AdmissionPoint, { webhook, as }: Matched, { options, warn }: Occasion): Promise<Verdict | null> {
    const { name, spec } = webhook
    if (point.dryRun && !['None', 'NoneOnDryRun'].includes(text(spec, 'sideEffects'))) {
      throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`)
    }
    let verdict: Verdict
    try {
      verdict = await this.#caller.call(webhook, reviewRequest(point, as, options))
    } catch (error) {
      const why = `failed calling webhook ${JSON.stringify(name)}: ${error instanceof Error ? error.message : String(error)}`
      this.#context.log.warn({ webhook: name, configuration: webhook.configuration, err: error }, 'webhook call failed')
      if (text(spec, 'failurePolicy') === 'Ignore') return null
      throw internalError(why)
    }
    warn(verdict.warnings)
    if (!verdict.allowed) throw denial(name, verdict.status)
    return verdict
  }
}

/** k8s.io/apiserver/pkg/admission/plugin/webhook/errors ToStatusErr. */
function denial(webhook: string, status: JsonObject): StatusError {
  const by = `admission webhook ${JSON.stringify(webhook)} denied the request`
  const [message, reason] = [text(status, 'message'), text(status, 'reason')]
  const said = message !== '' ? `: ${message}` : reason !== '' ? `: ${reason}` : ' without explanation'
  const details = status['details']
  const given = typeof details === 'object' && details !== null && !Array.isArray(details) ? details : undefined
  return new StatusError(Math.max(400, Number(text(status, 'code') || 400)), reason, `${by}${said}`, given)
}

function reviewRequest(point: AdmissionPoint, as: Resource, options: JsonObject): JsonObject {
  const { operation, resource, subresource, namespace, name, dryRun } = point
  const own = 'kind' in point ? (point.kind as JsonObject) : null
  const member = subresource === '' ? {} : { subResource: subresource, requestSubResource: subresource }
  return {
    uid: randomUUID(),
    kind: own ?? kindOf(as),
    resource: resourceOf(as),
    requestKind: own ?? kindOf(resource),
    requestResource: resourceOf(resource),
    ...member,
    ...(name === '' ? {} : { name }),
    ...(namespace === '' ? namespaceOf(point) : { namespace }),
    operation,
    userInfo: { ...adminUser },
    object: own === null ? clone(asVersion(point.object, as)) : point.object,
    oldObject: own === null ? clone(asVersion(point.old, as)) : point.old,
    dryRun,
    options,
  }
}

/** Requests about a Namespace carry its name as their namespace. */
const namespaceOf = ({ resource, name }: AdmissionPoint): JsonObject =>
  resource.group === '' && resource.plural === 'namespaces' && name !== '' ? { namespace: name } : {}
