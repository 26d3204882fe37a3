// Bodies in Kubernetes' protobuf encoding: kubectl 1.32 sends them for `kubectl create namespace` and the like, whatever
// it accepts as an answer. Only reading is needed.
//
// A body is the magic `k8s\0` and a runtime.Unknown (apiVersion, kind, the object's bytes); the object is a proto2 message
// whose field numbers are in the tables of schema/builtin. The result is the JSON of the same object.
import { badRequest } from './errors.ts'
import { isObject, setOwn } from './json.ts'
import { protoMessage } from './schema/builtin.ts'
import type { Json, JsonObject } from './types.ts'

export const protobufType = 'application/vnd.kubernetes.protobuf'

const magic = Buffer.from('k8s\0')

/** One field on the wire: a number (wire types 0, 1, 5) or bytes (wire type 2). */
interface WireField {
  readonly number: number
  readonly value: bigint | Buffer
}

function* fieldsOf(bytes: Buffer): Generator<WireField> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) break
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw badRequest('protobuf: a number is cut off')
  }
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw badRequest('protobuf: a field is longer than its message')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const number = tag >>> 3
    switch (tag & 7) {
      case 0:
        yield { number, value: varint() }
        break
      case 1:
        yield { number, value: take(8).readBigUInt64LE() }
        break
      case 2:
        yield { number, value: take(Number(varint())) }
        break
      case 5:
        yield { number, value: BigInt(take(4).readUInt32LE()) }
        break
      default:
        throw badRequest(`protobuf: wire type ${tag & 7} is not known`)
    }
  }
}

const bytesOf = (value: bigint | Buffer): Buffer => {
  if (typeof value === 'bigint') throw badRequest('protobuf: a number where bytes were expected')
  return value
}

const numberOf = (value: bigint | Buffer): bigint => {
  if (typeof value !== 'bigint') throw badRequest('protobuf: bytes where a number was expected')
  return value
}

/**
 * The object in a protobuf body.
 *
 * @param rootType type of the object where its kind has another name (`EventsEvent`)
 * @throws StatusError 400 for bytes that are no such message or a kind without a table
 */
export function decodeProtobuf(body: Buffer, rootType?: string): Json {
  if (!body.subarray(0, 4).equals(magic))
    throw badRequest('protobuf: the body does not start with the magic number of Kubernetes')
  let apiVersion = ''
  let kind = ''
  let raw: Buffer = Buffer.alloc(0)
  for (const { number, value } of fieldsOf(body.subarray(4))) {
    if (number === 2) raw = bytesOf(value)
    if (number !== 1) continue
    for (const part of fieldsOf(bytesOf(value))) {
      if (part.number === 1) apiVersion = bytesOf(part.value).toString()
      if (part.number === 2) kind = bytesOf(part.value).toString()
    }
  }
  const type = rootType ?? kind
  if (protoMessage(type) === undefined) throw badRequest(`protobuf: no table for kind ${JSON.stringify(kind)}`)
  return { apiVersion, kind, ...message(raw, type) }
}

function message(bytes: Buffer, type: string): JsonObject {
  const fields = protoMessage(type)
  if (fields === undefined) throw badRequest(`protobuf: no table for type ${JSON.stringify(type)}`)
  const result: JsonObject = {}
  for (const { number, value } of fieldsOf(bytes)) {
    // Fields of a newer Kubernetes are left out, like unknown members of JSON.
    const field = fields.get(number)
    if (field === undefined) continue
    if (field.name === null) Object.assign(result, message(bytesOf(value), field.type))
    else addField(result, field.name, field.type, value)
  }
  return result
}

function addField(owner: JsonObject, name: string, type: string, value: bigint | Buffer): void {
  if (type.startsWith('[]')) {
    const list = (owner[name] ??= [])
    if (Array.isArray(list)) list.push(single(type.slice(2), value))
  } else if (type.startsWith('map ')) {
    const map = (owner[name] ??= {})
    if (isObject(map)) addEntry(map, type.slice(4), bytesOf(value))
  } else {
    const one = single(type, value)
    // Go writes absent strings as empty ones; JSON leaves them out.
    if (one !== null && one !== '') setOwn(owner, name, one)
  }
}

function addEntry(map: JsonObject, type: string, bytes: Buffer): void {
  let key = ''
  let value: Json = type === 'string' || type === 'bytes' ? '' : null
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) key = bytesOf(field.value).toString()
    if (field.number === 2) value = single(type, field.value)
  }
  setOwn(map, key, value)
}

function single(type: string, value: bigint | Buffer): Json {
  switch (type) {
    case 'string':
      return bytesOf(value).toString()
    case 'bytes':
      return bytesOf(value).toString('base64')
    case 'bool':
      return numberOf(value) !== 0n
    case 'int32':
    case 'int64':
      return Number(BigInt.asIntN(64, numberOf(value)))
    case 'double': {
      const bits = Buffer.alloc(8)
      bits.writeBigUInt64LE(numberOf(value))
      return bits.readDoubleLE()
    }
    case 'time':
    case 'microtime':
      return instant(bytesOf(value), type === 'microtime')
    case 'quantity':
      return stringField(bytesOf(value), 1)
    case 'intOrString':
      return intOrString(bytesOf(value))
    case 'any': {
      const raw = stringField(bytesOf(value), 1)
      try {
        return raw === '' ? null : (JSON.parse(raw) as Json)
      } catch (error) {
        throw badRequest(`protobuf: embedded JSON: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    default:
      return message(bytesOf(value), type)
  }
}

function stringField(bytes: Buffer, number: number): string {
  for (const field of fieldsOf(bytes)) if (field.number === number) return bytesOf(field.value).toString()
  return ''
}

/** { type = 1 (0 int, 1 string); intVal = 2; strVal = 3 } */
function intOrString(bytes: Buffer): Json {
  let isString = false
  let int = 0
  let string = ''
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) isString = numberOf(value) === 1n
    if (number === 2) int = Number(BigInt.asIntN(64, numberOf(value)))
    if (number === 3) string = bytesOf(value).toString()
  }
  return isString ? string : int
}

/** { seconds = 1; nanos = 2 }; the zero time is none. */
function instant(bytes: Buffer, micro: boolean): Json {
  let seconds = 0n
  let nanos = 0n
  let any = false
  for (const { number, value } of fieldsOf(bytes)) {
    any = true
    if (number === 1) seconds = BigInt.asIntN(64, numberOf(value))
    if (number === 2) nanos = numberOf(value)
  }
  if (!any || seconds < -62135596800n + 1n) return null
  const text = new Date(Number(seconds) * 1000).toISOString()
  const fraction = String(nanos / 1000n).padStart(6, '0')
  return micro ? text.replace(/\.\d+Z$/, `.${fraction}Z`) : text.replace(/\.\d+Z$/, 'Z')
}
