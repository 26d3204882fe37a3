/** Something of the input that cannot be programmed. It costs only its own records; status shows it. */
export interface Problem {
  /** "subnet s1", "pod default/web-0", "node". */
  readonly object: string
  readonly message: string
}

/** What one contributor asks for. */
export interface Contribution<R> {
  readonly records: readonly R[]
  readonly problems: readonly Problem[]
}
