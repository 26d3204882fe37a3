// Two or three of our own speakers against each other: what other daemons cannot be brought to do on demand.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { execFileSync } from 'node:child_process'
import { formatAddress, formatPrefix, hostPrefix, parseAddress, parsePrefix } from '../../../lib/ip/index.ts'
import { COMMUNITY, Speaker, type PeerConfig, type SpeakerConfig, type SpeakerEvent } from '../../../lib/bgp/index.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { newPlace, NODE4, NODE6, ROUTER4, ROUTER6, type Place } from './place.ts'

const PATIENCE_MS = 45_000
const NODE_AS = 64512
const ROUTER_AS = 64513

let place: Place
const speakers: Speaker[] = []

test.before.each(async () => {
  place = await newPlace()
})
test.after.each(async () => {
  await Promise.all(speakers.splice(0).map((speaker) => speaker.close()))
  await place.close()
})

interface End {
  readonly speaker: Speaker
  readonly events: SpeakerEvent[]
}

function make(side: 'node' | 'router', config: Partial<SpeakerConfig> = {}): End {
  const events: SpeakerEvent[] = []
  const hops = side === 'node' ? [NODE4, NODE6] : [ROUTER4, ROUTER6]
  const [v4 = 0, v6 = 0n] = hops
  const speaker = new Speaker({
    namespace: place[side],
    as: side === 'node' ? NODE_AS : ROUTER_AS,
    identifier: Number(v4),
    nextHops: { 4: { nextHop: v4 }, 6: { nextHop: v6 } },
    onEvent: (event) => events.push(event),
    ...config,
  })
  speakers.push(speaker)
  return { speaker, events }
}

const toRouter = (some: Partial<PeerConfig> = {}): PeerConfig => ({
  address: ROUTER4,
  as: ROUTER_AS,
  connectRetryTime: 1,
  accept: 'all',
  ...some,
})
const toNode = (some: Partial<PeerConfig> = {}): PeerConfig => ({
  address: NODE4,
  as: NODE_AS,
  connectRetryTime: 1,
  accept: 'all',
  ...some,
})

const status = ({ speaker }: End) => present(speaker.status()[0])
const established = (end: End, sessions = 1) =>
  eventually(() => status(end).state === 'established' && status(end).sessions >= sessions, PATIENCE_MS)
const reaches = ({ speaker }: End, ...expected: string[]) =>
  eventually(() => {
    assert.equal(
      speaker
        .gateways()
        .map(
          ({ prefix, gateways }) =>
            `${formatPrefix(prefix)} ${gateways.map(({ address }) => formatAddress(address)).join(' ')}`,
        )
        .sort(),
      [...expected].sort(),
    )
    return true
  }, PATIENCE_MS)
const announce = ({ speaker }: End, ...prefixes: string[]): void => {
  for (const prefix of prefixes) speaker.announce({ prefix: parsePrefix(prefix) })
}

test('both connect at once, ten times: one session each time', async () => {
  const node = make('node')
  const router = make('router')
  for (let round = 1; round <= 10; round++) {
    node.speaker.setPeers([])
    router.speaker.setPeers([])
    node.speaker.setPeers([toRouter()])
    router.speaker.setPeers([toNode()])
    await established(node)
    await established(router)
    announce(router, `10.1.${round}.0/24`)
    await eventually(() => node.speaker.gateways().length === round, PATIENCE_MS)
  }
  assert.is(status(node).state, 'established')
  assert.is(status(router).state, 'established')
})

test('all equally good peers are gateways; one that goes is none any more', async () => {
  for (const address of ['10.9.0.3/24', '10.9.0.4/24']) {
    execFileSync('nsenter', [`--net=${place.routerPath}`, 'ip', 'addr', 'add', address, 'dev', 'down0'])
  }
  // Three routers in one namespace: none listens, each connects from its own address.
  const router = (text: string, as: number): End => {
    const address = parseAddress(text)
    const config = { as, identifier: Number(address), port: null, nextHops: { 4: { nextHop: address } } }
    const end = make('router', config)
    end.speaker.setPeers([toNode({ localAddress: address, gracefulRestartTime: 0 })])
    announce(end, '0.0.0.0/0')
    return end
  }
  const node = make('node')
  const peer = (text: string, as: number) =>
    toRouter({ address: parseAddress(text), as, passive: true, accept: 'default' })
  node.speaker.setPeers([peer('10.9.0.2', 64513), peer('10.9.0.3', 64514), peer('10.9.0.4', 64515)])
  const first = router('10.9.0.2', 64513)
  router('10.9.0.3', 64514)
  const last = router('10.9.0.4', 64515)
  await reaches(node, '0.0.0.0/0 10.9.0.2 10.9.0.3 10.9.0.4')
  announce(first, '203.0.113.0/24')
  await first.speaker.close()
  await reaches(node, '0.0.0.0/0 10.9.0.3 10.9.0.4')
  last.speaker.withdraw(parsePrefix('0.0.0.0/0'))
  await reaches(node, '0.0.0.0/0 10.9.0.3')
  // `default` never took the other route.
  const seen = node.events.flatMap((event) => (event.type === 'gateways' ? event.changes : []))
  assert.ok(seen.every(({ prefix }) => prefix.length === 0))
})

