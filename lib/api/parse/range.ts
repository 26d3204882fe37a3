// An AddressRange as numbers: the base of Subnets and RemoteSubnets (api.md §1.2). Bounds default as there; what cannot
// be read is left out and reported. IPv4-mapped IPv6 text is refused everywhere: it would be a second name of an address.
import {
  contains,
  familyOf,
  firstAddress,
  formatPrefix,
  isIPv4Mapped,
  lastAddress,
  offsetAddress,
  tryParseAddress,
  tryParseInterfaceAddress,
  type AddressRange,
  type Family,
  type InterfaceAddress,
  type IPAddress,
  type Prefix,
} from '../../ip/index.ts'
import type { AddressRangeSpec } from '../networking.ts'
import { ProblemList, type Parsed } from '../problem.ts'

/** Addresses of one Subnet. Lists hold no duplicates. */
export interface ParsedRange {
  readonly family: Family
  /** The CIDR, masked. */
  readonly prefix: Prefix
  /** From start to end with defaults applied; null when start is after end. */
  readonly range: AddressRange | null
  readonly gateway: IPAddress | null
  readonly excluded: readonly IPAddress[]
  readonly reserved: readonly IPAddress[]
}

/** Longest prefix of a Subnet: /30 and /126. */
export function maxSubnetLength(family: Family): 30 | 126 {
  return family === 4 ? 30 : 126
}

/** network address + 1. */
export function defaultStart(prefix: Prefix): IPAddress {
  return offsetAddress(firstAddress(prefix), 1) ?? firstAddress(prefix)
}

/** IPv4: the broadcast address - 1. IPv6 has no broadcast address: the last address. */
export function defaultEnd(prefix: Prefix): IPAddress {
  const last = lastAddress(prefix)
  return typeof last === 'number' ? (offsetAddress(last, -1) ?? last) : last
}

/** An address that is not IPv4-mapped, null otherwise. */
export function tryParsePlainAddress(text: string): IPAddress | null {
  const address = tryParseAddress(text)
  return address === null || isIPv4Mapped(address) ? null : address
}

/** ADDRESS/LENGTH that is not IPv4-mapped, null otherwise. */
export function tryParsePlainCidr(text: string): InterfaceAddress | null {
  const parsed = tryParseInterfaceAddress(text)
  return parsed === null || isIPv4Mapped(parsed.address) ? null : parsed
}

/** Texts of a list as distinct addresses inside the prefix. */
function parseList(
  texts: readonly string[] | null | undefined,
  prefix: Prefix,
  field: string,
  problems: ProblemList,
): IPAddress[] {
  const addresses = new Set<IPAddress>()
  for (const [index, text] of (texts ?? []).entries()) {
    const address = tryParsePlainAddress(text)
    if (address === null || !contains(prefix, address)) {
      problems.add(`${field}[${index}]`, text, `an address in ${formatPrefix(prefix)}`)
    } else {
      addresses.add(address)
    }
  }
  return [...addresses]
}

/** @param path where the range is in its object, for problems */
export function parseRange(spec: AddressRangeSpec | null | undefined, path = 'spec.range'): Parsed<ParsedRange> {
  const problems = new ProblemList()
  const cidr = tryParsePlainCidr(spec?.cidr ?? '')
  if (!spec || cidr === null) {
    problems.add(`${path}.cidr`, spec?.cidr, 'a network such as 10.0.0.0/24')
    return { value: null, problems: problems.problems }
  }
  const { prefix } = cidr
  const family = familyOf(prefix.address)
  if (spec.version !== String(family))
    problems.add(`${path}.version`, spec.version, `"${family}", as ${spec.cidr} is IPv${family}`)
  if (cidr.address !== prefix.address)
    problems.add(`${path}.cidr`, spec.cidr, `${formatPrefix(prefix)}, without host bits`)
  const longest = maxSubnetLength(family)
  if (prefix.length > longest) problems.add(`${path}.cidr`, spec.cidr, `a prefix of at most /${longest}`)

  const bound = (name: 'start' | 'end' | 'gateway'): IPAddress | null => {
    const text = spec[name]
    if (!text) return null
    const address = tryParsePlainAddress(text)
    if (address !== null && contains(prefix, address)) return address
    problems.add(`${path}.${name}`, text, `an address in ${formatPrefix(prefix)}`)
    return null
  }
  const start = bound('start') ?? defaultStart(prefix)
  const end = bound('end') ?? defaultEnd(prefix)
  // On a /31, /32 and the like the defaults cross too; their length is the problem, and already named.
  if (start > end && prefix.length <= longest)
    problems.add(`${path}.start`, spec.start, `at most the end (${spec.end || 'the default'})`)
  return {
    value: {
      family,
      prefix,
      range: start <= end ? { start, end } : null,
      gateway: bound('gateway'),
      excluded: parseList(spec.excludeIPs, prefix, `${path}.excludeIPs`, problems),
      reserved: parseList(spec.reservedIPs, prefix, `${path}.reservedIPs`, problems),
    },
    problems: problems.problems,
  }
}
