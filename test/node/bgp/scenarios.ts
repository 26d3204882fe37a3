// What every BGP daemon has to see of ours, and ours of it. Each scenario starts both anew.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress, formatPrefix, parsePrefix } from '../../../lib/ip/index.ts'
import { COMMUNITY, Speaker, type PeerConfig, type SpeakerConfig, type SpeakerEvent } from '../../../lib/bgp/index.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { newPlace, NODE4, NODE6, ROUTER4, ROUTER6, type Place } from './place.ts'
import type { Router, RouterSettings } from './router.ts'

/** Generous: a loaded machine may take seconds for what takes milliseconds. */
const PATIENCE_MS = 45_000
const NODE_AS = 64512
const ROUTER_AS = 64513

/** A speaker of this node with its events. */
export class Node {
  readonly events: SpeakerEvent[] = []
  readonly speaker: Speaker

  constructor(place: Place, config: Partial<SpeakerConfig> = {}) {
    this.speaker = new Speaker({
      namespace: place.node,
      as: NODE_AS,
      identifier: NODE4,
      nextHops: { 4: { nextHop: NODE4 }, 6: { nextHop: NODE6 } },
      onEvent: (event) => this.events.push(event),
      hostname: 'node1',
      ...config,
    })
  }

  peer(peer: Partial<PeerConfig> = {}): void {
    this.speaker.setPeers([{ address: ROUTER4, as: ROUTER_AS, connectRetryTime: 1, accept: 'all', ...peer }])
  }

  get state(): string {
    return this.speaker.status()[0]?.state ?? 'none'
  }

  announce(...prefixes: string[]): void {
    for (const prefix of prefixes) this.speaker.announce({ prefix: parsePrefix(prefix) })
  }

  gateways(): Map<string, string[]> {
    return new Map(
      this.speaker
        .gateways()
        .map(({ prefix, gateways }) => [formatPrefix(prefix), gateways.map(({ address }) => formatAddress(address))]),
    )
  }

  established(sessions = 1): Promise<unknown> {
    return eventually(
      () => {
        const [status] = this.speaker.status()
        if (status?.state === 'established' && status.sessions >= sessions) return true
        throw new Error(
          `not established: ${JSON.stringify(status, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`,
        )
      },
      PATIENCE_MS,
      20,
    )
  }

  count(type: SpeakerEvent['type']): number {
    return this.events.filter((event) => event.type === type).length
  }

  async endOfRib(...families: (4 | 6)[]): Promise<void> {
    for (const family of families) {
      await eventually(
        () => this.events.some((event) => event.type === 'endOfRib' && event.family === family),
        PATIENCE_MS,
        20,
      )
    }
  }
}

const ebgp: RouterSettings = {
  as: ROUTER_AS,
  nodeAs: NODE_AS,
  transport: 4,
  routes: ['0.0.0.0/0', '203.0.113.0/24', '::/0', '2001:db8:1::/48'],
}
const fromRouter = new Map([
  ['0.0.0.0/0', ['10.9.0.2']],
  ['203.0.113.0/24', ['10.9.0.2']],
  ['::/0', ['fd09::2']],
  ['2001:db8:1::/48', ['fd09::2']],
])
const PODS = ['10.44.0.0/24', '10.44.0.7/32', 'fd44::/64', 'fd44::7/128']

const sorted = (map: Map<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))

