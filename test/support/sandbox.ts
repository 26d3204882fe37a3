// Fresh namespaces for tests, and the guard that keeps kernel code out of this machine's own network.
import { readlinkSync } from 'node:fs'

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

/**
 * Refuse to continue in the network namespace of the machine.
 *
 * @throws Error unless the runner started this process in namespaces of its own
 */
export function requireSandbox(): void {
  const host = process.env['HYBRIDNET_HOST_NETNS']
  const own = readlinkSync('/proc/self/ns/net')
  if (host === undefined || host === own) {
    throw new Error(`this must run in a network namespace of its own: start it with \`npm test\` (now in ${own})`)
  }
}
