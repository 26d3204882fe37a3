/** Thrown when text is not the address, prefix, range or MAC it should be. Names the text and what was expected. */
export class AddressError extends Error {
  /** The offending text. */
  readonly text: string
  /** What would have been right, e.g. "an IPv4 or IPv6 address". */
  readonly expected: string

  constructor(text: string, expected: string) {
    super(`${JSON.stringify(text)} is not ${expected}`)
    this.name = 'AddressError'
    this.text = text
    this.expected = expected
  }
}
