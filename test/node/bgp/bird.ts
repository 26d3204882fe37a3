// BIRD 2.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from './place.ts'
import { ask, Daemon, type Router, type RouterSettings, type SeenRoute } from './router.ts'

export const birdPrograms = ['/usr/sbin/bird', '/usr/sbin/birdc']

function configuration(settings: RouterSettings): string {
  const { transport, families = [4, 6], gracefulRestartTime = 60, routes } = settings
  const [local, remote] = transport === 4 ? ['10.9.0.2', '10.9.0.1'] : ['fd09::2', 'fd09::1']
  const statics = ([4, 6] as const).map((family) => {
    const own = routes.filter((route) => route.includes(':') === (family === 6))
    return `protocol static static${family} { ipv${family}; ${own.map((route) => `route ${route} blackhole;`).join(' ')} }`
  })
  const nextHops = { 4: '10.9.0.2', 6: 'fd09::2' }
  const channels = families.map(
    (family) =>
      `ipv${family} { import all; export where source = RTS_STATIC; next hop address ${nextHops[family]}; import keep filtered; };`,
  )
  return [
    'log stderr all;',
    'router id 10.9.0.2;',
    `graceful restart wait ${Math.max(1, gracefulRestartTime)};`,
    'protocol device { }',
    ...statics,
    'protocol bgp node {',
    `  local ${local} as ${settings.as};`,
    `  neighbor ${remote} as ${settings.nodeAs};`,
    '  connect delay time 1; connect retry time 2; error wait time 1, 4;',
    settings.password === undefined ? '' : `  password "${settings.password}";`,
    settings.ttlSecurity === true ? '  ttl security on;' : '',
    settings.passive === true ? '  passive on;' : '',
    `  hold time ${settings.holdTime ?? 90};`,
    gracefulRestartTime > 0
      ? `  graceful restart on; graceful restart time ${gracefulRestartTime};`
      : '  graceful restart off;',
    ...channels,
    '}',
  ].join('\n')
}

export class Bird implements Router {
  readonly name = 'BIRD'
  readonly keepsOrder = true
  readonly #place: Place
  #daemon: Daemon | null = null

  constructor(place: Place) {
    this.#place = place
  }

  get #socket(): string {
    return join(this.#place.folder, 'bird.ctl')
  }

  #control(...words: string[]): string {
    return ask(this.#place, ['/usr/sbin/birdc', '-s', this.#socket, ...words])
  }

  async start(settings: RouterSettings, recover = false): Promise<void> {
    const file = join(this.#place.folder, 'bird.conf')
    writeFileSync(file, configuration(settings))
    const daemon = new Daemon(this.#place, [
      '/usr/sbin/bird',
      '-f',
      ...(recover ? ['-R'] : []),
      '-c',
      file,
      '-s',
      this.#socket,
    ])
    this.#daemon = daemon
    await daemon.ready(() => this.#control('show', 'status').includes('Daemon is up'))
  }

  // 10.44.0.1/32         unicast [node 12:00:00.000] * (100) [AS64512i]
  // 	via 10.9.0.1 on down0
  // 	BGP.as_path: 64512
  routes(): Promise<Map<string, SeenRoute>> {
    const found = new Map<string, SeenRoute>()
    const text = this.#control('show', 'route', 'protocol', 'node', 'all')
    for (const block of text.split(/\n(?=[0-9a-f:.]+\/\d+ )/)) {
      const prefix = /^([0-9a-f:.]+\/\d+) /m.exec(block)?.[1]
      if (prefix === undefined) continue
      const field = (name: string): string => new RegExp(`BGP\\.${name}: (.*)`).exec(block)?.[1]?.trim() ?? ''
      found.set(prefix, {
        nextHop: field('next_hop').split(' ')[0] ?? '',
        asPath: field('as_path'),
        communities: [...field('community').matchAll(/\((\d+),(\d+)\)/g)].map(([, high, low]) => `${high}:${low}`),
      })
    }
    return Promise.resolve(found)
  }

  requestRefresh(): Promise<boolean> {
    this.#control('reload', 'in', 'node')
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
