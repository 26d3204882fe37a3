// The server both clients talk to: IPInstances as bytes made once, so that answering costs it next to nothing. A process of
// its own; prints its port. It is no API server: one kind, lists (paged or whole), one watch at a time, and
// `/control/...` for the benchmark.
//
//   node --import tsx benchmarks/kube/server.ts COUNT
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const count = Number(process.argv[2])
const listVersion = 1_000_000

/** An IPInstance as the manager and the API server make it, managedFields included. */
function instance(index: number, version: number): object {
  const address = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`
  const node = `node-${index % 2000}`
  const uid = `7c9e6679-7425-40de-944b-${index.toString(16).padStart(12, '0')}`
  const pod = `web-${Math.floor(index / 50)}-${index % 50}`
  const labels = {
    'networking.alibaba.com/network': 'overlay',
    'networking.alibaba.com/subnet': `subnet-${index % 16}`,
    'networking.alibaba.com/node': node,
    'networking.alibaba.com/pod-uid': uid,
  }
  const manager = (name: string, subresource: string): object => ({
    manager: name,
    operation: 'Update',
    apiVersion: 'networking.alibaba.com/v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:metadata': { 'f:labels': Object.fromEntries(Object.keys(labels).map((key) => [`f:${key}`, {}])) } },
    ...(subresource === '' ? {} : { subresource }),
  })
  return {
    apiVersion: 'networking.alibaba.com/v1',
    kind: 'IPInstance',
    metadata: {
      name: address.replaceAll('.', '-'),
      namespace: `team-${index % 40}`,
      uid,
      resourceVersion: String(version),
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels,
      finalizers: ['networking.alibaba.com/ip-instance'],
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: pod, uid, controller: true, blockOwnerDeletion: true }],
      managedFields: [manager('hybridnet-manager', ''), manager('hybridnet-daemon', 'status')],
    },
    spec: {
      network: 'overlay',
      subnet: `subnet-${index % 16}`,
      address: { version: '4', ip: `${address}/16`, gateway: '10.0.0.1', netID: 4, mac: '00:16:3e:00:00:01' },
      binding: { referredObject: { kind: 'Pod', name: pod, uid }, nodeName: node, podUID: uid, podName: pod },
    },
    status: {
      phase: 'Using',
      sandboxID: uid.repeat(2),
      nodeName: node,
      podNamespace: `team-${index % 40}`,
      podName: pod,
    },
  }
}

const partialKind = { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadata' }
const bytes = (index: number, version: number, partial: boolean): string => {
  const whole = instance(index, version) as { metadata: object }
  return JSON.stringify(partial ? { ...partialKind, metadata: whole.metadata } : whole)
}

/** Items joined by commas, in blocks, whole and partial. */
const block = 500
const blocks = [false, true].map((partial) =>
  Array.from({ length: Math.ceil(count / block) }, (_, at) => {
    const length = Math.min(block, count - at * block)
    return Buffer.from(Array.from({ length }, (_, n) => bytes(at * block + n, at * block + n + 1, partial)).join(','))
  }),
)

let watch: { readonly response: ServerResponse; readonly partial: boolean } | null = null
let stats = { requests: 0, bytes: 0 }

function list(response: ServerResponse, query: URLSearchParams, partial: boolean): void {
  const from = Number(query.get('continue') ?? 0)
  const limit = Number(query.get('limit') ?? count)
  const to = Math.min(count, from + limit)
  const token = to < count ? `"continue":"${to}","remainingItemCount":${count - to},` : ''
  const kind = partial ? 'PartialObjectMetadataList' : 'IPInstanceList'
  send(
    response,
    `{"kind":"${kind}","apiVersion":"v1","metadata":{${token}"resourceVersion":"${listVersion}"},"items":[`,
  )
  for (let at = from / block; at * block < to; at++) {
    if (at * block > from) send(response, ',')
    send(response, blocks[partial ? 1 : 0]?.[at] ?? '')
  }
  send(response, ']}')
  response.end()
}

function send(response: ServerResponse, data: Buffer | string): void {
  stats.bytes += data.length
  response.write(data)
}

/** As many events as asked for, of objects all over, as fast as the client takes them. */
async function events(amount: number): Promise<void> {
  const lines: string[] = []
  for (let n = 0; n < amount && watch !== null; n++) {
    const index = (n * 7919) % count
    lines.push(`{"type":"MODIFIED","object":${bytes(index, listVersion + n + 1, watch.partial)}}\n`)
    if (lines.length < 50 && n + 1 < amount) continue
    const { response } = watch
    const data = lines.splice(0).join('')
    stats.bytes += data.length
    if (!response.write(data)) await new Promise((resolve) => response.once('drain', resolve))
  }
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://server')
  if (url.pathname === '/control/events') {
    void events(Number(url.searchParams.get('count'))).then(() => response.end('{}'))
    return
  }
  if (url.pathname === '/control/stats') {
    response.end(JSON.stringify(stats))
    return
  }
  if (url.pathname === '/control/reset') {
    stats = { requests: 0, bytes: 0 }
    response.end('{}')
    return
  }
  stats.requests++
  const partial = (request.headers.accept ?? '').includes('as=PartialObjectMetadata')
  response.writeHead(200, { 'content-type': 'application/json' })
  if (url.searchParams.get('watch') !== 'true') {
    list(response, url.searchParams, partial)
    return
  }
  response.flushHeaders()
  watch = { response, partial }
}

const server = createServer(answer)
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
