// CustomResourceDefinitions: their own defaults, checks and status, and the resources they define.
import { fieldError, goText } from '../errors.ts'
import type { FieldError } from '../errors.ts'
import { isObject, list, object, text, timestamp } from '../json.ts'
import { nameProblem } from '../meta.ts'
import type { Resource, ScalePaths } from '../registry.ts'
import { builtinSchema } from '../schema/builtin.ts'
import { propertyOf } from '../schema/prune.ts'
import type { Schema } from '../schema/types.ts'
import { validate } from '../schema/validate.ts'
import { pathReader } from '../selectors.ts'
import { fill } from '../strategies/pods.ts'
import type { Json, JsonObject, KubeObject } from '../types.ts'
import { customColumns, parseJsonPath } from './columns.ts'

const versionsOf = (definition: KubeObject): JsonObject[] => list(definition, 'spec', 'versions').filter(isObject)

/** Names that may be left out, and the conversion. */
export function defaultDefinition(definition: KubeObject): void {
  const spec = object(definition, 'spec')
  const names = object(spec, 'names')
  const kind = text(names, 'kind')
  fill(names, { singular: kind.toLowerCase(), listKind: `${kind}List` })
  fill(spec, { conversion: { strategy: 'None' } })
}

/** What the controller of definitions would say: names are taken, the kind is served. */
export function establish(definition: KubeObject): void {
  const before = object(definition, 'status')
  const now = timestamp()
  const condition = (type: string, reason: string, message: string): JsonObject => {
    const known = list(before, 'conditions').find((one) => text(one, 'type') === type)
    return { type, status: 'True', lastTransitionTime: text(known, 'lastTransitionTime') || now, reason, message }
  }
  const stored = versionsOf(definition).find((version) => version['storage'] === true)
  const previous = list(before, 'storedVersions')
  const storedName = text(stored, 'name')
  definition['status'] = {
    acceptedNames: { ...object(definition, 'spec', 'names') },
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    storedVersions: previous.includes(storedName) ? previous : [...previous, storedName],
  }
}

export function validateDefinition(definition: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const spec = object(definition, 'spec')
  const need = (field: string): string => {
    const value = text(definition, ...field.split('.'))
    if (value === '') errors.push(fieldError.required(field))
    return value
  }
  const group = need('spec.group')
  const plural = need('spec.names.plural')
  need('spec.names.kind')
  const scope = need('spec.scope')
  if (scope !== '' && scope !== 'Cluster' && scope !== 'Namespaced')
    errors.push(fieldError.notSupported('spec.scope', scope, ['Cluster', 'Namespaced']))
  if (definition.metadata.name !== `${plural}.${group}`) {
    errors.push(
      fieldError.invalid('metadata.name', definition.metadata.name ?? '', 'must be spec.names.plural+"."+spec.group'),
    )
  }
  if (group !== '' && !group.includes('.'))
    errors.push(fieldError.invalid('spec.group', group, 'should be a domain with at least one dot'))
  checkNames(object(spec, 'names'), errors)
  const versions = versionsOf(definition)
  if (versions.length === 0) errors.push(fieldError.required('spec.versions'))
  const storing = versions.filter((version) => version['storage'] === true)
  if (storing.length !== 1 && versions.length > 0) {
    const shown = versions.map((version) => text(version, 'name'))
    errors.push(fieldError.invalid('spec.versions', shown, 'must have exactly one version marked as storage version'))
    const none = 'must have at least one stored version'
    if (storing.length === 0) errors.push(fieldError.invalid('status.storedVersions', goText('[]string', []), none))
  }
  if (text(spec, 'conversion', 'strategy') === 'Webhook') {
    errors.push(fieldError.notSupported('spec.conversion.strategy', 'Webhook', ['None']))
  }
  for (const [index, version] of versions.entries()) {
    const name = text(version, 'name')
    const problem = nameProblem(name, 'label1035')
    if (problem !== null) errors.push(fieldError.invalid(`spec.versions[${index}].name`, name, problem))
    // What all versions share is one thing to the real server, and has its old place in errors.
    const path = versions.length === 1 ? 'spec' : `spec.versions[${index}]`
    checkVersion(version, path, versions.length === 1 ? 'spec.validation' : `${path}.schema`, errors)
  }
  return errors
}

