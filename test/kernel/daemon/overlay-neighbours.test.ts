// Neighbours on the VXLAN device that an earlier daemon or the resolver left, against the real kernel.
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { OverlayNeighbours } from '../../../lib/daemon/overlay-neighbours.ts'
import { parseAddress, parseMac, type IPAddress } from '../../../lib/ip/index.ts'
import { Monitor, NetworkNamespace, RouteSocket } from '../../../lib/netlink/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const sh = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8' })
const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
/** What the class under test asked of the kernel. */
const asked = { dumps: 0, changes: 0 }
const counted: Pick<RouteSocket, 'neighbours' | 'apply'> = {
  neighbours: (filter) => {
    asked.dumps++
    return socket.neighbours(filter)
  },
  apply: (requests) => {
    asked.changes += requests.length
    return socket.apply(requests)
  },
}
const macs = new Map<IPAddress, number>()
const neighbours = new OverlayNeighbours(counted, silentLogger(), 0, (address) => macs.get(address) ?? null)
/** Notifications as the engine passes them on; `deaf` stands for ones that were lost. */
let deaf = false
const monitor = Monitor.open(namespace, {
  groups: ['neigh'],
  onEvents: (events) => {
    for (const event of events) {
      if (event.object !== 'neigh' || event.value.kind === 'bridge' || deaf) continue
      neighbours.changed(event.value, event.type === 'del')
    }
  },
  onOverrun: () => neighbours.lost(),
  onError: (error) => {
    throw error
  },
})
const shows = (address: string, text: string): Promise<true> =>
  eventually(() => sh(`ip neigh show ${address}`).includes(text), 20_000)

test.after(() => {
  neighbours.stop()
  monitor.close()
  socket.close()
  namespace.close()
})

test('neighbours of pods that moved while no daemon ran are corrected when the device is known', async () => {
  sh('ip link add v type vxlan id 4 dstport 8472; ip addr add 10.9.0.1/16 dev v; ip link set v up')
  sh('ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:0a dev v nud reachable')
  sh('ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:0b dev v nud stale')
  sh('ip neigh add 10.9.0.4 lladdr 02:00:00:00:00:0c dev v nud stale')
  macs.set(parseAddress('10.9.0.2'), parseMac('02:00:00:00:00:ff'))
  macs.set(parseAddress('10.9.0.3'), parseMac('02:00:00:00:00:0b'))
  macs.set(parseAddress('10.9.0.5'), parseMac('02:00:00:00:00:0d'))
  neighbours.setLink(present(await socket.link('v')).index)
  await shows('10.9.0.2', '02:00:00:00:00:ff REACHABLE')
  assert.match(sh('ip neigh show 10.9.0.3'), /02:00:00:00:00:0b STALE/, 'what is right is left as it is')
  assert.match(sh('ip neigh show 10.9.0.4'), /02:00:00:00:00:0c STALE/, 'what nobody knows is left as it is')
  assert.is(sh('ip neigh show 10.9.0.5'), '', 'none is made')
})

test('of many addresses that moved those the kernel holds are corrected, and nothing is asked about the others', async () => {
  sh('ip neigh add 10.9.1.1 lladdr 02:00:00:00:00:0a dev v nud stale')
  await eventually(() => neighbours.size >= 4, 20_000)
  const before = { ...asked }
  for (const mac of ['02:00:00:00:00:0b', '02:00:00:00:00:0c']) {
    const first = parseAddress('10.9.1.0') as number
    const moved = Array.from({ length: 200 }, (_, index) => [first + index, parseMac(mac)] as const)
    for (const [address, right] of moved) macs.set(address, right)
    neighbours.push(moved)
  }
  await shows('10.9.1.1', '02:00:00:00:00:0c')
  assert.is(sh('ip neigh show dev v nud all | grep -c 10.9.1').trim(), '1', 'none is made')
  assert.is(asked.dumps, before.dumps)
  // Of the one neighbour, twice; and a third time if the first change shows only after the second move.
  assert.ok(asked.changes - before.changes <= 3, `${asked.changes - before.changes} requests`)
})

test('an answer of the resolver that crosses a move is corrected when it shows', async () => {
  macs.set(parseAddress('10.9.2.1'), parseMac('02:00:00:00:00:0e'))
  sh('ip neigh replace 10.9.2.1 lladdr 02:00:00:00:00:0a dev v nud reachable')
  await shows('10.9.2.1', '02:00:00:00:00:0e')
})

test('what is pinned by hand is left until its address moves', async () => {
  macs.set(parseAddress('10.9.3.1'), parseMac('02:00:00:00:00:0e'))
  const known = neighbours.size
  sh('ip neigh replace 10.9.3.1 lladdr 02:00:00:00:00:0a dev v nud permanent')
  await eventually(() => neighbours.size > known, 20_000)
  assert.match(sh('ip neigh show 10.9.3.1'), /02:00:00:00:00:0a PERMANENT/)
  const moved = parseMac('02:00:00:00:00:0f')
  macs.set(parseAddress('10.9.3.1'), moved)
  neighbours.push([[parseAddress('10.9.3.1'), moved]])
  await shows('10.9.3.1', '02:00:00:00:00:0f')
})

test('neighbours that went are forgotten; after lost notifications all are read again', async () => {
  sh('ip neigh del 10.9.3.1 dev v')
  await eventually(() => {
    const { changes } = asked
    neighbours.push([[parseAddress('10.9.3.1'), parseMac('02:00:00:00:00:aa')]])
    return asked.changes === changes
  }, 20_000)
  deaf = true
  sh('ip neigh add 10.9.4.1 lladdr 02:00:00:00:00:0a dev v nud stale')
  macs.set(parseAddress('10.9.4.1'), parseMac('02:00:00:00:00:0c'))
  neighbours.push([[parseAddress('10.9.4.1'), parseMac('02:00:00:00:00:0c')]])
  assert.match(sh('ip neigh show 10.9.4.1'), /02:00:00:00:00:0a/, 'nobody told of it')
  deaf = false
  neighbours.lost()
  await shows('10.9.4.1', '02:00:00:00:00:0c')
})

test.run()
