// Nothing a peer can send does anything but be understood or end its session: every cut, and random damage.
//
// HYBRIDNET_FUZZ_SECONDS makes the last test go on for that long; otherwise it has a fixed number of rounds.
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  decodeMessage,
  encodeAnnouncements,
  encodeNotification,
  encodeOpen,
  encodeWithdrawals,
  Framer,
  SessionError,
  type Message,
  type UpdateContext,
} from '../../../lib/bgp/index.ts'
import * as any from './arbitraries.ts'
import { modern } from './support.ts'

/** What came out, or the reason to end the session; any other error fails the test. */
function survive(bytes: Buffer, context: UpdateContext): Message[] | SessionError {
  const framer = new Framer()
  framer.push(bytes)
  const messages: Message[] = []
  try {
    for (let frame = framer.next(); frame !== null; frame = framer.next()) messages.push(decodeMessage(frame, context))
  } catch (error) {
    if (error instanceof SessionError) return error
    throw error
  }
  return messages
}

const samples: fc.Arbitrary<Buffer> = fc.oneof(
  any.open.map(encodeOpen),
  any.notification.map(encodeNotification),
  fc
    .tuple(any.attributes(true), any.ipv4Hop, fc.array(any.ipv4Prefix, { minLength: 1, maxLength: 5 }))
    .map(([attributes, nextHop, prefixes]) => update(4, nextHop, attributes, prefixes)),
  fc
    .tuple(any.attributes(true), any.ipv6Hop, fc.array(any.ipv6Prefix, { minLength: 1, maxLength: 5 }))
    .map(([attributes, nextHop, prefixes]) => update(6, nextHop, attributes, prefixes)),
  fc
    .array(any.ipv6Prefix, { minLength: 1, maxLength: 5 })
    .map((prefixes) => encodeWithdrawals(6, prefixes, 4096)[0] ?? Buffer.alloc(0)),
)

function update(
  family: 4 | 6,
  nextHop: number | bigint,
  ...[attributes, prefixes]: [Parameters<typeof encodeAnnouncements>[2], Parameters<typeof encodeAnnouncements>[3]]
): Buffer {
  const context = { fourOctetAs: true, maxBytes: 4096 }
  return encodeAnnouncements(family, { nextHop }, attributes, prefixes, context)[0] ?? Buffer.alloc(0)
}

test('property: cut at each byte, a stream waits for the rest', () => {
  fc.assert(
    fc.property(samples, (bytes) => {
      for (let length = 0; length < bytes.length; length++) assert.equal(survive(bytes.subarray(0, length), modern), [])
    }),
    { numRuns: 60 },
  )
})

test('property: cut at each byte, with the length of the header made to fit', () => {
  fc.assert(
    fc.property(samples, any.context, (bytes, context) => {
      for (let length = 19; length < bytes.length; length++) {
        const cut = Buffer.from(bytes.subarray(0, length))
        cut.writeUInt16BE(length, 16)
        const result = survive(cut, context)
        assert.ok(result instanceof SessionError || result.length === 1)
      }
    }),
    { numRuns: 100 },
  )
})

const damage = fc.array(fc.tuple(fc.nat(4095), fc.nat(255)), { minLength: 1, maxLength: 6 })

function withDamage(bytes: Buffer, changes: readonly (readonly [number, number])[]): Buffer {
  const copy = Buffer.from(bytes)
  for (const [at, value] of changes) copy[19 + (at % Math.max(1, copy.length - 19))] = value
  return copy.subarray(0, bytes.length)
}

test('property: damaged bodies and random bodies', () => {
  const random = fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.uint8Array({ minLength: 0, maxLength: 120 }))
    .map(([type, body]) => {
      const bytes = Buffer.alloc(19 + body.length, 0xff)
      bytes.writeUInt16BE(bytes.length, 16)
      bytes.writeUInt8(type, 18)
      bytes.set(body, 19)
      return bytes
    })
  const property = fc.property(
    fc.oneof(
      fc.tuple(samples, damage).map(([bytes, some]) => withDamage(bytes, some)),
      random,
    ),
    any.context,
    (bytes, context) => {
      const result = survive(bytes, context)
      if (result instanceof SessionError) assert.ok(result.code >= 1 && result.code <= 7)
      else assert.ok(result.length <= 1)
    },
  )
  fc.assert(property, { numRuns: 3000 })
  const seconds = Number(process.env['HYBRIDNET_FUZZ_SECONDS'] ?? 0)
  if (seconds > 0) {
    const end = performance.now() + seconds * 1000
    let rounds = 0
    for (; performance.now() < end; rounds += 20_000) fc.assert(property, { numRuns: 20_000 })
    console.log(`${rounds} rounds in ${seconds} s`)
  }
})

test.run()
