// The log files of a cluster: one per program in DIRECTORY/logs.
import { mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Path of a program's log. */
export function logPath(directory: string, program: string): string {
  return join(directory, 'logs', `${program}.log`)
}

/** A descriptor that appends to a program's log, for the life of the process. */
export function openLog(directory: string, program: string): number {
  mkdirSync(join(directory, 'logs'), { recursive: true })
  return openSync(logPath(directory, program), 'a')
}

/** The last lines of each log, for a person who must find out what went wrong. */
export function logTails(directory: string, lines = 15): string {
  const tail = (name: string): string => {
    const text = readFileSync(join(directory, 'logs', name), 'utf8').trimEnd()
    return `--- ${name}\n${text.split('\n').slice(-lines).join('\n')}\n`
  }
  return readdirSync(join(directory, 'logs')).sort().map(tail).join('')
}
