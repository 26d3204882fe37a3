// The one door to the log library: JSON lines on stdout, stable keys, no transports (they are worker threads and do not
// bundle). Keys used across programs: component, object (kind/namespace/name), operation, err.
import pino from 'pino'

export type Logger = pino.Logger

export interface LogOptions {
  /** Name of the program, the `name` key of every line. */
  readonly name: string
  /** trace, debug, info, warn, error, fatal or silent. */
  readonly level?: string
  /** File descriptor to write to; 1 (stdout) unless given. */
  readonly fd?: number
  /** Takes the lines instead of a descriptor. */
  readonly sink?: { write(line: string): unknown }
}

/** A root logger of a program; components take `logger.child({ component })` of it. */
export function createLogger(options: LogOptions): Logger {
  return pino(
    { name: options.name, level: options.level ?? 'info', base: { name: options.name, pid: process.pid } },
    options.sink ?? pino.destination({ fd: options.fd ?? 1, sync: true }),
  )
}

/** A logger that writes nothing, for tests and library use. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
