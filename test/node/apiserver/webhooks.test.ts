// Admission webhooks: a real HTTPS server is asked, with the CA of its configuration, and what it says counts.
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createAuthority, issue } from '../../../lib/tls/index.ts'
import type { Json, JsonObject, KubeObject } from '../../../lib/standalone/apiserver/types.ts'
import { configMap, pod, startRig, type Answer, type Rig } from '../../support/apiserver.ts'
import { bringUpLoopback } from '../../support/loopback.ts'

const authority = createAuthority('webhook-test')
const caBundle = Buffer.from(authority.cert).toString('base64')
const maps = '/api/v1/namespaces/default/configmaps'
const configurations = '/apis/admissionregistration.k8s.io/v1'
type Handler = (request: JsonObject, version: string) => Promise<JsonObject> | JsonObject

let rig: Rig
let hooks: Server
let port = 0
const handlers = new Map<string, Handler>()
const asked: { path: string; request: JsonObject; url: string }[] = []

test.before(async () => {
  bringUpLoopback()
  const { cert, key } = issue(authority, { commonName: 'hook', subjectAltNames: ['127.0.0.1', 'hook.default.svc'], usage: 'server' }) // prettier-ignore
  hooks = createServer({ cert, key }, (request, response) => {
    void (async () => {
      let text = ''
      for await (const chunk of request) text += String(chunk)
      const review = JSON.parse(text) as { apiVersion: string; request: JsonObject }
      const path = (request.url ?? '').split('?')[0] ?? ''
      asked.push({ path, request: review.request, url: request.url ?? '' })
      const said = await handlers.get(path)?.(review.request, review.apiVersion)
      if (said === undefined) response.writeHead(500).end('no handler')
      else if (said['raw'] !== undefined) response.end(JSON.stringify(said['raw']))
      else response.end(JSON.stringify({ kind: 'AdmissionReview', apiVersion: review.apiVersion, response: { uid: review.request['uid'], ...said } })) // prettier-ignore
    })()
  })
  await new Promise<void>((resolve) => hooks.listen(0, '127.0.0.1', resolve))
  port = (hooks.address() as AddressInfo).port
  rig = await startRig()
})
test.after(async () => {
  await rig.close()
  hooks.closeAllConnections()
  hooks.close()
})

const patchOf = (operations: Json): JsonObject => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
})
const rule = (resources: string[], operations = ['*'], more: JsonObject = {}): JsonObject => ({
  apiGroups: ['*'],
  apiVersions: ['*'],
  resources,
  operations,
  ...more,
})
/** Install webhooks, run, remove them. */
async function withHooks(
  kind: 'Mutating' | 'Validating',
  webhooks: JsonObject[],
  run: () => Promise<void>,
): Promise<void> {
  const plural = `${configurations}/${kind.toLowerCase()}webhookconfigurations`
  const complete = webhooks.map((webhook, index) => ({
    name: `w${index}.test.example`,
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    clientConfig: { url: `https://127.0.0.1:${port}/w${index}`, caBundle },
    rules: [rule(['configmaps'])],
    ...webhook,
  }))
  await rig.ok('POST', plural, { metadata: { name: 'hooks' }, webhooks: complete })
  asked.length = 0
  try {
    await run()
  } finally {
    await rig.ok('DELETE', `${plural}/hooks`)
  }
}
const post = (object: KubeObject, query = ''): Promise<Answer> => rig.call('POST', maps + query, object)

