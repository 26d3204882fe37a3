// ARP and neighbour discovery frames: bytes that others agree on, and everything that is not for us left alone.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LANGUAGES } from '../../../lib/daemon/vlan/language.ts'
import { parseAddress, parseMac } from '../../../lib/ip/index.ts'

const mac = parseMac('02:00:00:00:00:01')
const hex = (frame: Uint8Array | undefined): string => Buffer.from(frame ?? []).toString('hex')

test('an ARP probe is RFC 5227’s, byte by byte', () => {
  assert.is(
    hex(LANGUAGES[4].question(mac, null, parseAddress('192.0.2.1'))),
    'ffffffffffff' +
      '020000000001' +
      '0806' +
      '00010800' +
      '0604' +
      '0001' +
      '020000000001' +
      '00000000' +
      '000000000000' +
      'c0000201',
  )
})

test('an announcement is said as a request and as a reply', () => {
  const frames = LANGUAGES[4].announcement(mac, parseAddress('192.0.2.1')).map(hex)
  const said = (operation: string): string =>
    'ffffffffffff020000000001080600010800' + `0604${operation}020000000001c0000201ffffffffffffc0000201`
  assert.equal(frames, [said('0001'), said('0002')])
})

test('duplicate address detection is RFC 4862’s, byte by byte', () => {
  // The checksum: 0xff02 + 1 + 0xff00 + 0x0001 (destination) + 24 + 58 + 0x8700 + 0xfd10 + 0x0001 (target), folded and inverted.
  assert.is(
    hex(LANGUAGES[6].question(mac, null, parseAddress('fd10::1'))),
    '3333ff000001' +
      '020000000001' +
      '86dd' +
      '60000000' +
      '00183aff' +
      '0'.repeat(32) +
      'ff0200000000000000000001ff000001' +
      '8700' +
      '7d95' +
      '00000000' +
      'fd100000000000000000000000000001',
  )
})

const address = { 4: fc.integer({ min: 1, max: 0xffffffff }), 6: fc.bigInt({ min: 1n, max: (1n << 128n) - 1n }) }
const anyMac = fc.integer({ min: 1, max: 0xfffffffffffe })

for (const family of [4, 6] as const) {
  const language = LANGUAGES[family]
  test(`IPv${family}: what is said is understood`, () => {
    fc.assert(
      fc.property(anyMac, address[family], address[family], (from, one, other) => {
        assert.equal(language.read(language.question(from, null, one)), { address: one, mac: from, what: 'asks' })
        assert.equal(language.read(language.question(from, one, other)), { address: one, mac: from, what: 'has' })
        for (const frame of language.announcement(from, one)) {
          assert.equal(language.read(frame), { address: one, mac: from, what: 'has' })
        }
      }),
    )
  })
  test(`IPv${family}: no bytes are too few or too strange`, () => {
    const [whole] = language.announcement(mac, family === 4 ? 1 : 1n)
    for (let length = 0; length < 42; length++)
      assert.is(language.read((whole as Uint8Array).subarray(0, length)), null)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => void language.read(bytes)))
  })
}

test('a solicitation that came through a router does not count', () => {
  const frame = LANGUAGES[6].question(mac, null, parseAddress('fd10::1'))
  frame[14 + 7] = 254
  assert.is(LANGUAGES[6].read(frame), null)
})

test('a switch that asks one host whether it is still there is no rival', () => {
  const frame = LANGUAGES[4].question(mac, null, parseAddress('192.0.2.1'))
  frame.set([0x02, 0, 0, 0, 0, 9], 0)
  assert.is(LANGUAGES[4].read(frame), null)
})

test('an advertisement without a link-layer option is its sender’s (D-29)', () => {
  const [frame] = LANGUAGES[6].announcement(mac, parseAddress('fd10::1'))
  const bare = (frame as Uint8Array).slice(0, 78)
  bare[14 + 5] = 24
  assert.equal(LANGUAGES[6].read(bare), { address: parseAddress('fd10::1'), mac, what: 'has' })
})

test.run()
