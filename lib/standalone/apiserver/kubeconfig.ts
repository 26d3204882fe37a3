// A kubeconfig for the admin, as JSON, which is YAML.

export interface KubeconfigInput {
  readonly server: string
  /** PEM. */
  readonly caCert: string | null
  readonly token: string | null
}

export function kubeconfig({ server, caCert, token }: KubeconfigInput): string {
  const cluster = {
    server,
    ...(caCert === null ? {} : { 'certificate-authority-data': Buffer.from(caCert).toString('base64') }),
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'standalone', cluster }],
    users: [{ name: 'admin', user: token === null ? {} : { token } }],
    contexts: [{ name: 'standalone', context: { cluster: 'standalone', user: 'admin' } }],
    'current-context': 'standalone',
  }
  return `${JSON.stringify(config, null, 2)}\n`
}
