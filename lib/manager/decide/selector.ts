// Whether a label selector is one, before it is sent to the API server, which would refuse it at every watch instead of once
// at start. The terms are Kubernetes' own: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`.
const NAME = '[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?'
const KEY = `(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?/)?${NAME}`
const VALUE = `(?:${NAME})?`
const TERM = new RegExp(
  `^\\s*(?:!\\s*${KEY}|${KEY}(?:\\s*(?:=|==|!=)\\s*${VALUE}|\\s+(?:in|notin)\\s*\\(\\s*${VALUE}(?:\\s*,\\s*${VALUE})*\\s*\\))?)\\s*$`,
)

/** What is wrong with the selector; null when nothing is. The empty selector selects all. */
export function selectorProblem(text: string): string | null {
  if (text.trim() === '') return null
  // Commas inside parentheses separate values, not terms.
  for (const term of text.split(/,(?![^(]*\))/)) {
    if (!TERM.test(term)) {
      return `${JSON.stringify(term)} is no selector term, expected KEY=VALUE, KEY!=VALUE, KEY in (VALUES), KEY notin (VALUES), KEY or !KEY`
    }
  }
  return null
}
