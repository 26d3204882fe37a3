// A version 2 document in the protobuf form that kubectl before 1.27 insists on: the messages of gnostic's OpenAPIv2.proto,
// as much of them as definitions.ts and paths.ts use.
import { isObject, list, object, text } from '../json.ts'
import type { Json, JsonObject } from '../types.ts'

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}

/** A length-delimited field. */
function bytes(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content])
}

/** A string field; nothing for an empty one. */
const string = (number: number, value: string): Buffer =>
  value === '' ? Buffer.alloc(0) : bytes(number, Buffer.from(value))

const bool = (number: number, value: Json | undefined): Buffer =>
  value === true ? Buffer.concat([varint(number * 8), Buffer.from([1])]) : Buffer.alloc(0)

const whole = (number: number, value: Json | undefined): Buffer =>
  typeof value === 'number' && value > 0 ? Buffer.concat([varint(number * 8), varint(value)]) : Buffer.alloc(0)

function double(number: number, value: Json | undefined): Buffer {
  if (typeof value !== 'number') return Buffer.alloc(0)
  const content = Buffer.alloc(8)
  content.writeDoubleLE(value)
  return Buffer.concat([varint(number * 8 + 1), content])
}

const message = (...fields: readonly Buffer[]): Buffer => Buffer.concat(fields)

/** Any: { yaml = 2 }, and JSON is YAML. */
const any = (value: Json): Buffer => string(2, JSON.stringify(value))

/** All `x-` members as repeated NamedAny. */
function extensions(number: number, owner: JsonObject): Buffer {
  const found = Object.entries(owner).filter(([name, value]) => name.startsWith('x-') && value !== undefined)
  return message(...found.map(([name, value]) => bytes(number, message(string(1, name), bytes(2, any(value ?? null))))))
}

function namedSchemas(schemas: JsonObject): Buffer {
  return message(
    ...Object.entries(schemas).map(([name, schema]) =>
      bytes(1, message(string(1, name), bytes(2, encodeSchema(object(schema))))),
    ),
  )
}

function encodeSchema(schema: JsonObject): Buffer {
  const { additionalProperties, items, properties, enum: values } = schema
  const type = text(schema, 'type')
  const additional =
    typeof additionalProperties === 'boolean'
      ? bytes(21, bool(2, additionalProperties))
      : isObject(additionalProperties)
        ? bytes(21, bytes(1, encodeSchema(additionalProperties)))
        : Buffer.alloc(0)
  return message(
    string(1, text(schema, '$ref')),
    string(2, text(schema, 'format')),
    string(4, text(schema, 'description')),
    schema['default'] === undefined ? Buffer.alloc(0) : bytes(5, any(schema['default'])),
    double(6, schema['multipleOf']),
    double(7, schema['maximum']),
    bool(8, schema['exclusiveMaximum']),
    double(9, schema['minimum']),
    bool(10, schema['exclusiveMinimum']),
    whole(11, schema['maxLength']),
    whole(12, schema['minLength']),
    string(13, text(schema, 'pattern')),
    whole(14, schema['maxItems']),
    whole(15, schema['minItems']),
    bool(16, schema['uniqueItems']),
    ...list(schema, 'required').map((name) => string(19, text(name))),
    ...(Array.isArray(values) ? values.map((value) => bytes(20, any(value))) : []),
    additional,
    type === '' ? Buffer.alloc(0) : bytes(22, string(1, type)),
    isObject(items) ? bytes(23, bytes(1, encodeSchema(items))) : Buffer.alloc(0),
    isObject(properties) ? bytes(25, namedSchemas(properties)) : Buffer.alloc(0),
    extensions(31, schema),
  )
}

function encodeOperation(operation: JsonObject): Buffer {
  const parameters = list(operation, 'parameters').map((parameter) => {
    const query = message(
      string(2, text(parameter, 'in')),
      string(4, text(parameter, 'name')),
      string(6, text(parameter, 'type')),
    )
    // ParametersItem { parameter { non_body_parameter { query_parameter_sub_schema } } }
    return bytes(8, bytes(1, bytes(2, bytes(3, query))))
  })
  const responses = Object.entries(object(operation, 'responses')).map(([code, response]) =>
    bytes(1, message(string(1, code), bytes(2, bytes(1, string(1, text(response, 'description')))))),
  )
  return message(
    string(5, text(operation, 'operationId')),
    ...parameters,
    bytes(9, message(...responses)),
    extensions(13, operation),
  )
}

export function encodeDocument(document: JsonObject): Buffer {
  const paths = Object.entries(object(document, 'paths')).map(([path, item]) =>
    bytes(2, message(string(1, path), bytes(2, bytes(8, encodeOperation(object(item, 'patch')))))),
  )
  return message(
    string(1, text(document, 'swagger')),
    bytes(2, message(string(1, text(document, 'info', 'title')), string(2, text(document, 'info', 'version')))),
    bytes(8, message(...paths)),
    bytes(9, namedSchemas(object(document, 'definitions'))),
  )
}
