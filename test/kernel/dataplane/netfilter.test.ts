// The netfilter half by itself: whose commit a notification is about, and how group frames are rewritten.
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Netfilter } from '../../../lib/dataplane/engine/netfilter.ts'
import { NetworkNamespace } from '../../../lib/netlink/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const sh = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8' })
const element = (value: string) => ({ kind: 'element', set: 'local_pod4', value }) as const
const pods = (): string => sh('nft list set inet hybridnet local_pod4')

const namespace = NetworkNamespace.current()
let repairs = 0
const netfilter = new Netfilter({
  namespace,
  log: silentLogger(),
  onProgress: () => undefined,
  onRepair: () => repairs++,
})

test.before(async () => {
  netfilter.want(element('10.0.0.1'))
  netfilter.start()
  await eventually(() => netfilter.status.inSync && pods().includes('10.0.0.1'), 20_000)
})
test.after(async () => {
  await netfilter.stop()
  namespace.close()
})

test("own commits are nobody else's: nothing is listed or repaired on their account", async () => {
  const { transactions } = netfilter.status
  for (let pod = 2; pod < 8; pod++) {
    netfilter.want(element(`10.0.0.${pod}`))
    netfilter.sync()
    await eventually(() => netfilter.status.inSync && pods().includes(`10.0.0.${pod}`), 20_000)
  }
  assert.is(repairs, 0)
  assert.is(netfilter.status.transactions, transactions + 6)
})

test("a commit of ours that finds its work done does not hide somebody else's", async () => {
  for (let round = 0; round < 5; round++) {
    const wish = `10.1.0.${round}`
    // In one turn of the event loop: the notification comes when our transaction is under way.
    sh(`nft 'delete element inet hybridnet local_pod4 { 10.0.0.1 }; add element inet hybridnet local_pod4 { ${wish} }'`)
    netfilter.want(element(wish))
    netfilter.sync()
    await eventually(() => pods().includes('10.0.0.1') && pods().includes(wish), 20_000)
  }
  assert.ok(repairs >= 1, `${repairs} repairs`)
})

test('a device that is gone when it is asked for says nothing about the kernel', async () => {
  netfilter.setFanOut('gone0', 4711)
  await eventually(() => netfilter.status.fanOut !== null, 20_000)
  assert.is(netfilter.status.fanOut, 'nft')
  sh('ip link add there0 type veth peer name there1; ip link set there0 up')
  const index = Number(sh('ip -o link show there0 | cut -d: -f1'))
  netfilter.setFanOut('there0', index)
  await eventually(() => {
    const { inSync, error } = netfilter.status
    return inSync && error === null && sh('nft list table netdev hybridnet').includes('there0')
  }, 20_000)
})

test.run()
