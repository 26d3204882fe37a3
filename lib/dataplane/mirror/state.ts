// What the kernel holds, as far as this project looks: the data of the mirror, with no idea of how it is filled.
//
// Objects are keyed the way the kernel keys them and by device index; names are resolved through the link table when
// somebody asks. Of routes only the tables of ours and a few of main are kept, so that another daemon's full BGP table
// costs no memory here. Pure data structure: the same class is the model kernel of the property tests.
import { familyOf, type Family, type IPAddress } from '../../ip/index.ts'
import type { Addr, Link, Neigh, Route, Rule } from '../../netlink/types.ts'
import { FAN_OUT_MAC, NTF_PROXY, RTN_UNICAST, TABLE_MAIN } from '../constants.ts'
import { routeKey } from '../state.ts'

/** Which routes to keep: see `RouteFilter` of the engine. */
export type RouteFilter = (route: Route) => boolean

/** Main-table routes that facts are drawn from: defaults and connected ones. */
export function isInterestingMainRoute(route: Route): boolean {
  return (
    route.table === TABLE_MAIN && (route.dst.length === 0 || (route.type === RTN_UNICAST && route.gateway === null))
  )
}

export class KernelState {
  readonly links = new Map<number, Link>()
  readonly #byName = new Map<string, number>()
  readonly #addresses = new Map<number, Map<IPAddress, Addr>>()
  readonly #routes = new Map<string, Route>()
  /** Keys of #routes by family and table. */
  readonly #tables = new Map<string, Set<string>>()
  readonly #rules: Readonly<Record<Family, Map<string, Rule>>> = { 4: new Map(), 6: new Map() }
  readonly #proxies = new Map<number, Set<IPAddress>>()
  #proxyChanges = 0
  readonly #fdb = new Map<number, Map<string, Neigh>>()
  /** Values by path; null for a file that does not exist. Absent: never read. */
  readonly sysctls = new Map<string, string | null>()

  link(name: string): Link | undefined {
    const index = this.#byName.get(name)
    return index === undefined ? undefined : this.links.get(index)
  }

  linkName(index: number): string | null {
    return this.links.get(index)?.name ?? null
  }

  setLink(link: Link): void {
    const old = this.links.get(link.index)
    if (old !== undefined && old.name !== link.name) this.#byName.delete(old.name)
    this.links.set(link.index, link)
    this.#byName.set(link.name, link.index)
  }