function checkNames(names: JsonObject, errors: FieldError[]): void {
  for (const member of ['plural', 'singular'] as const) {
    const name = text(names, member)
    const problem = name === '' ? null : nameProblem(name, 'label1035')
    if (problem !== null) errors.push(fieldError.invalid(`spec.names.${member}`, name, problem))
  }
  for (const [index, name] of list(names, 'shortNames').map(String).entries()) {
    const problem = nameProblem(name, 'label1035')
    if (problem !== null) errors.push(fieldError.invalid(`spec.names.shortNames[${index}]`, name, problem))
  }
  for (const member of ['kind', 'listKind'] as const) {
    const name = text(names, member)
    const problem = name === '' ? null : nameProblem(name.toLowerCase(), 'label1035')
    if (problem === null) continue
    const why = `may have mixed case, but should otherwise match: ${problem}`
    errors.push(fieldError.invalid(`spec.names.${member}`, name, why))
  }
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string']
const simplePath = 'must be a simple json path starting with .'

function checkVersion(version: JsonObject, path: string, schemaPath: string, errors: FieldError[]): void {
  const schema = object(version, 'schema')['openAPIV3Schema']
  const here = `${schemaPath}.openAPIV3Schema`
  if (!isObject(schema)) errors.push(fieldError.required(here, 'schemas are required'))
  else {
    if (schema['type'] !== 'object') {
      const type = schema['type'] ?? ''
      if (isObject(object(version, 'subresources')['status'])) {
        const only =
          'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'
        errors.push(fieldError.invalid(`${here}.type`, type, only))
      }
      errors.push(fieldError.invalid(`${here}.type`, type, 'must be object at the root'))
    }
    checkSchema(schema, here, errors)
    for (const [index, field] of list(version, 'selectableFields').entries()) {
      const jsonPath = text(field, 'jsonPath')
      if (refersTo(schema, jsonPath)) continue
      const why = 'is an invalid path: does not refer to a valid field'
      errors.push(fieldError.invalid(`${path}.selectableFields[${index}].jsonPath`, jsonPath, why))
    }
  }
  for (const [index, entry] of list(version, 'additionalPrinterColumns').entries()) {
    const column = `${path}.additionalPrinterColumns[${index}]`
    const type = text(entry, 'type')
    if (!columnTypes.includes(type))
      errors.push(fieldError.invalid(`${column}.type`, type, `must be one of ${columnTypes.join(',')}`))
    const jsonPath = text(entry, 'jsonPath')
    if (!jsonPath.startsWith('.')) errors.push(fieldError.invalid(`${column}.JSONPath`, jsonPath, simplePath))
    else if (parseJsonPath(jsonPath) === null)
      errors.push(fieldError.invalid(`${column}.JSONPath`, jsonPath, 'is not a JSONPath this server reads'))
  }
  const scale = object(version, 'subresources')['scale']
  for (const [member, root] of isObject(scale) ? scalePaths : []) {
    const jsonPath = text(scale, member)
    const where = `${path}.subresources.scale.${member}`
    if (jsonPath === '' && member !== 'labelSelectorPath') errors.push(fieldError.required(where))
    else if (jsonPath !== '' && !jsonPath.startsWith('.')) errors.push(fieldError.invalid(where, jsonPath, simplePath))
    else if (jsonPath !== '' && !root.some((one) => jsonPath.startsWith(one)))
      errors.push(fieldError.invalid(where, jsonPath, `should be a json path under ${root.map((one) => one.slice(0, -1)).join(' or ')}`)) // prettier-ignore
  }
}

const scalePaths = [
  ['specReplicasPath', ['.spec.']],
  ['statusReplicasPath', ['.status.']],
  ['labelSelectorPath', ['.spec.', '.status.']],
] as const

/** Whether a path such as `.spec.color` is one of a schema's fields. */
function refersTo(schema: Schema, path: string): boolean {
  let at: Schema | undefined = schema
  for (const member of path.split('.').slice(1)) at = at === undefined ? undefined : propertyOf(at, member)
  return path.startsWith('.') && at !== undefined
}

/** The rules of structural schemas that matter here: every part has a type, patterns compile, map lists have keys. */
function checkSchema(schema: JsonObject, path: string, errors: FieldError[]): void {
  const loose = schema['x-kubernetes-preserve-unknown-fields'] === true || schema['x-kubernetes-int-or-string'] === true
  const types = ['array', 'boolean', 'integer', 'number', 'object', 'string']
  const type = text(schema, 'type')
  if (type === '' && !loose)
    errors.push(fieldError.required(`${path}.type`, 'must not be empty for specified object fields'))
  else if (type !== '' && !types.includes(type)) errors.push(fieldError.notSupported(`${path}.type`, type, types))
  const pattern = schema['pattern']
  if (typeof pattern === 'string') {
    try {
      new RegExp(pattern)
    } catch (error) {
      errors.push(
        fieldError.invalid(
          `${path}.pattern`,
          pattern,
          `must be a valid regular expression, but isn't: ${error instanceof Error ? error.message : String(error)}`,
        ),
      )
    }
  }
  if (schema['uniqueItems'] === true) {
    const why = 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic'
    errors.push(fieldError.forbidden(`${path}.uniqueItems`, why))
  }
  const fallback = schema['default']
  if (fallback !== undefined) errors.push(...validate(schema, fallback, `${path}.default`))
  const keys = list(schema, 'x-kubernetes-list-map-keys').map(String)
  const properties = object(schema, 'items', 'properties')
  if (keys.some((key) => !Object.hasOwn(properties, key))) {
    const why = 'entries must all be names of item properties'
    errors.push(fieldError.invalid(`${path}.x-kubernetes-list-map-keys`, goText('[]string', keys), why))
  }
  if (schema['x-kubernetes-list-type'] === 'map' && list(schema, 'x-kubernetes-list-map-keys').length === 0) {
    errors.push(
      fieldError.required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'),
    )
  }
  for (const [name, property] of Object.entries(object(schema, 'properties'))) {
    if (isObject(property)) checkSchema(property, `${path}.properties[${name}]`, errors)
  }
  if (isObject(schema['items'])) checkSchema(schema['items'], `${path}.items`, errors)
  else if (type === 'array') errors.push(fieldError.required(`${path}.items`, 'must be specified'))
  if (isObject(schema['additionalProperties']))
    checkSchema(schema['additionalProperties'], `${path}.additionalProperties`, errors)
}

/** The schema of whole objects: the definition's, with the envelope every object has. */
function wholeSchema(raw: Json | undefined): Schema {
  const schema = (isObject(raw) ? raw : { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }) as Schema
  const envelope = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: builtinSchema('ObjectMeta'),
  } as const
  return { ...schema, properties: { ...schema.properties, ...envelope } }
}

