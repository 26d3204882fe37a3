// The outer half of `hybridnet standalone` and `hybridnet demo`: a process in the machine's own network that changes nothing
// there. It makes a private directory, starts the supervisor in a sandbox, forwards one loopback TCP port to the supervisor's
// API socket (a file, hence reachable from both sides; TLS passes through), and clears up when either side ends.
//
//   kubectl ── 127.0.0.1:port ── launcher ── DIRECTORY/api.sock ── supervisor (sandbox) ── nodes
//
// The supervisor's stdin is a pipe from here. Its end means "stop", so the supervisor also learns of a launcher that was
// killed; and the kernel kills everything in the sandbox when the supervisor's parent dies (unshare --kill-child).
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Instance, instancePrefix, writeInstance } from './instances.ts'
import { sandboxCommand, sandboxEnvironment } from './sandbox.ts'

/** How the launcher tells the supervisor where things are. */
export const launchVariables = {
  directory: 'HYBRIDNET_INSTANCE_DIRECTORY',
  apiPort: 'HYBRIDNET_API_PORT',
  startedAt: 'HYBRIDNET_STARTED_AT',
} as const

export interface LaunchOptions {
  /** Subcommand of this executable, run again inside: `standalone`, `demo`. */
  readonly program: string
  readonly argv: readonly string[]
}

/** Name of the supervisor's API socket in the instance's directory. */
export const apiSocketName = 'api.sock'

/** When the launcher was started, milliseconds since 1970: the user's clock, not the supervisor's. */
export function startedAt(): number {
  return Number(process.env[launchVariables.startedAt] ?? Date.now())
}

/** How long a supervisor may take to stop before it is killed. */
const stopLimitMs = 10_000

/**
 * Run a subcommand in a sandbox and wait for its end.
 *
 * SIGINT, SIGTERM and SIGHUP ask it to stop; a second one, or 10 s, kills it.
 *
 * @returns its exit code
 * @throws Error when the sandbox cannot be made
 */
export async function launch({ program, argv }: LaunchOptions): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), instancePrefix))
  try {
    const server = await listenProxy(join(directory, apiSocketName))
    try {
      const port = (server.address() as AddressInfo).port
      return await runSupervisor({ program, argv, directory, port })
    } finally {
      server.close()
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A TCP server on a free loopback port that hands each connection to the Unix socket. */
async function listenProxy(socketPath: string): Promise<Server> {
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect(socketPath)
    // A broken half ends the other half; the peer sees a closed connection, which is what happened.
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return server
}

async function runSupervisor(options: LaunchOptions & { directory: string; port: number }): Promise<number> {
  const self = [process.execPath, ...process.execArgv, process.argv[1] ?? '']
  const [file, ...args] = sandboxCommand([...self, options.program, ...options.argv])
  const child = spawn(file, args, {
    // stdin: see above. A session of its own keeps the terminal's Ctrl-C from reaching every process at once.
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
    env: {
      ...process.env,
      ...sandboxEnvironment(),
      [launchVariables.directory]: options.directory,
      [launchVariables.apiPort]: String(options.port),
      [launchVariables.startedAt]: String(Date.now() - Math.round(process.uptime() * 1000)),
    },
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', (error) => {
      if (child.pid === undefined) reject(new Error(`cannot run ${file}: ${error.message}; install util-linux`))
    })
    child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 1)))
  })
  const release = stopOnSignals(child)
  try {
    const pid = await supervisorPid(child)
    if (pid !== null) {
      const instance: Instance = {
        directory: options.directory,
        program: options.program,
        launcherPid: process.pid,
        supervisorPid: pid,
        ownUserNamespace: process.getuid?.() !== 0,
        startedAt: new Date().toISOString(),
      }
      writeInstance(instance)
    }
    const code = await ended
    if (pid === null && code !== 0) process.stderr.write(sandboxHint)
    return code
  } finally {
    release()
  }
}

const sandboxHint = `hybridnet: no sandbox could be made. As an ordinary user this needs user namespaces; look at
  sysctl user.max_user_namespaces kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns
or run it as root.
`

/** unshare forks the supervisor; its process id, as seen from outside, is what `nsenter` needs. null when unshare failed. */
async function supervisorPid(child: ChildProcess): Promise<number | null> {
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const pid = child.pid === undefined ? Number.NaN : Number.parseInt(childrenOf(child.pid), 10)
    if (Number.isInteger(pid)) return pid
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return null
}

function childrenOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  } catch (error) {
    // Gone already: its exit code is on the way.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return ''
    throw error
  }
}

/** @returns a function that takes the handlers away again */
function stopOnSignals(child: ChildProcess): () => void {
  let asked = false
  let timer: NodeJS.Timeout | null = null
  const stop = (): void => {
    if (asked) {
      child.kill('SIGKILL')
      return
    }
    asked = true
    child.stdin?.end()
    timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
  }
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, stop)
  child.stdin?.on('error', () => child.kill('SIGKILL'))
  return () => {
    if (timer !== null) clearTimeout(timer)
    for (const signal of signals) process.off(signal, stop)
  }
}
