// Transcripts of the real control plane, kept beside the cases: the embedded one is held against them everywhere, also where
// no real one can be had. `RECORD=1` in the lane of the real control plane (test/kubernetes) writes them anew.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const path = (name: string): string => new URL(`recorded/${name}.txt`, import.meta.url).pathname

/** @throws Error when there is none */
export function recorded(name: string): string {
  if (!existsSync(path(name))) throw new Error(`no recording of ${name}: run test/kubernetes/parity-* with RECORD=1`)
  return readFileSync(path(name), 'utf8')
}

export function record(name: string, transcript: string): void {
  writeFileSync(path(name), transcript)
}

/** @throws Error with the lines that differ, what was wanted first */
export function assertSame(wanted: string, got: string): void {
  if (wanted === got) return
  const wantedLines = wanted.split('\n')
  const gotLines = got.split('\n')
  const text = differences(wantedLines, gotLines)
  throw new Error(`differs from the real control plane (-) in:\n${text}`)
}

/** The lines of a shortest edit, each with the command it stands under. */
function differences(a: readonly string[], b: readonly string[]): string {
  const width = b.length + 1
  const common = new Uint32Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j]
          ? (common[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0)
    }
  }
  const lines: string[] = []
  let command = ''
  let shown = ''
  const add = (line: string): void => {
    if (command !== shown) lines.push(`  ${command}`)
    shown = command
    lines.push(line)
  }
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      if (a[i]?.startsWith('$ ') === true) command = a[i] ?? ''
      i++
      j++
    } else if (
      j >= b.length ||
      (i < a.length && (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))
    ) {
      add(`- ${a[i++] ?? ''}`)
    } else add(`+ ${b[j++] ?? ''}`)
  }
  return lines.join('\n')
}

/** The commands of a transcript and how each ended. */
export function exitStatuses(transcript: string): string {
  return transcript
    .split('\n')
    .filter((line) => line.startsWith('$ ') || /^= \d+$/.test(line))
    .join('\n')
}
