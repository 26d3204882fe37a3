// A few pages over HTTP: metrics, liveness and readiness of the programs. A listener that cannot bind fails the start
// (R-CFG-06).
import { createServer, type Server } from 'node:http'

/** `HOST:PORT`, `:PORT` or `[v6]:PORT`. @throws Error naming the text */
export function parseListenAddress(text: string): { host: string | undefined; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535) throw new Error(`listen address '${text}': expected HOST:PORT or :PORT`)
  const host = match[1] ?? match[2]
  return { host: host === '' ? undefined : host, port }
}

export interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>

/** A plain text page. */
export function textPage(status: number, body: string): Page {
  return { status, type: 'text/plain; charset=utf-8', body: `${body}\n` }
}

/**
 * Serve some pages at an address; the pages' functions are called for each GET.
 *
 * @throws Error when the address cannot be bound
 */
export async function servePages(address: string, pages: Pages): Promise<{ port: number; stop: () => Promise<void> }> {
  const { host, port } = parseListenAddress(address)
  const server = createServer((request, response) => {
    const page = pages[(request.url ?? '').split('?')[0] ?? '']
    const absent = (): Page => textPage(404, `not found; there are ${Object.keys(pages).join(', ')}`)
    const answer = request.method === 'GET' && page !== undefined ? page : absent
    Promise.resolve()
      .then(answer)
      .catch((error: unknown) => textPage(500, error instanceof Error ? error.message : String(error)))
      .then(({ status, type, body }) => {
        response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
        response.end(body)
      })
      .catch((error: unknown) => response.destroy(error as Error))
  })
  await listen(server, host, port, address)
  const bound = server.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, host: string | undefined, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`cannot listen on ${address}: ${error.message}`, { cause: error })),
    )
    server.listen({ host, port }, () => resolve())
  })
}
