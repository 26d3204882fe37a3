// What the demo found, judged and put in words. Pure: demo.ts connects and captures, this compares and prints.
import type { Family } from '../ip/index.ts'

/** Something that connects or is connected to. */
export interface Endpoint {
  readonly kind: 'pod' | 'node' | 'outside'
  readonly name: string
  /** Name of the node it is on; of a node itself its own name; null outside. */
  readonly node: string | null
  /** At most one per family. */
  readonly addresses: Readonly<Partial<Record<Family, string>>>
}

/** How packets travelled, by what was captured between the nodes. */
export type Path =
  /** Not seen on the fabric at all. */
  | 'local'
  /** Seen inside VXLAN. */
  | 'vxlan'
  /** Seen plain, with another source than the client's own. */
  | 'nat'
  /** Seen plain, with the client's own address. */
  | 'plain'

/** One connection that was tried. Addresses as text. */
export interface Connection {
  readonly family: Family
  readonly from: Endpoint
  readonly to: Endpoint
  /** What the server saw and how the packets went; null when there was no connection. */
  readonly seen: {
    readonly source: string
    readonly path: Path
    /** Of the tunnel; null unless path is vxlan. */
    readonly tunnel: { readonly vni: number; readonly source: string; readonly destination: string } | null
    readonly roundTripMs: number
  } | null
  /** Why there was no connection; null when there was one. */
  readonly error: string | null
}

/** What a connection must look like (spec/dataplane §1.5, W1, W4, W5, W6, on an overlay with NAT). */
export interface Expectation {
  readonly path: Path
  readonly source: string
  /** Outer addresses, when path is vxlan. */
  readonly tunnel: { readonly vni: number; readonly source: string; readonly destination: string } | null
}

export interface Overlay {
  readonly vni: number
  /** Tunnel addresses by node. */
  readonly vteps: Readonly<Record<string, string>>
  /** Nodes' own addresses by node and family. */
  readonly nodes: Readonly<Record<string, Endpoint>>
}

/** What must be seen of a connection between two endpoints on the overlay. */
export function expectation(from: Endpoint, to: Endpoint, family: Family, overlay: Overlay): Expectation {
  const own = from.addresses[family] ?? ''
  if (from.node === to.node) return { path: 'local', source: own, tunnel: null }
  if (to.kind === 'pod') {
    const source = overlay.vteps[from.node ?? ''] ?? ''
    const destination = overlay.vteps[to.node ?? ''] ?? ''
    return { path: 'vxlan', source: own, tunnel: { vni: overlay.vni, source, destination } }
  }
  // Beyond the overlay a pod is its node.
  return { path: 'nat', source: overlay.nodes[from.node ?? '']?.addresses[family] ?? '', tunnel: null }
}

/** What is wrong with a connection; null when it is as it must be. */
export function fault({ seen, error }: Connection, expected: Expectation): string | null {
  if (seen === null) return error ?? 'no connection'
  if (seen.path !== expected.path) return `went ${seen.path}, expected ${expected.path}`
  if (seen.source !== expected.source) return `seen as ${seen.source}, expected ${expected.source}`
  const [tunnel, wanted] = [seen.tunnel, expected.tunnel]
  if (tunnel !== null && wanted !== null) {
    const same =
      tunnel.vni === wanted.vni && tunnel.source === wanted.source && tunnel.destination === wanted.destination
    const text = (t: typeof tunnel): string => `VNI ${t.vni} from ${t.source} to ${t.destination}`
    if (!same) return `tunnel ${text(tunnel)}, expected ${text(wanted)}`
  }
  return null
}

/** A connection with its verdict. */
export interface Judged {
  readonly connection: Connection
  readonly expected: Expectation
  /** null: as expected. */
  readonly fault: string | null
}

/** Judge all connections. */
export function judge(connections: readonly Connection[], overlay: Overlay): Judged[] {
  return connections.map((connection) => {
    const expected = expectation(connection.from, connection.to, connection.family, overlay)
    return { connection, expected, fault: fault(connection, expected) }
  })
}

/** Columns under a heading, padded to the widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  return rows.map((row) => `  ${line(row)}\n`).join('')
}

/** The matrix of one family: a line per source, a column per group of destinations. */
export function matrix(family: Family, judged: readonly Judged[]): string {
  const own = judged.filter(({ connection }) => connection.family === family)
  const columns = unique(own.map(({ connection }) => group(connection.to))).sort(compareNames)
  const sources = unique(own.map(({ connection }) => connection.from)).sort(
    (a, b) => b.kind.localeCompare(a.kind) || compareNames(a.name, b.name),
  )
  const rows = sources.map((from) => [
    from.name,
    from.kind === 'pod' ? (from.node ?? '') : '',
    from.addresses[family] ?? '',
    ...columns.map((column) =>
      cell(own.filter((j) => j.connection.from === from && group(j.connection.to) === column)),
    ),
  ])
  return table([['from', 'on', `IPv${family} address`, ...columns.map((column) => `to ${column}`)], ...rows])
}

/** Pods first, then nodes, then the outside; numbers by value. */
function compareNames(a: string, b: string): number {
  const rank = (name: string): number => (name.startsWith('pods on ') ? 0 : name === 'outside' ? 2 : 1)
  return rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true })
}

function group(to: Endpoint): string {
  return to.kind === 'pod' ? `pods on ${to.node}` : to.name
}

/** `4 vxlan 0.12 ms`, with the source address where it is not the client's own; failures first. */
function cell(judged: readonly Judged[]): string {
  if (judged.length === 0) return '-'
  const failed = judged.filter(({ fault }) => fault !== null)
  if (failed.length > 0) return `${failed.length} of ${judged.length} FAILED`
  const seen = judged.map(({ connection }) => connection.seen).filter((entry) => entry !== null)
  const paths = unique(seen.map(({ path }) => path)).join('+')
  const median = seen.map(({ roundTripMs }) => roundTripMs).sort((a, b) => a - b)[Math.floor(seen.length / 2)] ?? 0
  const [first] = judged
  const sources = unique(seen.map(({ source }) => source)).filter(
    (source) => source !== first?.connection.from.addresses[first.connection.family],
  )
  const count = judged.length > 1 ? `${judged.length} ` : ''
  return `${count}${paths} ${median.toFixed(2)} ms${sources.length > 0 ? ` as ${sources.join(', ')}` : ''}`
}

/** A line per connection that was not as expected. */
export function failures(judged: readonly Judged[]): string {
  const text = ({ connection: { family, from, to }, fault }: Judged): string =>
    `  IPv${family} ${describeEndpoint(from, family)} -> ${describeEndpoint(to, family)}: ${fault}\n`
  return judged
    .filter(({ fault }) => fault !== null)
    .map(text)
    .join('')
}

function describeEndpoint({ kind, name, node, addresses }: Endpoint, family: Family): string {
  return `${name}${kind === 'pod' ? ` on ${node}` : ''} (${addresses[family]})`
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)]
}
