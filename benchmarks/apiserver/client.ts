// The other side of the socket: reads that measure time and bytes, and watches that read all they get.
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'

const accept = {
  object: 'application/json',
  table: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  metadata: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
} as const

export type As = keyof typeof accept

async function open(socketPath: string, path: string, as: As): Promise<IncomingMessage> {
  const sent = request({ socketPath, path, headers: { accept: accept[as] } })
  sent.end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

/** Read one answer whole. @throws Error for another status than 200 */
export async function read(socketPath: string, path: string, as: As): Promise<Buffer> {
  const response = await open(socketPath, path, as)
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  if (response.statusCode !== 200) throw new Error(`GET ${path}: ${response.statusCode} ${body.toString()}`)
  return body
}

/** Read an answer and count its bytes only. @returns bytes */
export async function skim(socketPath: string, path: string, as: As): Promise<number> {
  const response = await open(socketPath, path, as)
  if (response.statusCode !== 200) throw new Error(`GET ${path}: ${response.statusCode}`)
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) bytes += chunk.length
  return bytes
}

/** All pages of a list. @returns bytes */
export async function page(socketPath: string, path: string, limit: number, as: As): Promise<number> {
  let bytes = 0
  let token = ''
  do {
    const url = `${path}limit=${limit}${token === '' ? '' : `&continue=${encodeURIComponent(token)}`}`
    const body = await read(socketPath, url, as)
    bytes += body.length
    // The list's own metadata is at its beginning; the rest need not be parsed.
    token = /"continue":"([^"]*)"/.exec(body.toString('latin1', 0, 1000))?.[1] ?? ''
  } while (token !== '')
  return bytes
}

export interface OpenWatch {
  readonly bytes: number
  close(): void
}

/** A watch that reads and forgets. */
export async function follow(socketPath: string, path: string): Promise<OpenWatch> {
  const response = await open(socketPath, path, 'object')
  let bytes = 0
  response.on('data', (chunk: Buffer) => (bytes += chunk.length))
  response.on('error', () => undefined)
  return {
    get bytes() {
      return bytes
    },
    close: () => response.destroy(),
  }
}

/** A watch that begins with all objects: until the bookmark that ends them. @returns bytes */
export async function watchList(socketPath: string, path: string): Promise<number> {
  const query = 'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
  const response = await open(socketPath, `${path}${query}`, 'object')
  let bytes = 0
  let tail = ''
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    tail = (tail + chunk.toString('latin1')).slice(-400)
    if (tail.includes('k8s.io/initial-events-end')) break
  }
  response.destroy()
  return bytes
}
