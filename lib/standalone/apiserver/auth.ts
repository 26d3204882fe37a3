// Who is let in: the holder of the one admin token, or of a client certificate of this server's own authority. There is no
// authorization: whoever is in may do everything.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

export class Authenticator {
  readonly #token: Buffer | null

  /** @param token the admin token; null lets everyone in */
  constructor(token: string | null) {
    this.#token = token === null ? null : digest(token)
  }

  admits(request: IncomingMessage): boolean {
    if (this.#token === null) return true
    if (request.socket instanceof TLSSocket && request.socket.authorized) return true
    const match = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')
    return match !== null && this.isAdminToken(match[1] ?? '')
  }

  isAdminToken(token: string): boolean {
    return this.#token !== null && timingSafeEqual(this.#token, digest(token))
  }
}
