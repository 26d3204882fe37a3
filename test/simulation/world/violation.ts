/** Something happened that must not. `rule` is stable: a shrunk run must break the same one. */
export class Violation extends Error {
  readonly rule: string

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`)
    this.rule = rule
  }
}
