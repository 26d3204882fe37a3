// rtnetlink from TypeScript against the limit (C), iproute2, Go, Python and npm: see README.md.
//
//   node --import tsx benchmarks/netlink/run.ts [--quick] [--only routes4,fdb] [--contenders 'hybridnet packed,iproute2 -batch']
//                                               [--repetitions N] [--count N] [--minutes N] [--slow] [--no-write]
//
// Outside it builds and installs the contenders, then starts itself again in fresh namespaces, where everything else
// happens. In every repetition all contenders run once, in shuffled order.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { machine } from '../support/report.ts'
import { deviceNames, requireFreshNamespace, restartInSandbox, startedInSandbox } from '../support/sandbox.ts'
import { shuffled } from '../support/statistics.ts'
import { contenders, countObjects, type Contender, type Place } from './contenders.ts'
import { GROUPS, LIMIT, LINK_GROUP, TABLE, type Group, type Sample } from './groups.ts'
import { prepare, type Prepared } from './prepare.ts'
import { markdownReport, summary, textReport, verdicts, type Measured } from './results.ts'

const execute = promisify(execFile)
const PREPARED = 'HYBRIDNET_BENCHMARK_PREPARED'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    contenders: { type: 'string' },
    repetitions: { type: 'string' },
    count: { type: 'string' },
    minutes: { type: 'string' },
    slow: { type: 'boolean', default: false },
    'no-write': { type: 'boolean', default: false },
  },
})

if (!startedInSandbox()) {
  console.log('preparing contenders ...')
  await restartInSandbox({ [PREPARED]: JSON.stringify(await prepare()) })
}
requireFreshNamespace()

const prepared = JSON.parse(process.env[PREPARED] ?? '') as Prepared
const repetitions = Number(values.repetitions ?? (values.quick ? 2 : 3))
/** After this long, groups are measured once only. */
const minutes = Number(values.minutes ?? 9)
const folder = mkdtempSync(join(tmpdir(), 'hybridnet-benchmark-'))

function chosenGroups(): { group: Group; count: number }[] {
  const names = values.only?.split(',') ?? GROUPS.map((group) => group.name)
  const unknown = names.filter((name) => !GROUPS.some((group) => group.name === name))
  if (unknown.length > 0) {
    throw new Error(`--only ${unknown.join(',')}: expected some of ${GROUPS.map((group) => group.name).join(',')}`)
  }
  return GROUPS.filter((group) => names.includes(group.name)).flatMap((group) => {
    const counts = values.count !== undefined ? [Number(values.count)] : values.quick ? [group.quick] : group.counts
    return counts.map((count) => ({ group, count }))
  })
}

function chosenContenders(): Contender[] {
  const all = contenders(prepared)
  const names = values.contenders?.split(',').map((name) => name.trim())
  return names === undefined ? all : all.filter(({ name }) => name === LIMIT || names.includes(name))
}

const ip = (...args: string[]): Promise<unknown> => execute('ip', args)

/** Fresh devices for a group: a veth pair and a VXLAN device. */
async function makeDevices(): Promise<void> {
  await ip('link', 'set', 'lo', 'up')
  await ip('link', 'add', 'b0', 'type', 'veth', 'peer', 'name', 'b1')
  await ip('link', 'set', 'b1', 'up')
  await ip('link', 'set', 'b0', 'up')
  await ip(
    'link',
    'add',
    'vx0',
    'type',
    'vxlan',
    'id',
    '9',
    'dstport',
    '8472',
    'local',
    '192.0.2.1',
    'dev',
    'b0',
    'nolearning',
  )
  await ip('link', 'set', 'vx0', 'up')
}

async function makePlace(group: Group, peerPid: number): Promise<Place> {
  await makeDevices()
  const { stdout } = await execute('ip', ['-o', 'link', 'show', group.device])
  return { device: group.device, deviceIndex: Number.parseInt(stdout, 10), peerPid, folder }
}

async function removeDevices(): Promise<void> {
  if (deviceNames().some((name) => /^h[0-9]+$/.test(name))) await ip('link', 'del', 'group', String(LINK_GROUP))
  await ip('link', 'del', 'vx0')
  await ip('link', 'del', 'b0')
}

/** A process holding another network namespace, for the peers of veths. It dies with this sandbox at the latest. */
async function startPeer(): Promise<ChildProcess> {
  const child = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' })
  const own = readlinkSync('/proc/self/ns/net')
  for (let waited = 0; waited < 5000; waited += 10) {
    await sleep(10)
    if (child.exitCode !== null) break
    if (readlinkSync(`/proc/${child.pid}/ns/net`) !== own) return child
  }
  throw new Error('no second network namespace after 5 s')
}

