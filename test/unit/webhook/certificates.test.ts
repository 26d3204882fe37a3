// What the certificates are to become: every step of a replacement, over years in no time.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createAuthority, issue } from '../../../lib/tls/index.ts'
import {
  certificatesIn,
  nextStep,
  unusable,
  waitFor,
  type CertificateSettings,
  type Material,
  type Step,
} from '../../../lib/webhook/certificates/plan.ts'
import { bundlePatch, webhookConfigurations } from '../../../lib/webhook/configuration.ts'
import { formatAnswer, parseReview } from '../../../lib/webhook/review.ts'

const MINUTE = 60_000
const DAY = 86_400_000
const settings: CertificateSettings = {
  names: ['hybridnet-webhook', 'hybridnet-webhook.kube-system.svc', '127.0.0.1'],
  certificateDays: 365,
  authorityDays: 3650,
  settleMs: 10 * MINUTE,
  renewAt: 0.8,
}
const now = Date.now()
const step = (material: Material | null, at: number, trusted = true): Step | null =>
  nextStep(material, settings, at, trusted)
const after = (material: Material | null, at: number): Material => {
  const next = step(material, at)
  if (next === null) throw new Error('no step is due')
  return next.material
}

test('the first certificates are good for every name, and rest', () => {
  const made = after(null, now)
  assert.is(unusable(made, now), null)
  const [cert] = certificatesIn(made.cert)
  for (const name of settings.names) assert.ok(cert?.checkHost(name) ?? cert?.checkIP(name), name)
  assert.is(step(made, now + 100 * DAY), null)
  assert.ok(waitFor(made, settings, now) <= 3_600_000)
})

test('what cannot be served is made anew, with the reason', () => {
  const made = after(null, now)
  const foreign = issue(createAuthority('x'), { commonName: 'x', subjectAltNames: settings.names, usage: 'server' })
  for (const [material, reason] of [
    [{ ...made, cert: '' }, /missing/],
    [{ ...made, cert: 'no PEM' }, /missing/],
    [{ ...made, ...foreign }, /not trusted/],
    [{ ...made, key: made.authorityKey }, /not that of the certificate/],
    [{ ...made, authorityKey: made.key }, /not that of the authority/],
    [{ ...made, key: 'x' }, /cannot be read/],
  ] as const) {
    assert.match(step(material, now)?.reason ?? '', reason)
    assert.is(unusable(after(material, now), now), null)
  }
  assert.match(step(made, now + 366 * DAY)?.reason ?? '', /expired/)
  const renamed = { ...settings, names: [...settings.names, 'other.svc'] }
  assert.match(nextStep(made, renamed, now + 11 * MINUTE, true)?.reason ?? '', /not for other\.svc/)
})

test('a certificate is replaced after 80 % of its life; the authority stays', () => {
  const made = after(null, now)
  assert.is(step(made, now + 291 * DAY), null)
  const renewed = after(made, now + 293 * DAY)
  assert.is(renewed.authorities.trim(), made.authorities.trim())
  assert.is.not(renewed.cert, made.cert)
})

test('an authority is replaced in three steps, none before callers trust it', () => {
  const short = { ...settings, authorityDays: 200 }
  const made = nextStep(null, short, now, true)?.material as Material
  const late = now + 161 * DAY
  const both = nextStep(made, short, late, true)?.material as Material
  assert.is(certificatesIn(both.authorities).length, 2)
  assert.is(both.cert, made.cert, 'what is served stays')
  // The new authority was made by this clock, not by the one of the test.
  const soon = now + MINUTE
  assert.is(nextStep(both, short, soon, true), null, 'it settles')
  const settled = now + 12 * MINUTE
  assert.is(nextStep(both, short, settled, false), null, 'nobody is known to trust it')
  const serving = nextStep(both, short, settled, true)?.material as Material
  assert.is(unusable(serving, settled), null)
  assert.is(certificatesIn(serving.authorities).length, 2)
  assert.is.not(serving.cert, made.cert)
  assert.is(nextStep(serving, short, now + MINUTE, true), null, 'other replicas may serve the old one')
  const alone = nextStep(serving, short, settled, true)?.material as Material
  assert.is(certificatesIn(alone.authorities).length, 1)
  assert.is(alone.cert, serving.cert)
  assert.is(unusable(alone, settled), null)
  assert.is(nextStep(alone, short, settled, true), null)
})

