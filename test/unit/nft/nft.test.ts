// Transactions as text, listings as data, differences between the two. The real nft is asked in test/kernel/nft.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  canonicalElement,
  elementChanges,
  isAlreadyExists,
  isNotFound,
  NftError,
  parseListing,
  quote,
  renderTransaction,
  replaceTable,
  ruleFingerprint,
  structureDifference,
  type TableDefinition,
} from '../../../lib/nft/index.ts'

const table: TableDefinition = {
  family: 'inet',
  name: 't',
  sets: [
    { name: 'hosts', type: 'ipv4_addr', interval: false },
    { name: 'nets', type: 'ipv4_addr', interval: true },
    { name: 'links', type: 'ifname', interval: false },
  ],
  chains: [
    { name: 'jumped', base: null, rules: ['drop'] },
    {
      name: 'in',
      base: { type: 'filter', hook: 'input', priority: -5, policy: 'accept' },
      rules: ['ip saddr @hosts jump jumped', 'ip saddr @nets accept'],
    },
  ],
}
const elements = new Map([
  ['hosts', new Set(['10.0.0.1'])],
  ['links', new Set(['eth0.100'])],
])

test('replaceTable() writes the whole table in one transaction', () => {
  const [jumped, main] = table.chains
  assert.ok(jumped && main)
  assert.equal(renderTransaction(replaceTable(table, elements)).split('\n'), [
    'add table inet t',
    'delete table inet t',
    'add table inet t',
    'add set inet t hosts { type ipv4_addr; }',
    'add set inet t nets { type ipv4_addr; flags interval; }',
    'add set inet t links { type ifname; }',
    'add chain inet t jumped',
    'add chain inet t in { type filter hook input priority -5; policy accept; }',
    `add rule inet t jumped drop comment "${ruleFingerprint(jumped, 'drop')}"`,
    `add rule inet t in ip saddr @hosts jump jumped comment "${ruleFingerprint(main, main.rules[0] ?? '')}"`,
    `add rule inet t in ip saddr @nets accept comment "${ruleFingerprint(main, main.rules[1] ?? '')}"`,
    'add element inet t hosts { 10.0.0.1 }',
    'add element inet t links { "eth0.100" }',
    '',
  ])
})

test('elementChanges() touches only sets that differ; interval sets are refilled', () => {
  const now = new Map([
    ['hosts', new Set(['10.0.0.1', '10.0.0.2'])],
    ['nets', new Set(['10.0.0.0-10.0.0.255'])],
    ['links', new Set(['eth0.100'])],
  ])
  const wanted = new Map([
    ['hosts', new Set(['10.0.0.2', '10.0.0.3'])],
    ['nets', new Set(['10.0.0.0-10.0.1.255'])],
    ['links', new Set(['eth0.100'])],
  ])
  assert.equal(renderTransaction(elementChanges(table, now, wanted)).split('\n'), [
    'delete element inet t hosts { 10.0.0.1 }',
    'add element inet t hosts { 10.0.0.3 }',
    'flush set inet t nets',
    'add element inet t nets { 10.0.0.0-10.0.1.255 }',
    '',
  ])
  assert.equal(elementChanges(table, wanted, wanted), [])
})

test('quote() refuses what nft cannot express', () => {
  assert.is(quote('a b'), '"a b"')
  assert.throws(() => quote('a"b'), /cannot quote/)
  assert.throws(
    () => renderTransaction(elementChanges(table, new Map(), new Map([['links', new Set(['x" }; flush ruleset'])]]))),
    /cannot quote/,
  )
})

test('canonicalElement() has one text per element', () => {
  assert.is(canonicalElement('FD00::0:1'), 'fd00::1')
  assert.is(canonicalElement({ prefix: { addr: '10.1.0.0', len: 16 } }), '10.1.0.0-10.1.255.255')
  assert.is(canonicalElement({ range: ['10.0.0.1', '10.0.0.9'] }), '10.0.0.1-10.0.0.9')
  assert.is(canonicalElement({ elem: { val: '10.0.0.1', comment: 'x' } }), '10.0.0.1')
  assert.is(canonicalElement({ concat: ['10.0.0.1', 80] }), '10.0.0.1 . 80')
})

/** The listing nft would print for the definition, with the given changes. */
function listing(change: (items: Record<string, unknown>[]) => void = () => undefined): string {
  const items: Record<string, unknown>[] = [
    { metainfo: { version: '1.0.6' } },
    { table: { family: 'inet', name: 't', handle: 1 } },
    ...table.sets.map(({ name, type, interval }) => ({
      set: { name, type, ...(interval ? { flags: ['interval'] } : {}) },
    })),
    ...table.chains.map(({ name, base }) => ({
      chain:
        base === null ? { name } : { name, type: base.type, hook: base.hook, prio: base.priority, policy: base.policy },
    })),
    ...table.chains.flatMap((chain) =>
      chain.rules.map((rule) => ({ rule: { chain: chain.name, comment: ruleFingerprint(chain, rule) } })),
    ),
  ]
  change(items)
  return JSON.stringify({ nftables: items })
}

test('structureDifference() is null for what was written and names what was changed', () => {
  const compare = (change?: (items: Record<string, unknown>[]) => void) =>
    structureDifference(table, parseListing(table, listing(change)))
  assert.is(compare(), null)
  assert.is(
    compare((items) => items.pop()),
    'rules of chain in were changed',
  )
  assert.is(
    compare((items) => items.push({ rule: { chain: 'jumped' } })),
    'rules of chain jumped were changed',
  )
  assert.is(
    compare((items) => items.push(...items.splice(-2, 1))),
    'rules of chain in were changed',
    'order counts',
  )
  assert.is(
    compare((items) => items.splice(2, 1)),
    'set hosts is missing',
  )
  assert.is(
    compare((items) => items.push({ set: { name: 'more', type: 'ipv4_addr' } })),
    'set more is foreign',
  )
  assert.is(
    compare((items) => items.push({ chain: { name: 'more' } })),
    'chain more is foreign',
  )
  assert.is(
    compare((items) => {
      const chain = items.find((item) => (item['chain'] as { name?: string } | undefined)?.name === 'in')
      Object.assign(chain?.['chain'] as object, { policy: 'drop' })
    }),
    'chain in has another hook, priority or policy',
  )
})

test('parseListing() refuses what is no listing', () => {
  assert.throws(() => parseListing(table, 'oops'), /no JSON/)
  assert.throws(() => parseListing(table, '{}'), /without "nftables"/)
})

test('NftError knows what nft means', () => {
  assert.ok(isNotFound(new NftError('x', 'Error: No such file or directory\ndelete table inet t')))
  assert.ok(isAlreadyExists(new NftError('x', 'Error: Could not process rule: File exists')))
  assert.is(new NftError('x', 'Error: syntax error, unexpected newline').code, 'SYNTAX')
  assert.is(new NftError('x', '').message, 'nft x: failed without a message')
  assert.not.ok(isNotFound(new Error('No such file or directory')))
})

test.run()
