// Whether an address may be used on a segment, and whether its gateway is there (RFC 5227 §2.1, RFC 4862 §5.4).
//
//   0        1/15      2/15            1/2                            t
//   ├─────────┼─────────┼───────────────┼──────┼──────┼──────┼────────┤     (200 ms, 400 ms with the default of 3 s)
//   ask address and gateway, three times  ask the gateway again, as the address
//
// Both go on at once, and listening ends early only with bad news: an owner may answer late (proxies of older nodes wait up
// to 0.8 s). Questions come from nobody (0.0.0.0, ::), so that no neighbour learns anything before the address is known to be
// free. Two things are not reached in this way: an IPv4 neighbour that is answered for by another node (Linux proxies do not
// answer 0.0.0.0), for whom the question is repeated from an address of this node; and gateways that ignore strangers, which
// are asked from the address itself once an owner would have spoken up.
import type { IPAddress } from '../../ip/index.ts'
import { familyOf } from '../../ip/index.ts'
import { LANGUAGES, type Heard } from './language.ts'
import type { Segments } from './segment.ts'

export interface AddressQuestion {
  /** Of the device. */
  readonly index: number
  readonly mac: number
  readonly address: IPAddress
  readonly gateway: IPAddress
  /** An IPv4 address of this node, null when it has none. Not looked at for IPv6, where proxies answer everybody. */
  readonly nodeAddress: number | null
  /** How long to listen altogether. */
  readonly timeoutMs: number
  /** Whether a MAC address is one of this node's own: what its devices say to each other is no news. */
  readonly isOwn: (mac: number) => boolean
  readonly signal: AbortSignal
}

export type AddressVerdict =
  | { readonly verdict: 'free' }
  /** Somebody else has it, or is about to (`asks`). */
  | { readonly verdict: 'taken'; readonly mac: number; readonly what: Heard['what'] }
  | { readonly verdict: 'gateway silent' }

/**
 * Ask and listen.
 *
 * @throws NetlinkError when the device does not send; the signal's reason when it aborts
 */
export function checkAddress(segments: Segments, question: AddressQuestion): Promise<AddressVerdict> {
  const { index, mac, address, gateway, nodeAddress, timeoutMs, isOwn, signal } = question
  const language = LANGUAGES[familyOf(address)]
  return new Promise<AddressVerdict>((resolve, reject) => {
    const timers: NodeJS.Timeout[] = []
    let gatewayHeard = false
    let settled = false
    const finish = (settle: () => void): void => {
      settled = true
      for (const timer of timers.splice(0)) clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      place?.close()
      settle()
    }
    const abort = (): void => finish(() => reject(signal.reason as Error))
    const hear = ({ address: about, mac: from, what }: Heard): void => {
      if (isOwn(from)) return
      if (about === gateway && what === 'has') gatewayHeard = true
      if (about === address) finish(() => resolve({ verdict: 'taken', mac: from, what }))
    }
    const attempt = (work: () => void): void => {
      try {
        work()
      } catch (error) {
        finish(() => reject(error instanceof Error ? error : new Error(String(error))))
      }
    }
    const at = (ms: number, work: () => void): void => void timers.push(setTimeout(() => attempt(work), ms))
    const ask = (sender: IPAddress | null, target: IPAddress): void =>
      place?.send(language.question(mac, sender, target))
    const probe = (): void => {
      ask(null, address)
      if (typeof address === 'number' && nodeAddress !== null) ask(nodeAddress, address)
      if (!gatewayHeard) ask(null, gateway)
    }
    const insist = (): void => {
      if (!gatewayHeard) ask(address, gateway)
    }

    let place: ReturnType<Segments['listen']> | null = null
    if (signal.aborted) return reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    attempt(() => {
      place = segments.listen(index, familyOf(address), hear)
      probe()
    })
    // A device that does not send has settled it.
    if (settled) return
    for (const part of [1 / 15, 2 / 15]) at(timeoutMs * part, probe)
    for (const part of [1 / 2, 5 / 8, 3 / 4, 7 / 8]) at(timeoutMs * part, insist)
    const conclude = (): void => finish(() => resolve({ verdict: gatewayHeard ? 'free' : 'gateway silent' }))
    // After a stall of the event loop the timer is due before what was heard in the meantime: that comes first.
    at(timeoutMs, () => void setImmediate(conclude))
  })
}
