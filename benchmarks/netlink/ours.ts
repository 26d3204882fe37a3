// This project as a contender, in three shapes:
//   packed    RequestBatches filled beforehand, and dumps as packed records: the cost of addon and kernel
//   objects   apply() of plain objects, and dumps as objects: what most callers write, packing included
//   calls     run() for every object, a promise each, 1,000 started in a turn of the event loop, 4,000 unanswered at most
//   two       packed, over two sockets, half each (IPv6 routes only: the kernel adds them without the RTNL lock)
//   flush     packed, and deleted by one message (FDB only)
//
//   ours.ts SHAPE GROUP COUNT DEVICE_INDEX [PEER_PID]   prints a Sample
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { formatPrefix } from '../../lib/ip/index.ts'
import * as nl from '../../lib/netlink/index.ts'
import { longestTurn } from '../support/event-loop.ts'
import { LINK_GROUP, PRIORITY, TABLE, type GroupName, type Phase, type Sample } from './groups.ts'

type Shape = 'packed' | 'objects' | 'calls' | 'two' | 'flush'
const [, , shapeText, groupText, countText, deviceText, peerPid] = process.argv
const shape = shapeText as Shape
const group = groupText as GroupName
const count = Number(countText)
const device = Number(deviceText)
/** Objects of the uncounted rounds: this project's programs run for weeks, so the compiled code is what counts. */
const WARM = 10_000
const WARM_ROUNDS = 2
/** Before the counted round: the compiler's and the collector's own threads finish what preparing gave them to do. */
const SETTLE_MS = 100
/** Calls started in one turn, so that it is not the caller who holds the event loop. */
const BURST = 1000
/** Bursts without an answer: enough to keep the kernel at work, and what a program would have under way at most. */
const BURSTS = 4
/** Texts made in one turn, for the same reason. */
const TEXTS = 2048
const SCOPE_LINK = 253
const RTPROT_STATIC = 4

const namespace = nl.NetworkNamespace.current()
const socket = nl.RouteSocket.open(namespace)
const peerNamespace = peerPid === undefined ? null : nl.NetworkNamespace.open(`/proc/${peerPid}/ns/net`)
const second = shape === 'two' ? nl.RouteSocket.open(namespace) : null
const peerSocket = peerNamespace === null ? null : nl.RouteSocket.open(peerNamespace)

const ipv4 = (i: number): number => 0x0a000001 + i
const ipv6 = (i: number): bigint => (0xfdn << 120n) + BigInt(i + 1)
const mac = (i: number): number => 0x020000000000 + i + 1

/** Words of a record, and how many records a dump holds. */
const records = (words: Uint32Array, size: number): number => words.length / size

interface Operations {
  readonly add: (i: number) => nl.Request
  readonly remove: (i: number) => nl.Request
  readonly flat: () => Promise<number>
  readonly list: () => Promise<readonly unknown[]>
  /** Reversed order of adding. */
  readonly descending?: boolean
}

function routes(six: boolean): Operations {
  const dst = (i: number) => (six ? { address: ipv6(i), length: 128 } : { address: ipv4(i), length: 32 })
  const [table, oif, protocol, scope] = [TABLE, device, RTPROT_STATIC, six ? 0 : SCOPE_LINK]
  const filter = { family: six ? 6 : 4, table: TABLE } as const
  return {
    add: (i) => nl.request.routeAdd({ dst: dst(i), table, oif, protocol, scope }),
    remove: (i) => nl.request.routeDelete({ dst: dst(i), table, oif }),
    flat: async () => records(await socket.routesFlat(filter), nl.RouteLayout.Words),
    list: () => socket.routes(filter),
  }
}

function neighbours(six: boolean, proxy: boolean): Operations {
  const dst = (i: number) => (six ? ipv6(i) : ipv4(i))
  const index = device
  const flags = nl.NTF_PROXY
  const filter = { family: six ? 6 : 4, index: device, proxy } as const
  return {
    add: (i) => nl.request.neighAdd(proxy ? { index, dst: dst(i), flags } : { index, dst: dst(i), mac: mac(i) }),
    remove: (i) => nl.request.neighDelete(proxy ? { index, dst: dst(i), flags } : { index, dst: dst(i) }),
    flat: async () => records(await socket.neighboursFlat(filter), nl.NeighLayout.Words),
    list: () => socket.neighbours(filter),
  }
}

function fdb(): Operations {
  const value = (i: number): nl.FdbSpec => ({ index: device, mac: mac(i), dst: 0xac100001 + i })
  return {
    add: (i) => nl.request.fdbReplace(value(i)),
    remove: (i) => nl.request.fdbDelete(value(i)),
    flat: async () => records(await socket.fdbFlat(device), nl.NeighLayout.Words),
    list: () => socket.fdb(device),
  }
}

function rules(descending: boolean): Operations {
  const value = (i: number): nl.RuleSpec => ({
    family: 4,
    src: { address: ipv4(i), length: 32 },
    priority: PRIORITY + i,
    table: TABLE,
  })
  return {
    add: (i) => (descending ? nl.request.ruleAddUnchecked(value(i)) : nl.request.ruleAdd(value(i))),
    remove: (i) => nl.request.ruleDelete(value(i)),
    flat: async () => records(await socket.rulesFlat(4), nl.RuleLayout.Words),
    list: () => socket.rules(4),
    descending,
  }
}

