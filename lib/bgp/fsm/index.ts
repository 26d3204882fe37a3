// The session layer as pure state machines. See machine.ts and graceful.ts.
export * from './graceful.ts'
export * from './machine.ts'
export * from './negotiate.ts'
export type * from './types.ts'
