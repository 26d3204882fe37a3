// What a node's kernel holds, read with iproute2, bridge and nft in the node's namespace: never through the daemon's mirror
// or this project's netlink. The same lines as expect.ts makes.
import type { ClusterNode } from '../../../lib/standalone/index.ts'
import { device, type KernelState, type NodeFacts } from './expect.ts'

type Json = Readonly<Record<string, unknown>>

const documents = {
  rules4: 'ip -j -4 rule',
  rules6: 'ip -j -6 rule',
  routes4: 'ip -j -4 route show table all',
  routes6: 'ip -j -6 route show table all',
  proxies4: 'ip -j -4 neigh show proxy',
  proxies6: 'ip -j -6 neigh show proxy',
  links: 'ip -j -d link',
  addresses: 'ip -j addr',
  fdb: `bridge -j fdb show dev ${device} 2>/dev/null || echo '[]'`,
  neighbours: `{ ip -j -4 neigh show dev ${device} && ip -j -6 neigh show dev ${device}; } 2>/dev/null || echo '[]'`,
  nft: 'nft -j list ruleset',
} as const
type Documents = Readonly<Record<keyof typeof documents, readonly Json[]>>

/** Everything one look at a node shows. */
export interface KernelView {
  readonly facts: NodeFacts
  readonly state: KernelState
  /** Chains and rules of our nft tables, without handles: they never change. */
  readonly netfilter: readonly string[]
  /** Links by name: index, and index of the far side. */
  readonly links: ReadonlyMap<string, { readonly index: number; readonly peer: number }>
  /** address → MAC of the neighbours on the VXLAN device that a packet would be sent to. */
  readonly neighbours: ReadonlyMap<string, string>
  /** Lines of what is nobody's of ours: rules, routes and tables that steps planted. */
  readonly foreign: ReadonlySet<string>
}

const separator = '---- 7d1f'

export async function readKernel(node: ClusterNode): Promise<KernelView> {
  const script = Object.values(documents)
    .map((command) => `${command}; echo; echo '${separator}'`)
    .join('; ')
  const { stdout, stderr, code } = await node.exec(['sh', '-c', script])
  if (code !== 0) throw new Error(`${node.name}: cannot be read: exit ${code}: ${stderr}`)
  const parts = stdout.split(`${separator}\n`)
  const read = Object.fromEntries(
    Object.keys(documents).map((name, index) => [name, parseDocument(parts[index] ?? '', name)]),
  ) as unknown as Documents
  return view(node.name, read)
}

/** One JSON list, or several in a row, or one object of nft's. */
function parseDocument(text: string, what: string): Json[] {
  const lists = text.trim().split(/(?<=\])\s*\n(?=\[)/)
  try {
    return lists.flatMap((list) => {
      const value = JSON.parse(list.trim() === '' ? '[]' : list) as Json[] | { nftables: Json[] }
      return Array.isArray(value) ? value : value.nftables
    })
  } catch (error) {
    throw new Error(`${what}: not JSON: ${text.slice(0, 400)}`, { cause: error })
  }
}

const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

function view(name: string, read: Documents): KernelView {
  const state = new Map<string, Set<string>>()
  const foreign = new Set<string>()
  for (const family of [4, 6] as const) {
    const own = rules(family, read[`rules${family}`], state, foreign)
    routes(family, read[`routes${family}`], own, state, foreign)
  }
  const proxies = [...read.proxies4, ...read.proxies6].filter((entry) => 'proxy' in entry)
  state.set('proxies', new Set(proxies.map(({ dst, dev }) => `${text(dst)} dev ${text(dev)}`)))
  state.set(
    'fdb',
    new Set(
      read.fdb.filter(({ state }) => state === 'permanent').map(({ mac, dst }) => `${text(mac)} dst ${text(dst)}`),
    ),
  )
  const { netfilter } = nftables(read.nft, state, foreign)
  const facts = devices(name, read, state, foreign)
  const links = new Map(
    read.links.map(({ ifname, ifindex, link_index }) => [
      text(ifname),
      { index: Number(ifindex), peer: Number(link_index) },
    ]),
  )
  const usable = /REACHABLE|STALE|DELAY|PROBE|PERMANENT/
  const neighbours = new Map(
    read.neighbours
      .filter(({ state }) => usable.test(String(state)))
      .map(({ dst, lladdr }) => [text(dst), text(lladdr)]),
  )
  return { facts, state, netfilter, links, neighbours, foreign }
}

