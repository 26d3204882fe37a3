// What the CNI server may know of the dataplane: whether a pod address is served, and if not, why.
import type { DataplaneEngine } from '../dataplane/index.ts'
import { familyOf, formatAddress, type Family, type IPAddress } from '../ip/index.ts'
import type { PodAddresses } from './cni/types.ts'
import type { PodDataplane } from './pod-networking.ts'

const STUCK_AFTER_MS = 60_000
/** The least an IPv6 link must carry (RFC 8200 §5). */
const IPV6_MINIMUM_MTU = 1280

export class EngineReadiness implements PodDataplane {
  readonly #engine: DataplaneEngine
  readonly #vxlanMtu: number
  #passed = false
  /** Since when keys have been failing. */
  readonly #failingSince = new Map<string, number>()

  /** @param vxlanMtu pod MTU on the overlay, 0 for what the parent allows */
  constructor(engine: DataplaneEngine, vxlanMtu: number) {
    this.#engine = engine
    this.#vxlanMtu = vxlanMtu
  }

  /** Both halves of the dataplane have made one complete pass (R-SRV-02). */
  get ready(): boolean {
    this.#passed ||= this.#engine.facts() !== null && this.#engine.status().netfilter.inSync
    return this.#passed
  }

  missingFor(address: IPAddress): readonly string[] {
    if (this.#engine.ready(address)) return []
    const text = formatAddress(address)
    const { waiting, failing, problems } = this.#engine.status()
    const reasons = [
      ...failing.map(({ key, error }) => `${key}: ${error}`),
      ...waiting.map(({ key, for: reason }) => `${key} waits for ${reason}`),
      ...problems.map(({ object, message }) => `${object}: ${message}`),
    ]
    const own = reasons.filter((reason) => reason.includes(text))
    const shown = (own.length > 0 ? own : reasons).slice(0, 5)
    return [`${text} is not served by the node yet${shown.length > 0 ? ` (${shown.join('; ')})` : ''}`]
  }

  mtuOf(mode: PodAddresses['mode'], addresses: readonly IPAddress[]): number | null {
    const mtu = this.#engine.facts()?.mtu
    if (mtu === undefined) return null
    const automatic = mode === 'VXLAN' ? mtu.vxlan : mode === 'VLAN' ? mtu.vlan : mtu.bgp
    const chosen = mode === 'VXLAN' && this.#vxlanMtu > 0 ? this.#vxlanMtu : automatic
    if (chosen === null) return null
    return addresses.some((address) => familyOf(address) === 6) ? Math.max(chosen, IPV6_MINIMUM_MTU) : chosen
  }

  hasNodeAddress(family: Family): boolean {
    return this.#engine.facts()?.addresses.some(({ address }) => familyOf(address) === family) ?? false
  }

  stuck(): readonly string[] {
    const now = Date.now()
    const { failing } = this.#engine.status()
    const keys = new Set(failing.map(({ key }) => key))
    for (const key of this.#failingSince.keys()) if (!keys.has(key)) this.#failingSince.delete(key)
    for (const key of keys) if (!this.#failingSince.has(key)) this.#failingSince.set(key, now)
    return failing
      .filter(({ key }) => now - (this.#failingSince.get(key) ?? now) >= STUCK_AFTER_MS)
      .map(({ key, error, attempts }) => `${key}: ${error} (${attempts} attempts)`)
  }
}
