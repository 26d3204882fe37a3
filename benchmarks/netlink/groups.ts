// What is measured: each group adds COUNT objects of one kind, dumps them and deletes them again.

export type GroupName =
  'routes4' | 'routes6' | 'fdb' | 'neigh4' | 'neigh6' | 'proxy4' | 'proxy6' | 'rules' | 'rules-descending' | 'links'

export type Phase = 'add' | 'dump' | 'text' | 'delete'

export interface Group {
  readonly name: GroupName
  readonly title: string
  /** Object counts of a full run, and of --quick. */
  readonly counts: readonly number[]
  readonly quick: number
  /** Device the objects are on. */
  readonly device: 'b0' | 'vx0'
}

/** Route table, first rule priority and link group of every contender; c/limit.c and the others have the same. */
export const TABLE = 1000
export const PRIORITY = 1000
export const LINK_GROUP = 77

export const GROUPS: readonly Group[] = [
  { name: 'routes4', title: 'IPv4 routes, /32 dev veth', counts: [10_000, 100_000], quick: 10_000, device: 'b0' },
  { name: 'routes6', title: 'IPv6 routes, /128 dev veth', counts: [10_000, 100_000], quick: 10_000, device: 'b0' },
  { name: 'fdb', title: 'VXLAN FDB entries, one VTEP each', counts: [10_000, 50_000], quick: 10_000, device: 'vx0' },
  { name: 'neigh4', title: 'IPv4 neighbours, permanent', counts: [10_000, 100_000], quick: 10_000, device: 'b0' },
  { name: 'neigh6', title: 'IPv6 neighbours, permanent', counts: [10_000], quick: 10_000, device: 'b0' },
  { name: 'proxy4', title: 'IPv4 proxy neighbours (16 hash buckets)', counts: [10_000], quick: 5000, device: 'b0' },
  {
    name: 'proxy6',
    title: 'IPv6 proxy neighbours (each joins a multicast group)',
    counts: [1000],
    quick: 500,
    device: 'b0',
  },
  {
    name: 'rules',
    title: 'policy rules, ascending, as `ip` adds them',
    counts: [1000, 5000],
    quick: 1000,
    device: 'b0',
  },
  {
    name: 'rules-descending',
    title: 'policy rules, descending and without the duplicate check (others: their own way)',
    counts: [1000, 5000],
    quick: 1000,
    device: 'b0',
  },
  {
    name: 'links',
    title: 'veth pairs created in place, both ends up; deleted by group',
    counts: [500],
    quick: 50,
    device: 'b0',
  },
]

/** Names of the contenders, as the tables show them. */
export const LIMIT = 'C limit'
export const OURS_PACKED = 'hybridnet packed'
export const OURS_OBJECTS = 'hybridnet objects'
export const OURS_CALLS = 'hybridnet calls'
export const OURS_TWO = 'hybridnet two sockets'
export const OURS_FLUSH = 'hybridnet bulk flush'
export const IPROUTE = 'iproute2 -batch'
export const GO = 'Go vishvananda'
export const PYTHON = 'pyroute2'
export const NPM = 'npm netlink'

/** What one contender measured in one repetition. */
export interface Sample {
  /** Seconds of each phase; null where the contender cannot do it. */
  readonly seconds: Readonly<Partial<Record<Phase, number | null>>>
  /** The same in processor time of the whole process, which a busy machine distorts less. */
  readonly cpu: Readonly<Partial<Record<Phase, number | null>>>
  /** Objects its dump found beyond those that were there before; null when it cannot count them. */
  readonly count: number | null
  /** Longest time its event loop was held in each phase, in ms. */
  readonly blocked?: Readonly<Partial<Record<Phase, number>>>
  /** Longest turn in processor time of its thread, in ms. */
  readonly held?: Readonly<Partial<Record<Phase, number | null>>>
}
