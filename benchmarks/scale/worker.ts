// Child processes of this benchmark that answer questions over Node's IPC channel, and programs that are only watched.
// Each is a session of its own: schedulers that group by session then treat it as what it stands for, a machine of its own.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'

interface Question {
  readonly id: number
  readonly method: string
  readonly argument: unknown
}

interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

type Methods = Readonly<Record<string, (argument: never) => unknown>>

/** In a child: answer the parent's questions by these methods, and end with the parent. */
export function answer(methods: Methods): void {
  process.on('message', (message) => {
    const { id, method, argument } = message as Question
    const run = methods[method] as ((argument: unknown) => unknown) | undefined
    void Promise.resolve()
      .then(() => {
        if (run === undefined) throw new Error(`no method '${method}'`)
        return run(argument)
      })
      .then(
        (value) => process.send?.({ id, value } satisfies Reply),
        (error: unknown) =>
          process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      )
  })
  process.once('disconnect', () => process.exit(0))
}

/** What the kernel counts of a process. */
export interface Usage {
  /** MiB, now and at most so far. */
  readonly rss: number
  readonly peak: number
  /** Seconds, user and system, all threads. */
  readonly cpu: number
}

const clockTicks = 100

/** @throws Error when the process is gone */
export function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const cpu = (Number(fields[11]) + Number(fields[12])) / clockTicks
  return { rss: kib('VmRSS') / 1024, peak: kib('VmHWM') / 1024, cpu }
}

/** A process that runs until it is stopped; what it prints goes to a file. */
export class Process {
  readonly pid: number
  readonly logFile: string
  readonly startedAt = Date.now()
  protected readonly child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(child: ChildProcess, logFile: string) {
    this.child = child
    this.logFile = logFile
    if (child.pid === undefined) throw new Error(`a process could not be started; see ${logFile}`)
    this.pid = child.pid
    this.#ended = once(child, 'exit')
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  usage(): Usage {
    if (!this.running) throw new Error(`process ${this.pid} has ended; see ${this.logFile}:\n${tail(this.logFile)}`)
    return usageOf(this.pid)
  }

  /** Its log lines (JSON) with this message, as written so far. */
  lines(message: string): Record<string, unknown>[] {
    const lines = readFileSync(this.logFile, 'utf8').split('\n')
    return lines
      .filter((line) => line.startsWith('{') && line.includes(message))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === message)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return
    this.child.kill(signal)
    const force = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    await this.#ended
    clearTimeout(force)
  }
}

export function startProgram(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  logFile: string,
): Process {
  const [file = '', ...args] = command
  const log = openSync(logFile, 'a')
  try {
    const env = { ...process.env, ...environment }
    const child = spawn(file, args, { stdio: ['ignore', log, log], env, detached: true })
    return new Process(child, logFile)
  } finally {
    closeSync(log)
  }
}

/** A child of this benchmark: a TypeScript file that calls {@link answer}. */
export class Worker extends Process {
  #last = 0
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()

  static start(file: URL, logFile: string): Worker {
    const log = openSync(logFile, 'a')
    try {
      const stdio = ['ignore', log, log, 'ipc'] as const
      return new Worker(fork(file, [], { stdio: [...stdio], serialization: 'advanced', detached: true }), logFile)
    } finally {
      closeSync(log)
    }
  }

  private constructor(child: ChildProcess, logFile: string) {
    super(child, logFile)
    child.on('message', (message) => {
      const { id, value, error } = message as Reply
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(value)
      else waiting?.reject(new Error(error))
    })
    child.once('exit', (code, signal) => {
      const error = new Error(`a worker ended (${signal ?? code}); see ${logFile}:\n${tail(logFile)}`)
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    })
  }

  ask<T>(method: string, argument?: unknown): Promise<T> {
    const id = ++this.#last
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.child.send({ id, method, argument } satisfies Question, (error) => {
        if (error !== null) reject(error)
      })
    })
  }
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-12).join('\n')
}
