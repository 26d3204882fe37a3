// additionalPrinterColumns: cells by the simple JSONPath that CustomResourceDefinitions use.
import { at, isObject, list, object, text } from '../json.ts'
import type { Column } from '../registry.ts'
import { ageOf } from '../tables/age.ts'
import { ageColumn, nameColumn } from '../tables/columns.ts'
import type { Json, JsonObject, KubeObject } from '../types.ts'

type Step =
  | { readonly member: string }
  | { readonly index: number }
  | { readonly all: true }
  | { readonly where: readonly string[]; readonly equals: string }

/**
 * Parse `.spec.a`, `.a.b[0].c`, `.a[*].b`, `.metadata.labels.x\.y`, `.a['b.c']`, `.conditions[?(@.type=="Ready")].status`.
 *
 * @returns null for anything else
 */
export function parseJsonPath(path: string): Step[] | null {
  const steps: Step[] = []
  let rest = path.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, '')
  while (rest !== '') {
    const member = /^\.((?:\\.|[^.[\]\\])+)/.exec(rest)
    const index = /^\[(-?\d+)\]/.exec(rest)
    const every = /^(?:\[\*\]|\.\*)/.exec(rest)
    const quoted = /^\[(['"])(.*?)\1\]/.exec(rest)
    const filter = /^\[\?\(\s*@((?:\.[A-Za-z0-9_-]+)+)\s*==\s*(['"])(.*?)\2\s*\)\]/.exec(rest)
    const match = every ?? filter ?? index ?? quoted ?? member
    if (match === null) return null
    if (every !== null) steps.push({ all: true })
    else if (filter !== null) steps.push({ where: (filter[1] ?? '').slice(1).split('.'), equals: filter[3] ?? '' })
    else if (index !== null) steps.push({ index: Number(index[1]) })
    else if (quoted !== null) steps.push({ member: quoted[2] ?? '' })
    else steps.push({ member: (member?.[1] ?? '').replaceAll(/\\(.)/g, '$1') })
    rest = rest.slice(match[0].length)
  }
  return steps
}

export function evaluate(steps: readonly Step[], root: Json): Json[] {
  let values: Json[] = [root]
  for (const step of steps) {
    values = values.flatMap((value): Json[] => {
      if ('all' in step)
        return Array.isArray(value)
          ? value
          : isObject(value)
            ? Object.values(value).filter((member) => member !== undefined)
            : []
      if ('where' in step)
        return Array.isArray(value) ? value.filter((item) => text(item, ...step.where) === step.equals) : []
      if ('index' in step) {
        const item = Array.isArray(value) ? value.at(step.index) : undefined
        return item === undefined ? [] : [item]
      }
      const member = at(value, step.member)
      return member === undefined ? [] : [member]
    })
  }
  return values
}

function cell(type: string, found: readonly Json[], now: Date): Json {
  const value = found[0]
  if (value === undefined || value === null) return null
  if (type === 'date') return typeof value === 'string' ? ageOf(value, now) : '<invalid>'
  if (type === 'integer' || type === 'number')
    return typeof value === 'number' ? (type === 'integer' ? Math.trunc(value) : value) : Number(text(value)) || null
  if (type === 'boolean') return typeof value === 'boolean' ? value : null
  if (typeof value !== 'object') return String(value)
  return JSON.stringify(value)
}

/** Columns of one version of a definition: Name, then its own, or Age when it has none. */
export function customColumns(version: JsonObject): Column[] {
  const own = list(version, 'additionalPrinterColumns').flatMap((entry): Column[] => {
    const steps = parseJsonPath(text(entry, 'jsonPath'))
    const type = text(entry, 'type')
    if (steps === null) return []
    const priority = object(entry)['priority']
    return [
      {
        name: text(entry, 'name'),
        type: type === 'integer' || type === 'number' || type === 'boolean' || type === 'date' ? type : 'string',
        format: text(entry, 'format'),
        description: text(entry, 'description'),
        ...(typeof priority === 'number' ? { priority } : {}),
        value: (item: KubeObject, now) => cell(type, evaluate(steps, item), now),
      },
    ]
  })
  return [nameColumn, ...(own.length === 0 ? [ageColumn] : own)]
}
