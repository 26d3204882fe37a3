// Requests as text to the API and back: what kube-apiserver's HTTP endpoints do for the calls the manager makes. Lists are
// paged over a snapshot; those with resourceVersion=0 come from a cache that may be behind.
import type { Exchange, KubeObject } from '../../../lib/kube/index.ts'
import { Refusal, type Api } from './api.ts'
import type { Stored } from './store.ts'

export interface Reply {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface WatchRequest {
  readonly kind: string
  readonly fromVersion: number
  readonly timeoutSeconds: number
}

interface Target {
  readonly kind: string
  readonly namespace: string | null
  readonly name: string | null
  readonly subresource: string | null
  readonly query: URLSearchParams
}

interface Snapshot {
  readonly kind: string
  readonly rest: [string, Stored][]
  readonly version: number
}

/** `/api/v1/...` or `/apis/group/version/...`, then `[namespaces/NS/]plural[/name[/subresource]]`. */
export function parsePath(path: string): Target {
  const [plain = '', query = ''] = path.split('?')
  const parts = plain.split('/').slice(1).map(decodeURIComponent)
  const rest = parts[0] === 'api' ? parts.slice(2) : parts.slice(3)
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? (rest[1] ?? null) : null
  const [kind = '', name = null, subresource = null] = namespace === null ? rest : rest.slice(2)
  return { kind, namespace, name, subresource, query: new URLSearchParams(query) }
}

export function asReply(refusal: Refusal, retryAfterSeconds?: number): Reply {
  const { code, reason, message } = refusal
  const body = JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, reason, code })
  return {
    status: code,
    body,
    ...(retryAfterSeconds === undefined ? {} : { headers: { 'retry-after': String(retryAfterSeconds) } }),
  }
}

export class Endpoint {
  readonly #api: Api
  readonly #snapshots = new Map<string, Snapshot>()
  #tokens = 0
  /** How many versions the cache behind resourceVersion=0 lags. */
  cacheLag = 0
  /** Objects a page of a list has at most, whatever was asked for. */
  pageSize = 500

  constructor(api: Api) {
    this.#api = api
  }

  /** The watch that a request asks for, null when it is none. @throws Refusal when it cannot be had */
  watchOf(exchange: Exchange): WatchRequest | null {
    if (!exchange.path.includes('watch=true')) return null
    const { kind, query } = parsePath(exchange.path)
    const fromVersion = Number(query.get('resourceVersion'))
    if (fromVersion < this.#api.store.compacted) throw expired(`too old resource version: ${fromVersion}`)
    return { kind, fromVersion, timeoutSeconds: Number(query.get('timeoutSeconds')) }
  }

  /** Carries a request out. */
  answer(exchange: Exchange, by: string): Reply {
    const target = parsePath(exchange.path)
    // Events are accepted and forgotten: nobody reads them.
    if (target.kind === 'events') return { status: 201, body: exchange.body ?? '{}' }
    try {
      return this.#answer(exchange, target, by)
    } catch (error) {
      if (error instanceof Refusal) return asReply(error)
      throw error
    }
  }

  /** Continue tokens die, as their snapshots do. */
  expireTokens(): void {
    this.#snapshots.clear()
  }

  #answer(exchange: Exchange, target: Target, by: string): Reply {
    const { kind, namespace, name, subresource, query } = target
    const key = namespace === null ? (name ?? '') : `${namespace}/${name ?? ''}`
    const body = (): KubeObject => JSON.parse(exchange.body ?? '{}') as KubeObject
    const json = (object: unknown, status = 200): Reply => ({ status, body: JSON.stringify(object) })
    switch (exchange.method) {
      case 'GET':
        return name === null ? this.#list(kind, query) : json(this.#api.get(kind, key))
      case 'POST':
        return json(this.#api.create(kind, body(), by), 201)
      case 'PUT':
        return json(this.#api.update(kind, key, body(), by))
      case 'PATCH': {
        const strategic = exchange.headers?.['content-type']?.includes('strategic') ?? false
        const type = strategic ? 'strategic' : 'merge'
        return json(this.#api.patch(type, kind, key, body(), subresource === 'status', by))
      }
      case 'DELETE': {
        const options = body() as { preconditions?: { uid?: string }; gracePeriodSeconds?: number }
        const { preconditions, gracePeriodSeconds } = options
        this.#api.delete(kind, key, { uid: preconditions?.uid, graceSeconds: gracePeriodSeconds }, by)
        return json({ kind: 'Status', status: 'Success' })
      }
      default:
        throw new Error(`the simulated API server has no ${exchange.method}`)
    }
  }

  #list(kind: string, query: URLSearchParams): Reply {
    const { store } = this.#api
    const limit = Math.min(Number(query.get('limit') ?? 0), this.pageSize)
    const token = query.get('continue')
    let snapshot: Snapshot
    if (token === null) {
      const cached = query.get('resourceVersion') === '0'
      const version = cached ? Math.max(store.compacted, store.version - this.cacheLag) : store.version
      snapshot = { kind, rest: cached ? store.entriesAt(kind, version) : store.entries(kind), version }
    } else {
      const found = this.#snapshots.get(token)
      if (found === undefined) throw expired('the provided continue parameter is too old')
      snapshot = found
    }
    const page = limit > 0 ? snapshot.rest.slice(0, limit) : snapshot.rest
    const rest = snapshot.rest.slice(page.length)
    let next = ''
    if (rest.length > 0) this.#snapshots.set((next = `token-${++this.#tokens}`), { ...snapshot, rest })
    const metadata = { resourceVersion: String(snapshot.version), ...(next === '' ? {} : { continue: next }) }
    const items = page.map(([, { text }]) => text).join(',')
    return {
      status: 200,
      body: `{"kind":"List","apiVersion":"v1","metadata":${JSON.stringify(metadata)},"items":[${items}]}`,
    }
  }
}

function expired(message: string): Refusal {
  return new Refusal(410, 'Expired', message)
}
