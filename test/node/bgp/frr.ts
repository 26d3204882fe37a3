// FRR's bgpd, alone: without zebra it installs nothing and resolves no next hops, which is not what is tested here.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from './place.ts'
import { ask, Daemon, type Router, type RouterSettings, type SeenRoute } from './router.ts'

export const frrPrograms = ['/usr/lib/frr/bgpd', '/usr/bin/vtysh']

function configuration(settings: RouterSettings): string {
  const { transport, families = [4, 6], gracefulRestartTime = 60, holdTime = 90, routes } = settings
  const node = transport === 4 ? '10.9.0.1' : 'fd09::1'
  const lines = [
    'hostname router',
    `router bgp ${settings.as}`,
    ' bgp router-id 10.9.0.2',
    ' no bgp ebgp-requires-policy',
    ' no bgp network import-check',
    ' no bgp default ipv4-unicast',
    // Otherwise its first routes come seconds after its End-of-RIB.
    ' coalesce-time 0',
    ` timers bgp ${Math.floor(holdTime / 3)} ${holdTime}`,
    ...(gracefulRestartTime > 0
      ? [
          ' bgp graceful-restart',
          ` bgp graceful-restart restart-time ${gracefulRestartTime}`,
          ' bgp graceful-restart preserve-fw-state',
        ]
      : [' bgp graceful-restart-disable']),
    ` neighbor ${node} remote-as ${settings.nodeAs}`,
    ` neighbor ${node} timers connect 2`,
    ` neighbor ${node} advertisement-interval 0`,
    ...(settings.password === undefined ? [] : [` neighbor ${node} password ${settings.password}`]),
    ...(settings.ttlSecurity === true ? [` neighbor ${node} ttl-security hops 1`] : []),
    ...(settings.passive === true ? [` neighbor ${node} passive`] : []),
  ]
  for (const family of families) {
    lines.push(` address-family ipv${family} unicast`)
    for (const route of routes) if (route.includes(':') === (family === 6)) lines.push(`  network ${route}`)
    lines.push(`  neighbor ${node} activate`)
    // An IPv6 route over an IPv4 session and the reverse: bgpd knows the interface's addresses from zebra only.
    lines.push(`  neighbor ${node} route-map hop${family} out`, ' exit-address-family')
  }
  lines.push('!', 'route-map hop4 permit 10', ' set ip next-hop 10.9.0.2')
  lines.push('!', 'route-map hop6 permit 10', ' set ipv6 next-hop global fd09::2', '!')
  return lines.join('\n') + '\n'
}

interface BgpPath {
  readonly peerId: string
  readonly path: string
  readonly nexthops?: readonly { readonly ip: string; readonly scope?: string }[]
}

interface BgpTable {
  readonly routes: Record<string, readonly BgpPath[]>
}

export class Frr implements Router {
  readonly name = 'FRR'
  // Without zebra bgpd does not defer its first selection, and its End-of-RIB overtakes the routes of its configuration.
  readonly keepsOrder = false
  readonly #place: Place
  #node = '10.9.0.1'
  #daemon: Daemon | null = null

  constructor(place: Place) {
    this.#place = place
    mkdirSync(this.#sockets, { recursive: true })
  }

  get #sockets(): string {
    return join(this.#place.folder, 'frr')
  }

  #control(...commands: string[]): string {
    const words = commands.flatMap((command) => ['-c', command])
    return ask(this.#place, ['/usr/bin/vtysh', '--vty_socket', this.#sockets, '-d', 'bgpd', ...words])
  }

  async start(settings: RouterSettings, _recover = false): Promise<void> {
    this.#node = settings.transport === 4 ? '10.9.0.1' : 'fd09::1'
    const file = join(this.#place.folder, 'bgpd.conf')
    writeFileSync(file, configuration(settings))
    const daemon = new Daemon(this.#place, [
      '/usr/lib/frr/bgpd',
      ...['-f', file, '-i', join(this.#sockets, 'bgpd.pid'), '-P', '0', '-S', '-Z', '--log', 'stdout'],
      ...['--vty_socket', this.#sockets],
    ])
    this.#daemon = daemon
    await daemon.ready(() => this.#control('show version').includes('FRRouting'))
  }

  routes(): Promise<Map<string, SeenRoute>> {
    const found = new Map<string, SeenRoute>()
    for (const family of ['ipv4', 'ipv6']) {
      const routes = this.#table(`show bgp ${family} unicast json`)
      const marked = new Set(
        Object.keys(routes).length > 0
          ? Object.keys(this.#table(`show bgp ${family} unicast community no-export json`))
          : [],
      )
      for (const [prefix, paths] of Object.entries(routes)) {
        const path = paths.find(({ peerId }) => peerId === this.#node)
        if (path === undefined) continue
        const hop = path.nexthops?.find(({ scope }) => scope !== 'link-local')
        const communities = marked.has(prefix) ? ['65535:65281'] : []
        found.set(prefix, { nextHop: hop?.ip ?? '', asPath: path.path, communities })
      }
    }
    return Promise.resolve(found)
  }

  /** No routes may be said by an empty answer, too. */
  #table(command: string): BgpTable['routes'] {
    return (JSON.parse(this.#control(command).trim() || '{}') as Partial<BgpTable>).routes ?? {}
  }

  requestRefresh(): Promise<boolean> {
    this.#control(...['ipv4', 'ipv6'].map((family) => `clear bgp ${family} unicast ${this.#node} in`))
    return Promise.resolve(true)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL' | 'SIGTERM'): void {
    this.#daemon?.signal(signal)
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop()
    this.#daemon = null
  }
}
