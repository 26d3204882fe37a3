// Child processes that should always run: started, logged to a file each, started again when they end, and stopped with
// their owner. A program that keeps ending is started ever more slowly, and never given up.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'

export interface ProgramOptions {
  readonly name: string
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]]
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>
  /** File that stdout and stderr are appended to. */
  readonly logFile: string
  /** Milliseconds before the first restart; doubles up to 60 times that while the program ends within 10 s. Default 250. */
  readonly restartDelayMs?: number
}

/** How a program is doing. */
export interface ProgramState {
  /** null while it does not run. */
  readonly pid: number | null
  /** Times it was started. */
  readonly starts: number
  /** How it last ended: `exit 1`, `SIGKILL`; null before. */
  readonly lastExit: string | null
}

/** One supervised child process. */
export class Program {
  readonly name: string
  readonly logFile: string
  readonly #options: ProgramOptions
  #child: ChildProcess | null = null
  #stopping = false
  #restart: NodeJS.Timeout | null = null
  #quickExits = 0
  #starts = 0
  #lastExit: string | null = null

  constructor(options: ProgramOptions) {
    this.name = options.name
    this.logFile = options.logFile
    this.#options = options
  }

  get state(): ProgramState {
    return { pid: this.#child?.pid ?? null, starts: this.#starts, lastExit: this.#lastExit }
  }

  /** Start it, and keep it running until {@link stop}. Nothing when it runs already. */
  start(): void {
    this.#stopping = false
    if (this.#child !== null || this.#restart !== null) return
    this.#launch()
  }

  /**
   * Send a signal to the running process; the supervision goes on, so that a killed program comes back.
   *
   * @returns false when it was not running
   */
  kill(signal: NodeJS.Signals = 'SIGKILL'): boolean {
    return this.#child?.kill(signal) ?? false
  }

  /** SIGTERM, SIGKILL after `graceMs`, and wait for the end. It stays down until {@link start}. */
  async stop(graceMs = 5000): Promise<void> {
    this.#stopping = true
    if (this.#restart !== null) clearTimeout(this.#restart)
    this.#restart = null
    const child = this.#child
    if (child === null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
    await ended
    clearTimeout(timer)
  }

  /** SIGKILL, as a power cut: nothing is tidied up, and it stays down until {@link start}. */
  async halt(): Promise<void> {
    const child = this.#child
    const stopped = this.stop()
    child?.kill('SIGKILL')
    await stopped
  }

  /** {@link stop} and {@link start}. */
  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  #launch(): void {
    const [file, ...args] = this.#options.command
    const log = openSync(this.logFile, 'a')
    const started = performance.now()
    this.#starts++
    const child = spawn(file, args, {
      env: { ...process.env, ...this.#options.environment },
      stdio: ['ignore', log, log],
    })
    this.#child = child
    const ended = (how: string): void => {
      if (this.#child !== child) return
      this.#child = null
      this.#lastExit = how
      writeSync(log, `--- ${this.name}: ${how} after ${Math.round(performance.now() - started)} ms\n`)
      closeSync(log)
      if (!this.#stopping) this.#scheduleRestart(performance.now() - started)
    }
    child.once('error', (error) => {
      // 'error' also reports a signal that could not be sent; only a failed start leaves no process behind.
      if (child.pid === undefined) ended(`could not be started: ${error.message}`)
      else writeSync(log, `--- ${this.name}: ${error.message}\n`)
    })
    child.once('exit', (code, signal) => ended(signal ?? `exit ${code}`))
  }

  #scheduleRestart(ranMs: number): void {
    this.#quickExits = ranMs < 10_000 ? this.#quickExits + 1 : 0
    const first = this.#options.restartDelayMs ?? 250
    const delay = Math.min(first * 2 ** Math.max(0, this.#quickExits - 1), first * 60)
    this.#restart = setTimeout(() => {
      this.#restart = null
      this.#launch()
    }, delay)
  }
}
