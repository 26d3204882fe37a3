// The hollow nodes of the benchmark, in a process of their own.
import type { IPFamily } from '../../lib/api/index.ts'
import { KubeClient } from '../../lib/kube/index.ts'
import { HollowFleet } from '../../lib/standalone/hollow/index.ts'
import { createLogger } from '../../lib/telemetry/log.ts'
import { answer } from './worker.ts'

let fleet: HollowFleet | null = null

answer({
  async start({ server, count, family }: { server: string; count: number; family: IPFamily }) {
    const log = createLogger({ name: 'hollow', level: 'warn' })
    const client = KubeClient.connect({ server, userAgent: 'hollow/1', logger: log })
    fleet = new HollowFleet({ client, count, defaultFamily: family, log })
    await fleet.start()
  },
  status: () => fleet?.status() ?? null,
})
