// nftables tables and transactions as plain data. No I/O here.

export type TableFamily = 'inet' | 'ip' | 'ip6' | 'arp' | 'bridge' | 'netdev'

export interface TableName {
  readonly family: TableFamily
  readonly name: string
}

export interface SetDefinition {
  readonly name: string
  /** "ipv4_addr", "ipv6_addr", "ifname", "ipv4_addr . inet_service", ... */
  readonly type: string
  /** Elements may be ranges ("first-last"); they must not overlap, and are best merged by the caller. */
  readonly interval: boolean
}

export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress'
  /** A number: names differ by family and by nft version. mangle is -150, filter 0, srcnat 100. */
  readonly priority: number
  /** Family netdev only. */
  readonly device?: string
  readonly policy: 'accept' | 'drop'
}

export interface ChainDefinition {
  readonly name: string
  /** null for a chain that is only jumped to. */
  readonly base: BaseChain | null
  /** Rules in nft's own words, without comment: the comment is the fingerprint (see table.ts). */
  readonly rules: readonly string[]
}

/** The structure of a table. Elements of its sets are kept apart, because they change and the structure does not. */
export interface TableDefinition extends TableName {
  readonly sets: readonly SetDefinition[]
  readonly chains: readonly ChainDefinition[]
}

/** Set name to elements; see `canonicalElement` for their text. */
export type Elements = ReadonlyMap<string, ReadonlySet<string>>

export type Command =
  | { readonly do: 'add-table'; readonly table: TableName }
  | { readonly do: 'delete-table'; readonly table: TableName }
  | { readonly do: 'add-set'; readonly table: TableName; readonly set: SetDefinition }
  | { readonly do: 'flush-set'; readonly table: TableName; readonly set: string }
  | {
      readonly do: 'add-elements'
      readonly table: TableName
      readonly set: string
      readonly elements: readonly string[]
    }
  | {
      readonly do: 'delete-elements'
      readonly table: TableName
      readonly set: string
      readonly elements: readonly string[]
    }
  | { readonly do: 'add-chain'; readonly table: TableName; readonly chain: ChainDefinition }
  | { readonly do: 'flush-chain'; readonly table: TableName; readonly chain: string }
  | { readonly do: 'delete-chain'; readonly table: TableName; readonly chain: string }
  | {
      readonly do: 'add-rule'
      readonly table: TableName
      readonly chain: string
      readonly rule: string
      readonly comment: string | null
    }

/** Commands that nft carries out together or not at all. */
export type Transaction = readonly Command[]
