import type { Context } from '../context.ts'
import type { FieldValidation } from '../decode.ts'
import { notImplemented } from '../errors.ts'
import type { Resource } from '../registry.ts'
import type { Json, KubeObject } from '../types.ts'
import type { Part } from '../write.ts'
export interface ApplyOptions {
  manager: string
  force: boolean
  dryRun: boolean
  fieldValidation: FieldValidation
}
export function applyObject(
  _c: Context,
  _r: Resource,
  _ns: string,
  _n: string,
  _part: Part,
  _p: Json,
  _o: ApplyOptions,
): { object: KubeObject; created: boolean; warnings: string[] } {
  throw notImplemented('server-side apply')
}
