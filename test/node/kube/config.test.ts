// Finding the server and proving who we are: kubeconfig files, exec plugins, service accounts, TLS, rotation.
import { mkdtempSync, renameSync, rmSync, writeFileSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { KubeClient, RequestError } from '../../../lib/kube/index.ts'
import { kubeconfigConnection } from '../../../lib/kube/config.ts'
import { inCluster, inClusterConnection } from '../../../lib/kube/incluster.ts'
import { createAuthority, issue } from '../../../lib/tls/index.ts'
import { FaultServer, json, status, type Seen } from '../../support/fault-server.ts'

const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true }
const ref = { namespace: 'n', name: 'p' }
const path = '/api/v1/namespaces/n/pods/p'
const pod = json({ metadata: ref })

const authority = createAuthority('test authority')
const serving = issue(authority, { commonName: 'server', subjectAltNames: ['127.0.0.1', 'api.test'], usage: 'server' })
const user = issue(authority, { commonName: 'somebody', organizations: ['people'], usage: 'client' })
const base64 = (text: string): string => Buffer.from(text).toString('base64')

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kube-config-'))
  const before = { ...process.env }
  try {
    await body(folder)
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
    rmSync(folder, { recursive: true })
  }
}

interface Cluster {
  server: string
  'certificate-authority-data'?: string
  'certificate-authority'?: string
  'insecure-skip-tls-verify'?: boolean
  'tls-server-name'?: string
  'proxy-url'?: string
}

function kubeconfig(file: string, cluster: Cluster, user: unknown, more: Record<string, unknown> = {}): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    clusters: [{ name: 'c', cluster }],
    users: user === null ? [] : [{ name: 'u', user }],
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'mine' } }],
    ...more,
  }
  writeFileSync(file, JSON.stringify(config))
  return file
}

async function ask(client: KubeClient, server: FaultServer): Promise<Seen> {
  await client.get(pods, ref, { retries: 0 })
  client.close()
  const last = server.seen.at(-1)
  if (!last) throw new Error('the server saw nothing')
  return last
}

test('token over TLS with the cluster’s authority; wrong authority or name is refused', () =>
  inFolder(async (folder) => {
    const server = await FaultServer.start({ cert: serving.cert, key: serving.key })
    server.on(`GET ${path}`, pod)
    const cluster = { server: server.url, 'certificate-authority-data': base64(authority.cert) }
    try {
      const file = kubeconfig(join(folder, 'a'), cluster, { token: 'tok' })
      const client = await KubeClient.load({ kubeconfig: file })
      assert.is(client.namespace, 'mine')
      assert.is((await ask(client, server)).headers.authorization, 'Bearer tok')
      // The file's own folder is where relative names start.
      writeFileSync(join(folder, 'ca.pem'), authority.cert)
      kubeconfig(join(folder, 'b'), { server: server.url, 'certificate-authority': 'ca.pem' }, null)
      await ask(await KubeClient.load({ kubeconfig: join(folder, 'b') }), server)
      kubeconfig(join(folder, 'c'), { server: server.url, 'insecure-skip-tls-verify': true }, null)
      await ask(await KubeClient.load({ kubeconfig: join(folder, 'c') }), server)
      kubeconfig(join(folder, 'd'), { ...cluster, 'tls-server-name': 'api.test' }, null)
      await ask(await KubeClient.load({ kubeconfig: join(folder, 'd') }), server)
      for (const wrong of [
        { server: server.url },
        { server: server.url, 'certificate-authority-data': base64(createAuthority('other').cert) },
        { ...cluster, 'tls-server-name': 'other.test' },
      ]) {
        const bad = await KubeClient.load({ kubeconfig: kubeconfig(join(folder, 'e'), wrong, null) })
        let caught: unknown
        await ask(bad, server).catch((error: unknown) => (caught = error))
        assert.ok(
          caught instanceof RequestError && !caught.outcomeUnknown,
          `${JSON.stringify(wrong)}: ${String(caught)}`,
        )
        bad.close()
      }
    } finally {
      await server.close()
    }
  }))

test('client certificates', () =>
  inFolder(async (folder) => {
    const server = await FaultServer.start({
      cert: serving.cert,
      key: serving.key,
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
    })
    let subject: unknown
    server.on(`GET ${path}`, (response, seen) => {
      const request = (response as unknown as { req: IncomingMessage }).req
      subject = (request.socket as TLSSocket).getPeerCertificate().subject
      return pod(response, seen)
    })
    try {
      const cluster = { server: server.url, 'certificate-authority-data': base64(authority.cert) }
      const keys = { 'client-certificate-data': base64(user.cert), 'client-key-data': base64(user.key) }
      await ask(await KubeClient.load({ kubeconfig: kubeconfig(join(folder, 'a'), cluster, keys) }), server)
      assert.match(JSON.stringify(subject), /somebody/)
    } finally {
      await server.close()
    }
  }))

