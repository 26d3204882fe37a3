// Notifications of a namespace, from a native reader thread with a forced 8 MiB buffer. Events arrive in batches, one
// callback per wake-up with some 3000 events at most, in the kernel's order.
//
// Nothing is guessed: what was lost, in the kernel's buffer or because this process did not read for long, is reported as
// an overrun at the place where it happened; whoever mirrors state dumps it again then.
import { addon, type NativeSubscription } from './addon.ts'
import { unpackAddr } from './addr.ts'
import * as C from './constants.ts'
import { asNetlinkError, NetlinkError } from './errors.ts'
import { STREAM_HEADER } from './layout.ts'
import { unpackLink } from './link.ts'
import { unpackNeigh } from './neigh.ts'
import type { NetworkNamespace } from './namespace.ts'
import { unpackRoute } from './route.ts'
import { unpackRule } from './rule.ts'
import type { Addr, Link, Neigh, Route, Rule } from './types.ts'
import { wordView, type WordView } from './words.ts'

/** What changed. A 'new' is an addition or a change; the kernel does not say which. */
export type MonitorEvent = { readonly type: 'new' | 'del' } & (
  | { readonly object: 'link'; readonly value: Link }
  | { readonly object: 'addr'; readonly value: Addr }
  | { readonly object: 'route'; readonly value: Route }
  | { readonly object: 'rule'; readonly value: Rule }
  | { readonly object: 'neigh'; readonly value: Neigh }
)

export type MonitorObject = MonitorEvent['object']

export interface MonitorOptions {
  /** Kinds of objects, in both families, or an OR of RTMGRP_*. */
  readonly groups: number | readonly MonitorObject[]
  /** Receive buffer of the socket; default 8 MiB (20,000 events), forced where privileges allow. */
  readonly receiveBytes?: number
  /** What may wait for this process; default 32 MiB (some 380,000 route events). */
  readonly queueBytes?: number
  readonly onEvents: (events: readonly MonitorEvent[]) => void
  /**
   * Events after those delivered so far were lost: 'kernel' when its buffer was full, 'process' when this one did not
   * take them for long. Dump again what is mirrored.
   */
  readonly onOverrun: (where: 'kernel' | 'process') => void
  /** Reading has failed for good; only close() is left to do. */
  readonly onError: (error: NetlinkError) => void
}

const GROUPS: Readonly<Record<MonitorObject, number>> = {
  link: C.RTMGRP_LINK,
  addr: C.RTMGRP_IPV4_IFADDR | C.RTMGRP_IPV6_IFADDR,
  route: C.RTMGRP_IPV4_ROUTE | C.RTMGRP_IPV6_ROUTE,
  rule: C.RTMGRP_IPV4_RULE | C.RTMGRP_IPV6_RULE,
  neigh: C.RTMGRP_NEIGH,
}

export class Monitor {
  readonly #native: NativeSubscription
  readonly #options: MonitorOptions
  readonly #path: string
  #closed = false

  private constructor(namespace: NetworkNamespace, options: MonitorOptions) {
    const { groups, receiveBytes = 8 * 1024 * 1024, queueBytes = 32 * 1024 * 1024 } = options
    const mask = typeof groups === 'number' ? groups : groups.reduce((sum, object) => sum | GROUPS[object], 0)
    this.#options = options
    this.#path = namespace.path
    const Native = addon().Monitor
    try {
      this.#native = new Native(namespace.fd, mask, receiveBytes, queueBytes, (words, loss, errno) =>
        this.#deliver(words, loss, errno),
      )
    } catch (error) {
      throw asNetlinkError(error, `monitor ${namespace.path}`)
    }
  }

  /**
   * Subscribes. What happens from now on is reported; for a full picture subscribe first, then dump. Keeps the process
   * alive until close().
   *
   * Equivalent to: `ip monitor link address route rule neigh`
   *
   * @throws NetlinkError when the namespace cannot be entered
   */
  static open(namespace: NetworkNamespace, options: MonitorOptions): Monitor {
    return new Monitor(namespace, options)
  }

  /** No callback runs afterwards. Repeating it does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#native.close()
  }

  #deliver(words: Uint32Array, loss: number, errno: number): void {
    const events = decodeEvents(words)
    if (events.length > 0) this.#options.onEvents(events)
    // Each callback may have closed the monitor.
    if (loss !== 0 && !this.#closed) this.#options.onOverrun(loss === 1 ? 'kernel' : 'process')
    if (errno !== 0 && !this.#closed) this.#options.onError(new NetlinkError(errno, `monitor ${this.#path}`))
  }
}

/** The events of a stream of records; message types without an object here are left out. */
export function decodeEvents(words: Uint32Array): MonitorEvent[] {
  const view = wordView(words)
  const events: MonitorEvent[] = []
  for (let at = 0; at + STREAM_HEADER <= words.length;) {
    const length = words[at + 1] ?? 0
    const event = decodeEvent(view, (words[at] ?? 0) & 0xffff, at + STREAM_HEADER, length)
    if (event !== null) events.push(event)
    at += STREAM_HEADER + length + (length & 1)
  }
  return events
}

function decodeEvent(view: WordView, message: number, at: number, length: number): MonitorEvent | null {
  switch (message) {
    case C.RTM_NEWLINK:
    case C.RTM_DELLINK:
      // A bridge announces its ports as links too, in its own family: a port that leaves is no device that goes.
      if (((view.words[at] ?? 0) & 0xff) !== C.AF_UNSPEC) return null
      return { type: typeOf(message), object: 'link', value: unpackLink(view.words, at, length) }
    case C.RTM_NEWADDR:
    case C.RTM_DELADDR:
      return { type: typeOf(message), object: 'addr', value: unpackAddr(view, at) }
    case C.RTM_NEWROUTE:
    case C.RTM_DELROUTE:
      return { type: typeOf(message), object: 'route', value: unpackRoute(view, at) }
    case C.RTM_NEWRULE:
    case C.RTM_DELRULE:
      return { type: typeOf(message), object: 'rule', value: unpackRule(view, at) }
    case C.RTM_NEWNEIGH:
    case C.RTM_DELNEIGH:
      return { type: typeOf(message), object: 'neigh', value: unpackNeigh(view, at) }
    default:
      return null
  }
}

/** RTM_DEL* are the odd numbers after the RTM_NEW*, which are multiples of four. */
function typeOf(message: number): 'new' | 'del' {
  return (message & 3) === 0 ? 'new' : 'del'
}