test('IPv4 routes with an IPv6 next hop, where there is no IPv4 (RFC 8950)', async () => {
  const node = make('node')
  const router = make('router', { nextHops: { 4: { nextHop: ROUTER6 }, 6: { nextHop: ROUTER6 } } })
  node.speaker.setPeers([toRouter({ address: ROUTER6 })])
  router.speaker.setPeers([toNode({ address: NODE6 })])
  announce(router, '0.0.0.0/0', '::/0')
  await reaches(node, '0.0.0.0/0 fd09::2', '::/0 fd09::2')
})

test('a withdrawal waits; a route that is back in time was never away', async () => {
  const node = make('node', { withdrawDelay: 1500 })
  const router = make('router')
  node.speaker.setPeers([toRouter()])
  router.speaker.setPeers([toNode()])
  announce(node, '10.44.0.1/32', '10.44.0.2/32')
  await reaches(router, '10.44.0.1/32 10.9.0.1', '10.44.0.2/32 10.9.0.1')
  const before = router.events.length
  node.speaker.withdraw(parsePrefix('10.44.0.1/32'))
  node.speaker.withdraw(parsePrefix('10.44.0.2/32'))
  announce(node, '10.44.0.1/32')
  await reaches(router, '10.44.0.1/32 10.9.0.1')
  const changes = router.events.slice(before).flatMap((event) => (event.type === 'gateways' ? event.changes : []))
  assert.equal(
    changes.map(({ prefix }) => formatPrefix(prefix)),
    ['10.44.0.2/32'],
  )
})

test('ten thousand routes in few messages, both ways of changing them', async () => {
  const node = make('node')
  const router = make('router')
  node.speaker.setPeers([toRouter()])
  router.speaker.setPeers([toNode()])
  const routes = Array.from({ length: 10_000 }, (_, i) => ({
    prefix: hostPrefix(0x0a800000 + i),
    communities: [COMMUNITY.noExport],
  }))
  node.speaker.setRoutes(routes)
  node.speaker.routesComplete()
  await eventually(() => router.speaker.gateways().length === routes.length, PATIENCE_MS)
  const { updatesOut, messagesOut } = status(node)
  // 5 bytes a prefix, in messages of 65535 bytes; End-of-RIB of two families.
  assert.ok(updatesOut <= 4, `${updatesOut} updates of ${messagesOut} messages`)
  assert.is(status(router).updatesIn, updatesOut)
  node.speaker.setRoutes(routes.slice(0, 100))
  await eventually(() => router.speaker.gateways().length === 100, PATIENCE_MS)
  assert.ok(status(node).updatesOut <= updatesOut + 1)
})

test('too many routes end the session', async () => {
  const node = make('node')
  const router = make('router')
  node.speaker.setPeers([toRouter({ maxPrefixes: 2 })])
  router.speaker.setPeers([toNode()])
  announce(router, '10.1.0.0/16', '10.2.0.0/16')
  await reaches(node, '10.1.0.0/16 10.9.0.2', '10.2.0.0/16 10.9.0.2')
  announce(router, '10.3.0.0/16')
  await eventually(() => /maximum number of prefixes/.test(status(router).lastError ?? ''), PATIENCE_MS)
  assert.is(status(node).routesIn, 0)
  assert.is(status(node).state, 'idle')
})

test('a changed peer begins anew, others stay; a bad one is reported and left as it was', async () => {
  const node = make('node')
  const router = make('router')
  node.speaker.setPeers([toRouter()])
  router.speaker.setPeers([toNode()])
  await established(node)
  await established(router)
  const { sessions } = status(node)
  node.speaker.setPeers([toRouter({ holdTime: 2 }), toRouter({ address: ROUTER6, as: 0 })])
  assert.equal(
    node.events.flatMap((event) => (event.type === 'problem' ? [event.detail] : [])),
    [
      'peer 10.9.0.2: holdTime is 2, expected 0 or 3 to 65535 seconds',
      'peer fd09::2: AS is 0, expected 1 to 4294967295',
    ],
  )
  assert.is(status(node).sessions, sessions)
  assert.is(status(node).state, 'established')
  node.speaker.setPeers([toRouter({ holdTime: 30 })])
  await established(node)
  assert.is(status(node).holdTime, 30)
  assert.ok(router.events.some((event) => event.type === 'down' && event.detail.includes('other configuration change')))
})

test('the words of a reset reach the other operator; the session comes back', async () => {
  const node = make('node')
  const router = make('router')
  node.speaker.setPeers([toRouter()])
  router.speaker.setPeers([toNode()])
  await established(router)
  await established(node)
  assert.ok(node.speaker.resetPeer(ROUTER4, 'new cable'))
  const words = () => router.events.flatMap((event) => (event.type === 'down' ? [event.detail] : [])).at(-1)
  await eventually(() => words()?.includes('new cable'), PATIENCE_MS)
  await established(router, 2)
  assert.is(words(), 'the peer says: cease: administrative reset: "new cable"')
})

test('long-lived: routes of a peer that stays away become the last choice, and NO_LLGR routes go', async () => {
  const node = make('node')
  const router = make('router')
  node.speaker.setPeers([toRouter({ longLivedTime: 600 })])
  router.speaker.setPeers([toNode({ gracefulRestartTime: 1, longLivedTime: 600 })])
  announce(router, '10.1.0.0/16')
  router.speaker.announce({ prefix: parsePrefix('10.2.0.0/16'), communities: [COMMUNITY.noLlgr] })
  await reaches(node, '10.1.0.0/16 10.9.0.2', '10.2.0.0/16 10.9.0.2')
  await established(router)
  await router.speaker.close({ graceful: true })
  await reaches(node, '10.1.0.0/16 10.9.0.2')
  assert.equal(status(node).stale, [4, 6])
})

test.run()
