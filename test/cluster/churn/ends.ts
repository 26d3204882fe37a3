// How our programs ended. Steps end them by SIGKILL, a node that goes and the cluster's stop by SIGTERM; whatever else ends one is
// its own doing, and wrong but for one case: a manager that could not renew its lease for ten seconds must go.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The line lib/standalone/programs.ts writes into a program's log. */
const ending = /^--- (\S+): (exit \d+|SIG[A-Z]+|could not be started.*) after (\d+) ms$/
const expected = /^(exit 0|SIGKILL|SIGTERM)$/
const leaseRanOut = /leadership of lease \S+ lost: not renewed within/

export interface Ends {
  /** Sentences. */
  readonly problems: readonly string[]
  /** Managers that went since the API did not answer them in time: of a machine with too much to do. */
  readonly leasesRunOut: number
}

/** @param directory the cluster's */
export function readEnds(directory: string): Ends {
  const problems: string[] = []
  let leasesRunOut = 0
  for (const file of readdirSync(join(directory, 'logs'))) {
    let before = ''
    for (const line of readFileSync(join(directory, 'logs', file), 'utf8').split('\n')) {
      const [, name = '', how = ''] = ending.exec(line) ?? []
      if (name !== '' && !expected.test(how)) {
        if (leaseRanOut.test(before)) leasesRunOut++
        else problems.push(`${name} ended by itself, ${how}: ${reason(before)}`)
      }
      before = line
    }
  }
  return { problems, leasesRunOut }
}

/** The message of a log line, or what of it fits. */
function reason(line: string): string {
  try {
    const { msg = '', err } = JSON.parse(line) as { msg?: string; err?: { message?: string } }
    return err?.message === undefined ? msg : `${msg}: ${err.message}`
  } catch {
    return line.slice(0, 300)
  }
}
