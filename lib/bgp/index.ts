// BGP-4: message codec, state machines, routes, and the speaker that ties them to TCP. See README.md.
export * from './codec/index.ts'
export * from './fsm/index.ts'
export * from './rib/index.ts'
export * from './speaker/index.ts'
