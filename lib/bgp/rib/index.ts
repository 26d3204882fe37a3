// Routes: what is announced, what each peer was told and has said, and which gateways follow. Pure.
export * from './adj-rib-in.ts'
export * from './adj-rib-out.ts'
export * from './announcements.ts'
export * from './gateways.ts'
export * from './keys.ts'
