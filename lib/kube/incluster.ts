// The service account of a pod: token, CA and namespace files that the kubelet mounts and rotates. Done here rather than by
// the Kubernetes client so that a node agent does not pay some 17 MiB for loading it.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { RenewedConnection, serverUrl, type Connection, type ConnectionSource } from './connection.ts'

export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

/** How long the files' contents are used before they are read again (client-go: one minute for the token). */
const rereadMs = 60_000

/** Whether this process runs in a pod with a service account. */
export function inCluster(env: NodeJS.ProcessEnv = process.env, directory = serviceAccountDirectory): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST']) && existsSync(join(directory, 'token'))
}

/**
 * The connection of a pod to its cluster.
 *
 * @throws Error when the files or the environment variables of a pod are missing
 */
export function inClusterConnection(
  env: NodeJS.ProcessEnv = process.env,
  directory = serviceAccountDirectory,
): ConnectionSource {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === '') throw new Error('not in a cluster: KUBERNETES_SERVICE_HOST is not set')
  const server = serverUrl(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`)
  const namespaceFile = join(directory, 'namespace')
  const read = (): Connection => {
    const token = readFileSync(join(directory, 'token'), 'utf8').trim()
    if (token === '') throw new Error(`${join(directory, 'token')} is empty, expected a service account token`)
    const ca = readFileSync(join(directory, 'ca.crt'))
    const tlsId = createHash('sha256').update(ca).digest('hex')
    return { server, tls: { ca }, tlsId, headers: { authorization: `Bearer ${token}` } }
  }
  const renewed = new RenewedConnection(() => Promise.resolve().then(read), rereadMs)
  return {
    namespace: existsSync(namespaceFile) ? readFileSync(namespaceFile, 'utf8').trim() : null,
    current: () => renewed.current(),
    refresh: () => {
      renewed.refresh()
      return true
    },
  }
}
