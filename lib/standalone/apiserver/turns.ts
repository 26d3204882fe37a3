// One request a turn of the event loop. libuv accepts one connection a turn: where many requests are ready at once and each
// costs a millisecond, they would all be served in one long turn, and clients that are new would wait for seconds before
// anybody knows of them. With short turns everybody gets on, new connections included.
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Requests served before their places are given back. */
const COMPACT = 256

type Serve = (request: IncomingMessage, response: ServerResponse) => void

/** @returns the same, but begun in turns of the event loop of their own, in the order they came */
export function inTurns(serve: Serve): Serve {
  let waiting: (readonly [IncomingMessage, ServerResponse])[] = []
  let served = 0
  const next = (): void => {
    const entry = waiting[served++]
    if (served === waiting.length) {
      waiting = []
      served = 0
    } else {
      setImmediate(next)
      // Never empty under load: what was served must not be kept.
      if (served === COMPACT) served -= waiting.splice(0, served).length
    }
    if (entry !== undefined) serve(...entry)
  }
  return (request, response) => {
    waiting.push([request, response])
    if (waiting.length === 1) setImmediate(next)
  }
}
