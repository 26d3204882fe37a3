// Answers over HTTP: JSON, one object in the asked representation, long lists in slices.
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { StatusError } from './errors.ts'
import type { Representation } from './negotiate.ts'
import { Pace } from './pace.ts'
import type { Resource } from './registry.ts'
import { serveJson } from './served.ts'
import type { Stored } from './store.ts'
import { columnDefinitions, partialMetadata, table, tableRow } from './tables/render.ts'
import type { IncludeObject } from './tables/render.ts'
import type { JsonObject, KubeObject } from './types.ts'

/** How a request wants objects. */
export interface Wanted {
  readonly representation: Representation
  readonly includeObject: IncludeObject
}

export function sendJson(
  response: ServerResponse,
  code: number,
  body: JsonObject | KubeObject,
  contentType = 'application/json',
): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(code, {
    'content-type': contentType,
    'content-length': bytes.length,
    'cache-control': 'no-cache, private',
  })
  response.end(bytes)
}

/** A warning that clients show (RFC 7234, code 299). To be called before the answer. */
export function addWarnings(response: ServerResponse, warnings: readonly string[]): void {
  if (warnings.length > 0) {
    const texts = warnings.map(
      (warning) => `299 - "${warning.replaceAll(/[\\"]/g, '\\$&').replaceAll(/[^\x20-\x7e]/g, '?')}"`,
    )
    for (const text of texts) response.appendHeader('warning', text)
  }
}

export function sendError(response: ServerResponse, error: StatusError): void {
  if (error.code === 429 || error.code === 503 || error.code === 504) response.setHeader('retry-after', '1')
  sendJson(response, error.code, error.body)
}

export function sendObject(
  response: ServerResponse,
  code: number,
  resource: Resource,
  object: KubeObject,
  wanted: Wanted,
): void {
  const { as, version } = wanted.representation
  if (as === 'Table') sendJson(response, code, table(resource, [object], wanted.includeObject, version))
  else if (as === 'PartialObjectMetadata') sendJson(response, code, partialMetadata(object, version))
  else sendJson(response, code, object)
}

export interface ListMeta {
  readonly resourceVersion: string
  readonly continue?: string | undefined
  readonly remainingItemCount?: number | undefined
}

/** Bytes collected before they are handed to the socket. */
const SLICE = 256 * 1024
/** Send a list, never blocking the event loop for long nor running ahead of a slow reader. */
export async function sendList(
  response: ServerResponse,
  resource: Resource,
  meta: ListMeta,
  items: readonly Stored[],
  wanted: Wanted,
): Promise<void> {
  const { as, version } = wanted.representation
  const metadata: JsonObject = { resourceVersion: meta.resourceVersion }
  if (meta.continue !== undefined) metadata['continue'] = meta.continue
  if (meta.remainingItemCount !== undefined) metadata['remainingItemCount'] = meta.remainingItemCount
  const now = new Date()
  let head: JsonObject
  /** Stored forms are shared bytes; what is made for this answer alone stays text until there is much of it. */
  let encode: (stored: Stored) => Buffer | string
  let member = 'items'
  if (as === 'Table') {
    head = {
      kind: 'Table',
      apiVersion: `meta.k8s.io/${version}`,
      metadata,
      columnDefinitions: columnDefinitions(resource.columns),
    }
    encode = (stored) => JSON.stringify(tableRow(resource, stored.object, wanted.includeObject, version, now))
    member = 'rows'
  } else if (as === 'PartialObjectMetadata') {
    head = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}`, metadata }
    encode = (stored) => JSON.stringify(partialMetadata(stored.object, version))
  } else {
    const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
    head = { kind: resource.listKind, apiVersion, metadata }
    encode = (stored) => serveJson(resource, stored)
  }
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
  let pending: Buffer[] = []
  let text = `${JSON.stringify(head).slice(0, -1)},${JSON.stringify(member)}:[`
  let size = 0
  const collected = (): Buffer => {
    if (text !== '') pending.push(Buffer.from(text))
    const bytes = Buffer.concat(pending)
    pending = []
    text = ''
    size = 0
    return bytes
  }
  const pace = new Pace()
  try {
    for (const [index, stored] of items.entries()) {
      if (response.destroyed) return
      const encoded = encode(stored)
      if (index > 0) text += ','
      if (typeof encoded === 'string') text += encoded
      else {
        pending.push(Buffer.from(text), encoded)
        text = ''
      }
      size += encoded.length
      if (size >= SLICE && !response.write(collected())) {
        pace.done()
        if (!(await drained(response))) return
        // A socket that took all at once says so in the same turn.
        await pace.breathe()
      }
      if (pace.due()) await pace.breathe()
    }
  } finally {
    pace.done()
  }
  text += ']}'
  response.end(collected())
}

/** Wait until a full socket takes more. @returns false when the reader went away */
export async function drained(response: ServerResponse): Promise<boolean> {
  if (response.destroyed) return false
  const controller = new AbortController()
  try {
    await Promise.race([
      once(response, 'drain', { signal: controller.signal }),
      once(response, 'close', { signal: controller.signal }),
    ])
  } finally {
    controller.abort()
  }
  return !response.destroyed
}
