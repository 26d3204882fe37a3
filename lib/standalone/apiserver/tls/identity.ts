// The server's identity: authority, serving certificate and admin token; kept in a folder when there is one.
import { X509Certificate, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issue } from '../../../tls/index.ts'
import type { KeyPair } from '../../../tls/index.ts'

/** What clients call the server besides its addresses. */
const names = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
]

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** The kept authority while it is valid, else a new one. */
export async function loadAuthority(directory: string | undefined): Promise<KeyPair> {
  if (directory === undefined) return createAuthority('hybridnet-standalone')
  const certPath = join(directory, 'ca.crt')
  const keyPath = join(directory, 'ca.key')
  const cert = await readIfThere(certPath)
  const key = await readIfThere(keyPath)
  if (cert !== null && key !== null && Date.parse(new X509Certificate(cert).validTo) > Date.now() + 30 * 86_400_000)
    return { cert, key }
  const made = createAuthority('hybridnet-standalone')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(keyPath, made.key, { mode: 0o600 })
  await writeFile(certPath, made.cert)
  return made
}

/** A random token, the kept one when there is a folder. */
export async function loadToken(directory: string | undefined): Promise<string> {
  const path = directory === undefined ? undefined : join(directory, 'token')
  const kept = path === undefined ? null : await readIfThere(path)
  if (kept !== null && kept.trim() !== '') return kept.trim()
  const token = randomBytes(24).toString('base64url')
  if (path !== undefined && directory !== undefined) {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeFile(path, `${token}\n`, { mode: 0o600 })
  }
  return token
}

/** A serving certificate for the usual names, `extra` ones, and all addresses this process can see. */
export function servingCertificate(authority: KeyPair, extra: readonly string[]): KeyPair {
  const own = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.replace(/%.*$/, '')),
  )
  const subjectAltNames = [...new Set([...names, '127.0.0.1', '::1', ...own, ...extra])]
  return issue(authority, { commonName: 'kube-apiserver', subjectAltNames, usage: 'server' })
}
