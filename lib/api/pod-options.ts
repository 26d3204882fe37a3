// What users write on pods, namespaces and Services, read text by text (api.md §3.1 to §3.4, §3.7, §3.8). Which level
// wins and what the objects named must look like needs other objects, and is the webhook's and the manager's part.
import { familyOf, tryParseAddress, tryParseMac, isIPv4Mapped, type IPAddress } from '../ip/index.ts'
import type { IPFamily, NetworkType } from './networking.ts'

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'true', 'TRUE', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'false', 'FALSE', 'False'].map((text) => [text, false] as const),
])

/** "bool text": exactly one of Go's spellings; anything else, the empty text included, is `fallback`. */
export function parseBool(text: string | null | undefined, fallback: boolean): boolean {
  return BOOLEANS.get(text ?? '') ?? fallback
}

/** The first text that is not empty, else ''. */
export function firstNonEmpty(...texts: readonly (string | null | undefined)[]): string {
  return texts.find((text) => text !== undefined && text !== null && text !== '') ?? ''
}

/** The type in its canonical case; null when the text is none. Empty text is `fallback`. */
export function parseNetworkType(
  text: string | null | undefined,
  fallback: NetworkType = 'Underlay',
): NetworkType | null {
  if (!text) return fallback
  switch (text.toLowerCase()) {
    case 'underlay':
      return 'Underlay'
    case 'overlay':
      return 'Overlay'
    case 'globalbgp':
      return 'GlobalBGP'
    default:
      return null
  }
}

/** The family in its canonical form; null when the text is none. Empty text is `fallback`. */
export function parseIPFamily(text: string | null | undefined, fallback: IPFamily = 'IPv4Only'): IPFamily | null {
  if (!text) return fallback
  switch (text.toLowerCase()) {
    case 'ipv4':
    case 'ipv4only':
      return 'IPv4Only'
    case 'ipv6':
    case 'ipv6only':
      return 'IPv6Only'
    case 'dualstack':
      return 'DualStack'
    default:
      return null
  }
}

/** How many addresses of each version the family takes, in order. */
export function versionsOf(family: IPFamily): readonly (4 | 6)[] {
  if (family === 'DualStack') return [4, 6]
  return family === 'IPv4Only' ? [4] : [6]
}

/** A value, or a sentence saying why there is none. */
export type Result<T> = { readonly value: T; readonly error: null } | { readonly value: null; readonly error: string }

const ok = <T>(value: T): Result<T> => ({ value, error: null })
const fail = (error: string): Result<never> => ({ value: null, error })

/** `specified-subnet`: no name, one name, or "v4name/v6name". */
export function splitSpecifiedSubnet(text: string | null | undefined): Result<readonly string[]> {
  if (!text) return ok([])
  const names = text.split('/')
  if (names.length > 2)
    return fail(`specified subnet ${JSON.stringify(text)} names ${names.length} subnets, expected at most 2`)
  if (names.includes('')) return fail(`specified subnet ${JSON.stringify(text)} has an empty name`)
  return ok(names)
}

/** One entry of an `ip-pool`: "ip" or "ipv4/ipv6". IPv4-mapped IPv6 text is refused: it would be a second name of an address. */
export function parsePoolEntry(text: string): Result<readonly IPAddress[]> {
  if (text === '') return fail('the ip pool entry is empty')
  const parts = text.split('/')
  const addresses: IPAddress[] = []
  for (const part of parts) {
    const address = tryParseAddress(part)
    if (address === null || isIPv4Mapped(address))
      return fail(`${JSON.stringify(part)} in the ip pool is not an IPv4 or IPv6 address`)
    addresses.push(address)
  }
  const families = addresses.map(familyOf).join('/')
  if (addresses.length > 2 || (addresses.length === 2 && families !== '4/6')) {
    return fail(`the ip pool entry ${JSON.stringify(text)} is neither one address nor IPv4/IPv6`)
  }
  return ok(addresses)
}

/** The addresses of every ordinal. Empty and repeated entries are errors. */
export function parseIPPool(text: string): Result<readonly (readonly IPAddress[])[]> {
  const entries: (readonly IPAddress[])[] = []
  const seen = new Map<IPAddress, number>()
  for (const [index, part] of text.split(',').entries()) {
    const entry = parsePoolEntry(part)
    if (entry.error !== null) return fail(`entry ${index}: ${entry.error}`)
    for (const address of entry.value) {
      const earlier = seen.get(address)
      if (earlier !== undefined) return fail(`entry ${index}: ${part} repeats an address of entry ${earlier}`)
      seen.set(address, index)
    }
    entries.push(entry.value)
  }
  return ok(entries)
}

/** The pool entry of an ordinal; only this entry is checked, so a bad one stops only its own pod. */
export function poolEntryAt(text: string, ordinal: number): Result<string> {
  const entries = text.split(',')
  const entry = entries[ordinal]
  if (entry === undefined) return fail(`the pool has ${entries.length} entries, none for ordinal ${ordinal}`)
  if (entry === '') return fail(`entry ${ordinal} of the pool is empty`)
  return ok(entry)
}

/** Whether the addresses are what the family asks for: exactly one of its version, or IPv4 then IPv6. */
export function addressesFit(addresses: readonly IPAddress[], family: IPFamily): boolean {
  const versions = versionsOf(family)
  return addresses.length === versions.length && addresses.every((address, i) => familyOf(address) === versions[i])
}

const DASHED = /^[0-9a-fA-F]{2}(?:-[0-9a-fA-F]{2}){5}$/
const DOTTED = /^[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4}){2}$/

/** A MAC with colons, with dashes, or as Cisco's dotted groups; null otherwise. Only 6 bytes (the original takes 8 and 20 too). */
export function normaliseMac(text: string): number | null {
  if (DASHED.test(text) || DOTTED.test(text)) return Number.parseInt(text.replaceAll(/[-.]/g, ''), 16)
  return tryParseMac(text)
}

/** The MAC of every ordinal. */
export function parseMacPool(text: string): Result<readonly number[]> {
  const macs: number[] = []
  for (const [index, part] of text.split(',').entries()) {
    if (part === '') return fail(`entry ${index} of the mac pool is empty`)
    const mac = normaliseMac(part)
    if (mac === null)
      return fail(`entry ${index} of the mac pool: ${JSON.stringify(part)} is not a MAC address of 6 bytes`)
    macs.push(mac)
  }
  return ok(macs)
}
