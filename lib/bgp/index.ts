// BGP-4: message codec. See README.md.
export * from './codec/index.ts'
