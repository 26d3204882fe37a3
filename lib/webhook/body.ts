// Bodies of requests, bounded each and all together: the webhook holds them in memory while it reads.
import type { IncomingMessage } from 'node:http'

export interface BodyLimits {
  /** Bytes of one body. */
  readonly one: number
  /** Bytes of all that are being read or judged. */
  readonly all: number
}

/** Object and old object of the largest request the API server takes (3 MiB each), and what is around them; 16 such. */
export const BODY_LIMITS: BodyLimits = { one: 8 * 1024 * 1024, all: 128 * 1024 * 1024 }

/** A body that is not taken. */
export class BodyError extends Error {
  override readonly name = 'BodyError'
  readonly status: 413 | 503

  constructor(status: 413 | 503, message: string) {
    super(message)
    this.status = status
  }
}

export class Bodies {
  readonly #limits: BodyLimits
  #held = 0

  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  /** Bytes held now. */
  get held(): number {
    return this.#held
  }

  /**
   * Reads a body, and holds its bytes until `use` has ended.
   *
   * @throws BodyError when it, or all together, would be too long: the rest is read and dropped, so that the answer arrives
   * @throws Error when it does not end
   */
  async read<T>(request: IncomingMessage, use: (body: string) => Promise<T>): Promise<T> {
    const { one, all } = this.#limits
    let chunks: Buffer[] = []
    let [size, held] = [0, 0]
    let refusal: BodyError | null = null
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > 4 * one) throw new Error(`the body does not end: more than ${4 * one} bytes`)
        if (refusal === null && size > one) refusal = new BodyError(413, `the body is longer than ${one} bytes`)
        if (refusal === null && this.#held + chunk.length > all) {
          refusal = new BodyError(503, `the bodies of all requests are longer than ${all} bytes; try again`)
        }
        if (refusal !== null) {
          chunks = []
          this.#held -= held
          held = 0
          continue
        }
        this.#held += chunk.length
        held += chunk.length
        chunks.push(chunk)
      }
      if (refusal !== null) throw refusal
      return await use(Buffer.concat(chunks).toString())
    } finally {
      this.#held -= held
    }
  }
}
