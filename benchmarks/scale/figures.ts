// What this benchmark says: named numbers, with the ones that must be reached (docs: design of the project, §7).
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The value must not be more than this (or less, for `atLeast`). */
  readonly reach?: number
  readonly atLeast?: boolean
}

export interface Section {
  readonly title: string
  readonly figures: readonly Figure[]
}

export function met({ value, reach, atLeast }: Figure): boolean | null {
  if (reach === undefined) return null
  return atLeast === true ? value >= reach : value <= reach
}

/** A number as people read it: three digits that count, thousands apart. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return '?'
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toPrecision(3)
}

export function cells(figure: Figure): string[] {
  const { what, value, unit, reach, atLeast } = figure
  const verdict = met(figure)
  const bound = reach === undefined ? '' : `${atLeast === true ? '≥' : '≤'} ${readable(reach)}`
  return [what, readable(value), unit, bound, verdict === null ? '' : verdict ? 'yes' : 'NO']
}

export const header = ['what', 'value', 'unit', 'reach', 'met'] as const
