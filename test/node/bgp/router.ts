// Somebody else's BGP daemon in the router's namespace, behind one interface for all.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { eventually } from '../../support/eventually.ts'
import type { Place } from './place.ts'

export interface RouterSettings {
  readonly as: number
  readonly nodeAs: number
  /** Whether the session runs over IPv4 or IPv6. */
  readonly transport: 4 | 6
  readonly password?: string
  readonly ttlSecurity?: boolean
  /** Seconds. */
  readonly holdTime?: number
  readonly passive?: boolean
  /** Families to carry; default both. */
  readonly families?: readonly (4 | 6)[]
  /** Seconds; 0: no graceful restart. Default 60. */
  readonly gracefulRestartTime?: number
  /** Prefixes it announces. */
  readonly routes: readonly string[]
}

export interface SeenRoute {
  readonly nextHop: string
  readonly asPath: string
  readonly communities: readonly string[]
}

export interface Router {
  readonly name: string
  /** After a restart its End-of-RIB comes after its routes. */
  readonly keepsOrder: boolean
  /** @param recover after a restart: it keeps the routes it had, where it can */
  start(settings: RouterSettings, recover?: boolean): Promise<void>
  /** Routes heard from the node, by prefix. */
  routes(): Promise<Map<string, SeenRoute>>
  /** Asks the node to send its routes of both families again; false when this daemon has no way to. */
  requestRefresh(): Promise<boolean>
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL' | 'SIGTERM'): void
  stop(): Promise<void>
}

/** Null when all programs are there, otherwise the Debian package to install. */
export function missing(programs: readonly string[], debianPackage: string): string | null {
  return programs.every((program) => existsSync(program)) ? null : debianPackage
}

/** A daemon in the router's namespace, with what it wrote at hand when a test fails. */
export class Daemon {
  readonly #child: ChildProcess
  output = ''

  constructor(place: Place, command: readonly string[]) {
    this.#child = spawn('nsenter', [`--net=${place.routerPath}`, ...command], { stdio: ['ignore', 'pipe', 'pipe'] })
    const note = (chunk: Buffer): void => void (this.output = (this.output + chunk.toString()).slice(-20_000))
    this.#child.stdout?.on('data', note)
    this.#child.stderr?.on('data', note)
    this.#child.on('error', (error) => (this.output += error.message))
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves when the check returns true; what it throws means not yet, unless the daemon has ended. */
  async ready(check: () => boolean): Promise<void> {
    await eventually(
      () => {
        if (!this.running) return true
        return check()
      },
      20_000,
      50,
    )
    if (!this.running) throw new Error(`the daemon ended: ${this.output}`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async stop(): Promise<void> {
    if (!this.running) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGCONT')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** The output of a command in the router's namespace. */
export function ask(place: Place, command: readonly [string, ...string[]]): string {
  return execFileSync('nsenter', [`--net=${place.routerPath}`, ...command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  })
}