test('a mutating webhook changes what is stored, in order, and sees what the ones before it did', async () => {
  handlers.set('/w0', () => patchOf([{ op: 'add', path: '/data/a', value: 'one' }]))
  handlers.set('/w1', ({ object }) => {
    const { a: seen } = (object as { data: { a: string } }).data
    return { ...patchOf([{ op: 'add', path: '/data/b', value: `after ${seen}` }]), warnings: ['be careful'] }
  })
  await withHooks('Mutating', [{}, {}], async () => {
    const answer = await post(configMap('mutated', { x: 'y' }))
    assert.is(answer.code, 201, answer.message)
    assert.equal(answer.body['data'], { x: 'y', a: 'one', b: 'after one' })
    assert.match(String(answer.headers['warning']), '299 - "be careful"')
    const [first] = asked
    assert.is(first?.url, '/w0?timeout=10s')
    const { operation, namespace, name, kind, resource, dryRun, oldObject } = first?.request ?? {}
    assert.equal({ operation, namespace, name, kind, resource, dryRun, oldObject }, { operation: 'CREATE', namespace: 'default', name: 'mutated', kind: { group: '', version: 'v1', kind: 'ConfigMap' }, resource: { group: '', version: 'v1', resource: 'configmaps' }, dryRun: false, oldObject: null }) // prettier-ignore
    const patched = await rig.call('PATCH', `${maps}/mutated`, { data: { x: 'z' } }, { 'content-type': 'application/merge-patch+json' }) // prettier-ignore
    assert.is(patched.code, 200, patched.message)
    assert.is(asked.at(-1)?.request['operation'], 'UPDATE')
    assert.is(((asked.at(-1)?.request['oldObject'] as JsonObject)['data'] as JsonObject)['x'], 'y')
    const applied = await rig.call('PATCH', `${maps}/applied?fieldManager=me`, { apiVersion: 'v1', kind: 'ConfigMap', data: { k: 'v' } }, { 'content-type': 'application/apply-patch+yaml' }) // prettier-ignore
    assert.equal(applied.body['data'], { k: 'v', a: 'one', b: 'after one' })
  })
})

test('a validating webhook refuses creates, updates and deletes, in the words of the real server', async () => {
  handlers.set('/w0', ({ operation }) => ({
    allowed: false,
    status: { code: 403, reason: 'Forbidden', message: `no ${operation as string}` },
  }))
  await rig.ok('POST', maps, configMap('kept'))
  await withHooks('Validating', [{}], async () => {
    const refused = await post(configMap('refused'))
    assert.equal([refused.code, refused.body['reason'], refused.message], [403, 'Forbidden', 'admission webhook "w0.test.example" denied the request: no CREATE']) // prettier-ignore
    const put = await rig.call('PUT', `${maps}/kept`, configMap('kept', { a: 'b' }))
    assert.is(put.message, 'admission webhook "w0.test.example" denied the request: no UPDATE')
    const gone = await rig.call('DELETE', `${maps}/kept`)
    assert.is(gone.message, 'admission webhook "w0.test.example" denied the request: no DELETE')
    assert.is(asked.at(-1)?.request['object'], null)
    handlers.set('/w0', () => ({ allowed: false }))
    const silent = await post(configMap('refused'))
    assert.equal([silent.code, silent.message], [400, 'admission webhook "w0.test.example" denied the request without explanation']) // prettier-ignore
  })
  assert.is((await rig.call('GET', `${maps}/refused`)).code, 404)
  assert.is((await rig.call('DELETE', `${maps}/kept`)).code, 200)
})

