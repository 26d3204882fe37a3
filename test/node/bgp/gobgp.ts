// GoBGP.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from './place.ts'
import { ask, Daemon, type Router, type RouterSettings, type SeenRoute } from './router.ts'

export const gobgpPrograms = ['/usr/bin/gobgpd', '/usr/bin/gobgp']

function configuration(settings: RouterSettings): string {
  const { transport, families = [4, 6], gracefulRestartTime = 60, holdTime = 90 } = settings
  const [local, node] = transport === 4 ? ['10.9.0.2', '10.9.0.1'] : ['fd09::2', 'fd09::1']
  const graceful = gracefulRestartTime > 0
  return `
[global.config]
as = ${settings.as}
router-id = "10.9.0.2"
local-address-list = ["0.0.0.0", "::"]
[[neighbors]]
[neighbors.config]
neighbor-address = "${node}"
peer-as = ${settings.nodeAs}
${settings.password === undefined ? '' : `auth-password = "${settings.password}"`}
[neighbors.timers.config]
hold-time = ${holdTime}
keepalive-interval = ${Math.floor(holdTime / 3)}
connect-retry = 2
idle-hold-time-after-reset = 1
[neighbors.transport.config]
local-address = "${local}"
passive-mode = ${settings.passive === true}
${settings.ttlSecurity === true ? '[neighbors.ttl-security.config]\nenabled = true\nttl-min = 255' : ''}
[neighbors.graceful-restart.config]
enabled = ${graceful}
restart-time = ${Math.max(1, gracefulRestartTime)}
deferral-time = 1
${families
  .map(
    (family) => `[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv${family}-unicast"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = ${graceful}`,
  )
  .join('\n')}
`
}

interface Path {
  readonly nlri: { readonly prefix: string }
  readonly source?: unknown
  readonly attrs: readonly {
    readonly type: number
    readonly nexthop?: string
    readonly communities?: readonly number[]
    readonly as_paths?: readonly { readonly asns: readonly number[] | null }[]
  }[]
}

export class GoBgp implements Router {
  readonly name = 'GoBGP'
  readonly keepsOrder = true
  readonly #place: Place
  #node = '10.9.0.1'
  #daemon: Daemon | null = null

  constructor(place: Place) {
    this.#place = place
  }

  #control(...words: string[]): string {
    return ask(this.#place, ['/usr/bin/gobgp', ...words])
  }

  async start(settings: RouterSettings, recover = false): Promise<void> {
    this.#node = settings.transport === 4 ? '10.9.0.1' : 'fd09::1'
    const file = join(this.#place.folder, 'gobgp.toml')
    writeFileSync(file, configuration(settings))
    const daemon = new Daemon(this.#place, [
      '/usr/bin/gobgpd',
      '-f',
      file,
      '--api-hosts',
      '127.0.0.1:50051',
      '--pprof-disable',
      ...(recover ? ['--graceful-restart'] : []),
    ])
    this.#daemon = daemon
    await daemon.ready(() => this.#control('neighbor').includes(this.#node))
    for (const route of settings.routes) {
      const six = route.includes(':')
      this.#control('global', 'rib', 'add', route, 'nexthop', six ? 'fd09::2' : '10.9.0.2', '-a', six ? 'ipv6' : 'ipv4')
    }
  }

  routes(): Promise<Map<string, SeenRoute>> {
    const found = new Map<string, SeenRoute>()
    for (const family of ['ipv4', 'ipv6']) {
      // Nothing there is said in words, not in JSON.
      const text = this.#control('neighbor', this.#node, 'adj-in', '-a', family, '-j')
      const table = text.startsWith('{') ? (JSON.parse(text) as Record<string, readonly Path[]>) : {}
      for (const [prefix, [path]] of Object.entries(table)) {
        const attribute = (type: number) => path?.attrs.find((each) => each.type === type)
        found.set(prefix, {
          nextHop: attribute(3)?.nexthop ?? attribute(14)?.nexthop ?? '',
          asPath: (attribute(2)?.as_paths ?? []).flatMap(({ asns }) => asns ?? []).join(' '),
          communities: (attribute(8)?.communities ?? []).map((each) => `${each >>> 16}:${each & 0xffff}`),
        })
      }
    }
    return Promise.resolve(found)
  }

  requestRefresh(): Promise<boolean> {
    // Its softresetin applies policies to what it has, without asking.
    return Promise.resolve(false)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL' | 'SIGTERM'): void {
    this.#daemon?.signal(signal)
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop()
    this.#daemon = null
  }
}
