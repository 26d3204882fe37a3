// Reading captured frames: real ones (taken from the fabric with tcpdump -xx) and any garbage.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatAddress } from '../../../lib/ip/index.ts'
import { readFrame, type Sighting } from '../../../lib/standalone/frames.ts'

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')

/** TCP from port 40000 to 7007, SYN. */
const tcp = '9c40 1b5f 00000001 00000000 5002 ffff 0000 0000'
const macs = '86307d0f6800 aee14ab1445f'
/** IPv4 header of 20 bytes. */
const ipv4 = (protocol: string, from: string, to: string): string =>
  `4500 0000 0000 4000 40${protocol} 0000 ${from} ${to}`
const plain4 = `${macs} 0800 ${ipv4('06', '64400001', '64400005')} ${tcp}`
const plain6 = `${macs} 86dd 60000000 0014 06 40 fd640000000000000000000000000001 fd640000000000000000000000000003 ${tcp}`
/** From 192.168.56.11 to .12, UDP to port 8472, VNI 4. */
const tunnelled = (inner: string): string =>
  `${macs} 0800 ${ipv4('11', 'c0a8380b', 'c0a8380c')} 1234 2118 0000 0000 08000000 00000400 ${inner}`

function text(sighting: Sighting | null): string {
  if (sighting === null) return 'nothing'
  const { source, sourcePort, destination, destinationPort, tunnel } = sighting
  const outer = tunnel && ` in VNI ${tunnel.vni} ${formatAddress(tunnel.source)} > ${formatAddress(tunnel.destination)}`
  return `${formatAddress(source)} ${sourcePort} > ${formatAddress(destination)} ${destinationPort}${outer ?? ''}`
}
const read = (hex: string): string => text(readFrame(bytes(hex), 8472))

test('plain TCP of both families', () => {
  assert.is(read(plain4), '100.64.0.1 40000 > 100.64.0.5 7007')
  assert.is(read(plain6), 'fd64::1 40000 > fd64::3 7007')
})

test('TCP in a tunnel shows both headers', () => {
  const outer = 'in VNI 4 192.168.56.11 > 192.168.56.12'
  assert.is(read(tunnelled(plain4)), `100.64.0.1 40000 > 100.64.0.5 7007 ${outer}`)
  assert.is(read(tunnelled(plain6)), `fd64::1 40000 > fd64::3 7007 ${outer}`)
})

test('everything else is nothing', () => {
  assert.is(read(`${macs} 0806 0001 0800 0604 0001`), 'nothing', 'ARP')
  assert.is(read(tunnelled(`${macs} 0806 0001 0800 0604 0001`)), 'nothing', 'ARP in a tunnel')
  assert.is(text(readFrame(bytes(tunnelled(plain4)), 4789)), 'nothing', 'another UDP port')
  assert.is(read(tunnelled(plain4).replace('08000000 00000400', '00000000 00000400')), 'nothing', 'no VNI flag')
  assert.is(read(plain4.replace('0000 4000 4006', '0000 0010 4006')), 'nothing', 'a later fragment has no ports')
})

test('cut and random frames never throw', () => {
  const whole = bytes(tunnelled(plain6))
  for (let length = 0; length < whole.length; length++) assert.is(readFrame(whole.subarray(0, length), 8472), null)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('0800', '86dd'), (noise, etherType) => {
      readFrame(Buffer.concat([bytes(macs), bytes(etherType), noise]), 8472)
    }),
  )
})

test.run()
