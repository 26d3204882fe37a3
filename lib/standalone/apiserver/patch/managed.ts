import type { Resource } from '../registry.ts'
import type { KubeObject } from '../types.ts'
export function trackUpdate(
  _r: Resource,
  _o: KubeObject,
  _old: KubeObject | undefined,
  _part: string,
  _manager: string,
): void {}
