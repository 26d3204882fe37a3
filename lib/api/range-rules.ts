// The address-range rules of admission, first hit answers (api.md §4.2.2 a to l, in the order of manager.md §5.10 V-2).
// The sentences are the ones users of the original know. Two are ours: the CIDR
// must be of the version named (j2), and rule i looks at default bounds too.
import { contains, familyBits, familyOf, formatAddress, formatPrefix, type IPAddress } from '../ip/index.ts'
import type { AddressRangeSpec } from './networking.ts'
import { defaultEnd, defaultStart, tryParsePlainAddress, tryParsePlainCidr } from './parse/range.ts'

export interface RangeViolation {
  /** Letter of the rule in api.md §4.2.2. */
  readonly rule: string
  /** Field of the range: "start", "excludeIPs[1]". */
  readonly field: string
  readonly message: string
}

/** The first rule the range breaks, null when it is right. */
export function rangeViolation(range: AddressRangeSpec): RangeViolation | null {
  const hit = (rule: string, field: string, message: string): RangeViolation => ({ rule, field, message })
  const { version } = range
  if (version !== '4' && version !== '6') return hit('a', 'version', `unsupported IP Version ${version}`)

  const start = range.start ? tryParsePlainAddress(range.start) : undefined
  if (start === null) return hit('b', 'start', `invalid range start ${range.start}`)
  const end = range.end ? tryParsePlainAddress(range.end) : undefined
  if (end === null) return hit('c', 'end', `invalid range end ${range.end}`)

  const cidr = tryParsePlainCidr(range.cidr)
  if (cidr === null) return hit('d', 'cidr', `invalid range CIDR ${range.cidr}`)
  const { prefix } = cidr
  if (cidr.address !== prefix.address) {
    const texts = [formatAddress(prefix.address), formatAddress(cidr.address)] as const
    return hit('e', 'cidr', `CIDR notation is not standard, should start from ${texts[0]} but from ${texts[1]}`)
  }
  if (prefix.length === familyBits(familyOf(prefix.address))) {
    return hit('f', 'cidr', `CIDR ${range.cidr} holds a single address`)
  }

  const inside = (address: IPAddress): boolean => contains(prefix, address)
  const text = formatPrefix(prefix)
  if (start !== undefined && !inside(start)) return hit('g', 'start', `start ${range.start} is not in CIDR ${text}`)
  if (end !== undefined && !inside(end)) return hit('h', 'end', `end ${range.end} is not in CIDR ${text}`)
  // With one bound given the other is its default; the original lets such an empty range pass.
  const [first, last] = [start ?? defaultStart(prefix), end ?? defaultEnd(prefix)]
  if ((start !== undefined || end !== undefined) && first > last) {
    const bounds = `start=${formatAddress(first)}, end=${formatAddress(last)}`
    return hit('i', 'start', `subnet should have at least one available IP. ${bounds}`)
  }

  if (range.gateway) {
    const gateway = tryParsePlainAddress(range.gateway)
    if (gateway === null) return hit('j', 'gateway', `invalid range gateway ${range.gateway}`)
    if (String(familyOf(gateway)) !== version) {
      return hit('j', 'gateway', 'address families of ip version and gateway mismatch')
    }
    if (!inside(gateway)) return hit('j', 'gateway', `gateway ${range.gateway} is not in CIDR ${text}`)
  }
  if (String(familyOf(prefix.address)) !== version) {
    return hit('j2', 'version', `address families of ip version ${version} and CIDR ${range.cidr} mismatch`)
  }
  return (
    listViolation(range.reservedIPs, 'k', 'reservedIPs', 'reserved', inside, text) ??
    listViolation(range.excludeIPs, 'l', 'excludeIPs', 'excluded', inside, text)
  )
}

function listViolation(
  list: readonly string[] | null | undefined,
  rule: string,
  field: string,
  word: string,
  inside: (address: IPAddress) => boolean,
  cidr: string,
): RangeViolation | null {
  for (const [index, text] of (list ?? []).entries()) {
    const address = tryParsePlainAddress(text)
    const at = `${field}[${index}]`
    if (address === null) return { rule, field: at, message: `invalid ${word} ip ${text}` }
    if (!inside(address)) return { rule, field: at, message: `${word} ip ${text} is not in CIDR ${cidr}` }
  }
  return null
}
