// Which pods keep their addresses: those of a controller of a stateful kind (api.md §3.7).
import type { OwnerReference } from './meta.ts'

/** Whether a controller is of a kind whose pods keep their addresses. A kind may be given with its group (D59). */
export function isStateful(controller: OwnerReference | null, kinds: readonly string[]): boolean {
  if (controller === null) return false
  const group = controller.apiVersion.includes('/') ? controller.apiVersion.split('/', 1)[0] : ''
  return kinds.some((kind) => kind === controller.kind || kind === `${group ?? ''}/${controller.kind}`)
}