function links(): Operations {
  if (peerNamespace === null) throw new Error('the links group needs a peer process')
  return {
    add: (i) =>
      nl.request.linkAdd({
        kind: 'veth',
        name: `h${i}`,
        up: true,
        group: LINK_GROUP,
        peer: { name: `p${i}`, namespace: peerNamespace },
      }),
    remove: () => nl.request.linkDelete({ group: LINK_GROUP }),
    flat: async () => (await socket.links()).length,
    list: () => socket.links(),
  }
}

const GROUPS: Readonly<Record<GroupName, () => Operations>> = {
  routes4: () => routes(false),
  routes6: () => routes(true),
  fdb,
  neigh4: () => neighbours(false, false),
  neigh6: () => neighbours(true, false),
  proxy4: () => neighbours(false, true),
  proxy6: () => neighbours(true, true),
  rules: () => rules(false),
  'rules-descending': () => rules(true),
  links,
}
const operations = GROUPS[group]()

function fail(errors: readonly (nl.NetlinkError | nl.BatchRefusal | null)[]): void {
  const bad = errors.find((error) => error !== null)
  if (bad)
    throw bad instanceof Error ? bad : new Error(`request ${bad.position} refused: errno ${bad.errno} ${bad.extack}`)
}

function packed(requests: readonly nl.Request[]): nl.RequestBatch {
  const batch = new nl.RequestBatch(requests.length)
  for (const request of requests) batch.add(request)
  return batch
}

async function calls(requests: readonly nl.Request[], to: nl.RouteSocket): Promise<void> {
  const bursts: Promise<unknown>[] = []
  for (let i = 0; i < requests.length; i += BURST) {
    if (bursts.length === BURSTS) await bursts.shift()
    bursts.push(Promise.all(requests.slice(i, i + BURST).map((request) => to.run(request))))
    await nextTurn()
  }
  await Promise.all(bursts)
}

/** What sending the requests takes in the shape measured; making them is outside. */
function sender(requests: readonly nl.Request[], to = socket): () => Promise<void> {
  if (shape === 'objects') return async () => fail(await to.apply(requests))
  if (shape === 'calls') return () => calls(requests, to)
  if (second === null) {
    const batch = packed(requests)
    return async () => fail(await to.applyPacked(batch))
  }
  const middle = requests.length >> 1
  const halves = [packed(requests.slice(0, middle)), packed(requests.slice(middle))] as const
  return async () => {
    for (const refused of await Promise.all([to.applyPacked(halves[0]), second.applyPacked(halves[1])])) fail(refused)
  }
}

function changes(n: number): { add: () => Promise<void>; remove: () => Promise<void> } {
  const order = Array.from({ length: n }, (_, i) => i)
  const adds = (operations.descending ? [...order].reverse() : order).map(operations.add)
  const removes =
    shape === 'flush' ? [nl.request.fdbFlush(device)] : (group === 'links' ? [0] : order).map(operations.remove)
  const add = sender(adds)
  const raise =
    peerSocket === null
      ? null
      : sender(
          order.map((i) => nl.request.linkSet(`p${i}`, { up: true })),
          peerSocket,
        )
  return {
    add: async () => {
      await add()
      await raise?.()
    },
    remove: sender(removes),
  }
}

const dump = async (): Promise<number> =>
  shape === 'objects' || shape === 'calls' ? (await operations.list()).length : await operations.flat()
const texts = async (): Promise<number> => {
  let length = 0
  const list = (await operations.list()) as readonly nl.Route[]
  for (let i = 0; i < list.length; i++) {
    if (i > 0 && i % TEXTS === 0) await nextTurn()
    const route = list[i]
    if (route !== undefined) length += formatPrefix(route.dst).length
  }
  return length
}

const before = await dump()
const small = Math.min(count, group === 'links' ? 4 : WARM)
for (let round = 0; round < WARM_ROUNDS; round++) {
  const warm = changes(small)
  await warm.add()
  await dump()
  if (shape === 'objects' && group.startsWith('routes')) await texts()
  await warm.remove()
}

const measured = changes(count)
// What preparing left behind is not the measured phases' to collect.
;(globalThis as { gc?: () => void }).gc?.()
await sleep(SETTLE_MS)
let found = 0
const phases: [Phase, () => Promise<unknown>][] = [
  ['add', measured.add],
  ['dump', async () => (found = (await dump()) - before)],
  ['delete', measured.remove],
]
if (shape === 'objects' && group.startsWith('routes')) phases.splice(2, 0, ['text', texts])
const seconds: Partial<Record<Phase, number>> = {}
const cpu: Partial<Record<Phase, number>> = {}
const blocked: Partial<Record<Phase, number>> = {}
const held: Partial<Record<Phase, number | null>> = {}
for (const [phase, work] of phases) {
  // The event loop turns once before each, so that no phase pays for the one before.
  await sleep(5)
  const processor = process.cpuUsage()
  const started = performance.now()
  const turn = await longestTurn(async () => {
    await work()
    seconds[phase] = (performance.now() - started) / 1000
  })
  blocked[phase] = turn.wall
  held[phase] = turn.cpu
  const { user, system } = process.cpuUsage(processor)
  cpu[phase] = (user + system) / 1e6
}
const sample: Sample = { seconds, cpu, count: found, blocked, held }
console.log(JSON.stringify(sample))
socket.close()
second?.close()
peerSocket?.close()
peerNamespace?.close()
namespace.close()
