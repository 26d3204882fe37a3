// Reads a table back as JSON. Only what comparing needs is kept: sets with elements, chains with hook and rule comments.
import { formatAddress, formatRange, lastAddress, prefixOf, tryParseAddress } from '../ip/index.ts'
import { isNotFound, NftError } from './errors.ts'
import { runNft, type NftOptions } from './exec.ts'
import { tableText } from './render.ts'
import type { TableName } from './types.ts'

export interface ListedChain {
  readonly base: {
    readonly type: string
    readonly hook: string
    readonly priority: number
    readonly policy: string
  } | null
  /** Comment of every rule, in order; null for a rule without. */
  readonly comments: readonly (string | null)[]
}

export interface ListedSet {
  readonly type: string
  readonly interval: boolean
  readonly elements: ReadonlySet<string>
}

export interface TableListing extends TableName {
  readonly sets: ReadonlyMap<string, ListedSet>
  readonly chains: ReadonlyMap<string, ListedChain>
}

/**
 * The table as the kernel holds it, null when there is none.
 * Equivalent to: `nft -j list table FAMILY NAME`
 *
 * @throws NftError
 */
export async function listTable(options: NftOptions, table: TableName): Promise<TableListing | null> {
  const operation = `list table ${tableText(table)}`
  try {
    const text = await runNft(options, ['-j', 'list', 'table', table.family, table.name], operation)
    return parseListing(table, text)
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

/**
 * The names of all tables.
 * Equivalent to: `nft -j list tables`
 *
 * @throws NftError
 */
export async function listTables(options: NftOptions): Promise<TableName[]> {
  const text = await runNft(options, ['-j', 'list', 'tables'], 'list tables')
  return items('list tables', text).flatMap((item) => {
    const table = item['table'] as TableName | undefined
    return table === undefined ? [] : [{ family: table.family, name: table.name }]
  })
}

/**
 * The devices a netdev chain hangs on, none when it hangs on none (kernels from 6.13 keep a chain whose device is gone).
 * From the text, since nft 1.0 does not print them as JSON.
 * Equivalent to: `nft list chain netdev NAME CHAIN`
 *
 * @throws NftError
 */
export async function chainDevices(options: NftOptions, table: TableName, chain: string): Promise<string[]> {
  const operation = `list chain ${tableText(table)} ${chain}`
  const text = await runNft(options, ['list', 'chain', table.family, table.name, chain], operation)
  const hook = /^\s*type \S+ hook \S+ (?:device "?([^"\s]+)"?|devices = \{([^}]*)\})/m.exec(text)
  const list = hook?.[1] ?? hook?.[2] ?? ''
  return list
    .split(',')
    .map((name) => name.trim().replaceAll('"', ''))
    .filter((name) => name !== '')
}

type Json = Readonly<Record<string, unknown>>

function items(operation: string, text: string): readonly Json[] {
  try {
    const document = JSON.parse(text) as { nftables?: unknown }
    if (Array.isArray(document.nftables)) return document.nftables as Json[]
  } catch (error) {
    throw new NftError(operation, `printed no JSON: ${text.slice(0, 200)}`, 'FAILED', { cause: error })
  }
  throw new NftError(operation, `printed JSON without "nftables": ${text.slice(0, 200)}`, 'FAILED')
}

/** Turns nft's JSON into a listing. Exported for tests. */
export function parseListing(table: TableName, text: string): TableListing {
  const sets = new Map<string, ListedSet>()
  const chains = new Map<string, { base: ListedChain['base']; comments: (string | null)[] }>()
  for (const item of items(`list table ${tableText(table)}`, text)) {
    if (item['set'] !== undefined) {
      const set = item['set'] as Json
      const flags = (set['flags'] ?? []) as readonly string[]
      const elements = ((set['elem'] ?? []) as readonly unknown[]).map(canonicalElement)
      sets.set(String(set['name']), {
        type: typeText(set['type']),
        interval: flags.includes('interval'),
        elements: new Set(elements),
      })
    } else if (item['chain'] !== undefined) {
      const chain = item['chain'] as Json
      const base =
        chain['hook'] === undefined
          ? null
          : {
              type: textOf(chain['type']),
              hook: textOf(chain['hook']),
              priority: Number(chain['prio']),
              policy: textOf(chain['policy'] ?? 'accept'),
            }
      chains.set(String(chain['name']), { base, comments: [] })
    } else if (item['rule'] !== undefined) {
      const rule = item['rule'] as Json
      const comment = rule['comment']
      chains.get(String(rule['chain']))?.comments.push(typeof comment === 'string' ? comment : null)
    }
  }
  return { ...table, sets, chains }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** A concatenated type is an array in JSON. */
function typeText(type: unknown): string {
  return Array.isArray(type) ? type.join(' . ') : String(type)
}

/**
 * One text per element: addresses as lib/ip writes them, prefixes and ranges as "first-last" (one address alone when
 * both are equal), concatenations joined by " . ", anything else as it is.
 */
export function canonicalElement(element: unknown): string {
  if (typeof element !== 'object' || element === null) return canonicalText(String(element))
  const item = element as Json
  if (item['elem'] !== undefined) return canonicalElement((item['elem'] as Json)['val'])
  if (item['concat'] !== undefined) return (item['concat'] as unknown[]).map(canonicalElement).join(' . ')
  if (item['range'] !== undefined) {
    const [start, end] = (item['range'] as unknown[]).map((edge) => canonicalElement(edge))
    return start === end ? String(start) : `${start}-${end}`
  }
  if (item['prefix'] !== undefined) {
    const { addr, len } = item['prefix'] as { addr: string; len: number }
    const address = tryParseAddress(addr)
    if (address === null) return `${addr}/${len}`
    const prefix = prefixOf(address, len)
    return formatRange({ start: prefix.address, end: lastAddress(prefix) })
  }
  return JSON.stringify(element)
}

function canonicalText(text: string): string {
  const address = tryParseAddress(text)
  return address === null ? text : formatAddress(address)
}
