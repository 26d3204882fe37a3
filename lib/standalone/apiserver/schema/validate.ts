// Checks values against structural schemas, with the error texts of the real API server. CEL rules
// (x-kubernetes-validations) are not evaluated.
import { fieldError, goText } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { equal, isObject, own } from '../json.ts'
import type { Json } from '../types.ts'
import { fitsFormat } from './formats.ts'
import { memberPath } from './types.ts'
import type { Schema } from './types.ts'

export interface ValidateOptions {
  /** Report absent required members. Built-in kinds say this by hand: OpenAPI's list is not what the real server checks. */
  readonly required: boolean
}

/** Everything wrong with `value`; empty when it fits. */
export function validate(
  schema: Schema,
  value: Json,
  path = '',
  options: ValidateOptions = { required: true },
): FieldError[] {
  const errors: FieldError[] = []
  check(schema, value, path, options, errors)
  return errors
}

function check(schema: Schema, value: Json, path: string, options: ValidateOptions, errors: FieldError[]): void {
  if (value === null) {
    if (schema.nullable !== true && schema.type !== undefined) errors.push(typeError(schema, value, path))
    return
  }
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (typeof value !== 'string' && !Number.isInteger(value)) {
      if (schema.format !== 'quantity' || typeof value !== 'number') {
        errors.push(
          fieldError.typeInvalid(
            path,
            typeName(value),
            `${path} in body must be of type integer,string: "${typeName(value)}"`,
          ),
        )
        return
      }
    }
  } else if (schema.type !== undefined && !hasType(schema.type, value)) {
    // The real server goes on: what can be said of a value of another type is said, too.
    errors.push(typeError(schema, value, path))
    if (!options.required) return
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => equal(allowed, value))) {
    errors.push(fieldError.notSupported(path, value, schema.enum))
  }
  if (typeof value === 'string') checkString(schema, value, path, errors)
  else if (typeof value === 'number') checkNumber(schema, value, path, options, errors)
  else if (Array.isArray(value)) checkArray(schema, value, path, options, errors)
  else if (isObject(value)) {
    if (options.required) {
      for (const key of schema.required ?? []) {
        if (own(value, key) === undefined) errors.push(fieldError.required(memberPath(path, key)))
      }
    }
    const count = Object.keys(value).length
    if (schema.minProperties !== undefined && count < schema.minProperties) {
      errors.push(
        fieldError.invalid(path, count, `${path} in body should have at least ${schema.minProperties} properties`),
      )
    }
    if (schema.maxProperties !== undefined && count > schema.maxProperties) {
      errors.push(fieldError.tooMany(path, count, schema.maxProperties))
    }
    for (const [key, member] of Object.entries(value)) {
      if (member === undefined) continue
      const property =
        schema.properties !== undefined && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
      if (property !== undefined) check(property, member, memberPath(path, key), options, errors)
      else if (typeof schema.additionalProperties === 'object') {
        check(
          schema.additionalProperties,
          member,
          schema.properties === undefined ? `${path}.${key}` : memberPath(path, key),
          options,
          errors,
        )
      }
    }
  }
  checkJunctors(schema, value, path, options, errors)
}

function checkJunctors(
  schema: Schema,
  value: Json,
  path: string,
  options: ValidateOptions,
  errors: FieldError[],
): void {
  for (const part of schema.allOf ?? []) check(part, value, path, options, errors)
  const { anyOf, oneOf, not } = schema
  const attempt = (part: Schema): FieldError[] => validate(part, value, path, options)
  // These have no field of their own in the real server's answers.
  const wrong = (text: string): number => errors.push(fieldError.invalid('<nil>', '', `"${path}" ${text}`))
  const anyAttempts = anyOf?.map(attempt)
  if (anyAttempts !== undefined && !anyAttempts.some(({ length }) => length === 0)) {
    wrong('must validate at least one schema (anyOf)')
    errors.push(...fewest(anyAttempts))
  }
  const oneAttempts = oneOf?.map(attempt)
  const fitting = oneAttempts?.filter(({ length }) => length === 0).length ?? 1
  if (oneAttempts !== undefined && fitting !== 1) {
    const found = fitting === 0 ? 'Found none valid' : `Found ${fitting} valid alternatives`
    wrong(`must validate one and only one schema (oneOf). ${found}`)
    if (fitting === 0) errors.push(...fewest(oneAttempts))
  }
  if (not !== undefined && attempt(not).length === 0) wrong('must not validate the schema (not)')
}

