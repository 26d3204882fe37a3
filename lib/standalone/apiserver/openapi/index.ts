// /openapi/v3 and /openapi/v2, made anew when the kinds have changed. kubectl reads version 3 (1.27 and later) or the
// protobuf form of version 2 (before) for `explain`, validation and patches.
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { kubernetesVersion } from '../discovery.ts'
import { notAcceptable } from '../errors.ts'
import type { Registry } from '../registry.ts'
import { sendJson } from '../respond.ts'
import type { JsonObject } from '../types.ts'
import { paths2, paths3 } from './paths.ts'
import { encodeDocument } from './protobuf.ts'
import { definitions } from './schemas.ts'

const info = { title: 'Kubernetes', version: kubernetesVersion.gitVersion }
const protobuf = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'
const protobufAlias = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** Answers a request below /openapi; false when the path is not there. */
export function openApi(registry: Registry, path: string, request: IncomingMessage, response: ServerResponse): boolean {
  if (path === '/openapi/v2') {
    sendVersion2(registry, request.headers.accept ?? '', response)
    return true
  }
  if (path === '/openapi/v3') {
    sendJson(response, 200, index3(registry))
    return true
  }
  const match = /^\/openapi\/v3\/(api\/v1|apis\/[^/]+\/[^/]+)$/.exec(path)
  if (match === null) return false
  const [, group = '', version = ''] = /^(?:api|apis\/([^/]+))\/([^/]+)$/.exec(match[1] ?? '') ?? []
  const document = document3(registry, group, version)
  if (document === null) return false
  sendJson(response, 200, document)
  return true
}

function index3(registry: Registry): JsonObject {
  const paths: JsonObject = {}
  for (const [group, versions] of registry.groups()) {
    for (const version of versions) {
      const name = group === '' ? `api/${version}` : `apis/${group}/${version}`
      const what = registry.ofVersion(group, version).map(({ plural, schema }) => [plural, schema.properties])
      // Clients keep a document as long as its hash stays.
      const hash = createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 32).toUpperCase()
      paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${hash}` }
    }
  }
  return { paths }
}

function document3(registry: Registry, group: string, version: string): JsonObject | null {
  const resources = registry.ofVersion(group, version)
  if (resources.length === 0) return null
  return {
    openapi: '3.0.0',
    info,
    paths: paths3(resources),
    components: { schemas: definitions(resources, '#/components/schemas/') },
  }
}

function sendVersion2(registry: Registry, accept: string, response: ServerResponse): void {
  const resources = registry.all()
  const document = {
    swagger: '2.0',
    info,
    paths: paths2(resources),
    definitions: definitions(resources, '#/definitions/'),
  }
  const types = accept.split(',').map((clause) => clause.split(';')[0]?.trim() ?? '')
  if (types.includes(protobuf) || types.includes(protobufAlias)) {
    const bytes = encodeDocument(document)
    response.writeHead(200, { 'content-type': protobuf, 'content-length': bytes.length }).end(bytes)
  } else if (accept === '' || types.some((type) => ['application/json', 'application/*', '*/*'].includes(type))) {
    sendJson(response, 200, document)
  } else throw notAcceptable(['application/json', protobuf])
}
