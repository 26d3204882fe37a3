// A control plane on a bad day while pods talk: each fault of the API server under probes every few milliseconds between pods of
// all nodes. Traffic does not notice, nothing of any kernel is taken away, and pods made meanwhile run, at the latest when the
// fault is over. A server that comes back with less than it knew: restore.test.ts.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { IPINSTANCES, type IPInstance } from '../../lib/api/index.ts'
import type { Fault } from '../../lib/standalone/apiserver/index.ts'
import { present } from '../support/present.ts'
import { checkPairs, createPod, reported, runningPod, showLogs } from './support.ts'
import { kernels, lost, nodes, startProbes, startWork, type Work } from './trouble.ts'

/** Everybody but the kubelets, the scheduler and the controllers: the programs under test. */
const agent = '!hybridnet-standalone'
let work: Work
let finished = 0

test.before(reported(async () => void (work = await startWork())))
test.after(async () => {
  if (finished < faults.length) showLogs(work.cluster, 30)
  await work.cluster.stop()
})

/** IPInstances, as the API has them, claim no address twice. */
async function assertSound(): Promise<void> {
  const { items } = await work.cluster.client.list<IPInstance>(IPINSTANCES)
  const addresses = items.map((instance) => instance.spec?.address.ip ?? '')
  assert.is(new Set(addresses).size, addresses.length, addresses.sort().join(' '))
}

let made = 0

/** Pods are made while `trouble` is on, and run when it is over; all the while nothing is lost. */
async function through(trouble: () => Promise<() => Promise<void> | void>): Promise<string> {
  const { cluster, pods } = work
  const before = await kernels(work)
  const probes = startProbes(work)
  const end = await trouble()
  const name = `new-${made++}`
  await createPod(cluster, name, { node: present(nodes[made % 3]) })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await end()
  const addresses = await runningPod(cluster, name, 90_000)
  const results = await Promise.all(probes.map((probe) => probe.stop()))
  const sum = (pick: (result: { sent: number; lost: number }) => number): number =>
    results.reduce((total, result) => total + pick(result), 0)
  assert.ok(sum(({ sent }) => sent) > 300, `${sum(({ sent }) => sent)} packets were sent`)
  assert.is(sum((result) => result.lost), 0, `of ${sum(({ sent }) => sent)} packets`) // prettier-ignore
  assert.equal(lost(before, await kernels(work)), [], 'taken away')
  const sample = new Map([...pods].slice(0, 3))
  for (const [other, used] of pods)
    assert.not(
      addresses.some((address) => used.includes(address)),
      `${other} has it`,
    )
  assert.equal(await checkPairs(cluster, sample.set(name, addresses)), [])
  return name
}

const faults: readonly (readonly [string, readonly Fault[], { readonly cut?: boolean; readonly compact?: boolean }])[] = [
  ['errors of all kinds', [{ agent, status: 500, probability: 0.4 }, { agent, status: 429, retryAfter: 1, probability: 0.2 }], { cut: true }],
  ['no credentials any more', [{ agent, status: 401 }], { cut: true }],
  ['no rights any more', [{ agent, status: 403 }], { cut: true }],
  ['the kinds are unknown', [{ agent, status: 404, verb: 'list|watch' }], { cut: true, compact: true }],
  ['every answer is late', [{ agent, latencyMs: 700 }], { cut: true }],
  ['watches are cut in the middle of a line', [{ agent, verb: 'watch', effect: 'half', after: 1 }], { cut: true }],
  ['watches fall silent', [{ agent, verb: 'watch', effect: 'stall', after: 1, times: 12 }], { cut: true }],
  ['lists expire between pages', [{ agent, verb: 'list', effect: 'expire', probability: 0.5 }], { cut: true, compact: true }],
  ['lists break off', [{ agent, verb: 'list', effect: 'cut', after: 1 }], { cut: true, compact: true }],
  ['reads are stale', [{ agent, effect: 'stale', behind: 30 }], { cut: true, compact: true }],
  ['somebody else writes first', [{ agent, verb: 'update|patch|delete', effect: 'conflict', probability: 0.5 }], {}],
  ['writes are done and not answered', [{ agent, verb: 'create|update|patch|delete', effect: 'lose', probability: 0.5 }], {}],
  ['answers trickle', [{ agent, effect: 'slow', rate: 8 }], { cut: true, compact: true }],
  ['connections are reset', [{ agent, effect: 'reset', probability: 0.6 }], { cut: true }],
] // prettier-ignore

for (const [what, list, { cut, compact }] of faults) {
  test(`${what}: traffic goes on, nothing is taken away, new pods run`, async () => {
    const { apiServer } = work.cluster
    await through(() => {
      for (const fault of list) apiServer.faults.add(fault)
      if (compact === true) apiServer.faults.compact()
      if (cut === true) apiServer.faults.cutWatches()
      return Promise.resolve(() => {
        apiServer.faults.clear()
        // What has fallen silent would be found out in two minutes.
        apiServer.faults.cutWatches()
      })
    })
    await assertSound()
    finished++
  })
}

test.run()
