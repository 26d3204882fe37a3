// Requests packed for one native call. RouteSocket.apply does this for arrays of requests; who has many of one kind at hand
// may fill a RequestBatch directly.
import { packAddr } from './addr.ts'
import { RTM_DELROUTE } from './constants.ts'
import { STREAM_HEADER } from './layout.ts'
import { packLink, packLinkChanges, selectLink } from './link.ts'
import { packFdb, packFdbFlush, packNeigh } from './neigh.ts'
import type { Request } from './request.ts'
import { ANY_ROUTE, NEW_ROUTE, packRoute } from './route.ts'
import { packRule } from './rule.ts'
import { WordWriter } from './words.ts'

export class RequestBatch {
  readonly #out: WordWriter
  #count = 0

  /** @param expected how many requests to make room for */
  constructor(expected = 16) {
    this.#out = new WordWriter(expected * 22)
  }

  /** Requests in it. */
  get count(): number {
    return this.#count
  }
  /** The packed stream; `size` words of it are in use. Not to be written to once handed to a socket. */
  get words(): Uint32Array {
    return this.#out.words
  }
  get size(): number {
    return this.#out.size
  }

  /**
   * Appends the request; on an error the batch is as before.
   *
   * @throws RangeError naming the field, its value and what was expected
   */
  add(request: Request): void {
    const out = this.#out
    const start = out.size
    try {
      const at = out.reserve(STREAM_HEADER)
      this.#pack(request)
      const length = out.size - start - STREAM_HEADER
      if ((length & 1) !== 0) out.reserve(1)
      out.words[at] = (request.type | (request.flags << 16)) >>> 0
      out.words[at + 1] = length
      this.#count++
    } catch (error) {
      out.words.fill(0, start, out.size)
      out.size = start
      throw error
    }
  }

  #pack(request: Request): void {
    const out = this.#out
    switch (request.object) {
      case 'route':
        return packRoute(out, request.value, request.type === RTM_DELROUTE ? ANY_ROUTE : NEW_ROUTE)
      case 'neigh':
        return packNeigh(out, request.value)
      case 'fdb':
        return packFdb(out, request.value)
      case 'fdbFlush':
        return packFdbFlush(out, request.value)
      case 'rule':
        return packRule(out, request.value)
      case 'addr':
        return packAddr(out, request.value)
      case 'link':
        return this.#plain(packLink(request.value))
      case 'linkSet':
        return this.#plain(packLinkChanges(request.selector, request.value))
      case 'linkDelete':
        return this.#plain(selectLink(request.value).words())
    }
  }

  #plain(body: Uint32Array): void {
    const at = this.#out.reserve(body.length)
    this.#out.words.set(body, at)
  }
}