/** @returns table → source of the rules of subnets */
function rules(
  family: 4 | 6,
  list: readonly Json[],
  state: Map<string, Set<string>>,
  foreign: Set<string>,
): Map<string, string> {
  const lines = new Set<string>()
  const own = new Map<string, string>()
  const order: string[] = []
  const problems = new Set<string>()
  for (const rule of [...list].sort((a, b) => Number(a['priority']) - Number(b['priority']))) {
    const { src, srclen, fwmark, fwmask, table, protocol } = rule
    const lookup = text(table)
    if (lookup === 'local' || lookup === 'default') continue
    if (lookup === 'main') {
      order.push('main')
      continue
    }
    const source =
      src === 'all' || src === undefined ? '' : `from ${text(src)}${srclen === undefined ? '' : `/${text(srclen)}`} `
    const mark = fwmark === undefined ? '' : `fwmark ${text(fwmark)}/${text(fwmask)} `
    if (Number(rule['priority']) >= 20_000) {
      foreign.add(`rule${family} ${source}${mark}lookup ${lookup}`)
      continue
    }
    const subnet = source !== '' && fwmask === '0x4040'
    const number = Number(lookup)
    if (subnet && number >= 10_000 && number < 39_999) {
      if (own.has(lookup)) problems.add(`table ${lookup} is looked up for two subnets`)
      own.set(lookup, source.slice(5, -1))
    }
    if (lines.has(`${source}${mark}lookup ${subnet ? 'own' : lookup}`))
      problems.add(`twice: ${source}${mark}lookup ${lookup}`)
    lines.add(`${source}${mark}lookup ${subnet ? 'own' : lookup}`)
    if (text(protocol) !== '72') problems.add(`not marked as ours: ${source}${mark}lookup ${lookup}`)
    const place = subnet ? 'subnets' : lookup
    if (order.at(-1) !== place) order.push(place)
  }
  for (const problem of problems) lines.add(problem)
  state.set(`rules${family}`, lines)
  state.set(`order${family}`, new Set([order.join(' ')]))
  return own
}

function routes(
  family: 4 | 6,
  list: readonly Json[],
  own: ReadonlyMap<string, string>,
  state: Map<string, Set<string>>,
  foreign: Set<string>,
): void {
  const lines = new Set<string>()
  for (const { type, dst, dev, gateway, table, protocol } of list) {
    const number = text(table)
    const thrown = type === 'throw'
    const via = gateway === undefined ? '' : ` via ${text(gateway)}`
    const line = thrown ? `throw ${text(dst)}` : `${text(dst)}${via} dev ${text(dev)}`
    if (number === 'local' || number === '' || number === 'main') {
      if (text(protocol) === '72') lines.add(`main ${line}`)
      continue
    }
    if (Number(number) >= 10_000 && Number(number) <= 40_001) lines.add(`${own.get(number) ?? number} ${line}`)
    else foreign.add(`route${family} ${number} ${line}`)
  }
  state.set(`routes${family}`, lines)
}

function nftables(
  list: readonly Json[],
  state: Map<string, Set<string>>,
  foreign: Set<string>,
): { netfilter: string[] } {
  const chains = new Map<string, string[]>()
  for (const entry of list) {
    const [kind = '', body] = Object.entries(entry)[0] ?? []
    const object = (body ?? {}) as Json
    if (kind === 'metainfo') continue
    const table = text(kind === 'table' ? object['name'] : object['table'])
    if (table !== 'hybridnet') {
      if (kind === 'table') foreign.add(`nft ${text(object['family'])} ${table}`)
      continue
    }
    if (kind === 'set') {
      const elements = (object['elem'] ?? []) as readonly unknown[]
      state.set(`nft ${text(object['name'])}`, new Set(elements.map(elementText)))
    } else if (kind === 'chain' || kind === 'rule') {
      // In the order of names: a table that was made anew may come at another place. Rules of a chain stay in their order.
      const chain = `${text(object['family'])} ${text(kind === 'chain' ? object['name'] : object['chain'])}`
      const lines = chains.get(chain) ?? []
      lines.push(JSON.stringify({ ...object, handle: undefined }))
      chains.set(chain, lines)
    }
  }
  const netfilter = [...chains].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, lines]) => lines)
  return { netfilter }
}

function elementText(element: unknown): string {
  if (typeof element === 'string') return element
  const { prefix, range } = element as { prefix?: { addr: string; len: number }; range?: readonly string[] }
  if (prefix !== undefined) return `${prefix.addr}/${prefix.len}`
  return range === undefined ? JSON.stringify(element) : range.join('-')
}

function devices(name: string, read: Documents, state: Map<string, Set<string>>, foreign: Set<string>): NodeFacts {
  const isUp = (link: Json): string =>
    (link['flags'] as readonly string[] | undefined)?.includes('UP') ? 'up' : 'down'
  const veths = new Set<string>()
  state.set('veths', veths)
  state.set('device', new Set())
  let mac = ''
  let mtu = 0
  for (const link of read.links) {
    const ifname = text(link['ifname'])
    const info = (link['linkinfo'] ?? {}) as { info_kind?: string; info_data?: Json }
    if (ifname === 'eth0') {
      mac = text(link['address'])
      mtu = Number(link['mtu'])
    } else if (info.info_kind === 'vxlan') {
      const { id, local, link: lower, port } = info.info_data ?? {}
      const what = `vxlan ${text(id)} local ${text(local)} dev ${text(lower)} port ${text(port)}`
      const line = `${what} mac ${text(link['address'])} mtu ${text(link['mtu'])} ${isUp(link)}`
      state.get('device')?.add(ifname === device ? line : `${ifname}: ${line}`)
    } else if (info.info_kind === 'veth') veths.add(`${ifname} mtu ${text(link['mtu'])} ${isUp(link)}`)
    else if (ifname !== 'lo') foreign.add(`link ${ifname}`)
  }
  const addressesOf = (ifname: string): string[] => {
    const entry = read.addresses.find((one) => one['ifname'] === ifname)
    const list = (entry?.['addr_info'] ?? []) as readonly Json[]
    return list
      .filter(({ scope }) => scope === 'global')
      .map(({ local, prefixlen }) => `${text(local)}/${text(prefixlen)}`)
  }
  state.set('device addresses', new Set(addressesOf(device)))
  return { name, mac, mtu, addresses: addressesOf('eth0') }
}
