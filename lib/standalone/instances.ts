// Running sandboxes of this user, as `hybridnet standalone exec` finds them: each has a directory of its own in the temporary
// directory, with `instance.json` saying whose supervisor it is.
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What instance directories are called, before mkdtemp's six characters. */
export const instancePrefix = 'hybridnet-'

/** One running sandbox, as seen from outside it. */
export interface Instance {
  readonly directory: string
  /** `standalone` or `demo`. */
  readonly program: string
  readonly launcherPid: number
  /** First process of the sandbox, in the process ids of the machine. */
  readonly supervisorPid: number
  /** true when it was started by an ordinary user: entering it means entering its user namespace first. */
  readonly ownUserNamespace: boolean
  readonly startedAt: string
}

/** Record a sandbox in its directory. */
export function writeInstance(instance: Instance): void {
  const path = join(instance.directory, 'instance.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(instance, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** The running sandboxes of this user, the latest first. */
export function listInstances(): Instance[] {
  const base = tmpdir()
  const found: Instance[] = []
  for (const entry of readdirSync(base)) {
    if (!entry.startsWith(instancePrefix)) continue
    const directory = join(base, entry)
    const instance = readInstance(directory)
    // Somebody else's directory could name any process; only our own is believed.
    if (instance !== null && statSync(directory).uid === process.getuid?.() && isAlive(instance.supervisorPid)) {
      found.push(instance)
    }
  }
  return found.sort((a, b) => b.startedAt.localeCompare(a.startedAt))
}

function readInstance(directory: string): Instance | null {
  try {
    return JSON.parse(readFileSync(join(directory, 'instance.json'), 'utf8')) as Instance
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return null
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

/**
 * The command line that runs `command` inside a sandbox, in the network namespace `netns` (a path inside it).
 *
 * Two nsenters, because the file only exists in the sandbox's mount namespace. Equivalent to:
 * `nsenter --target PID --user --mount --net --ipc --pid -- nsenter --net=FILE -- COMMAND`
 */
export function enterCommand(instance: Instance, netns: string, command: readonly string[]): [string, ...string[]] {
  const user = instance.ownUserNamespace ? ['--user', '--preserve-credentials'] : []
  const outer = ['--target', String(instance.supervisorPid), ...user, '--mount', '--net', '--ipc', '--pid']
  return ['nsenter', ...outer, '--', 'nsenter', `--net=${netns}`, '--', ...command]
}
