// The contenders as one function each: run a group once, answer what was measured. Each runs in a process of its own, in
// this namespace, and must leave nothing behind.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  GO,
  IPROUTE,
  LIMIT,
  NPM,
  OURS_CALLS,
  OURS_FLUSH,
  OURS_OBJECTS,
  OURS_PACKED,
  OURS_TWO,
  PYTHON,
  type GroupName,
  type Sample,
} from './groups.ts'
import { runIproute } from './iproute.ts'
import type { Prepared } from './prepare.ts'

const execute = promisify(execFile)

/** Where a group runs. */
export interface Place {
  readonly device: string
  readonly deviceIndex: number
  /** A process in the namespace of the veth peers. */
  readonly peerPid: number
  /** For files. */
  readonly folder: string
}

export interface Contender {
  readonly name: string
  /** Groups it can do; absent for all. */
  readonly groups?: readonly GroupName[]
  /** With more objects than this it takes part in the first repetition only: it would take the hour otherwise. */
  readonly patience?: number
  /** With more objects than this it does not take part at all, unless --slow. */
  readonly most?: number
  readonly run: (group: GroupName, count: number, place: Place) => Promise<Sample>
}

interface Printed {
  add: number
  dump: number | null
  delete: number
  count: number | null
  cpu: Sample['cpu']
  blocked?: NonNullable<Sample['blocked']>
  held?: NonNullable<Sample['held']>
}

async function printed(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execute(command, [...args], { timeout: 600_000, killSignal: 'SIGKILL' })
  return stdout
}

async function program(command: string, args: readonly string[]): Promise<Sample> {
  const answer = JSON.parse(await printed(command, args)) as Printed
  const { add, dump, delete: removed, ...rest } = answer
  return { seconds: { add, dump, delete: removed }, ...rest }
}

const withPeer = (group: GroupName, place: Place): string[] => (group === 'links' ? [String(place.peerPid)] : [])

/** Objects of the group there are now, as C counts them. */
export async function countObjects(prepared: Prepared, group: GroupName, device: string): Promise<number> {
  return Number(await printed(prepared.limit, ['count', group, device]))
}

export function contenders(prepared: Prepared): Contender[] {
  const { limit, go, python, npm, iproute, ours } = prepared
  const list: Contender[] = [
    {
      name: LIMIT,
      run: (group, count, place) => program(limit, [group, String(count), place.device, ...withPeer(group, place)]),
    },
  ]
  if (ours !== null) {
    const shape = (name: string, argument: string, groups?: readonly GroupName[]): Contender => ({
      name,
      ...(groups === undefined ? {} : { groups }),
      run: async (group, count, place) => {
        const args = ['--expose-gc', '--import', 'tsx', ours, argument, group, String(count), String(place.deviceIndex)]
        return JSON.parse(await printed(process.execPath, [...args, ...withPeer(group, place)])) as Sample
      },
    })
    list.push(shape(OURS_PACKED, 'packed'), shape(OURS_OBJECTS, 'objects'), shape(OURS_CALLS, 'calls'))
    list.push(shape(OURS_TWO, 'two', ['routes6']), shape(OURS_FLUSH, 'flush', ['fdb']))
  }
  if (iproute !== null) {
    list.push({
      name: IPROUTE,
      run: (group, count, place) => runIproute(group, count, place.device, place.peerPid, place.folder),
    })
  }
  if (go !== null) {
    list.push({
      name: GO,
      run: (group, count, place) => program(go.path, [group, String(count), place.device, ...withPeer(group, place)]),
    })
  }
  if (npm !== null) {
    const script = join(import.meta.dirname, 'npm/contender.mjs')
    list.push({
      name: NPM,
      groups: ['routes4', 'routes6', 'neigh4', 'neigh6'],
      patience: 20_000,
      run: (group, count, place) =>
        program(process.execPath, [
          '--import',
          'tsx',
          script,
          npm.folder,
          group,
          String(count),
          String(place.deviceIndex),
        ]),
    })
  }
  if (python !== null) {
    const script = join(import.meta.dirname, 'python/contender.py')
    list.push({
      name: PYTHON,
      groups: ['routes4', 'routes6', 'fdb', 'neigh4', 'neigh6', 'proxy4', 'proxy6', 'rules'],
      patience: 5000,
      most: 10_000,
      run: (group, count, place) => program(python.path, [script, group, String(count), place.device]),
    })
  }
  return list
}
