// AdmissionReview on the wire (admission.k8s.io/v1 and v1beta1, which differ in nothing that concerns us): a request is read,
// an answer of the same version written.
import type { Decision, PatchOperation } from './decision.ts'

export interface Review {
  readonly apiVersion: 'admission.k8s.io/v1' | 'admission.k8s.io/v1beta1'
  readonly uid: string
  /** "group/version/Kind", without the group for the core one. */
  readonly kind: string
  readonly operation: string
  readonly namespace: string
  readonly name: string
  readonly dryRun: boolean
  /** null on DELETE. */
  readonly object: Readonly<Record<string, unknown>> | null
  /** null on CREATE. */
  readonly oldObject: Readonly<Record<string, unknown>> | null
}

export interface Answer {
  readonly decision: Decision
  readonly patch: readonly PatchOperation[]
}

/** The request cannot be understood. */
export class ReviewError extends Error {
  override readonly name = 'ReviewError'
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** @throws ReviewError naming what is wrong */
export function parseReview(body: string): Review {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch (error) {
    throw new ReviewError(`the body is no JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (!isObject(json) || json['kind'] !== 'AdmissionReview') throw new ReviewError('the body is no AdmissionReview')
  const apiVersion = json['apiVersion']
  if (apiVersion !== 'admission.k8s.io/v1' && apiVersion !== 'admission.k8s.io/v1beta1') {
    throw new ReviewError(
      `apiVersion is ${JSON.stringify(apiVersion)}, expected admission.k8s.io/v1 or admission.k8s.io/v1beta1`,
    )
  }
  const request = json['request']
  if (!isObject(request)) throw new ReviewError('the AdmissionReview has no request')
  const kind = isObject(request['kind']) ? request['kind'] : {}
  const group = textOf(kind['group'])
  return {
    apiVersion,
    uid: textOf(request['uid']),
    kind: `${group === '' ? '' : `${group}/`}${textOf(kind['version'])}/${textOf(kind['kind'])}`,
    operation: textOf(request['operation']),
    namespace: textOf(request['namespace']),
    name: textOf(request['name']),
    dryRun: request['dryRun'] === true,
    object: isObject(request['object']) ? request['object'] : null,
    oldObject: isObject(request['oldObject']) ? request['oldObject'] : null,
  }
}

const REASONS = { 400: 'BadRequest', 403: 'Forbidden', 500: 'InternalError' } as const

/** The answer as JSON. @param review null when the request could not be read: the answer then has no uid */
export function formatAnswer(review: Pick<Review, 'apiVersion' | 'uid'> | null, { decision, patch }: Answer): string {
  const response: Record<string, unknown> = { uid: review?.uid ?? '', allowed: decision.allowed }
  if (decision.allowed) {
    response['status'] = { code: 200 }
    if (decision.warnings.length > 0) response['warnings'] = decision.warnings
    if (patch.length > 0) {
      response['patchType'] = 'JSONPatch'
      response['patch'] = Buffer.from(JSON.stringify(patch)).toString('base64')
    }
  } else {
    const { code, message } = decision
    response['status'] = { status: 'Failure', code, reason: REASONS[code], message }
  }
  return JSON.stringify({ kind: 'AdmissionReview', apiVersion: review?.apiVersion ?? 'admission.k8s.io/v1', response })
}
