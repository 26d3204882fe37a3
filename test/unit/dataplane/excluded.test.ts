// Appendix D: the golden vectors, and what must hold for any input.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { excludedBlocks, sharedExcludedBlocks } from '../../../lib/dataplane/index.ts'
import type { AddressPlan } from '../../../lib/dataplane/index.ts'
import { contains, formatPrefix, parseAddress, parsePrefix, type AddressRange } from '../../../lib/ip/index.ts'

const NET = parsePrefix('192.168.3.0/24')
const at = (last: number) => parseAddress(`192.168.3.${last}`)
const ranges = (...pairs: [number, number][]): AddressRange[] => pairs.map(([a, b]) => ({ start: at(a), end: at(b) }))

/** ".0/26" is short for 192.168.3.0/26. */
function blocks(text: string): string[] {
  return text === '' ? [] : text.split(' ').map((block) => `192.168.3${block}`)
}

const vectors: [string, AddressRange[], number[], number | null, string][] = [
  ['no range, no gateway', [], [], null, ''],
  ['no range', [], [], 1, '.1/32'],
  ['one range', ranges([100, 200]), [], 1, '.0/26 .64/27 .96/30 .201/32 .202/31 .204/30 .208/28 .224/27'],
  [
    'two touching ranges',
    ranges([100, 150], [151, 200]),
    [],
    1,
    '.0/26 .64/27 .96/30 .201/32 .202/31 .204/30 .208/28 .224/27',
  ],
  [
    'three ranges',
    ranges([100, 150], [152, 200], [208, 223]),
    [],
    1,
    '.0/26 .64/27 .96/30 .151/32 .201/32 .202/31 .204/30 .224/27',
  ],
  [
    'ranges and excluded addresses',
    ranges([100, 150], [151, 200], [208, 223]),
    [50, 120, 121, 160, 207, 224],
    1,
    '.0/26 .64/27 .96/30 .120/31 .160/32 .201/32 .202/31 .204/30 .224/27',
  ],
]
for (const [name, included, exclude, gateway, expected] of vectors) {
  test(`golden vector: ${name}`, () => {
    const found = excludedBlocks(NET, included, exclude.map(at), gateway === null ? [] : [at(gateway)])
    assert.equal(found.map(formatPrefix).sort(), blocks(expected).sort())
  })
}

test('golden vector: a /32 excluded as a whole', () => {
  const host = parsePrefix('192.168.3.100/32')
  assert.equal(excludedBlocks(host, [], [at(100)], []).map(formatPrefix), ['192.168.3.100/32'])
})

test('excludedBlocks() gives a host block for a gateway outside the CIDR', () => {
  const gateway = parseAddress('10.9.9.9')
  assert.equal(excludedBlocks(NET, [], [], [gateway]).map(formatPrefix), ['10.9.9.9/32'])
})

test('excludedBlocks() covers exactly what no pod can have', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(255), fc.nat(255)), { maxLength: 4 }),
      fc.array(fc.nat(255), { maxLength: 8 }),
      fc.option(fc.nat(255)),
      (pairs, exclude, gateway) => {
        const included = pairs.map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)])
        const found = excludedBlocks(NET, ranges(...included), exclude.map(at), gateway === null ? [] : [at(gateway)])
        for (let i = 0; i < 256; i++) {
          const allocatable =
            (included.length === 0 || included.some(([a, b]) => a <= i && i <= b)) &&
            !exclude.includes(i) &&
            gateway !== i
          assert.is(
            found.some((block) => contains(block, at(i))),
            !allocatable,
            `.${i}`,
          )
        }
      },
    ),
    { numRuns: 60 },
  )
})

const plan = (name: string, fields: Partial<AddressPlan>): AddressPlan => ({
  name,
  prefix: NET,
  gateway: null,
  start: null,
  end: null,
  exclude: [],
  ...fields,
})

test('sharedExcludedBlocks() excludes nothing that some subnet of the CIDR hands out', () => {
  const ranged = plan('a', { start: at(100), end: at(200), exclude: [at(150), at(250)] })
  const open = plan('b', { exclude: [at(150)] })
  assert.equal(sharedExcludedBlocks(NET, [ranged, open]).map(formatPrefix), ['192.168.3.150/32'])
})

test('sharedExcludedBlocks() of ranges on both sides excludes what lies between', () => {
  const low = plan('a', { end: at(99) })
  const high = plan('b', { start: at(104) })
  assert.equal(sharedExcludedBlocks(NET, [low, high]).map(formatPrefix), ['192.168.3.100/30'])
})

test('sharedExcludedBlocks() takes no range from a plan whose range is outside the CIDR', () => {
  const wrong = plan('a', { start: parseAddress('10.0.0.1'), end: parseAddress('10.0.0.9') })
  assert.equal(sharedExcludedBlocks(NET, [wrong]), [])
})

test.run()