test('exec plugin: run once while its credential is good, again after a 401', () =>
  inFolder(async (folder) => {
    const server = await FaultServer.start()
    const plugin = join(folder, 'plugin.sh')
    writeFileSync(join(folder, 'runs'), '')
    const credential =
      '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"run-%s"}}'
    writeFileSync(
      plugin,
      `echo run >> ${folder}/runs\nprintf '${credential}' "$(wc -l < ${folder}/runs | tr -d ' ')"\n`,
    )
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'sh',
      args: [plugin],
      interactiveMode: 'Never',
    }
    const file = kubeconfig(join(folder, 'a'), { server: server.url }, { exec })
    const client = await KubeClient.load({ kubeconfig: file })
    const runs = (): number => readFileSync(join(folder, 'runs'), 'utf8').split('\n').length - 1
    try {
      server.on(`GET ${path}`, pod)
      await client.get(pods, ref)
      await client.get(pods, ref)
      assert.is(runs(), 1)
      assert.is(server.seen[1]?.headers.authorization, 'Bearer run-1')
      server.on(`GET ${path}`, status(401, 'Unauthorized', 'expired'), pod)
      await client.get(pods, ref)
      assert.is(runs(), 2)
      assert.is(server.seen.at(-1)?.headers.authorization, 'Bearer run-2')
      server.on(`GET ${path}`, status(401, 'Unauthorized', 'never'))
      let code = 0
      await client.get(pods, ref).catch((error: { status: number }) => (code = error.status))
      assert.is(code, 401, 'renewed once, not for ever')
    } finally {
      client.close()
      await server.close()
    }
  }))

test('a broken exec plugin is an error that names it, not a hang', () =>
  inFolder(async (folder) => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'sh',
      args: ['-c', 'echo sorry >&2; exit 3'],
    }
    const file = kubeconfig(join(folder, 'a'), { server: 'http://127.0.0.1:1' }, { exec })
    const client = await KubeClient.load({ kubeconfig: file })
    let message = ''
    await client.get(pods, ref, { retries: 0 }).catch((error: Error) => (message = error.message))
    assert.match(message, /no usable credentials: sorry/)
    client.close()
  }))

test('contexts: the asked one, several files merged, clear errors', () =>
  inFolder(async (folder) => {
    const server = await FaultServer.start()
    server.on(`GET ${path}`, pod)
    try {
      const first = kubeconfig(join(folder, 'a'), { server: server.url }, { username: 'me', password: 'pw' })
      const second = kubeconfig(join(folder, 'b'), { server: 'http://127.0.0.1:1' }, null, {
        'current-context': 'there',
        clusters: [{ name: 'c2', cluster: { server: `${server.url}/prefix/` } }],
        contexts: [{ name: 'there', context: { cluster: 'c2', user: '' } }],
      })
      process.env['KUBECONFIG'] = `${first}:${second}`
      const basic = (await ask(await KubeClient.load(), server)).headers.authorization
      assert.is(basic, `Basic ${base64('me:pw')}`)
      server.on(`GET /prefix${path}`, pod)
      assert.is((await ask(await KubeClient.load({ context: 'there' }), server)).path, `/prefix${path}`)
      const refused = async (options: { kubeconfig?: string; context?: string }): Promise<string> => {
        try {
          ;(await KubeClient.load(options)).close()
        } catch (error) {
          return (error as Error).message
        }
        return 'no error'
      }
      assert.match(await refused({ context: 'nowhere' }), /no context 'nowhere', it has: here, there/)
      assert.match(await refused({ kubeconfig: join(folder, 'absent') }), /kubeconfig .*absent: ENOENT/)
      writeFileSync(join(folder, 'empty'), '{}')
      assert.match(
        await refused({ kubeconfig: join(folder, 'empty') }),
        /empty: current-context is missing, it has: none/,
      )
      writeFileSync(join(folder, 'bad'), '{"clusters": [')
      assert.match(await refused({ kubeconfig: join(folder, 'bad') }), /kubeconfig .*bad: /)
      const odd = kubeconfig(join(folder, 'odd'), { server: 'ftp://x' }, null)
      assert.match(await refused({ kubeconfig: odd }), /'ftp:\/\/x' has scheme 'ftp:', expected https: or http:/)
    } finally {
      await server.close()
    }
  }))

