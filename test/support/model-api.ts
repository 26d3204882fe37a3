// A small API server of one kind, for property tests of clients: a model (what is there), its history, and trouble by
// chance. All chance comes from one seed. It is independent of the embedded control plane on purpose.
import type { ServerResponse } from 'node:http'
import type { KubeObject } from '../../lib/kube/index.ts'
import { hangUp, json, status, type Answer, type FaultServer } from './fault-server.ts'

interface Change {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubeObject
}

/** Versions the history reaches back. */
const historySize = 25

/** A generator of numbers in [0, 1) (mulberry32). */
export function randomBy(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export class ModelApi {
  readonly objects = new Map<string, KubeObject>()
  /** Whether things go wrong. */
  trouble = false
  readonly #server: FaultServer
  readonly #random: () => number
  readonly #watches = new Set<ServerResponse>()
  /** Lists under way: what is still to be given, by continue token. */
  readonly #pages = new Map<string, { readonly rest: KubeObject[]; readonly version: string }>()
  #backup: { readonly objects: Map<string, KubeObject>; readonly version: number }
  #history: Change[] = []
  #version = 100
  #serial = 0
  readonly #bookmarks: NodeJS.Timeout

  constructor(server: FaultServer, path: string, random: () => number) {
    this.#server = server
    this.#random = random
    this.#backup = { objects: new Map(), version: this.#version }
    server.on(`LIST ${path}`, (response, seen) => this.#list(seen.query)(response, seen))
    server.on(`WATCH ${path}`, (response, seen) =>
      this.#watch(Number(seen.query.get('resourceVersion')))(response, seen),
    )
    this.#bookmarks = setInterval(() => {
      for (const watch of this.#watches) this.#line(watch, 'BOOKMARK', { metadata: { resourceVersion: this.#text() } })
    }, 40)
  }

  close(): void {
    clearInterval(this.#bookmarks)
  }

  /** Create, change or delete one of a few objects, and tell the watches. */
  write(): void {
    const name = `o${Math.floor(this.#random() * 12)}`
    const old = this.objects.get(name)
    this.#version++
    if (old !== undefined && this.#random() < 0.4) {
      this.objects.delete(name)
      this.#tell('DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: this.#text() } })
      return
    }
    const uid = old?.metadata.uid ?? `uid-${++this.#serial}`
    const spec = { value: String(Math.floor(this.#random() * 4)) }
    const object: KubeObject = { metadata: { namespace: 'n', name, uid, resourceVersion: this.#text() }, spec }
    this.objects.set(name, object)
    this.#tell(old === undefined ? 'ADDED' : 'MODIFIED', object)
  }

  backUp(): void {
    this.#backup = { objects: new Map(this.objects), version: this.#version }
  }

  /** The server comes back from its backup, with an older version and without what happened since. */
  restore(): void {
    this.objects.clear()
    for (const [name, object] of this.#backup.objects) this.objects.set(name, object)
    this.#version = this.#backup.version
    this.#history = []
    this.#pages.clear()
    this.#watches.clear()
    this.#server.cut()
  }

  /** Something that happens to all: connections cut, watches ended, the history or all continue tokens forgotten. */
  upset(): void {
    const what = this.#pick(['cut', 'end', 'compact', 'expire', 'mute'])
    if (what === 'cut') this.#server.cut()
    if (what === 'compact') this.#history = []
    if (what === 'expire') this.#pages.clear()
    if (what === 'end') for (const watch of this.#watches) watch.end()
    // Connections stay open, and nothing comes any more.
    if (what === 'mute' || what === 'cut' || what === 'end') this.#watches.clear()
  }

  #text(): string {
    return String(this.#version)
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random() * choices.length)] as T
  }

  #tell(type: Change['type'], object: KubeObject): void {
    this.#history.push({ version: this.#version, type, object })
    if (this.#history.length > historySize) this.#history.shift()
    for (const watch of [...this.#watches]) {
      if (this.trouble && this.#random() < 0.1) this.#break(watch, type, object)
      else this.#line(watch, type, object)
    }
  }

  #line(watch: ServerResponse, type: string, object: unknown): void {
    watch.write(`${JSON.stringify({ type, object })}\n`)
  }

  /** Something goes wrong with one event. */
  #break(watch: ServerResponse, type: string, object: KubeObject): void {
    const line = `${JSON.stringify({ type, object })}\n`
    const how = this.#pick(['half', 'garbage', 'twice', 'unknown', 'error', 'cut', 'expired'])
    switch (how) {
      case 'twice':
        watch.write(line + line)
        return
      case 'unknown':
        watch.write(`${JSON.stringify({ type: 'RENAMED', object })}\n${line}`)
        return
      case 'half':
        watch.write(line.slice(0, line.length / 2), () => watch.destroy())
        break
      case 'garbage':
        watch.write(`${line.slice(0, line.length / 2)}\n`)
        break
      case 'error':
        this.#line(watch, 'ERROR', { kind: 'Status', status: 'Failure', code: 500, reason: 'InternalError' })
        break
      case 'expired':
        this.#line(watch, 'ERROR', { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired' })
        break
      default:
        watch.destroy()
    }
    this.#watches.delete(watch)
  }

  #list(query: URLSearchParams): Answer {
    const token = query.get('continue') ?? ''
    if (this.trouble && this.#random() < 0.3) {
      return this.#pick<Answer>([
        hangUp,
        json({}),
        status(500, 'InternalError', 'trouble'),
        status(503, 'ServiceUnavailable', 'trouble'),
        status(410, 'Expired', 'trouble'),
        (response) => {
          response.writeHead(200, { 'content-length': '9999' })
          response.write('{"kind":"List","items":[{"metadata":{"name":"half"', () => response.destroy())
        },
      ])
    }
    const all = { rest: [...this.objects.values()], version: this.#text() }
    const page = token === '' ? all : this.#pages.get(token)
    if (page === undefined) return status(410, 'Expired', `no snapshot for ${token}`)
    const limit = Number(query.get('limit') ?? 1000)
    const next = page.rest.length > limit ? `token-${++this.#serial}` : ''
    if (next !== '') this.#pages.set(next, { rest: page.rest.slice(limit), version: page.version })
    const metadata = { resourceVersion: page.version, ...(next === '' ? {} : { continue: next }) }
    return json({ kind: 'ThingList', metadata, items: page.rest.slice(0, limit) })
  }

  #watch(from: number): Answer {
    if (this.trouble && this.#random() < 0.3) {
      return this.#pick<Answer>([
        hangUp,
        status(500, 'InternalError', 'trouble'),
        status(429, 'TooManyRequests', 'trouble', { 'retry-after': '0' }),
        // Accepted, and over at once; or nothing ever.
        (response) => response.writeHead(200).end(),
        (response) => response.writeHead(200).flushHeaders(),
      ])
    }
    if (from > this.#version) return status(504, 'Timeout', `Too large resource version: ${from}`)
    const oldest = this.#history[0]?.version ?? this.#version + 1
    if (from + 1 < oldest) return status(410, 'Expired', `too old resource version: ${from}`)
    return (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
      for (const { version, type, object } of this.#history) if (version > from) this.#line(response, type, object)
      this.#watches.add(response)
      response.on('close', () => this.#watches.delete(response))
    }
  }
}
