// The sessions as tests, on either control plane.
import { suite } from 'uvu'
import { hasKubectl, kubectlMinor } from '../kubectl.ts'
import type { ParityCluster } from './embedded.ts'
import { assertSame, exitStatuses, record, recorded } from './recorded.ts'
import { type Case, Session } from './session.ts'

/** The kubectl of the recordings; the words of others differ, their exit statuses do not. */
const recordedMinor = 32
/** Those further from it lack commands and flags of the sessions. */
const usable = hasKubectl && Math.abs(kubectlMinor - recordedMinor) <= 3

export interface ParityOptions {
  readonly name: string
  readonly cases: readonly Case[]
  readonly start: () => Promise<ParityCluster>
  /** Write the recordings instead of holding the transcripts against them. */
  readonly record?: boolean
}

/** Run the sessions one after the other and compare each with what was recorded of the real control plane. */
export function runParity({ name, cases, start, record: recording = false }: ParityOptions): void {
  const test = suite(name)
  let cluster: ParityCluster
  let session: Session
  if (hasKubectl && kubectlMinor !== recordedMinor) {
    const what = usable ? 'SKIPPED in part: exit statuses are compared only' : 'SKIPPED'
    console.log(
      `${what}: kubectl is 1.${kubectlMinor}, the sessions were recorded with 1.${recordedMinor} (set KUBECTL)`,
    )
  }
  test.before(async () => {
    if (!usable) return
    cluster = await start()
    session = new Session(cluster.kubeconfig)
  })
  test.after(async () => {
    if (!usable) return
    session.close()
    await cluster.close()
  })
  for (const one of cases) {
    const run = async (): Promise<void> => {
      const transcript = await session.run(one)
      if (recording) record(one.name, transcript)
      else if (kubectlMinor === recordedMinor) assertSame(recorded(one.name), transcript)
      else assertSame(exitStatuses(recorded(one.name)), exitStatuses(transcript))
    }
    if (usable) test(one.name, run)
    else test.skip(one.name, run)
  }
  test.run()
}
