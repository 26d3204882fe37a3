// Reads the field tables of the built-in kinds (builtin/*.ts) into schemas.
//
//   Container                      a type
//     name! string                 a field; `!` means OpenAPI's `required`
//     env []EnvVar @name           a list whose elements are known by `name`, for strategic merge and server-side apply
//     ports []Port @port,protocol  two keys for server-side apply; strategic merge uses the first
//     claims []Claim @name ~       strategic merge replaces the list; `~key` another key than the first
//     finalizers []string =set     a set
//     selector map string =atomic  owned as a whole in server-side apply; also after a type's name
//     volumes []Volume @name +retainKeys    a patch strategy
//
// Types: string, bool, int32, int64, double, bytes (base64), time, microtime, quantity, intOrString, any, `map T`, `[]T`, or
// the name of another type.
import type { Schema } from './types.ts'

type Writable = { -readonly [K in keyof Schema]: Schema[K] }

const scalars: Readonly<Record<string, Schema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  time: { type: 'string', format: 'date-time', nullable: true },
  microtime: { type: 'string', format: 'date-time', nullable: true },
  // Not a plain string: a number is taken too and becomes one.
  quantity: { 'x-kubernetes-int-or-string': true, format: 'quantity' },
  intOrString: { 'x-kubernetes-int-or-string': true },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
}

/**
 * All types of some tables by name. A type that mentions itself or another is linked, not copied.
 *
 * @throws Error when a table names a type that none of them has
 */
export function parseTypes(tables: readonly string[]): Map<string, Schema> {
  const types = new Map<string, Writable>()
  const blocks: { owner: Writable; name: string; fields: string[] }[] = []
  for (const line of tables.join('\n').split('\n')) {
    if (line === '') continue
    if (line.startsWith('  ')) {
      blocks.at(-1)?.fields.push(line.trim())
      continue
    }
    const [name = '', ...marks] = line.split(' ')
    const owner: Writable = { type: 'object', title: name }
    if (marks.includes('=atomic')) owner['x-kubernetes-map-type'] = 'atomic'
    types.set(name, owner)
    blocks.push({ owner, name, fields: [] })
  }
  for (const { owner, name, fields } of blocks) {
    const properties: Record<string, Schema> = {}
    const required: string[] = []
    for (const line of fields) {
      const [label = '', ...words] = line.split(' ')
      const field = label.replace('!', '')
      if (label.endsWith('!')) required.push(field)
      properties[field] = parseField(words, types, `${name}.${field}`)
    }
    owner.properties = properties
    if (required.length > 0) owner.required = required
  }
  return types
}

function parseField(words: readonly string[], types: ReadonlyMap<string, Schema>, where: string): Schema {
  const marks = words.filter((word) => /^[@~=+]/.test(word))
  const type = words.slice(0, words.length - marks.length).join(' ')
  const base = parseType(type, types, where)
  if (marks.length === 0) return base
  const field: Writable = { ...base }
  for (const mark of marks) {
    const value = mark.slice(1)
    if (mark.startsWith('@')) {
      const keys = value.split(',')
      field['x-kubernetes-list-type'] = 'map'
      field['x-kubernetes-list-map-keys'] = keys
      field['x-kubernetes-patch-merge-key'] = keys[0] ?? ''
      field['x-kubernetes-patch-strategy'] = 'merge'
    } else if (mark.startsWith('~')) {
      delete field['x-kubernetes-patch-merge-key']
      delete field['x-kubernetes-patch-strategy']
      if (value !== '') field['x-kubernetes-patch-merge-key'] = value
    } else if (mark === '=set') {
      field['x-kubernetes-list-type'] = 'set'
      field['x-kubernetes-patch-strategy'] = 'merge'
    } else if (mark === '=atomic') {
      field['x-kubernetes-map-type'] = 'atomic'
    } else if (mark === '+retainKeys') {
      const merge = field['x-kubernetes-patch-strategy']
      field['x-kubernetes-patch-strategy'] = merge === undefined ? 'retainKeys' : `${merge},retainKeys`
    } else throw new Error(`${where}: unknown mark ${mark}`)
  }
  return field
}

function parseType(type: string, types: ReadonlyMap<string, Schema>, where: string): Schema {
  if (type.startsWith('[]'))
    return { type: 'array', items: parseType(type.slice(2), types, where), 'x-kubernetes-list-type': 'atomic' }
  if (type.startsWith('map ')) return { type: 'object', additionalProperties: parseType(type.slice(4), types, where) }
  const found = scalars[type] ?? types.get(type)
  if (found === undefined) throw new Error(`${where}: unknown type ${type}`)
  return found
}
