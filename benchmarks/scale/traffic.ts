// Who asks the API server for how much: requests by verb and resource, and bytes on the wire both ways, by User-Agent.
// Listens to Node's own HTTP diagnostics, so the server measured is the one that is used everywhere else.
import diagnostics from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface AgentTraffic {
  /** `verb resource` → requests. */
  readonly requests: Readonly<Record<string, number>>
  /** Sent by the client and received by it, watches included. */
  readonly bytesUp: number
  readonly bytesDown: number
  /** When the last answer to a list was complete, `Date.now()`; null before. */
  readonly lastListAt: number | null
}

interface Account {
  readonly requests: Map<string, number>
  readonly sockets: Set<Socket>
  /** Of connections that are closed. */
  up: number
  down: number
  lastListAt: number | null
}

const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }
const writes = new Set(Object.values(verbs))

/** `list pods`, `patch ipinstances/status`, ... of a request. */
export function requestKey(method: string, url: string): string {
  const [path = '', query = ''] = url.split('?', 2)
  const parts = path.split('/').filter((part) => part !== '')
  // /api/v1/... or /apis/GROUP/VERSION/...
  let rest = parts.slice(parts[0] === 'api' ? 2 : 3)
  if (rest[0] === 'namespaces' && rest.length > 2) rest = rest.slice(2)
  const [resource, name, subresource] = rest
  // Not of the resource API: /version, /readyz, discovery.
  if (resource === undefined) return `get ${path}`
  const watches = /(^|&)watch=(true|1)(&|$)/.test(query)
  const verb = verbs[method] ?? (watches ? 'watch' : name === undefined ? 'list' : 'get')
  return `${verb} ${resource}${subresource === undefined ? '' : `/${subresource}`}`
}

/** How many of an agent's requests changed something. */
export function writesOf({ requests }: AgentTraffic): number {
  return Object.entries(requests).reduce((sum, [key, n]) => (writes.has(key.split(' ', 1)[0] ?? '') ? sum + n : sum), 0)
}

export class Traffic {
  readonly #accounts = new Map<string, Account>()
  readonly #known = new WeakSet<Socket>()

  /** Counts what this process serves from now on, for as long as it lives. */
  start(): this {
    diagnostics.subscribe('http.server.request.start', (message) => {
      const { request, socket } = message as { request: IncomingMessage; socket: Socket }
      const account = this.#account(request)
      const key = requestKey(request.method ?? '', request.url ?? '')
      account.requests.set(key, (account.requests.get(key) ?? 0) + 1)
      if (this.#known.has(socket)) return
      this.#known.add(socket)
      account.sockets.add(socket)
      socket.once('close', () => {
        account.sockets.delete(socket)
        account.up += socket.bytesRead
        account.down += socket.bytesWritten
      })
    })
    diagnostics.subscribe('http.server.response.finish', (message) => {
      const { request } = message as { request: IncomingMessage; response: ServerResponse }
      if (requestKey(request.method ?? '', request.url ?? '').startsWith('list '))
        this.#account(request).lastListAt = Date.now()
    })
    return this
  }

  read(): Record<string, AgentTraffic> {
    const result: Record<string, AgentTraffic> = {}
    for (const [agent, { requests, sockets, up, down, lastListAt }] of this.#accounts) {
      const open = [...sockets]
      result[agent] = {
        requests: Object.fromEntries([...requests].sort()),
        bytesUp: open.reduce((sum, socket) => sum + socket.bytesRead, up),
        bytesDown: open.reduce((sum, socket) => sum + socket.bytesWritten, down),
        lastListAt,
      }
    }
    return result
  }

  #account(request: IncomingMessage): Account {
    const agent = (request.headers['user-agent'] ?? 'unknown').split(/[/ ]/, 1)[0] ?? 'unknown'
    let account = this.#accounts.get(agent)
    if (account === undefined) {
      account = { requests: new Map(), sockets: new Set(), up: 0, down: 0, lastListAt: null }
      this.#accounts.set(agent, account)
    }
    return account
  }
}

/** What came between two readings. */
export function trafficSince(
  before: Readonly<Record<string, AgentTraffic>>,
  now: Readonly<Record<string, AgentTraffic>>,
): Record<string, AgentTraffic> {
  const result: Record<string, AgentTraffic> = {}
  for (const [agent, traffic] of Object.entries(now)) {
    const old = before[agent]
    const requests: Record<string, number> = {}
    for (const [key, count] of Object.entries(traffic.requests)) {
      const more = count - (old?.requests[key] ?? 0)
      if (more > 0) requests[key] = more
    }
    result[agent] = {
      requests,
      bytesUp: traffic.bytesUp - (old?.bytesUp ?? 0),
      bytesDown: traffic.bytesDown - (old?.bytesDown ?? 0),
      lastListAt: traffic.lastListAt,
    }
  }
  return result
}