test('only what rules and selectors name is asked about', async () => {
  handlers.set('/w0', () => ({ allowed: true }))
  await rig.ok('PATCH', '/api/v1/namespaces/default', { metadata: { labels: { team: 'a' } } }, { 'content-type': 'application/merge-patch+json' }) // prettier-ignore
  const cases: [string, JsonObject, string[]][] = [
    ['operations', { rules: [rule(['configmaps'], ['UPDATE'])] }, []],
    ['another resource', { rules: [rule(['secrets'])] }, []],
    ['another group', { rules: [rule(['configmaps'], ['*'], { apiGroups: ['apps'] })] }, []],
    ['scope', { rules: [rule(['*'], ['*'], { scope: 'Cluster' })] }, []],
    ['everything', { rules: [rule(['*/*'])] }, ['CREATE']],
    ['namespace selector', { namespaceSelector: { matchLabels: { team: 'b' } } }, []],
    ['namespace selector that fits', { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } }, ['CREATE']], // prettier-ignore
    ['object selector', { objectSelector: { matchLabels: { app: 'x' } } }, []],
  ]
  for (const [what, webhook, expected] of cases) {
    await withHooks('Validating', [webhook], async () => {
      await rig.ok('POST', maps, configMap(`m-${what.replaceAll(' ', '-')}`))
      assert.equal(asked.map(({ request }) => request['operation']), expected, what) // prettier-ignore
    })
  }
  const rules = [rule(['pods/binding', 'deployments/scale'])]
  await withHooks('Validating', [{ rules }], async () => {
    await rig.ok('POST', '/api/v1/namespaces/default/pods', pod('bound'))
    await rig.ok('POST', '/api/v1/namespaces/default/pods/bound/binding', { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'bound' }, target: { kind: 'Node', name: 'n' } }) // prettier-ignore
    const [only] = asked
    assert.equal([asked.length, only?.request['subResource'], (only?.request['kind'] as JsonObject)['kind']], [1, 'binding', 'Binding']) // prettier-ignore
  })
})