function scaleOf(scale: Json | undefined): ScalePaths | undefined {
  if (!isObject(scale)) return undefined
  const steps = (member: string): string[] => text(scale, member).split('.').slice(1)
  return { spec: steps('specReplicasPath'), status: steps('statusReplicasPath'), selector: steps('labelSelectorPath') }
}

/** One resource for each served version, the stored version first. */
export function definedResources(definition: KubeObject): Resource[] {
  const spec = object(definition, 'spec')
  const names = object(spec, 'names')
  const group = text(spec, 'group')
  const plural = text(names, 'plural')
  const stored = versionsOf(definition).find((version) => version['storage'] === true)
  const storedApiVersion = `${group}/${text(stored, 'name')}`
  return versionsOf(definition)
    .filter((version) => version['served'] === true)
    .sort((one, other) => compareVersions(text(one, 'name'), text(other, 'name')))
    .map((version): Resource => {
      const fields = list(version, 'selectableFields').map((field) => text(field, 'jsonPath').replace(/^\./, ''))
      return {
        group,
        version: text(version, 'name'),
        plural,
        singular: text(names, 'singular'),
        kind: text(names, 'kind'),
        listKind: text(names, 'listKind'),
        shortNames: list(names, 'shortNames').map(String),
        categories: list(names, 'categories').map(String),
        namespaced: text(spec, 'scope') === 'Namespaced',
        collection: `${group}/${plural}`,
        storedApiVersion,
        subresources: ['status', 'scale'].filter((name) => isObject(object(version, 'subresources')[name])),
        scale: scaleOf(object(version, 'subresources')['scale']),
        generation: true,
        versionedUpdates: true,
        returnsDeleted: false,
        custom: true,
        typeName: null,
        schema: wholeSchema(object(version, 'schema')['openAPIV3Schema']),
        fields: new Map(fields.map((field) => [field, pathReader(field)])),
        columns: customColumns(version),
        strategy: {},
      }
    })
}

/** Kubernetes' order of versions: v2 before v1 before v1beta2 before v1alpha1 before anything else. */
export function compareVersions(one: string, other: string): number {
  const rank = (version: string): [number, number, number] => {
    const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version)
    if (match === null) return [0, 0, 0]
    return [match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1, Number(match[1]), Number(match[3] ?? 0)]
  }
  const a = rank(one)
  const b = rank(other)
  for (const index of [0, 1, 2] as const) if (a[index] !== b[index]) return b[index] - a[index]
  return one < other ? -1 : one > other ? 1 : 0
}
