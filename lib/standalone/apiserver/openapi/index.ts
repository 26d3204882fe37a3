import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Registry } from '../registry.ts'
export function openApi(
  _registry: Registry,
  _path: string,
  _request: IncomingMessage,
  _response: ServerResponse,
): boolean {
  return false
}
