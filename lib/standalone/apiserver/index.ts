// The embedded Kubernetes API server: one process, objects in memory, for trying out, development and tests. Not for
// production: no etcd, no authorization, no admission webhooks. See README.md for what is served and what is not.
export { startApiServer } from './server.ts'
export type { ApiServer, ApiServerOptions, KubeObject, Listen, TlsOptions } from './types.ts'
