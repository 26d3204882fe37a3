// The namespaces everything of this folder lives in. Nothing here may touch the network of the machine: kernel work happens
// only inside `unshare`d namespaces, and code that does it asks assertSandbox() first.
//
// A sandbox is a network, mount, IPC and process-id namespace (and, for an ordinary user, a user namespace in which that
// user is root). Its first process is the supervisor; when that dies, the kernel kills every other process in it, and with
// the last of them go the network namespaces, links and mounts. Nothing has to be undone by hand, however it ends.
import { execFile } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** The directory of network namespace files, `ip netns`'s own. */
export const namespaceDirectory = '/run/netns'

/** Environment variables by which a process inside knows that it is inside. */
export const sandboxVariables = {
  /** `readlink /proc/self/ns/net` of the machine's own namespace, as the process outside saw it. */
  hostNamespace: 'HYBRIDNET_HOST_NETNS',
} as const

/**
 * The command line that runs `command` in new network, mount, IPC and process-id namespaces, with /proc of its own; in a
 * new user namespace too when the caller is not root. Everything started inside dies with the first process.
 *
 * Equivalent to: `unshare --net --mount --ipc --pid --fork --kill-child --mount-proc COMMAND`
 */
export function sandboxCommand(command: readonly string[]): [string, ...string[]] {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  return [
    'unshare',
    ...user,
    '--net',
    '--mount',
    '--ipc',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    ...command,
  ]
}

/** The environment for a process started with {@link sandboxCommand}. */
export function sandboxEnvironment(): Record<string, string> {
  return { [sandboxVariables.hostNamespace]: readlinkSync('/proc/self/ns/net') }
}

/** true when this process was started through {@link sandboxCommand} and is in a network namespace of its own. */
export function inSandbox(): boolean {
  const host = process.env[sandboxVariables.hostNamespace]
  return host !== undefined && host !== readlinkSync('/proc/self/ns/net')
}

/**
 * Refuse to continue in the network namespace of the machine.
 *
 * @throws Error unless {@link inSandbox}
 */
export function assertSandbox(what: string): void {
  if (inSandbox()) return
  const own = readlinkSync('/proc/self/ns/net')
  throw new Error(`${what} works only in a network namespace of its own, not in the machine's (${own})`)
}

/** Says whose /run it is: a sandbox in a sandbox starts with a copy of the outer one's mounts. */
const ownerFile = '/run/hybridnet-sandbox'

/**
 * Give the sandbox an empty /run of its own, so that `ip netns`, lock files and sockets neither see nor touch the machine's.
 * Repeating it does nothing.
 *
 * Equivalent to: `mount -t tmpfs tmpfs /run; mkdir /run/netns; mount --bind /run/netns /run/netns`
 */
export async function prepareSandbox(): Promise<void> {
  assertSandbox('mounting over /run')
  const own = readlinkSync('/proc/self/ns/mnt')
  if (existsSync(ownerFile) && readFileSync(ownerFile, 'utf8') === own) return
  await execute('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'hybridnet', '/run'])
  if (!lstatSync('/var/run').isSymbolicLink()) await execute('mount', ['--bind', '/run', '/var/run'])
  mkdirSync(namespaceDirectory, { mode: 0o755 })
  // As `ip netns add` makes it. Otherwise that mounts the directory over itself, with all namespaces in it, and none that
  // was there before could be removed any more (EBUSY).
  await execute('mount', ['--bind', namespaceDirectory, namespaceDirectory])
  await execute('mount', ['--make-shared', namespaceDirectory])
  mkdirSync('/run/lock', { mode: 0o755 })
  writeFileSync(ownerFile, own)
}