/** What is wrong with the alternative that comes nearest. */
const fewest = (attempts: readonly FieldError[][]): readonly FieldError[] =>
  attempts.reduce((best, errors) => (errors.length < best.length ? errors : best), attempts[0] ?? [])

function checkString(schema: Schema, value: string, path: string, errors: FieldError[]): void {
  const length = schema.minLength !== undefined || schema.maxLength !== undefined ? [...value].length : 0
  // One of these is enough for the real server.
  if (schema.maxLength !== undefined && length > schema.maxLength)
    errors.push(fieldError.tooLong(path, schema.maxLength))
  else if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(fieldError.invalid(path, value, `${path} in body should be at least ${schema.minLength} chars long`))
  } else if (schema.pattern !== undefined && !compiled(schema.pattern).test(value)) {
    errors.push(fieldError.invalid(path, value, `${path} in body should match '${schema.pattern}'`))
  }
  if (schema.format !== undefined && !fitsFormat(schema.format, value)) {
    errors.push(
      fieldError.invalid(path, value, `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`),
    )
  }
}

function checkNumber(
  schema: Schema,
  value: number,
  path: string,
  options: ValidateOptions,
  errors: FieldError[],
): void {
  const wrong = (why: string): number =>
    errors.push(fieldError.invalid(path, value, `${path} in body should be ${why}`))
  const { minimum, maximum, multipleOf } = schema
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum === true ? value <= minimum : value < minimum) {
      wrong(schema.exclusiveMinimum === true ? `greater than ${minimum}` : `greater than or equal to ${minimum}`)
    }
  }
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum === true ? value >= maximum : value > maximum) {
      wrong(schema.exclusiveMaximum === true ? `less than ${maximum}` : `less than or equal to ${maximum}`)
    }
  }
  if (multipleOf !== undefined && Math.abs(value / multipleOf - Math.round(value / multipleOf)) > 1e-9) {
    wrong(`a multiple of ${multipleOf}`)
  }
  // For custom kinds the format of a number is a hint to people.
  if (!options.required && schema.format === 'int32' && (value > 0x7fffffff || value < -0x80000000)) {
    errors.push(fieldError.invalid(path, value, `${path} in body must be of type int32: "${value}"`))
  }
}

function checkArray(schema: Schema, value: Json[], path: string, options: ValidateOptions, errors: FieldError[]): void {
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(fieldError.invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`))
  }
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push(fieldError.tooMany(path, value.length, schema.maxItems))
  }
  if (schema.items !== undefined) {
    for (const [index, item] of value.entries()) check(schema.items, item, `${path}[${index}]`, options, errors)
  }
  const kind = schema['x-kubernetes-list-type']
  if (schema.uniqueItems !== true && kind !== 'set' && kind !== 'map') return
  const keys = schema['x-kubernetes-list-map-keys'] ?? []
  const seen = new Set<string>()
  for (const [index, item] of value.entries()) {
    const identity =
      kind === 'map' && isObject(item) ? Object.fromEntries(keys.map((key) => [key, own(item, key)])) : item
    const text = JSON.stringify(identity)
    if (seen.has(text)) {
      const shown = isObject(identity) ? goText('map[string]interface {}', identity) : identity
      errors.push(fieldError.duplicate(`${path}[${index}]`, shown))
    }
    seen.add(text)
  }
}

function hasType(type: NonNullable<Schema['type']>, value: Json): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value)
    case 'number':
      return typeof value === 'number'
    case 'string':
      return typeof value === 'string'
    case 'boolean':
      return typeof value === 'boolean'
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
  }
}

function typeName(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function typeError(schema: Schema, value: Json, path: string): FieldError {
  const got = typeName(value)
  return fieldError.typeInvalid(
    path,
    got,
    `${path === '' ? 'body' : `${path} in body`} must be of type ${schema.type ?? 'any'}: "${got}"`,
  )
}

const patterns = new Map<string, RegExp>()

/** Go's patterns (RE2) that CRDs use are ones of JavaScript; anything else was refused when the CRD came. */
function compiled(pattern: string): RegExp {
  let known = patterns.get(pattern)
  if (known === undefined) patterns.set(pattern, (known = new RegExp(pattern)))
  return known
}
