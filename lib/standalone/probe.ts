// A TCP connection opened from inside a network namespace, to see who answers and what it sees: nodes/echo.ts is the other
// side. In this process: the sockets are made in the namespace and handed here, so that hundreds cost no processes.
import { once } from 'node:events'
import { Socket } from 'node:net'
import { parseAddress } from '../ip/index.ts'
import { connectTcp, NetworkNamespace, ping } from '../netlink/index.ts'
import type { Greeting } from './nodes/echo.ts'

export interface ProbeTarget {
  /** Address without a prefix length. */
  readonly address: string
  readonly port: number
}

/** What one probe found. */
export type ProbeResult =
  | {
      /** What the far side saw. */
      readonly greeting: Greeting
      /** Milliseconds of an ICMP echo; null when it was not answered. */
      readonly roundTripMs: number | null
      readonly error: null
    }
  | { readonly greeting: null; readonly roundTripMs: null; readonly error: string }

/** Milliseconds after which a connection, its greeting or an echo counts as failed; a SYN is repeated after 1 s. */
const defaultTimeoutMs = 2500

/**
 * Connect from a namespace and hear the greeting.
 *
 * @throws NetlinkError or Error when there is no connection, or no greeting, in time
 */
export async function greet(
  namespace: NetworkNamespace,
  { address, port }: ProbeTarget,
  timeoutMs = defaultTimeoutMs,
): Promise<Greeting> {
  const fd = await connectTcp(namespace, address, port, { timeout: timeoutMs })
  return await readGreeting(new Socket({ fd, allowHalfOpen: false }), timeoutMs)
}

/** {@link greet}; then one echo request, which finds neighbours resolved. Never throws. */
export async function probe(
  namespace: NetworkNamespace,
  target: ProbeTarget,
  timeoutMs = defaultTimeoutMs,
): Promise<ProbeResult> {
  try {
    const greeting = await greet(namespace, target, timeoutMs)
    return { greeting, roundTripMs: await ping(namespace, parseAddress(target.address), timeoutMs), error: null }
  } catch (error) {
    return { greeting: null, roundTripMs: null, error: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * {@link probe} targets in turn, from the namespace of a file.
 *
 * @throws NetlinkError when there is no such namespace
 */
export async function probeFrom(path: string, targets: readonly ProbeTarget[]): Promise<readonly ProbeResult[]> {
  const namespace = NetworkNamespace.open(path)
  try {
    const results: ProbeResult[] = []
    for (const target of targets) results.push(await probe(namespace, target))
    return results
  } finally {
    namespace.close()
  }
}

async function readGreeting(socket: Socket, timeoutMs: number): Promise<Greeting> {
  const deadline = AbortSignal.timeout(timeoutMs)
  let text = ''
  try {
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    while (!text.includes('\n')) await once(socket, 'data', { signal: deadline })
    return JSON.parse(text) as Greeting
  } catch (error) {
    throw deadline.aborted ? new Error(`connected, but no greeting in ${timeoutMs} ms`, { cause: error }) : error
  } finally {
    socket.destroy()
  }
}
