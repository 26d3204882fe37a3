// The two forms of "which addresses can be picked", each against a plain Set.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AddressMap } from '../../../lib/ipam/address-map.ts'
import { Bitmap } from '../../../lib/ipam/bitmap.ts'
import { createFreeIndex } from '../../../lib/ipam/free-index.ts'
import { UsedRuns } from '../../../lib/ipam/runs.ts'
import { parsePrefix } from '../../../lib/ip/index.ts'

function naiveNext(used: ReadonlySet<number>, from: number, to: number): number {
  for (let at = from; at <= to; at++) if (!used.has(at)) return at
  return -1
}

test('bitmap: set, clear and next clear agree with a Set', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3000 }),
      fc.array(fc.tuple(fc.constantFrom('set', 'clear', 'fill', 'next'), fc.nat(), fc.nat()), { maxLength: 60 }),
      (size, steps) => {
        const bitmap = new Bitmap(size)
        const used = new Set<number>()
        for (const [step, a, b] of steps) {
          const [x, y] = [a % size, b % size]
          if (step === 'set') {
            bitmap.set(x)
            used.add(x)
          } else if (step === 'clear') {
            bitmap.clear(x)
            used.delete(x)
          } else if (step === 'fill') {
            for (let at = Math.min(x, y); at <= Math.max(x, y); at++) {
              bitmap.set(at)
              used.add(at)
            }
          } else {
            assert.is(bitmap.nextClear(x, y), naiveNext(used, x, y), `next clear in [${x}, ${y}] of ${size}`)
          }
          assert.is(bitmap.has(y), used.has(y))
        }
        assert.is(bitmap.nextClear(0, size - 1), naiveNext(used, 0, size - 1))
      },
    ),
    { numRuns: 300 },
  )
})

test('bitmap: the last free bit of 2^20 is found, and none when full', () => {
  const size = 2 ** 20
  const bitmap = new Bitmap(size)
  for (let at = 0; at < size; at++) bitmap.set(at)
  assert.is(bitmap.nextClear(0, size - 1), -1)
  for (const free of [0, 31, 32, 1023, 1024, 32767, 32768, size - 1]) {
    bitmap.clear(free)
    assert.is(bitmap.nextClear(0, size - 1), free)
    assert.is(bitmap.nextClear(free, size - 1), free)
    if (free > 0) assert.is(bitmap.nextClear(0, free - 1), -1)
    bitmap.set(free)
  }
})

test('runs: add, delete and next free agree with a Set, and runs stay merged', () => {
  for (const wrap of [(n: number) => n, (n: number) => BigInt(n)]) {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 40 })), { maxLength: 120 }), (steps) => {
        const runs = new UsedRuns()
        const used = new Set<number>()
        for (const [add, at] of steps) {
          if (add) {
            runs.add(wrap(at))
            used.add(at)
          } else {
            runs.delete(wrap(at))
            used.delete(at)
          }
          const expected = naiveNext(used, at, 41)
          assert.is(runs.nextFree(wrap(at), wrap(41)), expected < 0 ? null : wrap(expected))
          assert.is(runs.has(wrap(at)), used.has(at))
        }
        let merged = 0
        for (let at = 1; at <= 40; at++) if (used.has(at) && !used.has(at - 1)) merged++
        assert.is(runs.runs, merged)
      }),
      { numRuns: 200 },
    )
  }
})

test('runs: a hundred thousand neighbours are one run', () => {
  const runs = new UsedRuns()
  const base = 0xfd00n << 112n
  for (let at = 1n; at <= 100_000n; at++) runs.add(base + at)
  assert.is(runs.runs, 1)
  assert.is(runs.nextFree(base + 1n, base + (1n << 64n)), base + 100_001n)
})

test('address map: the same as a Map, also when blocks come and go', () => {
  for (const wrap of [(n: number) => 0xfffff000 + n, (n: number) => (0xfdn << 120n) + BigInt(n)]) {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 4000 })), { maxLength: 600 }), (steps) => {
        const map = new AddressMap<{ at: number }>()
        const plain = new Map<number, { at: number }>()
        const apply = (add: boolean, at: number): void => {
          if (add) {
            const value = { at }
            map.set(wrap(at), value)
            plain.set(at, value)
          } else {
            assert.is(map.delete(wrap(at)), plain.delete(at))
          }
          assert.is(map.get(wrap(at)), plain.get(at))
        }
        for (const [add, at] of steps) apply(add, at)
        assert.is(map.size, plain.size)
        const sorted = (values: Iterable<{ at: number }>): number[] =>
          [...values].map(({ at }) => at).sort((a, b) => a - b)
        assert.equal(sorted(map.values()), sorted(plain.values()))
        // Enough empty blocks to be swept away, then back again.
        for (let at = 0; at <= 4000; at++) if (!plain.has(at)) apply(true, at)
        for (let at = 0; at <= 4000; at++) apply(false, at)
        apply(true, 7)
        assert.equal(sorted(map.values()), [7])
      }),
      { numRuns: 15 },
    )
  }
})

test('both forms answer alike', () => {
  const small = createFreeIndex(parsePrefix('10.0.0.0/12'))
  const large = createFreeIndex(parsePrefix('10.0.0.0/11'))
  const base = 0x0a000000
  for (const offset of [5, 6, 7, 9, 1000, 32767, 32768]) {
    small.block(base + offset)
    large.block(base + offset)
  }
  small.unblock(base + 6)
  large.unblock(base + 6)
  for (const from of [0, 5, 6, 7, 8, 9, 32767]) {
    assert.is(small.nextFree(base + from, base + 40000), large.nextFree(base + from, base + 40000), `from ${from}`)
  }
  assert.is(small.isBlocked(base + 7), true)
  assert.is(large.isBlocked(base + 6), false)
})

test.run()
