// The embedded API server held against the real one: the same requests (answers.cases.ts) to both, and the answers compared by what
// clients act on. Of a refusal that is the code, the reason and the fields named, not the wording; of an object everything but what
// each server makes up itself (uids, versions, times) and absent, null and empty, which mean the same.
//
// Differences that are known are listed below and printed, not failed on: the list is to become shorter.
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ApiServer, startApiServer } from '../../lib/standalone/apiserver/index.ts'
import { defaultNodeTiming } from '../../lib/standalone/controllers/index.ts'
import { crdDirectory } from '../../lib/standalone/project.ts'
import { silentLogger } from '../../lib/telemetry/log.ts'
import { installDefinitions } from '../support/definitions.ts'
import { RealControlPlane } from '../support/kubernetes.ts'
import { bringUpLoopback } from '../support/loopback.ts'
import { type Case, cases } from './answers.cases.ts'

/** Cases in which the embedded server is known to answer otherwise, and how. */
const known = new Map([
  ['pods bad rv', 'the real one answers 500 to a version that is no number'],
  ['unknown group', 'a Status instead of plain text'],
  ['svc bad port', 'one cause of two'],
  ['node', 'no taint until it is ready'],
  ['node status', 'as above'],
  ['node taint', 'as above'],
  ['watch bad rv', 'as with a list'],
])

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

interface Answer {
  readonly code: number
  readonly body: Json
}

interface Server {
  readonly url: string
  readonly caCert: string | null
  readonly token: string | null
}

let directory: string
let real: RealControlPlane
let embedded: ApiServer

test.before(async () => {
  bringUpLoopback()
  directory = mkdtempSync(join(tmpdir(), 'hybridnet-answers-'))
  const log = silentLogger()
  // Without controllers: nobody but the cases changes anything.
  real = await RealControlPlane.serve({ directory, hosts: [], nodeTiming: defaultNodeTiming, log }, {})
  const client = real.connect()
  try {
    await installDefinitions(client, 60_000)
    await client.raw('POST', '/api/v1/namespaces/default/serviceaccounts', {
      body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
    })
  } finally {
    client.close()
  }
  embedded = await startApiServer({
    listen: [{ host: '127.0.0.1', port: 7443 }],
    tls: {},
    crdDirectory: crdDirectory(),
    log,
  })
})
test.after(async () => {
  await embedded.close()
  await real.close()
  rmSync(directory, { recursive: true, force: true })
})

async function ask({ url, caCert, token }: Server, [, method, path, body, headers = {}]: Case): Promise<Answer> {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const type =
    text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }
  return await new Promise((resolve, reject) => {
    const options = {
      method,
      ...(caCert === null ? {} : { ca: caCert }),
      headers: { authorization: `Bearer ${token}`, ...type, ...headers },
    }
    const call = request(`${url}${path}`, options, (response) => {
      let answer = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk))
      response.on('end', () => resolve({ code: response.statusCode ?? 0, body: parsed(answer) }))
    })
    call.on('error', reject)
    call.end(text)
  })
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return text
  }
}

/** Made up by each server, or about how the object came to be. */
const ownMembers = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'managedFields',
  'lastTransitionTime',
  'clusterIP',
  'clusterIPs',
])

const isObject = (value: Json | undefined): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An object without what does not count; undefined for nothing. */
function essence(value: Json): Json | undefined {
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => essence(item) ?? null)
    return items.length === 0 ? undefined : items
  }
  if (isObject(value)) {
    const members = Object.entries(value)
      .filter(([name]) => !ownMembers.has(name))
      .map(([name, member]) => [name, essence(member)] as const)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    return members.length === 0 ? undefined : (Object.fromEntries(members) as Json)
  }
  return value === null || value === '' ? undefined : value
}

/** What a client acts on. */
function comparable({ code, body }: Answer): unknown {
  if (!isObject(body)) return { code, body }
  if (body['kind'] === 'Status' && code >= 400) {
    const details = isObject(body['details']) ? body['details'] : {}
    const causes = Array.isArray(details['causes'])
      ? (details['causes'] as readonly { field?: string; reason?: string }[])
      : []
    const fields = [...new Set(causes.map(({ field, reason }) => `${field}: ${reason}`))].sort()
    return { code, reason: body['reason'] ?? null, name: details['name'] ?? null, fields }
  }
  if (body['kind'] === 'Table') {
    const definitions = body['columnDefinitions'] as readonly { name: string; type: string; priority: number }[]
    const columns = definitions.map(({ name, type, priority }) => `${name} ${type} ${priority}`)
    const rows = (body['rows'] as readonly Record<string, Json>[]).map(({ cells }) => cells)
    return { code, columns, rows }
  }
  // Items of built-in kinds say their kind with one server, not with the other; the list says it for all.
  const items = body['items']
  const list = Array.isArray(items)
    ? { ...body, items: items.map((item: Json) => (isObject(item) ? { ...item, kind: null, apiVersion: null } : item)) }
    : body
  return { code, body: essence(list) }
}

/** Where two answers part, for a person. */
function differences(a: unknown, b: unknown, path = ''): string[] {
  if (JSON.stringify(a) === JSON.stringify(b)) return []
  if (
    typeof a === 'object' &&
    typeof b === 'object' &&
    a !== null &&
    b !== null &&
    Array.isArray(a) === Array.isArray(b)
  ) {
    const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
    return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((name) =>
      differences(left[name], right[name], `${path}.${name}`),
    )
  }
  const short = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 200)
  return [`${path}: real ${short(a)}, embedded ${short(b)}`]
}

for (const each of cases) {
  const [name] = each
  test(`${name}: the same answer`, async () => {
    const [a, b] = [await ask(real, each), await ask(embedded, each)]
    const found = differences(comparable(a), comparable(b))
    const difference = known.get(name)
    if (difference === undefined) assert.equal(found, [], `${name}: ${found.join('; ')}`)
    else if (found.length === 0) console.log(`${name}: is the same now: take it off the list of known differences`)
    else console.log(`known difference: ${name}: ${difference}: ${found.join('; ')}`)
  })
}

test.run()