test('renewal waits for nobody: not for callers whose trust is unknown, nor beyond the end of an old authority', () => {
  const made = after(null, now)
  const due = now + 293 * DAY
  assert.match(step(made, due, false)?.reason ?? '', /nears its end/)
  assert.is(step(made, now + 100 * DAY, false), null)
  // Of two authorities the key of the old one is gone. Callers are not known to trust the new one, until it must be.
  const short = { ...settings, authorityDays: 500 }
  const old = nextStep(null, short, now, true)?.material as Material
  const both = nextStep(old, { ...short, renewAt: 0 }, now + DAY, true)?.material as Material
  assert.is(certificatesIn(both.authorities).length, 2)
  assert.is(nextStep(both, { ...short, renewAt: 0.99 }, now + 340 * DAY, false), null)
  const late = nextStep(both, { ...short, renewAt: 0.99 }, now + 350 * DAY, false)
  assert.match(late?.reason ?? '', /about to end/)
  assert.is.not(late?.material.cert, both.cert)
})

test('configurations: failure policies and selectors of the contract; only our webhooks are patched', () => {
  const { validating, mutating } = webhookConfigurations({
    namespace: 'kube-system',
    name: 'hybridnet-webhook',
    port: 443,
  })
  const policies = [...(validating.webhooks ?? []), ...(mutating.webhooks ?? [])].map((one) => [
    one.name,
    one['failurePolicy'],
  ])
  assert.equal(policies, [
    ['hybridnet-v1.validating.hybridnet', 'Fail'],
    ['core-v1.validating.hybridnet', 'Ignore'],
    ['core-v1.mutating.hybridnet', 'Ignore'],
  ])
  const foreign = {
    ...validating,
    webhooks: [{ name: 'other.example', clientConfig: {} }, ...(validating.webhooks ?? [])],
  }
  const patch = bundlePatch(foreign, 'Zm9v') ?? []
  assert.equal(patch[0], { op: 'test', path: '/webhooks/1/name', value: 'hybridnet-v1.validating.hybridnet' })
  assert.equal(patch[1], { op: 'add', path: '/webhooks/1/clientConfig/caBundle', value: 'Zm9v' })
  assert.is(patch.length, 4)
})

test('reviews of both versions are answered in their version; others are refused', () => {
  for (const apiVersion of ['admission.k8s.io/v1', 'admission.k8s.io/v1beta1']) {
    const kind = { group: '', version: 'v1', kind: 'Pod' }
    const request = { uid: 'u1', kind, operation: 'CREATE', name: 'a', namespace: 'b', object: {} }
    const review = parseReview(JSON.stringify({ kind: 'AdmissionReview', apiVersion, request }))
    assert.is(review.kind, 'v1/Pod')
    const patch = [{ op: 'add', path: '/a', value: 1 }] as const
    const answer = JSON.parse(formatAnswer(review, { decision: { allowed: true, warnings: ['w'] }, patch })) as {
      apiVersion: string
      response: Record<string, string>
    }
    assert.is(answer.apiVersion, apiVersion)
    assert.is(answer.response['uid'], 'u1')
    assert.is(Buffer.from(answer.response['patch'] ?? '', 'base64').toString(), JSON.stringify(patch))
  }
  assert.throws(() => parseReview('{'), /no JSON/)
  assert.throws(() => parseReview('{"kind":"Pod"}'), /no AdmissionReview/)
  assert.throws(() => parseReview('{"kind":"AdmissionReview","apiVersion":"x/v2"}'), /"x\/v2", expected admission/)
  assert.throws(() => parseReview('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}'), /no request/)
})

test.run()
