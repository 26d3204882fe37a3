// The BGP speaker: decoding, 100,000 routes from one peer, and the time from announce() to the other end.
//
//   node --import tsx benchmarks/bgp/run.ts
//
// Both ends are our own, in this process: processor time is that of sending and receiving together. Reach (docs/design.md §7):
// 100k routes received in 2 s, advertised within 20 ms. Not here yet: other daemons in the same run.
import { execFileSync } from 'node:child_process'
import { NetworkNamespace } from '../../lib/netlink/index.ts'
import { formatAddress, hostPrefix, parseAddress } from '../../lib/ip/index.ts'
import {
  decodeMessage,
  encodeAnnouncements,
  Framer,
  IPV4_UNICAST,
  Speaker,
  type SpeakerEvent,
} from '../../lib/bgp/index.ts'
import { restartInSandbox, startedInSandbox } from '../support/sandbox.ts'
import { median, percentile } from '../support/statistics.ts'
import { bringUpLoopback } from '../../test/support/loopback.ts'

const ROUTES = 100_000
const A = parseAddress('10.255.0.1') as number
const B = parseAddress('10.255.0.2') as number

if (!startedInSandbox()) await restartInSandbox()
bringUpLoopback()
for (const address of [A, B]) execFileSync('ip', ['addr', 'add', formatAddress(address), 'dev', 'lo'])
const prefixes = Array.from({ length: ROUTES }, (_, i) => hostPrefix(0x0a000000 + i))

function cpuMs(since?: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

function decoding(): void {
  const attributes = { origin: 0, asPath: [{ type: 'sequence', asns: [64512] }], communities: [0xffffff01] } as const
  const messages = encodeAnnouncements(4, { nextHop: A }, attributes, prefixes, { fourOctetAs: true, maxBytes: 4096 })
  const stream = Buffer.concat(messages)
  const context = { fourOctetAs: true, external: true, families: new Set([IPV4_UNICAST]), extendedNextHop: false }
  const times: number[] = []
  for (let round = 0; round < 9; round++) {
    const before = process.cpuUsage()
    const framer = new Framer()
    let routes = 0
    for (let at = 0; at < stream.length; at += 65536) {
      framer.push(stream.subarray(at, at + 65536))
      for (let frame = framer.next(); frame !== null; frame = framer.next()) {
        const message = decodeMessage(frame, context)
        if (message.type === 'update') for (const each of message.announced) routes += each.prefixes.length
      }
    }
    if (routes !== ROUTES) throw new Error(`${routes} of ${ROUTES} routes were decoded`)
    times.push(cpuMs(before))
  }
  console.log(`decode ${ROUTES} routes in ${messages.length} messages: ${median(times).toFixed(1)} ms of processor`)
}

const namespace = NetworkNamespace.current()
type Waiter = (event: SpeakerEvent) => void
let onEvent: Waiter = () => undefined

function speaker(as: number, own: number, events: boolean, port: number | null): Speaker {
  return new Speaker({
    namespace,
    as,
    identifier: own,
    nextHops: { 4: { nextHop: own } },
    port,
    onEvent: (event) => events && onEvent(event),
  })
}

function until(check: (event: SpeakerEvent) => boolean): Promise<void> {
  return new Promise((resolve) => (onEvent = (event) => check(event) && resolve()))
}

async function received(): Promise<void> {
  const sender = speaker(64512, A, false, 1790)
  const receiver = speaker(64513, B, true, null)
  for (const prefix of prefixes) sender.announce({ prefix })
  globalThis.gc?.()
  const memory = process.memoryUsage().rss
  const before = process.cpuUsage()
  const established = until((event) => event.type === 'up')
  sender.setPeers([{ address: B, as: 64513, passive: true }])
  receiver.setPeers([
    { address: A, as: 64512, port: 1790, localAddress: B, accept: 'all', maxPrefixes: 1_000_000, connectRetryTime: 1 },
  ])
  await established
  const started = performance.now()
  await until(() => receiver.status()[0]?.routesIn === ROUTES)
  const wall = performance.now() - started
  const rss = (process.memoryUsage().rss - memory) / ROUTES
  console.log(
    `${ROUTES} routes, sent and received: ${wall.toFixed(0)} ms, ${cpuMs(before).toFixed(0)} ms of processor, ` +
      `${rss.toFixed(0)} bytes of memory a route (sender's and receiver's records)`,
  )
  const times: number[] = []
  for (let i = 0; i < 200; i++) {
    const arrival = until((event) => event.type === 'gateways')
    const start = performance.now()
    sender.announce({ prefix: hostPrefix(0x0b000000 + i) })
    await arrival
    times.push(performance.now() - start)
  }
  console.log(
    `announce() to the other end: median ${median(times).toFixed(2)} ms, p99 ${percentile(times, 99).toFixed(2)} ms`,
  )
  await sender.close()
  await receiver.close()
}

decoding()
await received()
namespace.close()
