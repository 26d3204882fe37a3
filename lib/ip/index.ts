// IP and MAC addresses, prefixes and ranges as numbers. Imports nothing, keeps no state, and touches no network.
export * from './address.ts'
export * from './bytes.ts'
export * from './classify.ts'
export * from './errors.ts'
export * from './mac.ts'
export * from './prefix.ts'
export * from './range.ts'
