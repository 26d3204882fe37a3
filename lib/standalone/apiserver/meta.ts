// Rules about metadata that hold for every kind.
import { randomInt, randomUUID } from 'node:crypto'
import { fieldError } from './errors.ts'
import type { FieldError } from './errors.ts'
import { equal } from './json.ts'
import type { Resource } from './registry.ts'
import { labelKeyProblem, labelValueProblem } from './selectors.ts'
import type { KubeObject, ObjectMeta } from './types.ts'

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** `generateName` plus five random characters, as the real server makes names. */
export function generateName(base: string): string {
  let suffix = ''
  for (let index = 0; index < 5; index++) suffix += suffixAlphabet[randomInt(suffixAlphabet.length)] ?? ''
  return base.slice(0, 58) + suffix
}

export const newUid = (): string => randomUUID()

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const label1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** Why `name` cannot be a name of this kind, or null. */
export function nameProblem(
  name: string,
  rule: NonNullable<Resource['strategy']['names']> = 'subdomain',
): string | null {
  switch (rule) {
    case 'path':
      if (name === '.' || name === '..') return `may not be '${name}'`
      return /[/%]/.test(name) ? "may not contain '/' or '%'" : null
    case 'label':
      if (name.length > 63) return 'must be no more than 63 bytes'
      if (label.test(name)) return null
      return (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric " +
        "character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
      )
    case 'label1035':
      if (name.length > 63) return 'must be no more than 63 bytes'
      if (label1035.test(name)) return null
      return (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an " +
        "alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
      )
    case 'subdomain':
      if (name.length > 253) return 'must be no more than 253 bytes'
      if (subdomain.test(name)) return null
      return (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
        "alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
      )
  }
}

const annotationLimit = 256 * 1024
const standardFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion'])

/** What is wrong with an object's metadata. */
export function validateMeta(resource: Resource, object: KubeObject): FieldError[] {
  const meta = object.metadata
  const errors: FieldError[] = []
  const name = meta.name ?? ''
  if (name === '') errors.push(fieldError.required('metadata.name', 'name or generateName is required'))
  else {
    const problem = nameProblem(name, resource.strategy.names)
    if (problem !== null) errors.push(fieldError.invalid('metadata.name', name, problem))
  }
  for (const [key, value] of Object.entries(meta.labels ?? {})) {
    const wrongKey = labelKeyProblem(key)
    if (wrongKey !== null) errors.push(fieldError.invalid('metadata.labels', key, wrongKey))
    const wrongValue = labelValueProblem(value)
    if (wrongValue !== null) errors.push(fieldError.invalid('metadata.labels', value, wrongValue))
  }
  let size = 0
  for (const [key, value] of Object.entries(meta.annotations ?? {})) {
    const wrongKey = labelKeyProblem(key.toLowerCase())
    if (wrongKey !== null) errors.push(fieldError.invalid('metadata.annotations', key, wrongKey))
    size += Buffer.byteLength(key) + Buffer.byteLength(value)
  }
  if (size > annotationLimit) errors.push(fieldError.tooLong('metadata.annotations', annotationLimit))
  // Definitions and what they define follow the rules of another program.
  const ownRules = resource.custom || resource.group === 'apiextensions.k8s.io'
  for (const [index, finalizer] of (meta.finalizers ?? []).entries()) {
    const problem = labelKeyProblem(finalizer)
    const field = `metadata.finalizers[${index}]`
    if (problem !== null) errors.push(fieldError.invalid(field, finalizer, problem))
    else if (!ownRules && !finalizer.includes('/') && !standardFinalizers.has(finalizer)) {
      const why = 'name is neither a standard finalizer name nor is it fully qualified'
      errors.push(fieldError.invalid(field, finalizer, why))
    }
  }
  let controllers = 0
  for (const [index, owner] of (meta.ownerReferences ?? []).entries()) {
    const path = `metadata.ownerReferences[${index}]`
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!owner[field]) errors.push(fieldError.invalid(`${path}.${field}`, owner[field] ?? '', 'must not be empty'))
    }
    if (owner.controller === true && ++controllers === 2) {
      errors.push(
        fieldError.invalid(
          'metadata.ownerReferences',
          owner.name,
          'Only one reference can have Controller set to true.',
        ),
      )
    }
  }
  return errors
}

/** Put the parts of metadata that only the server changes into an updated object; `meta` is changed in place. */
export function carryOver(meta: ObjectMeta, old: ObjectMeta): void {
  const fixed = [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'namespace',
    'generateName',
  ]
  for (const field of fixed) {
    if (old[field] === undefined) Reflect.deleteProperty(meta, field)
    else meta[field] = old[field]
  }
  meta.name = old.name ?? ''
}

const goList = (texts: readonly string[]): string => `[]string{${texts.map((text) => JSON.stringify(text)).join(', ')}}`

/** Rules about how metadata may change. */
export function validateMetaUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  if (old.metadata.deletionTimestamp === undefined) return []
  const before = old.metadata.finalizers ?? []
  const added = (object.metadata.finalizers ?? []).filter((finalizer) => !before.includes(finalizer))
  if (added.length === 0) return []
  const why = `no new finalizers can be added if the object is being deleted, found new finalizers ${goList(added)}`
  return [fieldError.forbidden('metadata.finalizers', why)]
}

/** Whether something else than metadata and status differs. */
export function specChanged(object: KubeObject, old: KubeObject): boolean {
  const keys = new Set([...Object.keys(object), ...Object.keys(old)])
  for (const outside of ['apiVersion', 'kind', 'metadata', 'status']) keys.delete(outside)
  return [...keys].some((key) => !equal(object[key], old[key]))
}
