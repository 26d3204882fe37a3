// Label selectors as text, as flags and the API server take them: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`,
// with commas between. Terms are Kubernetes' own; `<` and `>` are not taken.
import type { Result } from './pod-options.ts'

const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?'
const KEY = `(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?${NAME}`
const VALUE = `(?:${NAME})?`
const TERM = new RegExp(
  `^\\s*(?:(?<not>!)\\s*)?(?<key>${KEY})(?:\\s*(?<equals>==|=|!=)\\s*(?<value>${VALUE})` +
    `|\\s+(?<set>in|notin)\\s*\\(\\s*(?<values>${VALUE}(?:\\s*,\\s*${VALUE})*)\\s*\\))?\\s*$`,
)

export type LabelMatcher = (labels: Readonly<Record<string, string>> | null | undefined) => boolean

/** What the selector selects, or what is wrong with it. The empty one selects all; `!=` and `notin` select what has no such label. */
export function parseLabelSelector(text: string): Result<LabelMatcher> {
  if (text.trim() === '') return { value: () => true, error: null }
  const tests: LabelMatcher[] = []
  // Commas inside parentheses separate values, not terms.
  for (const term of text.split(/,(?![^(]*\))/)) {
    const { not, key, equals, value, set, values } = TERM.exec(term)?.groups ?? {}
    if (key === undefined || (not !== undefined && (equals ?? set) !== undefined)) {
      const expected = 'KEY=VALUE, KEY!=VALUE, KEY in (VALUES), KEY notin (VALUES), KEY or !KEY'
      return { value: null, error: `${JSON.stringify(term)} is no selector term, expected ${expected}` }
    }
    const wanted = new Set(equals === undefined ? (values ?? '').split(',').map((one) => one.trim()) : [value ?? ''])
    const negative = not !== undefined || equals === '!=' || set === 'notin'
    const any = equals === undefined && set === undefined
    tests.push((labels) => {
      const found = labels?.[key]
      return (found !== undefined && (any || wanted.has(found))) !== negative
    })
  }
  return { value: (labels) => tests.every((one) => one(labels)), error: null }
}
