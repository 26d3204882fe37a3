// TCP connections opened from inside a network namespace, to see who answers and what it sees: see nodes/echo.ts for the
// other side. One short process per namespace makes all its connections; nothing of it is shared with this process's network.
import { execInNamespace } from './exec.ts'
import type { Greeting } from './nodes/echo.ts'

export interface ProbeTarget {
  /** Address without a prefix length. */
  readonly address: string
  readonly port: number
}

/** What one probe found. */
export type ProbeResult =
  | {
      /** What the server saw. */
      readonly greeting: Greeting
      /** Milliseconds from SYN to SYN-ACK, the better of two; the first also resolves neighbours. */
      readonly roundTripMs: number
      readonly error: null
    }
  | { readonly greeting: null; readonly roundTripMs: null; readonly error: string }

/** Milliseconds after which a connection counts as failed. */
const connectTimeoutMs = 3000

// Runs in the probed namespace by `node -e`: no import of ours, so that it starts in a few tens of milliseconds.
const probeProgram = `
const net = require('node:net')
const { targets, timeoutMs, parallel } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
const connect = (host, port) => new Promise((resolve, reject) => {
  const started = performance.now()
  let connected = 0
  let text = ''
  const socket = net.connect({ host, port, noDelay: true })
  const timer = setTimeout(() => socket.destroy(new Error('no answer in ' + timeoutMs + ' ms')), timeoutMs)
  socket.on('connect', () => (connected = performance.now() - started))
  socket.on('data', (chunk) => {
    text += chunk
    if (text.includes('\\n')) socket.end()
  })
  socket.on('error', reject)
  socket.on('close', () => {
    clearTimeout(timer)
    if (text.includes('\\n')) resolve({ greeting: JSON.parse(text), roundTripMs: connected, error: null })
    else reject(new Error('closed without a greeting'))
  })
})
const probe = async ({ address, port }) => {
  try {
    const first = await connect(address, port)
    const second = await connect(address, port)
    return { ...first, roundTripMs: Math.min(first.roundTripMs, second.roundTripMs) }
  } catch (error) {
    return { greeting: null, roundTripMs: null, error: error.message }
  }
}
const results = []
let next = 0
const worker = async () => {
  while (next < targets.length) {
    const index = next++
    results[index] = await probe(targets[index])
  }
}
Promise.all(Array.from({ length: parallel }, worker)).then(() => console.log(JSON.stringify(results)))
`

/**
 * Probe all targets from a namespace; results in their order.
 *
 * @param netns path of the namespace
 * @throws Error when the probing process itself fails
 */
export async function probeFrom(netns: string, targets: readonly ProbeTarget[]): Promise<readonly ProbeResult[]> {
  const parallel = 4
  const input = JSON.stringify({ targets, timeoutMs: connectTimeoutMs, parallel })
  const timeoutMs = 10_000 + (targets.length / parallel) * 2 * connectTimeoutMs
  const { code, stdout, stderr } = await execInNamespace(netns, [process.execPath, '-e', probeProgram], {
    input,
    timeoutMs,
  })
  if (code !== 0) throw new Error(`probing from ${netns}: exit ${code}: ${stderr.trim()}`)
  return JSON.parse(stdout) as ProbeResult[]
}
