// One call of one webhook: where it is, HTTPS with its CA, and what its answer must look like.
import { Agent, request as httpsRequest } from 'node:https'
import { isObject, list, object, text } from '../json.ts'
import type { Json, JsonObject } from '../types.ts'
import type { Surroundings, Webhook } from './config.ts'

/** Where a service can be reached. */
export interface ServiceAddress {
  readonly host: string
  readonly port: number
}

/** Finds an address behind a Service's port. @throws Error saying why there is none */
export type ServiceResolver = (
  namespace: string,
  name: string,
  port: number,
) => ServiceAddress | Promise<ServiceAddress>

/** What a webhook said. */
export interface Verdict {
  readonly allowed: boolean
  /** metav1.Status of a denial. */
  readonly status: JsonObject
  readonly patch: Json | null
  readonly warnings: readonly string[]
}

/** Bytes of an answer at most. */
const answerLimit = 3 * 1024 * 1024

export class WebhookCaller {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #resolve: ServiceResolver

  constructor(resolve: ServiceResolver) {
    this.#resolve = resolve
  }

  /** @throws Error in the words of the real server: what follows `failed calling webhook "NAME": ` */
  async call(webhook: Webhook, review: JsonObject): Promise<Verdict> {
    const version = list(webhook.spec, 'admissionReviewVersions').find((one) => one === 'v1' || one === 'v1beta1')
    const apiVersion = `admission.k8s.io/${String(version)}`
    const body = JSON.stringify({ kind: 'AdmissionReview', apiVersion, request: review })
    const answer = await this.#post(webhook.spec, body)
    try {
      return readAnswer(webhook, apiVersion, text(review, 'uid'), answer)
    } catch (error) {
      throw new Error(`received invalid webhook response: ${messageOf(error)}`, { cause: error })
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #post(spec: JsonObject, body: string): Promise<Json> {
    const config = object(spec, 'clientConfig')
    const seconds = Number(text(spec, 'timeoutSeconds') || 10)
    const service = object(config, 'service')
    const [name, namespace] = [text(service, 'name'), text(service, 'namespace')]
    const port = Number(text(service, 'port') || 443)
    const url = new URL(
      name === ''
        ? text(config, 'url')
        : `https://${name}.${namespace}.svc:${port}/${text(service, 'path').replace(/^\//, '')}`,
    )
    url.searchParams.set('timeout', `${seconds}s`)
    const shown = name === '' ? url.href : url.href.replace(`.svc/`, `.svc:${port}/`)
    const deadline = AbortSignal.timeout(seconds * 1000)
    try {
      const target = name === '' ? { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 443) } : await this.#resolve(namespace, name, port) // prettier-ignore
      const bundle = text(config, 'caBundle')
      const ca = bundle === '' ? {} : { ca: Buffer.from(bundle, 'base64').toString() }
      return await this.#exchange(url, target, ca, body, deadline)
    } catch (error) {
      const why = deadline.aborted ? 'context deadline exceeded' : messageOf(error)
      throw new Error(`failed to call webhook: Post ${JSON.stringify(shown)}: ${why}`, { cause: error })
    }
  }

  #exchange(url: URL, target: ServiceAddress, ca: { ca?: string }, body: string, signal: AbortSignal): Promise<Json> {
    const servername = /^[\d.]+$|:/.test(url.hostname) ? {} : { servername: url.hostname }
    const headers = { 'content-type': 'application/json', accept: 'application/json', host: url.host, 'content-length': Buffer.byteLength(body) } // prettier-ignore
    return new Promise((resolve, reject) => {
      const options = { ...target, ...ca, ...servername, path: url.pathname + url.search, method: 'POST', headers, agent: this.#agent, signal } // prettier-ignore
      const request = httpsRequest(options, (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('error', reject)
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > answerLimit) request.destroy(new Error(`the answer is longer than ${answerLimit} bytes`))
          else chunks.push(chunk)
        })
        response.on('end', () => {
          const content = Buffer.concat(chunks).toString()
          if (response.statusCode !== 200) {
            reject(new Error(`an error on the server (${JSON.stringify(content.trim().slice(0, 300))}) has prevented the request from succeeding (status ${response.statusCode ?? 0})`)) // prettier-ignore
            return
          }
          try {
            resolve(JSON.parse(content) as Json)
          } catch (error) {
            reject(new Error(`the answer is no JSON: ${messageOf(error)}`, { cause: error }))
          }
        })
      })
      request.on('error', reject)
      request.end(body)
    })
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** k8s.io/apiserver/pkg/admission/plugin/webhook/request VerifyAdmissionResponse. */
function readAnswer({ phase }: Webhook, apiVersion: string, uid: string, answer: Json): Verdict {
  const describe = (version: string, kind: string): string => `${version}, Kind=${kind}`
  const expected = describe(apiVersion, 'AdmissionReview')
  const got = describe(text(answer, 'apiVersion'), text(answer, 'kind'))
  if (!isObject(answer)) throw new Error(`expected webhook response of ${expected}, got no object`)
  if (!isObject(answer['response'])) throw new Error('webhook response was absent')
  const { response } = answer
  const strict = apiVersion.endsWith('/v1')
  if (strict && text(response, 'uid') !== uid) throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(text(response, 'uid'))}`) // prettier-ignore
  if (got !== expected && (strict || text(answer, 'kind') !== '')) throw new Error(`expected webhook response of ${expected}, got ${got}`) // prettier-ignore
  const [patch, type] = [text(response, 'patch'), response['patchType']]
  if (phase === 'validating') {
    if (strict && patch !== '') throw new Error('validating webhook may not return response.patch')
    if (strict && type !== undefined) throw new Error('validating webhook may not return response.patchType')
  } else {
    if (strict && patch !== '' && type === undefined) throw new Error('webhook returned response.patch but not response.patchType') // prettier-ignore
    if (strict && patch === '' && type !== undefined) throw new Error('webhook returned response.patchType but not response.patch') // prettier-ignore
    if (patch !== '' && type !== undefined && type !== 'JSONPatch') throw new Error(`unsupported patch type ${JSON.stringify(type)}`) // prettier-ignore
  }
  return {
    allowed: response['allowed'] === true,
    status: object(response, 'status'),
    patch:
      patch === '' || phase === 'validating' ? null : (JSON.parse(Buffer.from(patch, 'base64').toString()) as Json),
    warnings: list(response, 'warnings').map(String),
  }
}

/** The first ready endpoint of a Service, by its EndpointSlices. */
export function endpointResolver({ store }: Surroundings): ServiceResolver {
  return (namespace, name, port) => {
    const service = store.get('/services', `${namespace}/${name}`)?.object
    if (service === undefined) throw new Error(`service ${JSON.stringify(name)} not found`)
    if (text(service, 'spec', 'type') === 'ExternalName') return { host: text(service, 'spec', 'externalName'), port }
    const servicePort = list(service, 'spec', 'ports').find((one) => Number(text(one, 'port')) === port)
    if (servicePort === undefined) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`)
    const portName = text(servicePort, 'name')
    for (const [, { object: slice }] of store.collection('discovery.k8s.io/endpointslices').entries(`${namespace}/`)) {
      if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue
      const target = list(slice, 'ports').find((one) => text(one, 'name') === portName)
      const endpoint = list(slice, 'endpoints').find((one) => object(one, 'conditions')['ready'] !== false)
      const host = list(endpoint, 'addresses')[0]
      if (target !== undefined && typeof host === 'string') return { host, port: Number(text(target, 'port')) }
    }
    throw new Error(`no endpoints available for service ${JSON.stringify(name)}`)
  }
}
