/** The value, which must be there; a test that finds it missing fails here and says what was expected. */
export function present<T>(value: T | null | undefined, what = 'a value'): T {
  if (value === null || value === undefined) throw new Error(`expected ${what}, found ${String(value)}`)
  return value
}
