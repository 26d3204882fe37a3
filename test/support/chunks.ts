// Cutting bytes into pieces at random places, for tests of stream parsers.
import fc from 'fast-check'

/** Places to cut at, as fractions of the length. */
export const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 })

/** The bytes in pieces, cut at the given fractions; empty pieces included. */
export function chunksOf(bytes: Buffer, fractions: readonly number[]): Buffer[] {
  const places = fractions.map((fraction) => Math.floor(fraction * bytes.length)).sort((a, b) => a - b)
  const starts = [0, ...places]
  return starts.map((start, index) => Buffer.from(bytes.subarray(start, starts[index + 1] ?? bytes.length)))
}
