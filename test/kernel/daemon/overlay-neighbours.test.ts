// Neighbours on the VXLAN device that an earlier daemon left, against the real kernel.
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { OverlayNeighbours } from '../../../lib/daemon/overlay-neighbours.ts'
import { parseAddress, parseMac, type IPAddress } from '../../../lib/ip/index.ts'
import { NetworkNamespace, RouteSocket } from '../../../lib/netlink/index.ts'
import { silentLogger } from '../../../lib/telemetry/log.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { requireSandbox } from '../../support/sandbox.ts'

requireSandbox()
const sh = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8' })
const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
test.after(() => {
  socket.close()
  namespace.close()
})

test('neighbours of pods that moved while no daemon ran are corrected when the device is known', async () => {
  sh('ip link add v type vxlan id 4 dstport 8472; ip addr add 10.9.0.1/16 dev v; ip link set v up')
  sh('ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:0a dev v nud reachable')
  sh('ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:0b dev v nud stale')
  sh('ip neigh add 10.9.0.4 lladdr 02:00:00:00:00:0c dev v nud stale')
  const macs = new Map<IPAddress, number>([
    [parseAddress('10.9.0.2'), parseMac('02:00:00:00:00:ff')],
    [parseAddress('10.9.0.3'), parseMac('02:00:00:00:00:0b')],
    [parseAddress('10.9.0.5'), parseMac('02:00:00:00:00:0d')],
  ])
  const neighbours = new OverlayNeighbours(socket, silentLogger(), 0, (address) => macs.get(address) ?? null)
  neighbours.setLink(present(await socket.link('v')).index)
  await eventually(() => sh('ip neigh show 10.9.0.2').includes('02:00:00:00:00:ff REACHABLE'), 2000)
  assert.match(sh('ip neigh show 10.9.0.3'), /02:00:00:00:00:0b STALE/, 'what is right is left as it is')
  assert.match(sh('ip neigh show 10.9.0.4'), /02:00:00:00:00:0c STALE/, 'what nobody knows is left as it is')
  assert.is(sh('ip neigh show 10.9.0.5'), '', 'none is made')
  neighbours.stop()
})

test('of many addresses that moved those the kernel holds are corrected, however the calls come', async () => {
  sh('ip neigh flush dev v; ip neigh add 10.9.1.1 lladdr 02:00:00:00:00:0a dev v nud stale')
  const macs = new Map<IPAddress, number>()
  const neighbours = new OverlayNeighbours(socket, silentLogger(), 0, (address) => macs.get(address) ?? null)
  neighbours.setLink(present(await socket.link('v')).index)
  for (const mac of ['02:00:00:00:00:0b', '02:00:00:00:00:0c']) {
    const first = parseAddress('10.9.1.0') as number
    const moved = Array.from({ length: 200 }, (_, index) => [first + index, parseMac(mac)] as const)
    for (const [address, right] of moved) macs.set(address, right)
    // The second finds the first under way.
    void neighbours.push(moved)
  }
  await eventually(() => sh('ip neigh show 10.9.1.1').includes('02:00:00:00:00:0c'), 20_000)
  assert.is(sh('ip neigh show dev v nud all | grep -c 10.9.1').trim(), '1', 'none is made')
  neighbours.stop()
})

test.run()
