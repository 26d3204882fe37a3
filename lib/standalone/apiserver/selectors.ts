// Label and field selectors of lists and watches.
import { badRequest } from './errors.ts'
import { at } from './json.ts'
import type { Json, KubeObject } from './types.ts'

export type Predicate = (object: KubeObject) => boolean

export interface LabelRequirement {
  readonly key: string
  readonly operator: '=' | '!=' | 'in' | 'notin' | 'exists' | '!'
  readonly values: readonly string[]
}

export interface FieldRequirement {
  readonly field: string
  readonly operator: '=' | '!='
  readonly value: string
}

/**
 * Parse a label selector: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
 *
 * @throws StatusError 400 saying what is wrong with it
 */
export function parseLabelSelector(selector: string): LabelRequirement[] {
  const requirements: LabelRequirement[] = []
  const wrong = (why: string): never => {
    throw badRequest(`unable to parse requirement: ${why} in ${JSON.stringify(selector)}`)
  }
  let rest = selector.trim()
  while (rest !== '') {
    const set = /^([^\s,=!()<>]+)\s+(in|notin)\s*\(([^()]*)\)\s*(?:,\s*|$)/.exec(rest)
    const equality = /^([^\s,=!()<>]+)\s*(==|=|!=)\s*([^\s,=!()<>]*)\s*(?:,\s*|$)/.exec(rest)
    const exists = /^(!?)\s*([^\s,=!()<>]+)\s*(?:,\s*|$)/.exec(rest)
    const match = set ?? equality ?? exists
    if (match === null) {
      const extra = /^[^\s,=!()<>]+\s*(?:==|=|!=)\s*[^\s,=!()<>]*\s*(.)/.exec(rest)
      if (extra !== null) throw badRequest(`found '${extra[1] ?? ''}', expected: ',' or 'end of string'`)
      return wrong(`found '${rest}', expected: !, identifier, or ','`)
    }
    let requirement: LabelRequirement
    if (set !== null) {
      const values = (set[3] ?? '').split(',').map((value) => value.trim())
      requirement = { key: set[1] ?? '', operator: set[2] === 'in' ? 'in' : 'notin', values }
    } else if (equality !== null) {
      requirement = { key: equality[1] ?? '', operator: equality[2] === '!=' ? '!=' : '=', values: [equality[3] ?? ''] }
    } else {
      requirement = { key: exists?.[2] ?? '', operator: exists?.[1] === '!' ? '!' : 'exists', values: [] }
    }
    const problem =
      labelKeyProblem(requirement.key) ?? requirement.values.map(labelValueProblem).find((found) => found !== null)
    if (problem !== undefined && problem !== null) wrong(problem)
    requirements.push(requirement)
    rest = rest.slice(match[0].length)
  }
  return requirements
}

export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined
    switch (operator) {
      case 'exists':
        return value !== undefined
      case '!':
        return value === undefined
      case '=':
      case 'in':
        return value !== undefined && values.includes(value)
      case '!=':
      case 'notin':
        return value === undefined || !values.includes(value)
    }
  })
}

/**
 * Parse a field selector: `metadata.name=a,status.phase!=Running`; `\` escapes `\`, `,` and `=` in values.
 *
 * @throws StatusError 400
 */
export function parseFieldSelector(selector: string): FieldRequirement[] {
  const requirements: FieldRequirement[] = []
  for (const part of selector.split(/(?<=(?:^|[^\\])(?:\\\\)*),/)) {
    const term = part.replace(/,$/, '')
    if (term === '') continue
    const match = /^([^=!]*)(!=|==|=)(.*)$/s.exec(term)
    if (match === null) throw badRequest(`invalid selector: '${selector}'; can't understand '${term}'`)
    const value = (match[3] ?? '').replaceAll(/\\([\\,=])/g, '$1')
    requirements.push({ field: match[1] ?? '', operator: match[2] === '!=' ? '!=' : '=', value })
  }
  return requirements
}

/** Reads the value a field selector compares; a plain path unless given. */
export type FieldReader = (object: KubeObject) => string

export function pathReader(field: string): FieldReader {
  const path = field.split('.')
  return (object) => fieldText(at(object, ...path))
}

function fieldText(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/**
 * One predicate for both selectors of a request; null when neither restricts anything.
 *
 * @param fields what can be selected by, besides metadata.name and metadata.namespace
 * @throws StatusError 400 for a selector that cannot be parsed or a field that cannot be selected by
 */
export function compileSelectors(
  labelSelector: string,
  fieldSelector: string,
  fields: ReadonlyMap<string, FieldReader>,
): Predicate | null {
  const labels = parseLabelSelector(labelSelector)
  const compiled = parseFieldSelector(fieldSelector).map(({ field, operator, value }) => {
    const read = field === 'metadata.name' || field === 'metadata.namespace' ? pathReader(field) : fields.get(field)
    if (read === undefined) {
      throw badRequest(`field label not supported: ${field}`)
    }
    return operator === '='
      ? (object: KubeObject) => read(object) === value
      : (object: KubeObject) => read(object) !== value
  })
  if (labels.length === 0 && compiled.length === 0) return null
  return (object) => matchesLabels(labels, object.metadata.labels) && compiled.every((test) => test(object))
}

/** Why `key` is no label key, or null. */
export function labelKeyProblem(key: string): string | null {
  const parts = key.split('/')
  const name = parts.at(-1) ?? ''
  if (parts.length > 2)
    return (
      "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  " +
      "or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    )
  if (
    parts.length === 2 &&
    !/^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(parts[0] ?? '')
  ) {
    return `prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.': "${key}"`
  }
  if (name === '') return 'name part must be non-empty'
  if (name.length > 63) return 'name part must be no more than 63 bytes'
  if (!/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(name)) {
    return (
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  " +
      "or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )
  }
  return null
}

/** Why `value` is no label value, or null. */
export function labelValueProblem(value: string): string | null {
  if (value.length > 63) return 'must be no more than 63 bytes'
  if (value !== '' && !/^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(value)) {
    return (
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
      "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )
  }
  return null
}