test('a webhook that fails: refused or ignored as its policy says; time-out, wrong CA, wrong answers', async () => {
  const failing: [string, JsonObject, Handler, RegExp][] = [
    ['500', {}, () => undefined as unknown as JsonObject, /^Internal error occurred: failed calling webhook "w0\.test\.example": failed to call webhook: Post "https:\/\/127\.0\.0\.1:\d+\/w0\?timeout=10s": an error on the server/], // prettier-ignore
    [
      'time-out',
      { timeoutSeconds: 1 },
      () => new Promise(() => undefined),
      /\?timeout=1s": context deadline exceeded$/,
    ],
    ['uid', {}, () => ({ uid: 'other', allowed: true }), /received invalid webhook response: expected response\.uid=".*", got "other"$/], // prettier-ignore
    ['absent', {}, () => ({ raw: { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' } }), /webhook response was absent$/], // prettier-ignore
    ['CA', { clientConfig: { url: `https://127.0.0.1:${port}/w0`, caBundle: Buffer.from(createAuthority('other').cert).toString('base64') } }, () => ({ allowed: true }), /failed to call webhook: Post .*(certificate|signature)/], // prettier-ignore
    [
      'refused',
      { clientConfig: { url: 'https://127.0.0.1:1/w0', caBundle } },
      () => ({ allowed: true }),
      /ECONNREFUSED/,
    ],
    ['no service', { clientConfig: { service: { name: 'none', namespace: 'default', path: '/w0' }, caBundle } }, () => ({ allowed: true }), /Post "https:\/\/none\.default\.svc:443\/w0\?timeout=10s": service "none" not found$/], // prettier-ignore
  ]
  for (const [what, webhook, handler, expected] of failing) {
    handlers.set('/w0', handler)
    await withHooks('Validating', [webhook], async () => {
      const answer = await post(configMap('unlucky'))
      assert.is(answer.code, 500, what)
      assert.match(answer.message, expected, what)
    })
    await withHooks('Validating', [{ ...webhook, failurePolicy: 'Ignore' }], async () => {
      assert.is((await post(configMap('lucky'))).code, 201, `${what}, ignored`)
      await rig.ok('DELETE', `${maps}/lucky`)
    })
  }
})

test('a service is found through its endpoints, and called by its name', async () => {
  handlers.set('/in/cluster', () => ({ allowed: false, status: { message: 'found' } }))
  await rig.ok('POST', '/api/v1/namespaces/default/services', { metadata: { name: 'hook' }, spec: { ports: [{ name: 'https', port: 443, targetPort: 8443 }] } }) // prettier-ignore
  const clientConfig = { service: { name: 'hook', namespace: 'default', path: '/in/cluster' }, caBundle }
  await withHooks('Validating', [{ clientConfig }], async () => {
    assert.match((await post(configMap('x'))).message, 'no endpoints available for service "hook"')
    await rig.ok('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', { metadata: { name: 'hook-1', labels: { 'kubernetes.io/service-name': 'hook' } }, addressType: 'IPv4', ports: [{ name: 'https', port }], endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }] }) // prettier-ignore
    assert.match((await post(configMap('x'))).message, 'denied the request: found')
  })
})

test('dry run, v1beta1, reinvocation, and writers that meet while a webhook thinks', async () => {
  handlers.set('/w0', (_request, version) => ({ allowed: false, status: { message: version } }))
  await withHooks(
    'Validating',
    [{ admissionReviewVersions: ['v1beta1', 'v1'], sideEffects: 'NoneOnDryRun' }],
    async () => {
      assert.match((await post(configMap('dry'), '?dryRun=All')).message, 'admission.k8s.io/v1beta1')
      assert.is(asked[0]?.request['dryRun'], true)
    },
  )
  handlers.set('/w0', () => patchOf([{ op: 'add', path: '/data/first', value: String(asked.length) }]))
  handlers.set('/w1', () => patchOf([{ op: 'add', path: '/data/second', value: 'x' }]))
  await withHooks('Mutating', [{ reinvocationPolicy: 'IfNeeded' }, {}], async () => {
    const { body } = await post(configMap('again', { a: 'b' }))
    assert.equal(body['data'], { a: 'b', first: '3', second: 'x' })
  })
  await rig.ok('POST', maps, configMap('shared', { a: '0' }))
  const merge = { 'content-type': 'application/merge-patch+json' }
  let thought = 0
  const rules = [rule(['configmaps'], ['UPDATE'])]
  // Another writer gets in between, past the webhook.
  handlers.set('/w0', () => {
    if (++thought === 1) rig.context.store.put('/configmaps', 'default/shared', { ...configMap('shared', { a: '0', b: '1' }), metadata: { ...rig.context.store.get('/configmaps', 'default/shared')?.object.metadata } }) // prettier-ignore
    return { allowed: true }
  })
  await withHooks('Validating', [{ rules }], async () => {
    const { code, body } = await rig.call('PATCH', `${maps}/shared`, { data: { c: '2' } }, merge)
    assert.is(code, 200)
    assert.equal(body['data'], { a: '0', b: '1', c: '2' }, 'both writes count')
    assert.is(thought, 2, 'and the second state was admitted too')
  })
})

test('wrong configurations are refused with the field', async () => {
  const plural = `${configurations}/validatingwebhookconfigurations`
  const good = { name: 'a.b.example', sideEffects: 'None', admissionReviewVersions: ['v1'], clientConfig: { url: 'https://h/' }, rules: [] } // prettier-ignore
  for (const [over, expected] of [
    [{ name: 'short' }, /webhooks\[0\]\.name: Invalid value: "short": should be a domain with at least three segments/],
    [{ sideEffects: 'Some' }, /webhooks\[0\]\.sideEffects: Unsupported value: "Some"/],
    [{ timeoutSeconds: 31 }, /timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds/],
    [{ clientConfig: {} }, /clientConfig: Required value: exactly one of url or service is required/],
    [{ clientConfig: { url: 'http://h/' } }, /clientConfig\.url: Invalid value/],
    [{ matchConditions: [{ name: 'x', expression: 'true' }] }, /matchConditions: Forbidden: not evaluated/],
  ] as [JsonObject, RegExp][]) {
    const { code, message } = await rig.call('POST', plural, { metadata: { name: 'bad' }, webhooks: [{ ...good, ...over }] }) // prettier-ignore
    assert.is(code, 422, message)
    assert.match(message, expected)
  }
})

test.run()
