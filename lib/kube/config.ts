// The one door to @kubernetes/client-node: kubeconfig files with everything people put in them (exec plugins, client
// certificates, token files, proxies). Loaded only when a kubeconfig is used; see client.ts. It does no requests.
import { createHash } from 'node:crypto'
import type { Agent, RequestOptions } from 'node:https'
import { createSecureContext } from 'node:tls'
import { delimiter } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { RenewedConnection, serverUrl, type Connection, type ConnectionSource, type TlsSettings } from './connection.ts'

/** Credentials are asked for again this often; an exec plugin runs only when its credential has expired. */
const rereadMs = 10_000

/**
 * A connection by kubeconfig.
 *
 * @param paths one file, or several joined by ':' as in $KUBECONFIG (merged; the first current-context wins)
 * @param context name of the context; the file's current-context when null
 * @param rereadAfterMs how long credentials are used before they are asked for again
 * @throws Error naming the file, context, cluster or server that is missing or wrong
 */
export function kubeconfigConnection(
  paths: string,
  context: string | null,
  rereadAfterMs: number = rereadMs,
): ConnectionSource {
  let config = loadConfig(paths, context)
  let reload = false
  let tlsId: string | null = null
  const renewed = new RenewedConnection(async () => {
    if (reload) config = loadConfig(paths, context)
    reload = false
    const connection = await connectionOf(config)
    const changed = tlsId !== null && tlsId !== connection.tlsId
    tlsId = connection.tlsId
    if (!changed || connection.proxyAgent === undefined) return connection
    // The library keeps an agent, and an agent the certificates it was made with, whatever a request says.
    config = loadConfig(paths, context)
    return await connectionOf(config)
  }, rereadAfterMs)
  return {
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? null,
    current: () => renewed.current(),
    refresh: () => {
      // The library never forgets a credential without expiry; a new instance does, and reads the file anew.
      reload = true
      renewed.refresh()
      return true
    },
  }
}

function loadConfig(paths: string, context: string | null): KubeConfig {
  const files = paths.split(delimiter).filter((file) => file !== '')
  const config = new KubeConfig()
  for (const [index, file] of files.entries()) {
    try {
      if (index === 0) {
        config.loadFromFile(file)
        continue
      }
      const next = new KubeConfig()
      next.loadFromFile(file)
      config.mergeConfig(next, true)
    } catch (error) {
      throw new Error(`kubeconfig ${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
  const name = context ?? config.getCurrentContext()
  const found = name ? config.getContextObject(name) : null
  if (!found) {
    const known = config.getContexts().map((entry) => entry.name)
    const missing = name ? `no context '${name}'` : 'current-context is missing'
    throw new Error(`kubeconfig ${paths}: ${missing}, it has: ${known.join(', ') || 'none'}`)
  }
  const cluster = config.getCluster(found.cluster)
  if (!cluster)
    throw new Error(`kubeconfig ${paths}: context '${name}' names cluster '${found.cluster}', which is not there`)
  const server = serverUrl(cluster.server)
  // The library refuses plain http without this, and ignores the cluster's CA for a context without a user.
  const plain = server.protocol === 'http:'
  config.loadFromOptions({
    clusters: [{ ...cluster, skipTLSVerify: plain || cluster.skipTLSVerify }],
    users: [config.getUser(found.user) ?? { name: found.user }],
    contexts: [{ ...found, name }],
    currentContext: name,
  })
  return config
}

async function connectionOf(config: KubeConfig): Promise<Connection> {
  const cluster = config.getCurrentCluster()
  if (!cluster) throw new Error('kubeconfig: the context has no cluster')
  const options: RequestOptions = {}
  await config.applyToHTTPSOptions(options)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim()
  if (options.auth) headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`
  const tls: TlsSettings = {
    ...(options.ca ? { ca: options.ca as Buffer } : {}),
    ...(options.cert ? { cert: options.cert as Buffer } : {}),
    ...(options.key ? { key: options.key as Buffer } : {}),
    ...(options.passphrase ? { passphrase: options.passphrase } : {}),
    ...(cluster.tlsServerName ? { servername: cluster.tlsServerName } : {}),
    ...(cluster.skipTLSVerify ? { rejectUnauthorized: false } : {}),
  }
  checkPair(tls)
  const hash = createHash('sha256')
  for (const part of [tls.ca, tls.cert, tls.key]) hash.update(part ?? '').update('\0')
  return {
    server: serverUrl(cluster.server),
    tls,
    tlsId: hash.digest('hex'),
    headers,
    ...(cluster.proxyUrl ? { proxyAgent: options.agent as Agent } : {}),
  }
}

/**
 * A certificate that is replaced in two files has another key for a moment: then what was good before is still the better.
 *
 * @throws Error when certificate and key are not of each other, or not PEM
 */
function checkPair({ cert, key, passphrase }: TlsSettings): void {
  if (cert === undefined || key === undefined) return
  try {
    createSecureContext({ cert, key, ...(passphrase === undefined ? {} : { passphrase }) })
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(`kubeconfig: the client certificate and its key do not fit each other: ${text}`, { cause: error })
  }
}
