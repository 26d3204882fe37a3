import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AddressIndex, MAX_VALUE } from '../../../lib/daemon/view/address-index.ts'
import type { IPAddress } from '../../../lib/ip/index.ts'

// A small space makes collisions, overwrites and deletions of present keys frequent.
const address: fc.Arbitrary<IPAddress> = fc.oneof(
  fc.integer({ min: 0x0a00_0000, max: 0x0a00_0040 }),
  fc.nat({ max: 64 }).map((n) => (0xfdn << 120n) | BigInt(n)),
  fc.constantFrom<IPAddress[]>(0, 0xffff_ffff, 0n, (1n << 128n) - 1n),
)

test('AddressIndex behaves as a Map does', () => {
  const operation = fc.record({
    kind: fc.constantFrom('set', 'delete', 'get'),
    address,
    value: fc.nat({ max: MAX_VALUE }),
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
      const index = new AddressIndex()
      const model = new Map<IPAddress, number>()
      for (const { kind, address, value } of operations) {
        if (kind === 'set') {
          index.set(address, value)
          model.set(address, value)
        } else if (kind === 'delete') {
          assert.is(index.delete(address), model.delete(address))
        }
        assert.is(index.get(address), model.get(address))
        assert.is(index.size, model.size)
      }
      assert.equal(new Map([...index.entries()]), model)
    }),
  )
})

test('AddressIndex keeps its promise of bytes per pod', () => {
  const index = new AddressIndex()
  const count = 100_000
  for (let n = 0; n < count; n++) index.set(0x6440_0000 + n, n % 5000)
  assert.ok(index.bytes / count <= 22, `${index.bytes / count} bytes per IPv4 pod`)
  const ipv6 = new AddressIndex()
  for (let n = 0; n < count; n++) ipv6.set((0xfdn << 120n) + BigInt(n), n % 5000)
  assert.ok(ipv6.bytes / count <= 54, `${ipv6.bytes / count} bytes per IPv6 pod`)
  for (let n = 0; n < count; n++) assert.ok(index.delete(0x6440_0000 + n))
  assert.is(index.size, 0)
  assert.ok(index.bytes < 1024, 'memory comes back')
})

test('AddressIndex refuses values it cannot hold', () => {
  const index = new AddressIndex()
  for (const value of [-1, 1.5, MAX_VALUE + 1, Number.NaN]) assert.throws(() => index.set(1, value), RangeError)
})

test.run()
