// The hollow nodes of the benchmark, in a process of their own.
import type { IPFamily } from '../../lib/api/index.ts'
import { KubeClient } from '../../lib/kube/index.ts'
import { HollowFleet } from '../../lib/standalone/hollow/index.ts'
import { createLogger } from '../../lib/telemetry/log.ts'
import { answer } from './worker.ts'

export interface HollowOrder {
  readonly server: string
  readonly count: number
  readonly family: IPFamily
  readonly heartbeatMs: number
}

let fleet: HollowFleet | null = null

answer({
  async start({ server, count, family, heartbeatMs }: HollowOrder) {
    const log = createLogger({ name: 'hollow', level: 'warn' })
    const client = KubeClient.connect({ server, userAgent: 'hollow/1', logger: log })
    fleet = new HollowFleet({ client, count, defaultFamily: family, heartbeatMs, log })
    await fleet.start()
  },
  status: () => fleet?.status() ?? null,
})