async function once(contender: Contender, group: Group, count: number, place: Place): Promise<Sample> {
  const before = await countObjects(prepared, group.name, place.device)
  const sample = await contender.run(group.name, count, place)
  const after = await countObjects(prepared, group.name, place.device)
  // Multicast neighbours come and go by themselves on IPv6 devices.
  const exact = group.name !== 'neigh6'
  if (sample.count !== null && (exact ? sample.count !== count : sample.count < count)) {
    throw new Error(`${contender.name} found ${sample.count} objects in its dump, expected ${count}`)
  }
  if (exact && after !== before) throw new Error(`${contender.name} left ${after - before} objects behind`)
  return sample
}

/** Contenders that failed, by group; the run goes on without them and ends with an error. */
const failures: string[] = []

async function measure(group: Group, count: number, list: readonly Contender[], peerPid: number): Promise<Measured> {
  let place = await makePlace(group, peerPid)
  const taking = list.filter(
    ({ groups, most }) => (groups?.includes(group.name) ?? true) && (values.slow || count <= (most ?? Infinity)),
  )
  const samples = new Map<string, (Sample | null)[]>(taking.map(({ name }) => [name, []]))
  const failed = new Set<string>()
  for (let repetition = 0; repetition < repetitions; repetition++) {
    if (repetition > 0 && Date.now() - started > minutes * 60_000) {
      console.error(
        `*** ${group.name} ${count}: ${repetition} of ${repetitions} repetitions: --minutes ${minutes} are over`,
      )
      break
    }
    for (const contender of shuffled(taking)) {
      const { name, patience } = contender
      const waits = failed.has(name) || (repetition > 0 && patience !== undefined && count > patience)
      if (process.stderr.isTTY)
        process.stderr.write(`\r\x1b[K${group.name} ${count}, repetition ${repetition + 1}: ${name}`)
      try {
        samples.get(name)?.push(waits ? null : await once(contender, group, count, place))
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        console.error(`\n*** ${name} FAILED in ${group.name} ${count} and is left out of it: ${reason}\n`)
        failures.push(`${name} in ${group.name} ${count}`)
        failed.add(name)
        samples.get(name)?.push(null)
        // Whatever it left behind goes with the devices it was on; routes and rules too, but for rules of no device.
        await removeDevices()
        await execute('ip', ['rule', 'flush', 'table', String(TABLE)])
        place = await makePlace(group, peerPid)
      }
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  await removeDevices()
  return { group, count, samples }
}

const started = Date.now()
const load = loadavg()[0] ?? 0
if (load > availableParallelism() / 2) {
  console.log(
    `*** the machine is busy (load ${load.toFixed(1)}): wall times and their ratios will be off; look at the cpu ratios ***`,
  )
}
const list = chosenContenders()
const versions = {
  iproute2: prepared.iproute ?? 'missing',
  'Go vishvananda/netlink': prepared.go?.version ?? 'missing',
  pyroute2: prepared.python?.version ?? 'missing',
  'npm netlink': prepared.npm?.version ?? 'missing',
}
console.log(`${repetitions} repetitions in shuffled order: ${list.map(({ name }) => name).join(', ')}`)
const peer = await startPeer()
const all: Measured[] = []
try {
  for (const { group, count } of chosenGroups()) {
    const measured = await measure(group, count, list, peer.pid ?? 0)
    all.push(measured)
    console.log(textReport(measured))
  }
} finally {
  peer.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

const judged = verdicts(all)
const missed = judged.filter((verdict) => !verdict.met)
console.log(`\ntargets: ${summary(judged)}; ${Math.round((Date.now() - started) / 1000)} s`)
for (const { group, count, what, wanted, measured, reason } of missed) {
  console.log(`  not met: ${group} ${count} ${what}: ${measured.toFixed(2)}, wanted ${wanted}: ${reason}`)
}

for (const failure of failures) console.log(`  FAILED: ${failure}`)
if (failures.length > 0) process.exitCode = 1

if (!values['no-write']) {
  const results = join(import.meta.dirname, 'results')
  mkdirSync(results, { recursive: true })
  const name = values.quick ? 'quick' : 'latest'
  const facts = { date: new Date(started).toISOString().slice(0, 10), ...machine(), load: load.toFixed(1), ...versions }
  const groups = all.map(({ group, count, samples }) => ({
    group: group.name,
    count,
    samples: Object.fromEntries(samples),
  }))
  writeFileSync(
    join(results, `${name}.json`),
    `${JSON.stringify({ facts, repetitions, groups, targets: judged }, null, 1)}\n`,
  )
  writeFileSync(join(results, `${name}.md`), markdownReport(all, facts))
}
