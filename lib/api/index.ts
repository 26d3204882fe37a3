// The API as this project knows it: kinds, names, constants, meaning of empty fields, and parsing of stored objects into
// numbers. Pure: no I/O, no clock. Every program and the original must agree on what is here.
export * from './constants.ts'
export * from './core.ts'
export * from './effective.ts'
export * from './labels.ts'
export * from './meta.ts'
export * from './multicluster.ts'
export * from './names.ts'
export * from './networking.ts'
export * from './pod-options.ts'
export * from './problem.ts'
export * from './resources.ts'
