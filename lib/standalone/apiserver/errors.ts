// Errors as metav1.Status, with the texts of the real API server (k8s.io/apimachinery/pkg/api/errors, pkg/util/validation/field),
// because people and scripts match on them.
import type { JsonObject } from './types.ts'

/** Group and plural (or kind) of what an error is about. */
export interface GroupResource {
  readonly group: string
  readonly plural: string
}

export interface GroupKind {
  readonly group: string
  readonly kind: string
}

/** One wrong field; `field` is a path like `spec.containers[0].name`. */
export interface FieldError {
  readonly reason:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueForbidden'
    | 'FieldValueDuplicate'
    | 'FieldValueTypeInvalid'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueNotFound'
  readonly field: string
  /** Without the path: `Required value`, `Invalid value: "x": must be ...`. */
  readonly message: string
}

export const fieldError = {
  required: (field: string, detail = ''): FieldError => ({
    reason: 'FieldValueRequired',
    field,
    message: `Required value${detail === '' ? '' : `: ${detail}`}`,
  }),
  invalid: (field: string, value: unknown, detail: string): FieldError => ({
    reason: 'FieldValueInvalid',
    field,
    message: `Invalid value: ${show(value)}: ${detail}`,
  }),
  typeInvalid: (field: string, value: unknown, detail: string): FieldError => ({
    reason: 'FieldValueTypeInvalid',
    field,
    message: `Invalid value: ${show(value)}: ${detail}`,
  }),
  notSupported: (field: string, value: unknown, supported: readonly unknown[]): FieldError => ({
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${show(value)}: supported values: ${supported.map(show).join(', ')}`,
  }),
  forbidden: (field: string, detail: string): FieldError => ({
    reason: 'FieldValueForbidden',
    field,
    message: `Forbidden: ${detail}`,
  }),
  duplicate: (field: string, value: unknown): FieldError => ({
    reason: 'FieldValueDuplicate',
    field,
    message: `Duplicate value: ${show(value)}`,
  }),
  tooLong: (field: string, maxBytes: number): FieldError => ({
    reason: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${maxBytes} bytes`,
  }),
  tooMany: (field: string, count: number, max: number): FieldError => ({
    reason: 'FieldValueTooMany',
    field,
    message: `Too many: ${count}: must have at most ${max} items`,
  }),
}

/** A value whose text in an error is Go's. */
export class Verbatim {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** A list or a map as Go shows it: `map[string]string{"a":"b"}`. @param type Go's name of it */
export function goText(type: string, value: object): Verbatim {
  const members = Array.isArray(value)
    ? value.map((item) => JSON.stringify(item)).join(', ')
    : Object.entries(value)
        .map(([key, item]) => `${JSON.stringify(key)}:${JSON.stringify(item)}`)
        .sort()
        .join(', ')
  return new Verbatim(`${type}{${members}}`)
}

function show(value: unknown): string {
  if (value instanceof Verbatim) return value.text
  if (typeof value === 'object' && value !== null) return `${JSON.stringify(value)}`
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** An answer other than success; `body` is the metav1.Status that goes over the wire. */
export class StatusError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: JsonObject | undefined
  /** metadata.continue of the Status, for an expired continue token. */
  readonly continueToken: string | undefined

  constructor(code: number, reason: string, message: string, details?: JsonObject, continueToken?: string) {
    super(message)
    this.name = 'StatusError'
    this.code = code
    this.reason = reason
    this.details = details
    this.continueToken = continueToken
  }

  get body(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined ? {} : { details: this.details }),
      code: this.code,
    }
  }
}

export function qualified(group: string, name: string): string {
  return group === '' ? name : `${name}.${group}`
}

const about = (resource: GroupResource, name: string): JsonObject => ({
  ...(name === '' ? {} : { name }),
  ...(resource.group === '' ? {} : { group: resource.group }),
  kind: resource.plural,
})

export function notFound(resource: GroupResource, name: string): StatusError {
  const message = `${qualified(resource.group, resource.plural)} "${name}" not found`
  return new StatusError(404, 'NotFound', message, about(resource, name))
}

/** No such path, group, version or resource. */
export function noSuchResource(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {})
}

export function alreadyExists(resource: GroupResource, name: string): StatusError {
  const message = `${qualified(resource.group, resource.plural)} "${name}" already exists`
  return new StatusError(409, 'AlreadyExists', message, about(resource, name))
}

export const modifiedMessage =
  'the object has been modified; please apply your changes to the latest version and try again'

export function conflict(resource: GroupResource, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${qualified(resource.group, resource.plural)} "${name}": ${why}`
  return new StatusError(409, 'Conflict', message, about(resource, name))
}

export function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): StatusError {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))]
  const list = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`
  return new StatusError(422, 'Invalid', `${qualified(kind.group, kind.kind)} "${name}" is invalid: ${list}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.kind,
    causes: errors.map(({ reason, field, message }) => ({ reason, message, field })),
  })
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message)
}

export function forbidden(resource: GroupResource, name: string, why: string, causes?: JsonObject[]): StatusError {
  const what = `${qualified(resource.group, resource.plural)}${name === '' ? '' : ` "${name}"`}`
  return new StatusError(403, 'Forbidden', `${what} is forbidden: ${why}`, {
    ...about(resource, name),
    ...(causes === undefined ? {} : { causes }),
  })
}

/** An eviction that a PodDisruptionBudget does not allow now. */
export function disruptionBudget(budget: string): StatusError {
  const message = "Cannot evict pod as it would violate the pod's disruption budget."
  const cause = {
    reason: 'DisruptionBudget',
    message: `The disruption budget ${budget} does not allow another disruption now`,
  }
  return new StatusError(429, 'TooManyRequests', message, { causes: [cause] })
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized')
}

/** A watch or exact list asked for a version that is no longer kept. */
export function expiredVersion(asked: number, oldest: number): StatusError {
  return new StatusError(410, 'Expired', `too old resource version: ${asked} (${oldest})`)
}

export function expiredContinue(continueToken: string | undefined): StatusError {
  const message =
    continueToken === undefined
      ? 'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.'
      : 'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
        'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
        'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
        'deleted between the time the first chunk was returned and now may show up in the list.'
  return new StatusError(410, 'Expired', message, undefined, continueToken)
}

export function tooLargeVersion(asked: number, current: number): StatusError {
  return new StatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

export function methodNotAllowed(method: string): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    `the server does not allow this method on the requested resource (${method})`,
    {},
  )
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  return new StatusError(406, 'NotAcceptable', `only the following media types are accepted: ${accepted.join(', ')}`)
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`
  return new StatusError(415, 'UnsupportedMediaType', message)
}

/** For parts of the Kubernetes API this server leaves out on purpose. */
export function notImplemented(what: string): StatusError {
  return new StatusError(501, 'NotImplemented', `${what} is not implemented by the standalone API server`)
}

export function internalError(message: string): StatusError {
  return new StatusError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] })
}

export function tooLargeBody(limit: number): StatusError {
  return new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`)
}
