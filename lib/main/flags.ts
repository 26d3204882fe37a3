// Command-line flags of the programs: GNU style (`--name=value`, `--name value`), typed, with a --help that teaches.
// Boolean flags take an optional value (`--name`, `--name=false`), durations are Go's (`300ms`, `3s`, `1h30m`): both are
// what manifests written for the original pass. Repeated flags: the last one wins, as in Go.
import { parseArgs } from 'node:util'

export interface Flag<T> {
  readonly boolean: boolean
  readonly default: T
  /** Placeholder in the help text, for example `PATH`. */
  readonly value: string
  readonly help: string
  /** @throws Error naming what was expected */
  readonly parse: (text: string) => T
  readonly show: (value: T) => string
  /** Values of a flag that is given several times; the last one wins unless given. */
  readonly join?: (before: T, value: T) => T
}

/** A mistake of the caller of the program: the message is for the user, without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function stringFlag(initial: string, value: string, help: string): Flag<string> {
  return { boolean: false, default: initial, value, help, parse: (text) => text, show: (text) => text }
}

export function listFlag(initial: readonly string[], value: string, help: string): Flag<readonly string[]> {
  const parse = (text: string): string[] =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
  return { boolean: false, default: initial, value: `${value},...`, help, parse, show: (list) => list.join(',') }
}

export function intFlag(initial: number, minimum: number, maximum: number, help: string): Flag<number> {
  const parse = (text: string): number => {
    const number = Number(text)
    if (!/^-?\d+$/.test(text) || number < minimum || number > maximum) {
      throw new Error(`expected a whole number from ${minimum} to ${maximum}`)
    }
    return number
  }
  return { boolean: false, default: initial, value: 'N', help, parse, show: String }
}

export function boolFlag(initial: boolean, help: string): Flag<boolean> {
  const parse = (text: string): boolean => {
    if (/^(1|t|true)$/i.test(text)) return true
    if (/^(0|f|false)$/i.test(text)) return false
    throw new Error('expected true or false')
  }
  return { boolean: true, default: initial, value: '', help, parse, show: String }
}

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Milliseconds of a Go duration. @throws Error when the text is none */
export function parseDuration(text: string): number {
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text))
    throw new Error('expected a duration such as 300ms, 3s or 1h30m')
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * (units[unit ?? ''] ?? 0)
  }
  return total
}

/** The shortest Go spelling of whole units. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds % 3_600_000 === 0 && milliseconds > 0) return `${milliseconds / 3_600_000}h`
  if (milliseconds % 60_000 === 0 && milliseconds > 0) return `${milliseconds / 60_000}m`
  if (milliseconds % 1000 === 0) return `${milliseconds / 1000}s`
  return `${milliseconds}ms`
}

/** A duration flag; the value is in milliseconds. */
export function durationFlag(initial: string, help: string): Flag<number> {
  return {
    boolean: false,
    default: parseDuration(initial),
    value: 'DURATION',
    help,
    parse: parseDuration,
    show: formatDuration,
  }
}

export type Flags = Readonly<Record<string, Flag<never>>>
export type FlagValues<F> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never }

export interface ParsedFlags<F> {
  readonly values: FlagValues<F>
  readonly positionals: readonly string[]
  readonly help: boolean
}

/**
 * Parse a command line against its flags.
 *
 * @throws UsageError naming the flag, the value and what was expected; unknown flags too
 */
export function parseFlags<F extends Record<string, unknown>>(flags: F, argv: readonly string[]): ParsedFlags<F> {
  const table = flags as unknown as Record<string, Flag<unknown>>
  const options: Record<string, { type: 'string' | 'boolean' }> = { help: { type: 'boolean' } }
  for (const [name, flag] of Object.entries(table)) options[name] = { type: flag.boolean ? 'boolean' : 'string' }
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true, allowPositionals: true })
  const values: Record<string, unknown> = {}
  for (const [name, flag] of Object.entries(table)) values[name] = flag.default
  const positionals: string[] = []
  let help = false
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    if (token.rawName === '--help' || token.rawName === '-h') {
      help = true
      continue
    }
    const flag = token.rawName.startsWith('--') ? table[token.name] : undefined
    if (flag === undefined) throw new UsageError(`unknown flag ${token.rawName}; see --help`)
    if (token.value === undefined && !flag.boolean)
      throw new UsageError(`--${token.name} needs a value (${flag.value})`)
    try {
      const value = flag.parse(token.value ?? 'true')
      values[token.name] = flag.join === undefined ? value : flag.join(values[token.name], value)
    } catch (error) {
      throw new UsageError(
        `--${token.name} '${token.value ?? ''}': ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
  return { values: values as FlagValues<F>, positionals, help }
}

/** The help text of a program: what it does, then each flag with its meaning and default. */
export function helpText(usage: string, description: string, flags: Record<string, unknown>): string {
  const lines = Object.entries(flags as Record<string, Flag<unknown>>).map(([name, flag]) => {
    const head = `  --${name}${flag.value === '' ? '' : ` ${flag.value}`}`
    const initial = flag.show(flag.default)
    return `${head}\n        ${flag.help}${initial === '' ? '' : ` (default ${initial})`}`
  })
  return `Usage: ${usage}\n\n${description.trim()}\n\nFlags:\n${lines.join('\n')}\n`
}
