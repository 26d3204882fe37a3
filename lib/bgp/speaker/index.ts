// The speaker: peers over TCP. See speaker.ts.
export { resolvePeer, type ResolvedPeer } from './config.ts'
export { Speaker } from './speaker.ts'
export type * from './types.ts'
