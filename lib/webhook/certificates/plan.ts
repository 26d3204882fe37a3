// What the serving certificates are to become, from what they are and the time: pure. All replicas share one Secret and each
// may carry out the next step; the Secret's resource version decides between them.
//
// An authority is replaced in three steps, so that no call fails on the way:
//   1. the new authority joins the trusted ones; the certificate served stays    (callers learn the new one)
//   2. after the settling time a certificate of the new authority is served      (callers trust both)
//   3. after another one the old authority is dropped
// A certificate alone is replaced in one step, as its authority is trusted already, whatever callers are known to trust now:
// somebody who fights over the configurations must not let it run out.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createAuthority, issue } from '../../tls/index.ts'

/** PEM, all of it. */
export interface Material {
  /** Trusted authorities, the newest first. */
  readonly authorities: string
  /** Key of the newest. */
  readonly authorityKey: string
  readonly cert: string
  readonly key: string
}

export interface CertificateSettings {
  readonly names: readonly string[]
  readonly certificateDays: number
  readonly authorityDays: number
  /** Milliseconds within which every caller and replica has seen a change of the Secret. */
  readonly settleMs: number
  /** Part of its life after which a certificate is replaced. */
  readonly renewAt: number
}

export interface Step {
  readonly reason: string
  readonly material: Material
}

/** Certificates begin this much in the past (lib/tls), for clocks that differ. */
const BACKDATED_MS = 5 * 60_000

const begins = (certificate: X509Certificate): number => Date.parse(certificate.validFrom)
const ends = (certificate: X509Certificate): number => Date.parse(certificate.validTo)
const made = (certificate: X509Certificate): number => begins(certificate) + BACKDATED_MS
const renewal = (certificate: X509Certificate, { renewAt }: CertificateSettings): number =>
  made(certificate) + (ends(certificate) - made(certificate)) * renewAt

/** A twentieth of its life before it ends. */
const lastMoment = (certificate: X509Certificate): number =>
  ends(certificate) - (ends(certificate) - made(certificate)) / 20

export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

/** What is wrong with the material, so that it cannot be served; null when it can. */
export function unusable(material: Material, now: number): string | null {
  try {
    const authorities = certificatesIn(material.authorities)
    const [cert] = certificatesIn(material.cert)
    const [newest] = authorities
    if (newest === undefined || cert === undefined) return 'a certificate is missing'
    if (ends(cert) <= now) return 'the certificate has expired'
    const issuer = authorities.find((authority) => cert.verify(authority.publicKey))
    if (issuer === undefined) return 'the certificate is of an authority that is not trusted'
    if (ends(issuer) <= now) return 'the authority of the certificate has expired'
    if (!cert.checkPrivateKey(createPrivateKey(material.key))) return 'the key is not that of the certificate'
    if (!newest.checkPrivateKey(createPrivateKey(material.authorityKey))) return 'the key is not that of the authority'
    return null
  } catch (error) {
    return `it cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
}

/**
 * The next step that is due; null when there is none now.
 *
 * @param trusted whether every configuration is known to have these authorities; no certificate of a new authority is served
 *   before, unless the one of the old authority is about to end
 */
export function nextStep(
  material: Material | null,
  settings: CertificateSettings,
  now: number,
  trusted: boolean,
): Step | null {
  const broken = material === null ? 'there are none' : unusable(material, now)
  if (material === null || broken !== null) return { reason: broken ?? '', material: fresh(settings) }
  const authorities = certificatesIn(material.authorities)
  const [newest] = authorities as [X509Certificate]
  const [cert] = certificatesIn(material.cert) as [X509Certificate]
  if (now >= renewal(newest, settings)) {
    const authority = createAuthority('hybridnet-webhook', settings.authorityDays)
    return {
      reason: 'the authority nears its end: a new one is trusted beside it',
      material: { ...material, authorities: authority.cert + material.authorities, authorityKey: authority.key },
    }
  }
  const current = cert.verify(newest.publicKey)
  const reissue = (reason: string): Step => ({
    reason,
    material: { ...material, ...leaf({ cert: newest.toString(), key: material.authorityKey }, settings) },
  })
  if (!current) {
    // The key of the old authority is gone with it: a certificate that ends can only be followed by one of the new.
    if (now >= lastMoment(cert)) return reissue('the certificate of the old authority is about to end')
    return trusted && now >= made(newest) + settings.settleMs ? reissue('the new authority is known everywhere') : null
  }
  const missing = settings.names.find(
    (name) => (isIP(name) === 0 ? cert.checkHost(name) : cert.checkIP(name)) === undefined,
  )
  if (missing !== undefined) return reissue(`the certificate is not for ${missing}`)
  if (now >= renewal(cert, settings)) return reissue('the certificate nears its end')
  if (authorities.length > 1 && now >= made(cert) + settings.settleMs) {
    return {
      reason: 'nobody serves the old authority any more',
      material: { ...material, authorities: newest.toString() },
    }
  }
  return null
}

/** Milliseconds until `nextStep` may have one; at least one second, at most an hour. */
export function waitFor(material: Material, settings: CertificateSettings, now: number): number {
  const authorities = certificatesIn(material.authorities)
  const [newest] = authorities
  const [cert] = certificatesIn(material.cert)
  if (newest === undefined || cert === undefined) return 1000
  const times = [renewal(newest, settings), renewal(cert, settings), lastMoment(cert), ends(cert)]
  if (authorities.length > 1) times.push(made(newest) + settings.settleMs, made(cert) + settings.settleMs)
  const next = Math.min(...times.filter((time) => time > now), now + 3_600_000)
  return Math.max(1000, next - now)
}

function fresh(settings: CertificateSettings): Material {
  const authority = createAuthority('hybridnet-webhook', settings.authorityDays)
  return { authorities: authority.cert, authorityKey: authority.key, ...leaf(authority, settings) }
}

function leaf(authority: { cert: string; key: string }, settings: CertificateSettings): { cert: string; key: string } {
  const [commonName = 'hybridnet-webhook'] = settings.names
  return issue(authority, {
    commonName,
    subjectAltNames: settings.names,
    usage: 'server',
    days: settings.certificateDays,
  })
}
