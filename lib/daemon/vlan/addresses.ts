// The addresses of VLAN pods on their segments: checked before a pod gets them, announced when it has, and announced again when
// the device behind them changes its MAC address or comes back, since neighbours remember the old state of things (defect 47).
import { vlanInterfaceName } from '../../api/index.ts'
import { IFF_UP, type DataplaneEngine } from '../../dataplane/index.ts'
import { familyOf, formatAddress, formatMac, isGlobalUnicast, type IPAddress } from '../../ip/index.ts'
import type { NetworkNamespace } from '../../netlink/index.ts'
import type { Logger } from '../../telemetry/log.ts'
import { addressConflict, CniError, gatewayUnreachable, invalidNetworkConfiguration, tryAgain } from '../cni/errors.ts'
import { checkAddress } from './check.ts'
import { LANGUAGES } from './language.ts'
import { Segments } from './segment.ts'

/** An address that is about to be a pod's. */
export interface VlanAddress {
  readonly address: IPAddress
  readonly gateway: IPAddress | null
  /** 802.1Q id of its Subnet; 0 is untagged, null unknown. */
  readonly vlanId: number | null
}

export interface VlanAddressesOptions {
  readonly namespace: NetworkNamespace
  readonly engine: Pick<DataplaneEngine, 'actual' | 'desired' | 'facts' | 'onProgress'>
  /** Parent of the VLAN devices. */
  readonly parent: string
  /** How long an address is asked about. */
  readonly timeoutMs: number
  readonly log: Logger
}

interface Placed {
  readonly address: IPAddress
  readonly link: string
}

/** Frames get lost: everything is said twice (ANNOUNCE_NUM of RFC 5227 §1.1). */
const AGAIN_MS = 1000

export class VlanAddresses {
  readonly #options: VlanAddressesOptions
  readonly #segments: Segments
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #unsubscribe: () => void
  /** Devices of the node as last seen: the MAC address of those that are up, null for others. */
  readonly #seen = new Map<string, number | null>()

  constructor(options: VlanAddressesOptions) {
    this.#options = options
    this.#segments = new Segments(options.namespace)
    this.#unsubscribe = options.engine.onProgress(() => this.#watch())
  }

  stop(): void {
    this.#unsubscribe()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  /**
   * Check addresses, all at once.
   *
   * @throws CniError 101 no gateway, 104 the gateway is silent, 105 somebody has the address, 11 no such device (yet)
   */
  async check(addresses: readonly VlanAddress[], signal: AbortSignal): Promise<void> {
    const both = new AbortController()
    const follow = (): void => both.abort(signal.reason)
    if (signal.aborted) follow()
    signal.addEventListener('abort', follow, { once: true })
    try {
      await Promise.all(addresses.map((address) => this.#check(address, both.signal)))
    } finally {
      signal.removeEventListener('abort', follow)
      // The first bad news ends the other checks.
      both.abort(tryAgain('another address of the pod cannot be used'))
    }
  }

  async #check({ address, gateway, vlanId }: VlanAddress, signal: AbortSignal): Promise<void> {
    const text = formatAddress(address)
    const name = this.#device(text, vlanId)
    if (gateway === null) {
      throw invalidNetworkConfiguration(`the Subnet of ${text} has no gateway`, 'a VLAN Subnet needs one')
    }
    const { engine, timeoutMs } = this.#options
    const state = engine.actual()
    const device = state.link(name)
    if (device === undefined || device.mac === null) throw tryAgain(`device ${name} of ${text} does not exist yet`)
    const own = new Set([...state.links.values()].map(({ mac }) => mac))
    try {
      const answer = await checkAddress(this.#segments, {
        index: device.index,
        mac: device.mac,
        address,
        gateway,
        nodeAddress: this.#nodeAddress(name),
        timeoutMs,
        isOwn: (mac) => own.has(mac),
        signal,
      })
      if (answer.verdict === 'gateway silent') {
        throw gatewayUnreachable(
          `gateway ${formatAddress(gateway)} does not answer on ${name}`,
          `asked for ${timeoutMs} ms on behalf of ${text}; is the switch port a member of the VLAN?`,
        )
      }
      if (answer.verdict === 'taken') {
        const mac = formatMac(answer.mac)
        throw addressConflict(
          `${text} is in use on ${name}`,
          answer.what === 'has' ? `${mac} answers for it` : `${mac} is about to use it, too`,
        )
      }
    } catch (error) {
      if (error instanceof CniError) throw error
      throw tryAgain(`${text} cannot be checked on ${name}`, error instanceof Error ? error.message : String(error))
    }
  }

  #device(address: string, vlanId: number | null): string {
    try {
      return vlanInterfaceName(this.#options.parent, vlanId)
    } catch (error) {
      throw invalidNetworkConfiguration(`${address} is on no VLAN`, error instanceof Error ? error.message : '')
    }
  }

  /** An IPv4 address of the node, one of the device if there is any: what the kernel would ask from. */
  #nodeAddress(name: string): number | null {
    const all = (this.#options.engine.facts()?.addresses ?? []).filter(
      ({ address }) => typeof address === 'number' && isGlobalUnicast(address),
    )
    const chosen = all.find(({ link }) => link === name) ?? all[0]
    return (chosen?.address as number | undefined) ?? null
  }

  /** Tell the neighbours where checked addresses are: now, and once more. */
  announce(addresses: readonly Pick<VlanAddress, 'address' | 'vlanId'>[]): void {
    this.#announce(
      addresses.map(({ address, vlanId }) => ({ address, link: this.#device(formatAddress(address), vlanId) })),
    )
  }

  #announce(addresses: readonly Placed[]): void {
    if (addresses.length === 0) return
    this.#say(addresses)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#say(addresses)
    }, AGAIN_MS)
    this.#timers.add(timer)
  }

  #say(addresses: readonly Placed[]): void {
    for (const { address, link } of addresses) {
      const device = this.#options.engine.actual().link(link)
      if (device === undefined || device.mac === null) continue
      try {
        const place = this.#segments.listen(device.index, familyOf(address), () => undefined)
        try {
          for (const frame of LANGUAGES[familyOf(address)].announcement(device.mac, address)) place.send(frame)
        } finally {
          place.close()
        }
      } catch (error) {
        // Neighbours find out by themselves, later.
        this.#options.log.warn({ err: error, object: formatAddress(address), link }, 'cannot announce an address')
      }
    }
  }

  /** Called after each change of the kernel; the devices of a node, without those of its pods, are few. */
  #watch(): void {
    const { engine, log } = this.#options
    const state = engine.actual()
    for (const name of new Set([...(engine.facts()?.hostLinks ?? []), ...this.#seen.keys()])) {
      const before = this.#seen.get(name)
      const link = state.link(name)
      const now = link === undefined || (link.flags & IFF_UP) === 0 ? null : link.mac
      this.#seen.set(name, now)
      if (before === undefined || now === null || now === before) continue
      const addresses: Placed[] = []
      for (const [, { record }] of engine.desired()) {
        if (record.kind === 'proxy' && record.link === name) addresses.push(record)
      }
      if (addresses.length > 0)
        log.info(
          { object: name, addresses: addresses.length },
          'a device changed; announcing the addresses of pods on it',
        )
      this.#announce(addresses)
    }
  }
}
