// A manager takes over a large cluster: it lists everything, builds the allocator anew and looks at every pod, which has all
// it needs. The server is filled without HTTP.
import type { Figure, Section } from './figures.ts'
import { FIRST_REMOTE } from './objects.ts'
import type { FillOrder } from './server.ts'
import { logged, pause, type Stage, until } from './stage.ts'
import { trafficSince, writesOf } from './traffic.ts'

const LEADING = 'leading: state built, controllers started'
const MIB = 2 ** 20

export async function takeover(stage: Stage, { nodes, pods }: { nodes: number; pods: number }): Promise<Section[]> {
  await stage.server.ask('fill', { nodes, instances: pods, first: FIRST_REMOTE, pods: 'addressed' } satisfies FillOrder)
  stage.options.say(`API server filled: ${nodes} nodes, ${pods} pods with addresses`)
  const first = stage.startManager()
  await logged(first, LEADING)
  // It labels the nodes and writes statuses; the next finds nothing to do.
  let before = await stage.traffic()
  await until('the first manager has nothing to write', async () => {
    await pause(3000)
    const now = await stage.traffic()
    const quiet = isQuiet(before['hybridnet-manager'], now['hybridnet-manager'])
    before = now
    return quiet
  })
  await first.stop()
  before = await stage.traffic()
  const manager = stage.startManager()
  const { milliseconds, time } = (await logged(manager, LEADING)) as { milliseconds: number; time: number }
  await until('the manager has looked at every pod', async () => {
    const { cpu } = manager.usage()
    await pause(2000)
    return manager.usage().cpu - cpu < 0.3
  })
  const traffic = trafficSince(before, await stage.traffic())['hybridnet-manager']
  if (traffic === undefined) throw new Error('no requests of the manager were counted')
  const { cpu, rss, peak } = manager.usage()
  const figures: Figure[] = [
    { what: 'start of the process → works', value: (time - manager.startedAt) / 1000, unit: 's' },
    { what: 'of which lists and rebuild', value: milliseconds / 1000, unit: 's' },
    { what: 'processor time, every pod looked at', value: cpu, unit: 's' },
    { what: 'memory (RSS), highest', value: peak, unit: 'MiB' },
    { what: 'memory (RSS), when done', value: rss, unit: 'MiB' },
    { what: 'API requests', value: Object.values(traffic.requests).reduce((sum, n) => sum + n, 0), unit: '' },
    { what: 'API bytes received', value: traffic.bytesDown / MIB, unit: 'MiB' },
    { what: 'writes but for the lease', value: writesOf(withoutLease(traffic)), unit: '', reach: 0 },
  ]
  return [{ title: `Manager takes over: ${nodes} nodes, ${pods} pods with addresses`, figures }]
}

type Account = Parameters<typeof writesOf>[0]

function withoutLease(account: Account): Account {
  const requests = Object.entries(account.requests).filter(([key]) => !key.endsWith(' leases'))
  return { ...account, requests: Object.fromEntries(requests) }
}

function isQuiet(before: Account | undefined, now: Account | undefined): boolean {
  if (before === undefined || now === undefined) return false
  return writesOf(withoutLease(before)) === writesOf(withoutLease(now))
}
