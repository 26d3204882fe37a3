// Checks of caller-given numbers, with errors that name the field, the value and what was expected.

/** @throws RangeError unless `value` is an unsigned 32-bit integer */
export function checkU32(field: string, value: number): number {
  if (value >>> 0 !== value)
    throw new RangeError(`${field} is ${String(value)}, expected an integer from 0 to 4294967295`)
  return value
}

/** @throws RangeError unless `value` is an integer from 0 to 255 */
export function checkU8(field: string, value: number): number {
  if ((value & 0xff) !== value) throw new RangeError(`${field} is ${String(value)}, expected an integer from 0 to 255`)
  return value
}

/** @throws RangeError unless `value` is an integer from 1 to 2^31 - 1 */
export function checkIndex(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > 0x7fff_ffff) {
    throw new RangeError(`${field} is ${String(value)}, expected a device index (1 to 2147483647)`)
  }
  return value
}

/** @throws RangeError unless `value` is a 48-bit integer */
export function checkMac(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff_ffff) {
    throw new RangeError(`${field} is ${String(value)}, expected a 48-bit number`)
  }
  return value
}

/** True unless the optional value is absent: a dumped object says null where a request leaves out. */
export function isGiven<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null
}
