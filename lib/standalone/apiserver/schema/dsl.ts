// Reads the field tables of the built-in kinds (builtin/*.ts) into schemas and protobuf messages.
//
//   Container                         a type
//     name! string #1                 a field and its protobuf number; `!` means OpenAPI's `required`
//     env []EnvVar #7 @name           a list whose elements are known by `name`, for strategic merge and server-side apply
//     ports []Port #6 @port,protocol  two keys for server-side apply; strategic merge uses the first
//     claims []Claim #3 @name ~       strategic merge replaces the list; `~key` another key than the first
//     finalizers []string #14 =set    a set
//     selector map string #2 =atomic  owned as a whole in server-side apply; also after a type's name
//     volumes []Volume #1 @name +retainKeys    a patch strategy
//     <inline> VolumeSource #2        the fields of another type, which are a message of their own in protobuf only
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

/** A field of a protobuf message. */
export interface ProtoField {
  /** Member in JSON; null for one whose members are the owner's own. */
  readonly name: string | null
  /** In the notation above: `[]Container`, `map string`, `int32`. */
  readonly type: string
}

export interface Types {
  readonly schemas: ReadonlyMap<string, Schema>
  /** Fields by number, by type. */
  readonly messages: ReadonlyMap<string, ReadonlyMap<number, ProtoField>>
}

interface Block {
  readonly name: string
  readonly schema: Writable
  readonly lines: string[]
}

/**
 * All types of some tables by name. A type that mentions itself or another is linked, not copied.
 *
 * @throws Error when a table names a type that none of them has
 */
export function parseTypes(tables: readonly string[]): Types {
  const schemas = new Map<string, Writable>()
  const blocks: Block[] = []
  for (const line of tables.join('\n').split('\n')) {
    if (line === '') continue
    if (line.startsWith('  ')) {
      blocks.at(-1)?.lines.push(line.trim())
      continue
    }
    const [name = '', ...marks] = line.split(' ')
    // Filled below, in place: a marked field is a copy of its type, made perhaps before the type's own fields are known.
    const schema: Writable = { type: 'object', title: name, properties: {} }
    if (marks.includes('=atomic')) schema['x-kubernetes-map-type'] = 'atomic'
    schemas.set(name, schema)
    blocks.push({ name, schema, lines: [] })
  }
  const messages = new Map<string, Map<number, ProtoField>>()
  const byName = new Map(blocks.map((block) => [block.name, block]))
  for (const { name, schema, lines } of blocks) {
    const properties = schema.properties as Record<string, Schema>
    const required: string[] = []
    addFields(lines, name, schemas, byName, properties, required)
    if (required.length > 0) schema.required = required
    messages.set(name, protoFields(lines))
  }
  return { schemas, messages }
}

interface Line {
  readonly label: string
  readonly type: string
  readonly marks: readonly string[]
}

function splitLine(line: string): Line {
  const [label = '', ...words] = line.split(' ')
  const marks = words.filter((word) => /^[#@~=+]/.test(word))
  return { label, type: words.slice(0, words.length - marks.length).join(' '), marks }
}

function addFields(
  lines: readonly string[],
  owner: string,
  schemas: ReadonlyMap<string, Schema>,
  blocks: ReadonlyMap<string, Block>,
  properties: Record<string, Schema>,
  required: string[],
): void {
  for (const { label, type, marks } of lines.map(splitLine)) {
    if (label === '<inline>') {
      const inlined = blocks.get(type)
      if (inlined === undefined) throw new Error(`${owner}: unknown type ${type}`)
      addFields(inlined.lines, type, schemas, blocks, properties, required)
      continue
    }
    const field = label.replace('!', '')
    if (label.endsWith('!')) required.push(field)
    properties[field] = marked(parseType(type, schemas, `${owner}.${field}`), marks, `${owner}.${field}`)
  }
}

function protoFields(lines: readonly string[]): Map<number, ProtoField> {
  const fields = new Map<number, ProtoField>()
  for (const { label, type, marks } of lines.map(splitLine)) {
    const number = marks.find((mark) => mark.startsWith('#'))
    if (number !== undefined)
      fields.set(Number(number.slice(1)), { name: label === '<inline>' ? null : label.replace('!', ''), type })
  }
  return fields
}

function marked(base: Schema, marks: readonly string[], where: string): Schema {
  const special = marks.filter((mark) => !mark.startsWith('#'))
  if (special.length === 0) return base
  const field: Writable = { ...base }
  for (const mark of special) {
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
      if (value !== '') {
        field['x-kubernetes-patch-merge-key'] = value
        field['x-kubernetes-patch-strategy'] = 'merge'
      }
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
