// One request a turn of the event loop. libuv accepts one connection a turn: where many requests are ready at once and each
// costs a millisecond, they would all be served in one long turn, and clients that are new would wait for seconds before
// anybody knows of them. With short turns everybody gets on, new connections included.
//
// Leases of leader election go before everything else, as kube-apiserver's priority levels have it: a server with more work
// than it can do is slow, but must not topple the controllers, whose successors would only ask for more. Leases of
// nodes, which are thousands, wait their turn.
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Requests served before their places are given back. */
const COMPACT = 256

type Serve = (request: IncomingMessage, response: ServerResponse) => void
type Entry = readonly [IncomingMessage, ServerResponse]

/** @returns the same, but begun in turns of the event loop of their own: leader election first, the others as they came */
export function inTurns(serve: Serve): Serve {
  const urgent: Entry[] = []
  let waiting: Entry[] = []
  let served = 0
  let running = false
  const take = (): Entry | undefined => {
    const first = urgent.shift()
    if (first !== undefined) return first
    const entry = waiting[served++]
    if (served === waiting.length) {
      waiting = []
      served = 0
    } else if (served === COMPACT) {
      // Never empty under load: what was served must not be kept.
      served -= waiting.splice(0, served).length
    }
    return entry
  }
  const next = (): void => {
    const entry = take()
    running = urgent.length > 0 || waiting.length > served
    if (running) setImmediate(next)
    if (entry !== undefined) serve(...entry)
  }
  return (request, response) => {
    const entry = [request, response] as const
    if (isLeaderElection(request.url ?? '')) urgent.push(entry)
    else waiting.push(entry)
    if (running) return
    running = true
    setImmediate(next)
  }
}

function isLeaderElection(url: string): boolean {
  const namespace = /^\/apis\/coordination\.k8s\.io\/[^/]+\/namespaces\/([^/]+)\/leases\b/.exec(url)?.[1]
  return namespace !== undefined && namespace !== 'kube-node-lease'
}
