// Where the API server is and how to prove who we are; from kubeconfig (config.ts), the service account (incluster.ts) or
// given directly.
import type { Agent } from 'node:http'

/** TLS settings as `node:https` takes them. */
export interface TlsSettings {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly passphrase?: string
  readonly servername?: string
  /** false: do not verify the server's certificate. */
  readonly rejectUnauthorized?: boolean
}

/** Everything needed to send one request. */
export interface Connection {
  /** Base URL; a path prefix (Rancher-style proxies) is kept. */
  readonly server: URL
  readonly tls: TlsSettings
  /** Changes whenever `tls` does; the transport then opens new connections. */
  readonly tlsId: string
  /** Authorization, Impersonate-*. */
  readonly headers: Readonly<Record<string, string>>
  /** An agent that goes through a proxy, replacing the transport's own. */
  readonly proxyAgent?: Agent
}

/** Gives the current connection; credentials rotate behind it. */
export interface ConnectionSource {
  /** The context's default namespace, null when there is none. */
  readonly namespace: string | null
  current(): Promise<Connection>
  /** The server answered 401: forget cached credentials. False when nothing newer can be had. */
  refresh(): boolean
}

export interface DirectConnection {
  /** `http://...` or `https://...`. */
  readonly server: string
  readonly token?: string
  readonly tls?: TlsSettings
  readonly headers?: Readonly<Record<string, string>>
  readonly namespace?: string
}

/** Refusals within this time are one. */
const refusalsMs = 1000

/**
 * A connection that is made anew from files or plugins every `rereadMs`, by one maker at a time. While that fails (files
 * being replaced, a plugin without network) the last connection stays in use, until the server refuses it: then
 * `refresh` lets the failure show.
 */
export class RenewedConnection {
  readonly #make: () => Promise<Connection>
  readonly #rereadMs: number
  #last: { readonly connection: Connection; readonly at: number } | null = null
  #making: Promise<Connection> | null = null
  #refused = false
  #refusedAt = Number.NEGATIVE_INFINITY

  constructor(make: () => Promise<Connection>, rereadMs: number) {
    this.#make = make
    this.#rereadMs = rereadMs
  }

  /** @throws what making one threw, when there is none that may still be good */
  current(): Promise<Connection> {
    const last = this.#last
    if (last !== null && !this.#refused && performance.now() - last.at <= this.#rereadMs) {
      return Promise.resolve(last.connection)
    }
    this.#making ??= this.#renew().finally(() => (this.#making = null))
    return this.#making
  }

  /**
   * The server has refused what was made last. Of many requests refused together the first makes credentials be renewed,
   * the others take the new ones; a server that refuses them all does not make a plugin run for each.
   */
  refresh(): void {
    const time = performance.now()
    if (time - this.#refusedAt < refusalsMs) return
    this.#refusedAt = time
    this.#refused = true
  }

  async #renew(): Promise<Connection> {
    const refused = this.#refused
    let connection: Connection
    try {
      connection = await this.#make()
    } catch (error) {
      if (this.#last === null || refused) throw error
      connection = this.#last.connection
    }
    this.#refused = false
    this.#last = { connection, at: performance.now() }
    return connection
  }
}

/** A source for fixed settings. */
export function directConnection(settings: DirectConnection): ConnectionSource {
  const headers = { ...settings.headers, ...(settings.token ? { authorization: `Bearer ${settings.token}` } : {}) }
  const connection = { server: serverUrl(settings.server), tls: settings.tls ?? {}, tlsId: 'direct', headers }
  return { namespace: settings.namespace ?? null, current: () => Promise.resolve(connection), refresh: () => false }
}

/** @throws TypeError when the text is no http(s) URL */
export function serverUrl(text: string): URL {
  if (!URL.canParse(text)) throw new TypeError(`API server address '${text}' is not a URL, expected https://HOST:PORT`)
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new TypeError(`API server address '${text}' has scheme '${url.protocol}', expected https: or http:`)
  }
  return url
}
