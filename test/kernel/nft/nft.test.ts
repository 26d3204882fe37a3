// The real nft and the real kernel: what is written is read back equal; errors are typed; foreign commits are noticed.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fanOutTable, MAIN_TABLE } from '../../../lib/dataplane/index.ts'
import { NetworkNamespace, NftMonitor, runCommand } from '../../../lib/netlink/index.ts'
import {
  applyTransaction,
  checkTransaction,
  elementChanges,
  isAlreadyExists,
  isNotFound,
  listTable,
  listTables,
  NftError,
  removeTable,
  replaceTable,
  runNft,
  structureDifference,
  type Elements,
  type NftOptions,
} from '../../../lib/nft/index.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const namespace = NetworkNamespace.current()
const runners: Readonly<Record<string, NftOptions>> = {
  child_process: { namespace: null },
  'a native thread': { namespace: null, run: (command, options) => runCommand(namespace, command, options) },
}
const nft: NftOptions = { namespace: null }

test.after(() => namespace.close())

const elements: Elements = new Map([
  ['overlay_net4', new Set(['100.64.0.0-100.64.255.255', '10.0.1.0-10.0.2.255', '10.9.9.9'])],
  ['overlay_net6', new Set(['fd64::-fd64::ffff:ffff:ffff:ffff'])],
  ['node_ip4', new Set(['192.168.56.11', '192.168.56.12'])],
  ['local_pod6', new Set(['fd64::11'])],
  ['vxlan_if', new Set(['eth0.vxlan4'])],
])

const of = (listing: Awaited<ReturnType<typeof listTable>>, set: string): string[] =>
  [...(listing?.sets.get(set)?.elements ?? [])].sort()

for (const [name, options] of Object.entries(runners)) {
  test(`tables are read back as they were written, by ${name}`, async () => {
    await applyTransaction(options, replaceTable(MAIN_TABLE, elements))
    const listing = await listTable(options, MAIN_TABLE)
    assert.ok(listing)
    assert.is(structureDifference(MAIN_TABLE, listing), null)
    for (const [set, members] of elements) assert.equal(of(listing, set), [...members].sort())
    const current = new Map([...listing.sets].map(([set, { elements: found }]) => [set, found]))
    assert.equal(elementChanges(MAIN_TABLE, current, elements), [])
  })
}

test('elements change in place, intervals that touch included', async () => {
  const wanted: Elements = new Map([
    ...elements,
    ['overlay_net4', new Set(['10.0.0.0-10.0.3.255'])],
    ['node_ip4', new Set(['192.168.56.12', '192.168.56.13'])],
  ])
  await applyTransaction(nft, elementChanges(MAIN_TABLE, elements, wanted))
  const listing = await listTable(nft, MAIN_TABLE)
  assert.equal(of(listing, 'overlay_net4'), ['10.0.0.0-10.0.3.255'])
  assert.equal(of(listing, 'node_ip4'), ['192.168.56.12', '192.168.56.13'])
})

test('a transaction applies as a whole or not at all', async () => {
  const before = await listTable(nft, MAIN_TABLE)
  try {
    await applyTransaction(nft, [
      { do: 'add-elements', table: MAIN_TABLE, set: 'node_ip4', elements: ['9.9.9.9'] },
      { do: 'delete-elements', table: MAIN_TABLE, set: 'node_ip4', elements: ['8.8.8.8'] },
    ])
    assert.unreachable('must be refused')
  } catch (error) {
    assert.ok(isNotFound(error), String(error))
  }
  assert.equal(of(await listTable(nft, MAIN_TABLE), 'node_ip4'), of(before, 'node_ip4'))
})

test('the fan-out table can be checked without being made', async () => {
  assert.is(await checkTransaction(nft, replaceTable(fanOutTable('lo'), new Map())), true)
  assert.is(
    await checkTransaction(nft, [
      { do: 'add-rule', table: MAIN_TABLE, chain: 'fwd_guard', rule: 'no such words', comment: null },
    ]),
    false,
  )
  assert.equal(
    (await listTables(nft)).map(({ family }) => family),
    ['inet'],
  )
})

test('errors are typed: not found, exists, no nft, no answer', async () => {
  assert.is(await listTable(nft, { family: 'ip', name: 'none' }), null)
  const failure = async (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => null,
      (error: unknown) => error,
    )
  assert.ok(isNotFound(await failure(runNft(nft, ['delete', 'table', 'ip', 'none'], 'delete'))))
  assert.ok(isAlreadyExists(await failure(runNft(nft, ['create', 'table', 'inet', 'hybridnet'], 'create'))))
  for (const options of Object.values(runners)) {
    const late = await failure(
      runNft({ ...options, timeoutMs: 1 }, ['-f', '-'], 'slow', 'add table ip x\n'.repeat(50000)),
    )
    assert.ok(late instanceof NftError && late.code === 'TIMEOUT', String(late))
  }
  const missing = await failure(
    runNft({ namespace: null, run: () => runCommand(namespace, ['no-such-nft']) }, ['list'], 'list'),
  )
  assert.ok(missing instanceof NftError && missing.code === 'NOT_INSTALLED', String(missing))
})

test('NftMonitor counts commits to tables of the name and ignores others', async () => {
  let commits = 0
  let wake = (): void => undefined
  const monitor = NftMonitor.open(namespace, {
    tables: ['hybridnet'],
    onCommits: (count) => {
      commits += count
      wake()
    },
    onOverrun: () => assert.unreachable('no overrun'),
    onError: (error) => assert.unreachable(error.message),
  })
  try {
    const next = (): Promise<void> => new Promise((resolve) => (wake = resolve))
    await applyTransaction(nft, [{ do: 'add-table', table: { family: 'ip', name: 'other' } }])
    let woken = next()
    await applyTransaction(nft, [{ do: 'add-elements', table: MAIN_TABLE, set: 'node_ip4', elements: ['1.2.3.4'] }])
    await woken
    assert.is(commits, 1)
    woken = next()
    await applyTransaction(nft, removeTable(MAIN_TABLE))
    await woken
    assert.is(commits, 2)
  } finally {
    monitor.close()
    monitor.close()
  }
})

test.run()
