// X.509 certificates (RFC 5280) with ECDSA P-256 keys: a certificate authority and what it issues. Node can read
// certificates but not make them.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIP } from 'node:net'
import { bitString, boolean, context, integer, octetString, oid, sequence, set, time, utf8String } from './der.ts'

export interface KeyPair {
  /** PEM. */
  readonly cert: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface LeafOptions {
  readonly commonName: string
  /** Subject organizations: for a client certificate, its groups. */
  readonly organizations?: readonly string[]
  /** DNS names and IP addresses. */
  readonly subjectAltNames?: readonly string[]
  readonly usage: 'server' | 'client'
  readonly days?: number
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))
const DAY = 86_400_000

/** A new self-signed authority. @param days how long it is valid, from now; ten years unless given */
export function createAuthority(commonName: string, days = 3650): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const subject = nameOf(commonName, [])
  const extensions = [
    extension('2.5.29.19', true, sequence(boolean(true))),
    // keyCertSign and cRLSign and digitalSignature.
    extension('2.5.29.15', true, bitString(Buffer.from([0b1000_0110]), 1)),
    extension('2.5.29.14', false, octetString(keyIdentifier(spki))),
  ]
  return { cert: certificate(subject, subject, spki, key, days, extensions), key }
}

/** A certificate of `authority` with a key of its own. */
export function issue(authority: KeyPair, options: LeafOptions): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  const authoritySpki = createPublicKey(createPrivateKey(authority.key)).export({ format: 'der', type: 'spki' })
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    extension('2.5.29.15', true, bitString(Buffer.from([0b1000_0000]), 7)),
    extension(
      '2.5.29.37',
      false,
      sequence(oid(options.usage === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2')),
    ),
    extension('2.5.29.14', false, octetString(keyIdentifier(spki))),
    extension('2.5.29.35', false, sequence(context(0, false, keyIdentifier(authoritySpki)))),
  ]
  const names = options.subjectAltNames ?? []
  if (names.length > 0) extensions.push(extension('2.5.29.17', false, sequence(...names.map(alternativeName))))
  const subject = nameOf(options.commonName, options.organizations ?? [])
  const cert = certificate(subject, subjectOf(authority.cert), spki, authority.key, options.days ?? 365, extensions)
  return { cert, key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() }
}

function certificate(
  subject: Buffer,
  issuer: Buffer,
  spki: Buffer,
  signingKey: string,
  days: number,
  extensions: readonly Buffer[],
): string {
  const now = Date.now()
  // Version 3; a serial number of 16 random bytes, positive; a start in the past for clocks that differ.
  const serial = randomBytes(16)
  serial[0] = (serial[0] ?? 0) & 0x7f || 1
  const body = sequence(
    context(0, true, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    issuer,
    sequence(time(new Date(now - 5 * 60_000)), time(new Date(now + days * DAY))),
    subject,
    spki,
    context(3, true, sequence(...extensions)),
  )
  const signature = sign('sha256', body, signingKey)
  return pem('CERTIFICATE', sequence(body, ecdsaWithSha256, bitString(signature)))
}

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value))

/** RFC 5280 §4.2.1.2, method 1: SHA-1 of the key's bits, which follow the 26 or so bytes of algorithm. */
function keyIdentifier(spki: Buffer): Buffer {
  // An uncompressed P-256 point is always the last 65 bytes.
  return createHash('sha1')
    .update(spki.subarray(spki.length - 65))
    .digest()
}

function nameOf(commonName: string, organizations: readonly string[]): Buffer {
  const part = (id: string, value: string): Buffer => set(sequence(oid(id), utf8String(value)))
  return sequence(...organizations.map((organization) => part('2.5.4.10', organization)), part('2.5.4.3', commonName))
}

function alternativeName(name: string): Buffer {
  const family = isIP(name)
  if (family === 0) return context(2, false, Buffer.from(name, 'ascii'))
  return context(7, false, family === 4 ? Buffer.from(name.split('.').map(Number)) : ipv6Bytes(name))
}

function ipv6Bytes(address: string): Buffer {
  // The URL parser writes every form, also those with a dotted quad, as hexadecimal groups.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => parseInt(group, 16)))
  const left = groups(head)
  const right = tail === undefined ? [] : groups(tail)
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right]
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

/** The encoded subject of a certificate made here: the second name in it. */
function subjectOf(cert: string): Buffer {
  const der = Buffer.from(cert.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const certificateBody = childrenOf(der)[0]
  const subject = certificateBody === undefined ? undefined : childrenOf(certificateBody)[5]
  if (subject === undefined) throw new Error('the authority certificate has no subject: not a version 3 certificate')
  return subject
}

/** The values inside a constructed value, each with its tag and length. */
function childrenOf(der: Buffer): Buffer[] {
  const children: Buffer[] = []
  let [at] = headerOf(der, 0)
  while (at < der.length) {
    const [start, length] = headerOf(der, at)
    children.push(der.subarray(at, start + length))
    at = start + length
  }
  return children
}

/** Where the content of the value at `at` starts, and how long it is. */
function headerOf(der: Buffer, at: number): [number, number] {
  const first = der[at + 1] ?? 0
  if (first < 0x80) return [at + 2, first]
  const bytes = first & 0x7f
  return [at + 2 + bytes, der.readUIntBE(at + 2, bytes)]
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
