// Address checks and announcements against real neighbours (spec/dataplane.md §2.4, node-agent.md R-SRV-17).
import { execFileSync } from 'node:child_process'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkAddress, Segments, type AddressQuestion, type AddressVerdict } from '../../../lib/daemon/vlan/index.ts'
import { LANGUAGES } from '../../../lib/daemon/vlan/language.ts'
import { familyOf, parseAddress, parseMac } from '../../../lib/ip/index.ts'
import { NetworkNamespace, openPacketSocket, RouteSocket } from '../../../lib/netlink/index.ts'
import { eventually } from '../../support/eventually.ts'
import { present } from '../../support/present.ts'
import { requireSandbox } from '../../support/sandbox.ts'
import { newPlace, type Place } from '../netlink/support.ts'

requireSandbox()
const OWN = parseMac('02:00:00:00:00:01')
const FAR = parseMac('02:00:00:00:00:02')
const namespace = NetworkNamespace.current()
const socket = RouteSocket.open(namespace)
const segments = new Segments(namespace)
let far: Place
let index = 0

const here = (line: string): string => execFileSync('sh', ['-c', line], { encoding: 'utf8' })
const there = (line: string): string =>
  execFileSync('nsenter', [`--net=${far.path}`, 'sh', '-c', line], { encoding: 'utf8' })

test.before(async () => {
  far = await newPlace()
  here(
    `ip link add l0 address 02:00:00:00:00:01 type veth peer name e0 address 02:00:00:00:00:02; ` +
      `ip link set e0 netns ${far.path}; echo 0 > /proc/sys/net/ipv6/conf/l0/accept_dad; ip link set l0 up`,
  )
  there(
    'echo 0 > /proc/sys/net/ipv6/conf/e0/accept_dad; ip link set e0 up; ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up; ' +
      'ip addr add 10.10.0.1/24 dev e0; ip -6 addr add fd10::1/64 dev e0 nodad; ' +
      'ip addr add 10.10.0.66/24 dev e0; ip -6 addr add fd10::66/64 dev e0 nodad; ' +
      // Another node: it answers for a pod that is elsewhere, as proxy neighbour.
      'for f in all e0; do echo 1 > /proc/sys/net/ipv4/conf/$f/forwarding; echo 1 > /proc/sys/net/ipv6/conf/$f/forwarding; done; ' +
      'echo 1 > /proc/sys/net/ipv6/conf/e0/proxy_ndp; ip route add 10.10.0.77 dev d0; ip route add 192.168.56.0/24 dev d0; ' +
      'ip neigh add proxy 10.10.0.77 dev e0; ip -6 neigh add proxy fd10::77 dev e0; ' +
      'echo 0 > /proc/sys/net/ipv4/neigh/e0/proxy_delay; echo 0 > /proc/sys/net/ipv6/neigh/e0/proxy_delay',
  )
  index = present(await socket.link('l0')).index
})
test.after(async () => {
  await far.close()
  socket.close()
  namespace.close()
})

function ask(address: string, fields: Partial<AddressQuestion> = {}): Promise<AddressVerdict> {
  return checkAddress(segments, {
    index,
    mac: OWN,
    address: parseAddress(address),
    gateway: parseAddress(address.includes(':') ? 'fd10::1' : '10.10.0.1'),
    nodeAddress: parseAddress('192.168.56.11') as number,
    timeoutMs: 1500,
    isOwn: (mac) => mac === OWN,
    signal: new AbortController().signal,
    ...fields,
  })
}

for (const [name, base] of [
  ['IPv4', '10.10.0.'],
  ['IPv6', 'fd10::'],
] as const) {
  test(`${name}: a free address behind a gateway that answers is free, and nobody has learnt of it`, async () => {
    assert.equal(await ask(`${base}50`), { verdict: 'free' })
    assert.not.match(there('ip neigh show'), new RegExp(`${base}50 `))
  })
  test(`${name}: the gateway's silence is told from a free address`, async () => {
    assert.equal(await ask(`${base}50`, { gateway: parseAddress(`${base}99`) }), { verdict: 'gateway silent' })
  })
  test(`${name}: an owner is found, by its MAC address`, async () => {
    assert.equal(await ask(`${base}66`), { verdict: 'taken', mac: FAR, what: 'has' })
  })
  test(`${name}: a pod of another node is found, though only its node answers (defect 22)`, async () => {
    assert.equal(await ask(`${base}77`), { verdict: 'taken', mac: FAR, what: 'has' })
  })
  test(`${name}: answers of this node's own devices are no news`, async () => {
    const own = { isOwn: (mac: number) => mac === OWN || mac === FAR }
    assert.equal(await ask(`${base}66`, own), { verdict: 'gateway silent' })
  })
  test(`${name}: of two that are about to use one address both are told`, async () => {
    const address = parseAddress(`${base}51`)
    const family = familyOf(address)
    const other = openPacketSocket(far.namespace, {
      index: present(await far.socket.link('e0')).index,
      etherType: LANGUAGES[family].etherType,
      onFrames: () => undefined,
    })
    const rival = setInterval(() => other.send(LANGUAGES[family].question(FAR, null, address)), 50)
    try {
      assert.equal(await ask(`${base}51`), { verdict: 'taken', mac: FAR, what: 'asks' })
    } finally {
      clearInterval(rival)
      other.close()
    }
  })
  test(`${name}: many are asked about at once, over one socket`, async () => {
    const verdicts = await Promise.all(Array.from({ length: 40 }, (_, i) => ask(`${base}${100 + i}`)))
    assert.equal([...new Set(verdicts.map(({ verdict }) => verdict))], ['free'])
  })
  test(`${name}: an announcement changes what neighbours know`, async () => {
    there(`ip neigh replace ${base}80 lladdr 02:00:00:00:00:99 dev e0 nud stale`)
    const address = parseAddress(`${base}80`)
    const place = segments.listen(index, familyOf(address), () => undefined)
    // An entry that was just confirmed is not overridden within locktime (1 s): say it again, as VlanAddresses does.
    await eventually(
      () => {
        for (const frame of LANGUAGES[familyOf(address)].announcement(OWN, address)) place.send(frame)
        return there(`ip neigh show ${base}80`).includes('02:00:00:00:00:01')
      },
      20_000,
      200,
    )
    place.close()
  })
}

test('a gateway that answers nobody without an address is asked from the address, once that is known to be free', async () => {
  there('nft add table arp shy; nft add chain arp shy in "{ type filter hook input priority 0; }"')
  there('nft add rule arp shy in arp saddr ip 0.0.0.0 drop')
  try {
    assert.equal(await ask('10.10.0.50'), { verdict: 'free' })
  } finally {
    there('nft delete table arp shy')
  }
})

test('the check ends with its signal, and a device that is down is said to be', async () => {
  const controller = new AbortController()
  const asked = ask('10.10.0.50', { signal: controller.signal })
  controller.abort(new Error('no time'))
  await asked.then(
    () => assert.unreachable(),
    (error: unknown) => assert.match(String(error), /no time/),
  )
  here('ip link set l0 down')
  await ask('10.10.0.50').then(
    () => assert.unreachable(),
    (error: unknown) => assert.match(String(error), /ENETDOWN/),
  )
  here('ip link set l0 up')
})

test.run()
