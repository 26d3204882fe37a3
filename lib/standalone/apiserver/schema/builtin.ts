// The schemas of the built-in kinds, read once on first use.
import { apps } from './builtin/apps.ts'
import { cluster } from './builtin/cluster.ts'
import { core } from './builtin/core.ts'
import { meta } from './builtin/meta.ts'
import { pods } from './builtin/pods.ts'
import { volumes } from './builtin/volumes.ts'
import { parseTypes } from './dsl.ts'
import type { ProtoField, Types } from './dsl.ts'
import type { Schema } from './types.ts'

let types: Types | undefined

const all = (): Types => (types ??= parseTypes([meta, core, volumes, pods, apps, cluster]))

/** All built-in types by name (`Pod`, `Container`). */
export function builtinTypes(): ReadonlyMap<string, Schema> {
  return all().schemas
}

/** @throws Error for a name that is no built-in type */
export function builtinSchema(name: string): Schema {
  const schema = all().schemas.get(name)
  if (schema === undefined) throw new Error(`no built-in type ${name}`)
  return schema
}

/** Fields of a type's protobuf message by number; undefined for a name that is no built-in type. */
export function protoMessage(name: string): ReadonlyMap<number, ProtoField> | undefined {
  return all().messages.get(name)
}
