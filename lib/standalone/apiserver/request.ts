// What a URL asks for, and the body that came with it.
import type { IncomingMessage } from 'node:http'
import { parse as parseYaml } from 'yaml'
import { decodeProtobuf, protobufType } from './protobuf.ts'
import { badRequest, tooLargeBody, unsupportedMediaType } from './errors.ts'
import type { Json } from './types.ts'

/** A path below /api/v1 or /apis/GROUP/VERSION. */
export interface ResourcePath {
  readonly apiVersion: string
  readonly namespace: string
  readonly plural: string
  readonly name: string
  /** `status`, `binding`, ...; several segments stay joined by `/`. */
  readonly subresource: string
}

/** The resource a path names, or null when it is no resource path. */
export function parseResourcePath(path: string): ResourcePath | null {
  const parts = path.split('/').slice(1)
  let apiVersion: string
  if (parts[0] === 'api') {
    apiVersion = parts[1] ?? ''
    parts.splice(0, 2)
  } else if (parts[0] === 'apis') {
    apiVersion = `${parts[1] ?? ''}/${parts[2] ?? ''}`
    parts.splice(0, 3)
  } else return null
  if (parts.at(-1) === '') parts.pop()
  if (parts.length === 0) return null
  let decoded: string[]
  try {
    decoded = parts.map(decodeURIComponent)
  } catch {
    throw badRequest(`the path ${JSON.stringify(path)} is not correctly percent-encoded`)
  }
  let namespace = ''
  // /namespaces/N/status and /finalize are of the namespace itself.
  if (decoded[0] === 'namespaces' && decoded.length > 2 && decoded[2] !== 'status' && decoded[2] !== 'finalize') {
    namespace = decoded[1] ?? ''
    decoded.splice(0, 2)
  }
  const [plural = '', name = '', ...subresource] = decoded
  return { apiVersion, namespace, plural, name, subresource: subresource.join('/') }
}

const bodyLimit = 3 * 1024 * 1024

/** @throws StatusError 413 for more than 3 MiB, the limit of the real server */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > bodyLimit) throw tooLargeBody(bodyLimit)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export const mediaTypeOf = (request: IncomingMessage): string =>
  (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''

const bodyTypes = ['application/json', 'application/yaml', protobufType]

/**
 * The body of a create, update or delete: JSON, YAML, or protobuf for built-in kinds.
 *
 * @param protoType type of a protobuf body where it is not the name of its kind; null refuses protobuf
 * @throws StatusError 400, 415
 */
export function parseBody(body: Buffer, mediaType: string, protoType?: string | null): Json {
  if (mediaType === 'application/yaml') return parseYamlBody(body)
  if (mediaType === protobufType && protoType !== null) return decodeProtobuf(body, protoType)
  if (mediaType !== '' && mediaType !== 'application/json' && !mediaType.endsWith('+json')) {
    throw unsupportedMediaType(bodyTypes)
  }
  return parseJsonBody(body)
}

export function parseJsonBody(body: Buffer): Json {
  if (body.length === 0) throw badRequest('the request has no body: expected a JSON object')
  try {
    return JSON.parse(body.toString()) as Json
  } catch (error) {
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export function parseYamlBody(body: Buffer): Json {
  try {
    // JSON by way of the text, so that dates, sets and the like of YAML end as what JSON has.
    return JSON.parse(JSON.stringify(parseYaml(body.toString(), { maxAliasCount: 100 })) ?? 'null') as Json
  } catch (error) {
    throw badRequest(`yaml: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** `1`, `true` and `t` (any case) are true. */
export function flag(query: URLSearchParams, name: string): boolean {
  return /^(1|t|true)$/i.test(query.get(name) ?? '')
}

/** A non-negative whole number, or undefined when the parameter is absent. @throws StatusError 400 */
export function count(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  if (value === null || value === '') return undefined
  if (!/^\d{1,15}$/.test(value))
    throw badRequest(`${name}: Invalid value: ${JSON.stringify(value)}: expected a non-negative integer`)
  return Number(value)
}
