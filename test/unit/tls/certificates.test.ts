// The DER encoder and the certificates made with it, held against Node's own reader and openssl.
import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createAuthority, issue } from '../../../lib/tls/index.ts'
import { integer, oid, time, tlv } from '../../../lib/tls/der.ts'

const test = suite('certificates')

test('lengths, integers, identifiers and times are encoded as X.690 says', () => {
  assert.is(tlv(4, Buffer.alloc(127)).subarray(0, 2).toString('hex'), '047f')
  assert.is(tlv(4, Buffer.alloc(128)).subarray(0, 3).toString('hex'), '048180')
  assert.is(tlv(4, Buffer.alloc(256)).subarray(0, 4).toString('hex'), '04820100')
  assert.is(tlv(4, Buffer.alloc(70000)).subarray(0, 5).toString('hex'), '0483011170')
  assert.is(integer(Buffer.from([0])).toString('hex'), '020100')
  assert.is(integer(Buffer.from([0, 0, 1])).toString('hex'), '020101')
  assert.is(integer(Buffer.from([0x80])).toString('hex'), '02020080')
  assert.is(integer(Buffer.from([])).toString('hex'), '020100')
  assert.is(oid('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302')
  assert.is(oid('2.5.29.17').toString('hex'), '0603551d11')
  assert.is(time(new Date('2049-12-31T23:59:59Z')).toString('latin1').slice(2), '491231235959Z')
  assert.is(time(new Date('2050-01-01T00:00:00Z')).toString('latin1').slice(2), '20500101000000Z')
})

test('integers read back as they were', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 200n }), (value) => {
      const hex = value.toString(16)
      const encoded = integer(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'))
      const body = encoded.subarray(2)
      assert.is(encoded[1], body.length)
      assert.is(BigInt(`0x${body.toString('hex')}`), value)
      assert.ok((body[0] ?? 0) < 0x80, 'not negative')
      assert.ok(body.length === 1 || body[0] !== 0 || (body[1] ?? 0) >= 0x80, 'as short as can be')
    }),
  )
})

const authority = createAuthority('test authority')
const names = ['localhost', 'kubernetes.default.svc', '10.96.0.1', '::1', '2001:db8::ffff:1.2.3.4']
const leaf = issue(authority, {
  commonName: 'server',
  organizations: ['system:masters'],
  subjectAltNames: names,
  usage: 'server',
})

test('Node reads and verifies them', () => {
  const ca = new X509Certificate(authority.cert)
  const cert = new X509Certificate(leaf.cert)
  assert.ok(ca.ca)
  assert.not(cert.ca)
  assert.ok(ca.verify(ca.publicKey))
  assert.ok(cert.verify(ca.publicKey))
  assert.ok(cert.checkIssued(ca))
  assert.ok(cert.checkPrivateKey(createPrivateKey(leaf.key)))
  assert.not(cert.verify(createPublicKey(createPrivateKey(leaf.key))))
  assert.is(cert.subject, 'O=system:masters\nCN=server')
  assert.is(cert.issuer, 'CN=test authority')
  for (const name of ['localhost', 'kubernetes.default.svc']) assert.is(cert.checkHost(name), name)
  for (const address of ['10.96.0.1', '::1', '2001:db8::ffff:102:304']) assert.ok(cert.checkIP(address), address)
  assert.is(cert.checkHost('example.com'), undefined)
  assert.is(cert.checkIP('10.0.0.1'), undefined)
  assert.ok(Date.parse(cert.validFrom) < Date.now() && Date.parse(cert.validTo) > Date.now() + 300 * 86_400_000)
  assert.equal(cert.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  const other = issue(authority, { commonName: 'server', usage: 'client' })
  assert.is.not(new X509Certificate(other.cert).serialNumber, cert.serialNumber)
  assert.equal(new X509Certificate(other.cert).keyUsage, ['1.3.6.1.5.5.7.3.2'])
})

test('openssl verifies them strictly', () => {
  if (spawnSync('openssl', ['version']).error !== undefined) {
    console.log('SKIPPED: no openssl on PATH')
    return
  }
  const directory = mkdtempSync(join(tmpdir(), 'certificates-'))
  try {
    writeFileSync(join(directory, 'ca.crt'), authority.cert)
    writeFileSync(join(directory, 'leaf.crt'), leaf.cert)
    const out = execFileSync(
      'openssl',
      [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        'localhost',
        '-CAfile',
        'ca.crt',
        'leaf.crt',
      ],
      { cwd: directory, encoding: 'utf8' },
    )
    assert.match(out, /leaf\.crt: OK/)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test.run()
