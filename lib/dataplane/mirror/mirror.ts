// The mirror: one dump per class, then netlink notifications, so that what the kernel holds is known without asking.
//
// Events are applied in the order in which the kernel sent them. During a dump they are kept back and applied after it;
// applying one twice does no harm, since each says what an object is now. An overrun, or a change of which the kernel
// sends no notification, is a doubt: the class is dumped again and compared. Two such changes follow with certainty from
// one that is announced and need no dump: IPv4 routes and proxy neighbours of a device vanish when it goes down and when
// it loses its last IPv4 address (net/ipv4/fib_frontend.c, net/core/neighbour.c).
//
// Proxy neighbours are never announced at all (net/core/neighbour.c: pneigh_create and pneigh_delete notify nobody);
// `checkProxies` compares a small dump, and the engine calls it now and then. While nothing changed that is one comparison
// of bytes with the dump before.
//
// Not here: what ought to be. The listener is told what may have changed and looks for itself.
import { isContainerInterface } from '../../api/index.ts'
import { familyOf, type Family, type IPAddress } from '../../ip/index.ts'
import {
  Monitor,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV4_RULE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_IPV6_RULE,
  RTMGRP_LINK,
  RTMGRP_NEIGH,
  sysctlReadAll,
  unpackNeighbours,
  type NetworkNamespace,
  type RouteSocket,
} from '../../netlink/index.ts'
import type { MonitorEvent } from '../../netlink/index.ts'
import type { Addr, Link, Neigh, Route, Rule } from '../../netlink/types.ts'
import { isUp, recordOfAddress, recordOfFdb, recordOfRoute } from '../compare.ts'
import { TABLE_MAIN } from '../constants.ts'
import { isOwnVxlanName } from '../facts.ts'
import type { DataplaneRecord } from '../state.ts'
import { isInterestingMainRoute, isProxy, keyOfRoute, KernelState, type StateClass } from './state.ts'

/** Told what may differ from what it was. Calls come in bursts and must be cheap. */
export interface MirrorListener {
  /** One object may have changed. */
  touched(record: DataplaneRecord): void
  /** Some rule of the family may have changed. */
  rulesTouched(family: Family): void
  /** The device, or all that stands on it, may have changed. */
  linkTouched(name: string): void
  /** Links, addresses or main routes of the host changed: facts have to be drawn anew. */
  factsTouched(): void
  /** A class can no longer be trusted: `resolveDoubts` and a full comparison are due. */
  doubted(what: StateClass): void
  /** The mirror cannot follow any more. */
  failed(error: Error): void
}

/** Told of neighbours, which are not part of the mirror: others keep them. Calls come in bursts and must be cheap. */
export interface NeighbourListener {
  /** What a neighbour (no FDB entry, no proxy) of some device is now, or was before it went. */
  changed(neigh: Neigh, gone: boolean): void
  /** Notifications were lost: any neighbour may be another. */
  lost(): void
}

export interface MirrorOptions {
  readonly namespace: NetworkNamespace
  readonly socket: RouteSocket
  readonly listener: MirrorListener
  readonly neighbours?: NeighbourListener | undefined
  /** Whether a route of a table other than main belongs to the tables of interest. */
  readonly isOwnTable: (table: number) => boolean
}

const GROUPS =
  RTMGRP_LINK |
  RTMGRP_NEIGH |
  RTMGRP_IPV4_IFADDR |
  RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV4_ROUTE |
  RTMGRP_IPV6_ROUTE |
  RTMGRP_IPV4_RULE |
  RTMGRP_IPV6_RULE

const NETLINK_CLASSES: readonly StateClass[] = ['link', 'addr', 'route4', 'route6', 'rule4', 'rule6', 'proxy', 'fdb']

export class Mirror {
  readonly state = new KernelState()
  readonly #options: MirrorOptions
  #monitor: Monitor | null = null
  /** Events that arrived during a dump; null while none runs. */
  #backlog: MonitorEvent[] | null = null
  readonly #doubts = new Set<StateClass>()
  #overruns = 0
  /** The dump of proxy neighbours that `state` agreed with, and `state.proxyChanges` then. */
  #agreed: { readonly words: Uint32Array; readonly changes: number } | null = null

  constructor(options: MirrorOptions) {
    this.#options = options
  }

  /** Receive-buffer overruns since start. */
  get overruns(): number {
    return this.#overruns
  }

  /** Subscribes, then dumps every class. */
  async start(): Promise<void> {
    this.#subscribe()
    await this.refresh(NETLINK_CLASSES)
  }

  /** Subscribes anew after `failed`; what happened in between is a doubt in every class. */
  resubscribe(): void {
    this.stop()
    this.#subscribe()
    this.#doubtAll()
  }

