// Splitting a byte stream into lines, as watch responses need it: a line may arrive in any number of pieces, and a piece
// may end inside a UTF-8 sequence, so nothing is decoded before a line is whole. Pure.

const newline = 0x0a

export class LineSplitter {
  readonly #onLine: (line: Buffer) => void
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #size = 0

  /**
   * @param onLine called for each non-empty line, without its newline; the buffer may share memory with the chunk
   * @param maxBytes longer lines are an error, so that a stream without newlines cannot eat the memory
   */
  constructor(onLine: (line: Buffer) => void, maxBytes = 64 << 20) {
    this.#onLine = onLine
    this.#maxBytes = maxBytes
  }

  /** Bytes of an unfinished line kept now. */
  get pending(): number {
    return this.#size
  }

  /** @throws RangeError when a line is too long; the splitter is unusable then */
  push(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const tail = chunk.subarray(start, end)
      start = end + 1
      const line = this.#size === 0 ? tail : Buffer.concat([...this.#parts, tail])
      this.#parts = []
      this.#size = 0
      this.#limit(line.length)
      if (line.length > 0 && !(line.length === 1 && line[0] === 0x0d)) this.#onLine(line)
    }
    if (start < chunk.length) {
      this.#parts.push(start === 0 ? chunk : chunk.subarray(start))
      this.#size += chunk.length - start
      this.#limit(this.#size)
    }
  }

  /** What is left at the end of the stream, when the last line was cut off. */
  rest(): Buffer | null {
    return this.#size === 0 ? null : Buffer.concat(this.#parts)
  }

  #limit(size: number): void {
    if (size > this.#maxBytes) throw new RangeError(`a line of more than ${this.#maxBytes} bytes`)
  }
}
