// The addresses of a subnet that are outside its range or excluded, as CIDR blocks: what `throw` routes list
// (spec/dataplane.md, Appendix D). Written anew here, on whole numbers of 128 bits, so that the judge owes nothing to
// the code it judges.

/** "10.0.0.1" or "fd00::1" as a number, and the number of bits of its family. */
export function toNumber(text: string): { readonly value: bigint; readonly bits: 32 | 128 } {
  if (!text.includes(':')) {
    return { value: text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n), bits: 32 }
  }
  const [head = '', tail] = text.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const front = groups(head)
  const back = tail === undefined ? [] : groups(tail)
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length
  const all = [...front, ...Array.from({ length: zeros }, () => '0'), ...back]
  return { value: all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n), bits: 128 }
}

/** The address as the kernel's tools print it (RFC 5952). */
export function toText(value: bigint, bits: 32 | 128): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
  // The longest run of two zeros or more, the first of equals, becomes "::".
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === '0') length++
    if (length > best.length) best = { at, length }
  }
  if (best.at < 0) return groups.join(':')
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`
}

/** Start and end both, or neither. */
export interface SubnetRange {
  readonly cidr: string
  readonly start?: string | null
  readonly end?: string | null
  readonly excludeIPs?: readonly string[] | null
}

/** @returns blocks as the kernel prints destinations: `10.0.0.0/26`, a single address without a length */
export function excludedBlocks({ cidr, start, end, excludeIPs }: SubnetRange): string[] {
  const [network = '', length = ''] = cidr.split('/')
  const { value: first, bits } = toNumber(network)
  const last = first + (1n << BigInt(bits - Number(length))) - 1n
  const ranges: { from: bigint; to: bigint }[] = []
  if (start && end) {
    const from = toNumber(start).value
    const to = toNumber(end).value
    if (from > first) ranges.push({ from: first, to: from - 1n })
    if (to < last) ranges.push({ from: to + 1n, to: last })
  }
  for (const text of excludeIPs ?? []) {
    const { value } = toNumber(text)
    ranges.push({ from: value, to: value })
  }
  ranges.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
  const merged: { from: bigint; to: bigint }[] = []
  for (const range of ranges) {
    const before = merged.at(-1)
    if (before !== undefined && range.from <= before.to + 1n) before.to = range.to > before.to ? range.to : before.to
    else merged.push({ ...range })
  }
  return merged.flatMap(({ from, to }) => split(from, to, bits))
}

/** The largest aligned block that fits, again and again. */
function split(from: bigint, to: bigint, bits: 32 | 128): string[] {
  const blocks: string[] = []
  while (from <= to) {
    let free = 0
    while (free < bits && (from & ((1n << BigInt(free + 1)) - 1n)) === 0n && from + (1n << BigInt(free + 1)) - 1n <= to)
      free++
    const text = toText(from, bits)
    blocks.push(free === 0 ? text : `${text}/${bits - free}`)
    from += 1n << BigInt(free)
  }
  return blocks
}