  #doubtAll(): void {
    for (const what of NETLINK_CLASSES) this.doubt(what)
    this.#options.neighbours?.lost()
  }

  #subscribe(): void {
    const { namespace, listener } = this.#options
    this.#monitor = Monitor.open(namespace, {
      groups: GROUPS,
      onEvents: (events) => this.#receive(events),
      onOverrun: () => {
        this.#overruns++
        this.#doubtAll()
      },
      onError: (error) => listener.failed(error),
    })
  }

  stop(): void {
    this.#monitor?.close()
    this.#monitor = null
  }

  /** The class can no longer be trusted; `refresh` is due. */
  doubt(what: StateClass): void {
    this.#doubts.add(what)
    this.#options.listener.doubted(what)
  }

  /** Whether some class waits for a refresh. */
  get doubtful(): boolean {
    return this.#doubts.size > 0
  }

  /** Dumps the doubtful classes. */
  async resolveDoubts(): Promise<void> {
    const doubts = NETLINK_CLASSES.filter((what) => this.#doubts.has(what))
    this.#doubts.clear()
    try {
      await this.refresh(doubts)
    } catch (error) {
      for (const what of doubts) this.#doubts.add(what)
      throw error
    }
  }

  /** Reads classes anew, in dependency order. */
  async refresh(classes: readonly StateClass[]): Promise<void> {
    if (classes.length === 0) return
    this.#backlog ??= []
    try {
      for (const what of classes) await this.#dump(what)
    } finally {
      const backlog = this.#backlog
      this.#backlog = null
      for (const event of backlog) this.#apply(event)
    }
  }

  /** Reads settings that are not known yet. */
  async readSysctls(paths: readonly string[]): Promise<void> {
    const unknown = paths.filter((path) => !this.state.sysctls.has(path))
    if (unknown.length === 0) return
    const values = await sysctlReadAll(this.#options.namespace, unknown)
    values.forEach((value, i) => {
      const path = unknown[i]
      if (path !== undefined && !(value instanceof Error)) this.state.sysctls.set(path, value)
    })
  }

  /** Forgets settings, so that the next diff reads them. */
  forgetSysctls(): void {
    this.state.sysctls.clear()
  }

  /** Compares the proxy neighbours with a dump and tells the listener of each that differs. */
  async checkProxies(): Promise<void> {
    const { socket, listener } = this.#options
    const state = this.state
    const start = state.proxyChanges
    const words = await socket.neighboursFlat({ proxy: true })
    // What we wrote while the dump ran may be in one of the two only; the next check sees it in both.
    if (state.proxyChanges !== start) return
    if (this.#agreed?.changes === start && sameWords(this.#agreed.words, words)) return
    const touch = (index: number, address: IPAddress): void => {
      const link = state.linkName(index)
      if (link !== null) listener.touched({ kind: 'proxy', link, address })
    }
    const found = new Set<string>()
    for (const { index, dst } of unpackNeighbours(words)) {
      if (dst === null) continue
      found.add(`${index} ${dst}`)
      if (state.hasProxy(index, dst)) continue
      state.setProxy(index, dst)
      touch(index, dst)
    }
    for (const [index, addresses] of state.proxies()) {
      for (const address of [...addresses]) {
        if (found.has(`${index} ${address}`)) continue
        state.deleteProxy(index, address)
        touch(index, address)
      }
    }
    this.#agreed = { words, changes: state.proxyChanges }
  }

  async #dump(what: StateClass): Promise<void> {
    const { socket, listener } = this.#options
    const { state } = this
    switch (what) {
      case 'link': {
        const links = await socket.links()
        state.clear('link')
        for (const link of links) state.setLink(link)
        break
      }
      case 'addr': {
        const addresses = await socket.addresses()
        state.clear('addr')
        for (const addr of addresses) state.setAddress(addr)
        break
      }
      case 'route4':
      case 'route6': {
        const routes = await socket.routes({ family: what === 'route4' ? 4 : 6 })
        state.clear(what)
        for (const route of routes) if (this.#keeps(route)) state.setRoute(route)
        break
      }
      case 'rule4':
      case 'rule6': {
        const rules = await socket.rules(what === 'rule4' ? 4 : 6)
        state.clear(what)
        for (const rule of rules) state.setRule(rule)
        break
      }
      case 'proxy': {
        const neighbours = await socket.neighbours({ proxy: true })
        state.clear('proxy')
        for (const { index, dst } of neighbours) if (dst !== null) state.setProxy(index, dst)
        break
      }
      case 'fdb': {
        const own = [...state.links.values()].filter(isOwnVxlanName)
        const dumps = await Promise.all(own.map((link) => socket.fdb(link.index)))
        state.clear('fdb')
        for (const entry of dumps.flat()) state.setFdb(entry)
        break
      }
      case 'sysctl':
        state.clear('sysctl')
    }
    if (what === 'link' || what === 'addr' || what === 'route4' || what === 'route6') listener.factsTouched()
  }

  #keeps(route: Route): boolean {
    return route.table === TABLE_MAIN ? isInterestingMainRoute(route) : this.#options.isOwnTable(route.table)
  }

  #receive(events: readonly MonitorEvent[]): void {
    if (this.#backlog !== null) {
      for (const event of events) this.#backlog.push(event)
      return
    }
    for (const event of events) this.#apply(event)
  }

  #apply(event: MonitorEvent): void {
    const gone = event.type === 'del'
    switch (event.object) {
      case 'link':
        return this.#onLink(event.value, gone)
      case 'addr':
        return this.#onAddress(event.value, gone)
      case 'route':
        return this.#onRoute(event.value, gone)
      case 'rule':
        return this.#onRule(event.value, gone)
      case 'neigh':
        return this.#onNeigh(event.value, gone)
    }
  }

  #onLink(link: Link, gone: boolean): void {
    const { state } = this
    const { listener } = this.#options
    const before = state.links.get(link.index)
    if (gone) {
      // A bridge announces a port that leaves it as a deleted link of its own family; a device that still is there
      // reappears at once in the next message.
      state.deleteLink(link.index)
    } else {
      state.setLink(link)
      if (before !== undefined && isUp(before) && !isUp(link)) this.#dropVolatile(link.index)
    }
    listener.linkTouched(link.name)
    if (before !== undefined && before.name !== link.name) listener.linkTouched(before.name)
    if (!isContainerInterface(link.name) && changesFacts(before, gone ? undefined : link)) listener.factsTouched()
  }

  /** What the kernel removes without a word when a device goes down or loses its last IPv4 address. */
  #dropVolatile(index: number, onlyIPv4 = false): void {
    const { state } = this
    for (const route of [...state.routes()]) {
      if (route.oif === index && familyOf(route.dst.address) === 4) state.deleteRoute(route)
      else if (route.nexthops.some((hop) => hop.oif === index)) this.doubt('route4')
    }
    for (const [link, addresses] of state.proxies()) {
      if (link !== index) continue
      for (const address of [...addresses]) {
        if (!onlyIPv4 || familyOf(address) === 4) state.deleteProxy(index, address)
      }
    }
  }

  #onAddress(addr: Addr, gone: boolean): void {
    const { state } = this
    const { listener } = this.#options
    const known = state.address(addr.index, addr.address)
    if (gone) state.deleteAddress(addr)
    else state.setAddress(addr)
    const name = state.linkName(addr.index)
    if (name === null || isContainerInterface(name)) return
    if (!gone && known?.prefixLength === addr.prefixLength && known.flags === addr.flags) return
    listener.touched(recordOfAddress(addr, name))
    if (gone || known === undefined || known.prefixLength !== addr.prefixLength) listener.factsTouched()
    if (!gone || familyOf(addr.address) !== 4) return
    const left = [...state.addressesOf(addr.index)].some((other) => familyOf(other.address) === 4)
    if (!left) {
      this.#dropVolatile(addr.index, true)
      listener.linkTouched(name)
    }
    // Routes that prefer this source go with it, unannounced.
    this.doubt('route4')
  }

  #onRoute(route: Route, gone: boolean): void {
    if (!this.#keeps(route)) return
    const { state } = this
    const known = state.route(keyOfRoute(route))
    // The echo of a write of ours says nothing new.
    if (gone ? known === undefined : known !== undefined && sameRoute(known, route)) return
    if (gone) state.deleteRoute(route)
    else state.setRoute(route)
    this.#options.listener.touched(recordOfRoute(route, state))
    if (route.table === TABLE_MAIN) this.#options.listener.factsTouched()
  }

  #onRule(rule: Rule, gone: boolean): void {
    if (this.state.hasRule(rule) !== gone) return
    if (gone) this.state.deleteRule(rule)
    else this.state.setRule(rule)
    this.#options.listener.rulesTouched(rule.family)
  }

  #onNeigh(neigh: Neigh, gone: boolean): void {
    if (isProxy(neigh)) return
    if (neigh.kind !== 'bridge') return this.#options.neighbours?.changed(neigh, gone)
    const link = this.state.links.get(neigh.index)
    if (link === undefined || !isOwnVxlanName(link)) return
    if (neigh.mac === null || neigh.dst === null) return
    const known = this.state.fdbEntry(neigh.index, neigh.mac, neigh.dst)
    if (gone ? known?.dst !== neigh.dst : known?.dst === neigh.dst && known.state === neigh.state) return
    if (gone) this.state.deleteFdb(neigh)
    else this.state.setFdb(neigh)
    const record = recordOfFdb(neigh, link.name)
    if (record !== null) this.#options.listener.touched(record)
  }
}

function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  const bytes = (words: Uint32Array): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength)
  return bytes(a).equals(bytes(b))
}

/** Whether two routes of one key do the same; flags other than onlink report on the device. */
function sameRoute(a: Route, b: Route): boolean {
  return (
    a.type === b.type &&
    a.oif === b.oif &&
    a.gateway === b.gateway &&
    a.prefSrc === b.prefSrc &&
    a.scope === b.scope &&
    a.protocol === b.protocol &&
    a.nexthops.length === 0 &&
    b.nexthops.length === 0
  )
}

/** Whether facts.ts looks at what differs. */
function changesFacts(before: Link | undefined, now: Link | undefined): boolean {
  if (before === undefined || now === undefined) return before !== now
  return (
    before.name !== now.name ||
    before.mac !== now.mac ||
    before.mtu !== now.mtu ||
    before.kind !== now.kind ||
    before.vxlan?.vni !== now.vxlan?.vni
  )
}