/** A proxy that connects everything to one port. */
async function startProxy(to: number): Promise<{ proxy: Server; asked: string[]; url: string }> {
  const asked: string[] = []
  const proxy = createServer().on('connect', (request, near: Socket) => {
    asked.push(request.url ?? '')
    const far = connect(to, '127.0.0.1', () => {
      near.write('HTTP/1.1 200 OK\r\n\r\n')
      near.pipe(far).pipe(near)
    })
    near.on('error', () => far.destroy())
    far.on('error', () => near.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return { proxy, asked, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }
}

for (const through of ['directly', 'through a proxy'] as const) {
  test(`client certificates replaced in their files, one after the other, ${through}: no request fails`, () =>
    inFolder(async (folder) => {
      const server = await FaultServer.start({
        cert: serving.cert,
        key: serving.key,
        ca: authority.cert,
        requestCert: true,
        rejectUnauthorized: true,
      })
      const { proxy, url } = await startProxy(server.port)
      const subjects: unknown[] = []
      server.on(`GET ${path}`, (response, seen) => {
        const { socket } = (response as unknown as { req: IncomingMessage }).req
        subjects.push((socket as TLSSocket).getPeerCertificate().subject.CN)
        return pod(response, seen)
      })
      const proxied = through !== 'directly'
      const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
      const put = (file: string, text: string): void => {
        // As kubelet and cert-manager do: the file is there whole or not at all.
        writeFileSync(`${file}.new`, text)
        renameSync(`${file}.new`, file)
      }
      const other = issue(authority, { commonName: 'renewed', organizations: ['people'], usage: 'client' })
      try {
        put(cert, user.cert)
        put(key, user.key)
        const cluster = {
          server: proxied ? 'https://api.test:6443' : server.url,
          'certificate-authority-data': base64(authority.cert),
          ...(proxied ? { 'proxy-url': url } : {}),
        }
        const file = kubeconfig(join(folder, 'a'), cluster, { 'client-certificate': cert, 'client-key': key })
        // Credentials are read for every request.
        const client = KubeClient.over(kubeconfigConnection(file, null, -1))
        await client.get(pods, ref, { retries: 0 })
        await client.get(pods, ref, { retries: 0 })
        put(cert, other.cert)
        await client.get(pods, ref, { retries: 0 })
        put(key, other.key)
        await client.get(pods, ref, { retries: 0 })
        assert.equal(subjects, ['somebody', 'somebody', 'somebody', 'renewed'])
        client.close()
        // At the start there is nothing better to go on with: said so.
        put(cert, user.cert)
        const fresh = KubeClient.over(kubeconfigConnection(file, null))
        let failure: unknown = null
        await fresh.get(pods, ref, { retries: 0 }).catch((error: unknown) => (failure = error))
        assert.match(String(failure), /certificate and its key do not fit/)
        fresh.close()
      } finally {
        await server.close()
        proxy.close()
      }
    }))
}

test('proxy-url: the request goes through the proxy, TLS stays end to end', () =>
  inFolder(async (folder) => {
    const server = await FaultServer.start({ cert: serving.cert, key: serving.key })
    server.on(`GET ${path}`, pod)
    const { proxy, asked, url } = await startProxy(server.port)
    const cluster = {
      server: 'https://api.test:6443',
      'certificate-authority-data': base64(authority.cert),
      'proxy-url': url,
    }
    try {
      const client = await KubeClient.load({ kubeconfig: kubeconfig(join(folder, 'a'), cluster, { token: 'tok' }) })
      assert.is((await ask(client, server)).headers.authorization, 'Bearer tok')
      assert.equal(asked, ['api.test:6443'])
    } finally {
      await server.close()
      proxy.close()
    }
  }))

test('the service account: token read again, authority and namespace from its files', () =>
  inFolder(async (folder) => {
    const server = await FaultServer.start({ cert: serving.cert, key: serving.key })
    server.on(`GET ${path}`, pod)
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port) }
    const directory = join(folder, 'sa')
    try {
      assert.not(inCluster(env, directory))
      mkdirSync(directory)
      writeFileSync(join(directory, 'token'), 'one\n')
      writeFileSync(join(directory, 'ca.crt'), authority.cert)
      writeFileSync(join(directory, 'namespace'), 'kube-system\n')
      assert.ok(inCluster(env, directory))
      assert.not(inCluster({}, directory))
      const client = KubeClient.over(inClusterConnection(env, directory))
      assert.is(client.namespace, 'kube-system')
      await client.get(pods, ref)
      assert.is(server.seen[0]?.headers.authorization, 'Bearer one')
      writeFileSync(join(directory, 'token'), 'two\n')
      server.on(`GET ${path}`, status(401, 'Unauthorized', 'rotated'), pod)
      await client.get(pods, ref)
      assert.is(server.seen.at(-1)?.headers.authorization, 'Bearer two')
      assert.is(server.connections, 1, 'a new token needs no new connection')
      client.close()
    } finally {
      await server.close()
    }
  }))

test.run()
