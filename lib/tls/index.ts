// X.509 certificates made at run time: an authority, and what it issues (RFC 5280, ECDSA P-256). Reading, checking and using
// them is node:crypto's and node:tls's part. No revocation, no intermediate authorities, no other kinds of key.
export { createAuthority, issue, type KeyPair, type LeafOptions } from './certificates.ts'
