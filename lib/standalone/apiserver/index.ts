// The embedded Kubernetes API server: one process, objects in memory, for trying out, development and tests. Not for
// production: no etcd, no authorization. See README.md for what is served and what is not.
export { startApiServer } from './server.ts'
export { type Fault, FaultError, type Faults, parseFault } from './faults/index.ts'
export type { ServiceAddress, ServiceResolver } from './admission/index.ts'
export type { ApiServer, ApiServerOptions, KubeObject, Listen, TlsOptions } from './types.ts'