/** Registers the scenarios. */
export function interoperate(make: (place: Place) => Router): void {
  let place: Place
  let router: Router
  let node: Node | null = null

  test.before.each(async () => {
    place = await newPlace()
    router = make(place)
  })
  test.after.each(async () => {
    await node?.speaker.close()
    node = null
    await router.stop()
    await place.close()
  })

  const heard = (check: (routes: Awaited<ReturnType<Router['routes']>>) => void) =>
    eventually(
      async () => {
        check(await router.routes())
        return true
      },
      PATIENCE_MS,
      100,
    )
  const hearsPods = (...pods: string[]) => heard((routes) => assert.equal([...routes.keys()].sort(), [...pods].sort()))
  const seesRouter = (from: Node) =>
    eventually(() => assert.equal(sorted(from.gateways()), sorted(fromRouter)) ?? true, PATIENCE_MS, 20)

  test('external, IPv4 and IPv6 routes over IPv4; communities, withdrawal, route refresh both ways', async () => {
    await router.start(ebgp)
    node = new Node(place)
    node.announce(...PODS)
    node.speaker.announce({ prefix: parsePrefix('10.44.0.7/32'), communities: [COMMUNITY.noExport] })
    node.speaker.routesComplete()
    node.peer()
    await node.established()
    await seesRouter(node)
    await node.endOfRib(4, 6)
    await hearsPods(...PODS)
    await heard((routes) => {
      assert.equal(routes.get('10.44.0.7/32'), { nextHop: '10.9.0.1', asPath: '64512', communities: ['65535:65281'] })
      assert.equal(routes.get('fd44::7/128'), { nextHop: 'fd09::1', asPath: '64512', communities: [] })
    })
    assert.equal(node.speaker.peersTold(parsePrefix('10.44.0.7/32')), [ROUTER4])
    node.speaker.withdraw(parsePrefix('10.44.0.7/32'))
    node.speaker.withdraw(parsePrefix('fd44::7/128'))
    await hearsPods('10.44.0.0/24', 'fd44::/64')

    const status = () => present(node?.speaker.status()[0])
    const { updatesOut, updatesIn } = status()
    if (await router.requestRefresh()) {
      await eventually(() => status().refreshesIn >= 2, PATIENCE_MS, 20)
      await eventually(() => status().updatesOut >= updatesOut + 2, PATIENCE_MS, 20)
      await hearsPods('10.44.0.0/24', 'fd44::/64')
    }
    assert.ok(node.speaker.requestRefresh(ROUTER4, 4))
    await eventually(() => status().updatesIn > updatesIn, PATIENCE_MS, 20)
    await seesRouter(node)
    const { state, sessions, updateProblems, routesOut } = status()
    assert.equal([state, sessions, updateProblems, routesOut], ['established', 1, 0, 2])
  })

  test('internal, over IPv6', async () => {
    await router.start({ ...ebgp, as: NODE_AS, transport: 6 })
    node = new Node(place)
    node.announce(...PODS)
    node.speaker.routesComplete()
    node.peer({ address: ROUTER6, as: NODE_AS })
    await node.established()
    await seesRouter(node)
    await hearsPods(...PODS)
    await heard((routes) =>
      assert.equal(routes.get('10.44.0.0/24'), { nextHop: '10.9.0.1', asPath: '', communities: [] }),
    )
  })

  test('AS numbers of four octets', async () => {
    await router.start({ ...ebgp, as: 4200000002, nodeAs: 4200000001 })
    node = new Node(place, { as: 4200000001 })
    node.announce(...PODS)
    node.peer({ as: 4200000002 })
    await node.established()
    await seesRouter(node)
    await heard((routes) => assert.is(routes.get('10.44.0.0/24')?.asPath, '4200000001'))
  })

  test('TCP-MD5, either side connecting; a wrong password is none; a new one takes effect', async () => {
    await router.start({ ...ebgp, password: 'secret-of-both', passive: true })
    node = new Node(place)
    node.announce('10.44.0.0/24')
    node.peer({ password: 'another' })
    await eventually(
      () => /ETIMEDOUT|does not answer/.test(node?.speaker.status()[0]?.lastError ?? ''),
      PATIENCE_MS,
      20,
    )
    assert.is(node.count('up'), 0)
    assert.not.match(
      JSON.stringify(node.events, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
      /another/,
    )
    node.peer({ password: 'secret-of-both' })
    await node.established()
    await hearsPods('10.44.0.0/24')
    await router.stop()
    await router.start({ ...ebgp, password: 'secret-of-both' })
    node.peer({ password: 'secret-of-both', passive: true })
    await node.established()
    await hearsPods('10.44.0.0/24')
  })

  test('minimum TTL (GTSM) on both sides, either side connecting', async () => {
    await router.start({ ...ebgp, ttlSecurity: true, passive: true })
    node = new Node(place)
    node.announce('10.44.0.0/24')
    node.peer({ ttlSecurity: true })
    await node.established()
    await hearsPods('10.44.0.0/24')
    await router.stop()
    await router.start({ ...ebgp, ttlSecurity: true })
    node.peer({ ttlSecurity: true, passive: true })
    await node.established()
    await hearsPods('10.44.0.0/24')
  })

  test('a silent peer is given up after the hold time, and found again', async () => {
    await router.start({ ...ebgp, holdTime: 6, gracefulRestartTime: 0 })
    node = new Node(place)
    node.peer()
    await node.established()
    assert.is(node.speaker.status()[0]?.holdTime, 6)
    await seesRouter(node)
    router.signal('SIGSTOP')
    await eventually(() => (node?.count('down') ?? 0) > 0, PATIENCE_MS, 50)
    const down = node.events.find((event) => event.type === 'down')
    assert.match(down?.type === 'down' ? down.detail : '', /^hold timer expired/)
    assert.equal(node.gateways(), new Map())
    router.signal('SIGCONT')
    await node.established(2)
    await seesRouter(node)
  })

  test('the peer restarts: its routes are used until it has sent them again', async () => {
    await router.start(ebgp)
    node = new Node(place)
    node.announce(...PODS)
    node.speaker.routesComplete()
    node.peer()
    await node.established()
    await seesRouter(node)
    await node.endOfRib(4, 6)
    const before = node.events.length
    await router.stop()
    await eventually(() => node?.events.some((event) => event.type === 'down'), PATIENCE_MS, 20)
    assert.equal(node.speaker.status()[0]?.stale, [4, 6])
    assert.equal(sorted(node.gateways()), sorted(fromRouter))
    const routes = ebgp.routes.filter((route) => route !== '203.0.113.0/24')
    await router.start({ ...ebgp, routes }, true)
    await node.established(2)
    await eventually(() => !node?.gateways().has('203.0.113.0/24'), PATIENCE_MS, 20)
    await eventually(() => node?.speaker.status()[0]?.stale.length === 0, PATIENCE_MS, 20)
    await hearsPods(...PODS)
    const expected = new Map([...fromRouter].filter(([prefix]) => prefix !== '203.0.113.0/24'))
    await eventually(() => assert.equal(sorted(present(node).gateways()), sorted(expected)) ?? true, PATIENCE_MS, 20)
    if (!router.keepsOrder) return
    // All others were there all the time: no event says they went, or changed.
    const changes = node.events.slice(before).flatMap((event) => (event.type === 'gateways' ? event.changes : []))
    assert.equal(
      changes.map(({ prefix }) => formatPrefix(prefix)),
      ['203.0.113.0/24'],
    )
  })

  test('this side restarts: the peer keeps the routes until End-of-RIB', async () => {
    await router.start(ebgp)
    node = new Node(place)
    node.announce(...PODS)
    node.speaker.routesComplete()
    node.peer()
    await node.established()
    await node.endOfRib(4, 6)
    await hearsPods(...PODS)
    await node.speaker.close({ graceful: true })
    // Some time for the peer to notice; what it would lose is looked at each time.
    for (let i = 0; i < 5; i++) {
      assert.equal([...(await router.routes()).keys()].sort(), [...PODS].sort())
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    node = new Node(place, { restarting: true })
    node.peer()
    await node.established()
    assert.equal([...(await router.routes()).keys()].sort(), [...PODS].sort())
    const [gone, ...kept] = PODS
    node.announce(...kept)
    await eventually(() => node?.speaker.status()[0]?.routesOut === 3, PATIENCE_MS, 20)
    assert.ok((await router.routes()).has(gone ?? ''), 'not before End-of-RIB')
    node.speaker.routesComplete()
    await hearsPods(...kept)
  })

  test('graceful restart with families that differ', async () => {
    await router.start({ ...ebgp, families: [4] })
    node = new Node(place)
    node.announce(...PODS)
    node.speaker.routesComplete()
    node.peer()
    await node.established()
    assert.equal(node.speaker.status()[0]?.families, [4])
    await node.endOfRib(4)
    await eventually(() => node?.gateways().size === 2, PATIENCE_MS, 20)
    await hearsPods('10.44.0.0/24', '10.44.0.7/32')
    await router.stop()
    await eventually(() => node?.speaker.status()[0]?.state !== 'established', PATIENCE_MS, 20)
    assert.equal(node.speaker.status()[0]?.stale, [4])
    await router.start(ebgp, true)
    await node.established(2)
    await seesRouter(node)
    await hearsPods(...PODS)
  })
}
