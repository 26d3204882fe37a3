// The schemas of the built-in kinds, read once on first use.
import { apps } from './builtin/apps.ts'
import { cluster } from './builtin/cluster.ts'
import { core } from './builtin/core.ts'
import { meta } from './builtin/meta.ts'
import { pods } from './builtin/pods.ts'
import { volumes } from './builtin/volumes.ts'
import { parseTypes } from './dsl.ts'
import type { Schema } from './types.ts'

let types: Map<string, Schema> | undefined

/** All built-in types by name (`Pod`, `Container`). */
export function builtinTypes(): ReadonlyMap<string, Schema> {
  return (types ??= parseTypes([meta, core, volumes, pods, apps, cluster]))
}

/** @throws Error for a name that is no built-in type */
export function builtinSchema(name: string): Schema {
  const schema = builtinTypes().get(name)
  if (schema === undefined) throw new Error(`no built-in type ${name}`)
  return schema
}
