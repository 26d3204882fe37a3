import type { ApiServer, ApiServerOptions } from './types.ts'

/** Start the server. @throws Error when an address cannot be listened on or a CRD file is wrong */
export function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  return Promise.reject(new Error(`not built yet (${options.listen.length})`))
}