  /** Forgets the device and all that goes with it for certain: addresses, neighbours, FDB, routes through it alone. */
  deleteLink(index: number): void {
    const link = this.links.get(index)
    if (link !== undefined && this.#byName.get(link.name) === index) this.#byName.delete(link.name)
    this.links.delete(index)
    this.#addresses.delete(index)
    if (this.#proxies.delete(index)) this.#proxyChanges++
    this.#fdb.delete(index)
    for (const route of [...this.#routes.values()]) if (route.oif === index) this.deleteRoute(route)
    if (link === undefined) return
    for (const path of [...this.sysctls.keys()]) if (path.split('/').includes(link.name)) this.sysctls.delete(path)
  }

  address(index: number, address: IPAddress): Addr | undefined {
    return this.#addresses.get(index)?.get(address)
  }

  addresses(): Addr[] {
    return [...this.#addresses.values()].flatMap((byIp) => [...byIp.values()])
  }

  addressesOf(index: number): Iterable<Addr> {
    return this.#addresses.get(index)?.values() ?? []
  }

  setAddress(addr: Addr): void {
    const byIp = this.#addresses.get(addr.index)
    if (byIp === undefined) this.#addresses.set(addr.index, new Map([[addr.address, addr]]))
    else byIp.set(addr.address, addr)
  }

  deleteAddress(addr: Pick<Addr, 'index' | 'address' | 'prefixLength'>): void {
    const byIp = this.#addresses.get(addr.index)
    // The same address may exist with two prefix lengths while one replaces the other.
    if (byIp?.get(addr.address)?.prefixLength === addr.prefixLength) byIp.delete(addr.address)
  }

  route(key: string): Route | undefined {
    return this.#routes.get(key)
  }

  routes(): Iterable<Route> {
    return this.#routes.values()
  }

  /** The kept routes of one table. */
  routesOf(family: Family, table: number): Route[] {
    const keys = this.#tables.get(`${family} ${table}`)
    return keys === undefined ? [] : [...keys].flatMap((key) => this.#routes.get(key) ?? [])
  }

  /** The kept routes of the main table, of both families. */
  mainRoutes(): Route[] {
    return [...this.routesOf(4, TABLE_MAIN), ...this.routesOf(6, TABLE_MAIN)]
  }

  /** Numbers of tables of the family with kept routes. */
  tables(family: Family): number[] {
    return [...this.#tables.keys()].flatMap((key) => {
      const [f, table] = key.split(' ')
      return Number(f) === family ? [Number(table)] : []
    })
  }

  setRoute(route: Route): void {
    const key = keyOfRoute(route)
    this.#routes.set(key, route)
    const tableKey = `${familyOf(route.dst.address)} ${route.table}`
    const keys = this.#tables.get(tableKey)
    if (keys === undefined) this.#tables.set(tableKey, new Set([key]))
    else keys.add(key)
  }

  deleteRoute(route: Pick<Route, 'dst' | 'table' | 'metric'>): void {
    const key = keyOfRoute(route)
    this.#routes.delete(key)
    const tableKey = `${familyOf(route.dst.address)} ${route.table}`
    const keys = this.#tables.get(tableKey)
    if (keys === undefined) return
    keys.delete(key)
    if (keys.size === 0) this.#tables.delete(tableKey)
  }

  /** All rules of the family by ascending priority. */
  rules(family: Family): Rule[] {
    return [...this.#rules[family].values()].sort((a, b) => a.priority - b.priority)
  }

  hasRule(rule: Rule): boolean {
    return this.#rules[rule.family].has(ruleIdentity(rule))
  }

  setRule(rule: Rule): void {
    this.#rules[rule.family].set(ruleIdentity(rule), rule)
  }

  deleteRule(rule: Rule): void {
    this.#rules[rule.family].delete(ruleIdentity(rule))
  }

  hasProxy(index: number, address: IPAddress): boolean {
    return this.#proxies.get(index)?.has(address) === true
  }

  proxies(): Iterable<readonly [number, ReadonlySet<IPAddress>]> {
    return this.#proxies
  }

  /** Grows with every change of the proxy neighbours here. */
  get proxyChanges(): number {
    return this.#proxyChanges
  }

  setProxy(index: number, address: IPAddress): void {
    this.#proxyChanges++
    const known = this.#proxies.get(index)
    if (known === undefined) this.#proxies.set(index, new Set([address]))
    else known.add(address)
  }

  deleteProxy(index: number, address: IPAddress): void {
    if (this.#proxies.get(index)?.delete(address) === true) this.#proxyChanges++
  }

  fdb(index: number): Iterable<Neigh> {
    return this.#fdb.get(index)?.values() ?? []
  }

  fdbEntry(index: number, mac: number, dst: IPAddress): Neigh | undefined {
    return this.#fdb.get(index)?.get(fdbIdentity(mac, dst))
  }

  setFdb(entry: Neigh): void {
    if (entry.mac === null) return
    const key = fdbIdentity(entry.mac, entry.dst)
    const known = this.#fdb.get(entry.index)
    if (known === undefined) this.#fdb.set(entry.index, new Map([[key, entry]]))
    else known.set(key, entry)
  }

  deleteFdb(entry: Pick<Neigh, 'index' | 'mac' | 'dst'>): void {
    if (entry.mac === null) return
    const known = this.#fdb.get(entry.index)
    const key = fdbIdentity(entry.mac, entry.dst)
    // A unicast entry whose destination was replaced is announced as a deletion of the old one.
    if (known?.get(key)?.dst === entry.dst) known.delete(key)
  }

  /** Empties one class before a dump refills it. `tables` limits a route class to those tables. */
  clear(what: StateClass, index?: number, tables?: ReadonlySet<number>): void {
    switch (what) {
      case 'link':
        this.links.clear()
        this.#byName.clear()
        return
      case 'addr':
        this.#addresses.clear()
        return
      case 'route4':
      case 'route6': {
        const family = what === 'route4' ? 4 : 6
        for (const route of [...this.#routes.values()]) {
          if (familyOf(route.dst.address) !== family) continue
          if (tables === undefined || tables.has(route.table)) this.deleteRoute(route)
        }
        return
      }
      case 'rule4':
        this.#rules[4].clear()
        return
      case 'rule6':
        this.#rules[6].clear()
        return
      case 'proxy':
        this.#proxies.clear()
        this.#proxyChanges++
        return
      case 'fdb':
        if (index === undefined) this.#fdb.clear()
        else this.#fdb.delete(index)
        return
      case 'sysctl':
        this.sysctls.clear()
    }
  }
}

/** What is dumped, doubted and re-dumped together. */
export type StateClass = 'link' | 'addr' | 'route4' | 'route6' | 'rule4' | 'rule6' | 'proxy' | 'fdb' | 'sysctl'

export function keyOfRoute(route: Pick<Route, 'dst' | 'table' | 'metric'>): string {
  return routeKey(familyOf(route.dst.address), route.table, route.dst, route.metric)
}

/** Rules have no identity in the kernel; all that tells two apart. */
function ruleIdentity(rule: Rule): string {
  const { priority, src, dst, fwmark, fwmask, table, action, foreignSelector } = rule
  const prefix = (value: Rule['src']): string => (value === null ? '' : `${value.address}/${value.length}`)
  return `${priority} ${prefix(src)} ${prefix(dst)} ${fwmark}/${fwmask} ${table} ${action} ${foreignSelector}`
}

/** A unicast MAC has one destination, the fan-out MAC many. */
function fdbIdentity(mac: number, dst: IPAddress | null): string {
  return mac === FAN_OUT_MAC ? `${mac} ${dst ?? ''}` : String(mac)
}

/** Whether the entry is a proxy neighbour. */
export function isProxy(neigh: Neigh): boolean {
  return neigh.kind !== 'bridge' && (neigh.flags & NTF_PROXY) !== 0
}
