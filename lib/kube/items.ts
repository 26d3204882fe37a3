// Reading a list response item by item while it arrives. JSON.parse of a whole page blocks the event loop for as long as
// the page is big; here each item is parsed, projected and forgotten on its own, and the rest (kind, metadata) at the end.
//
// A small scanner follows strings and nesting over the raw bytes (UTF-8 needs no decoding for that: all structural
// characters are ASCII). It finds the member "items" of the outermost object; every element of that array is handed to
// JSON.parse by itself; the document without them is the envelope. The scanner does not validate: JSON.parse of the items
// and of the envelope does.

/** An item, or the document without its items, of more than this is an error: no answer may eat the memory. */
const maxBytes = 64 << 20

const quote = 0x22
const backslash = 0x5c

/** What the scanner does at a byte outside strings: 0 nothing, 1 opens, 2 closes, 3 quote, 4 other significant byte. */
const classes = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) classes[byte] = byte === 0x20 || (byte >= 0x09 && byte <= 0x0d) ? 0 : 4
for (const byte of [0x7b, 0x5b]) classes[byte] = 1
for (const byte of [0x7d, 0x5d]) classes[byte] = 2
classes[quote] = 3

export class ItemSplitter {
  readonly #onItem: (item: unknown) => void
  readonly #envelope: Buffer[] = []
  #itemParts: Buffer[] = []
  #keyParts: Buffer[] = []
  #itemBytes = 0
  #envelopeBytes = 0
  #depth = 0
  #inString = false
  #escaped = false
  /** At depth 1: the next string is a key (after '{' or ','). */
  #expectKey = false
  /** Inside a key at depth 1. */
  #inKey = false
  /** The last key at depth 1 was "items" and its value has not begun. */
  #itemsNext = false
  /** Inside the array of items. */
  #inItems = false

  constructor(onItem: (item: unknown) => void) {
    this.#onItem = onItem
  }

  /** @throws SyntaxError when an item is not JSON */
  push(chunk: Buffer): void {
    let from = 0
    let at = 0
    const length = chunk.length
    let inString = this.#inString
    let escaped = this.#escaped
    let depth = this.#depth
    while (at < length) {
      const byte = chunk[at] ?? 0
      if (inString) {
        if (escaped) escaped = false
        else if (byte === backslash) escaped = true
        else if (byte === quote) {
          inString = false
          if (this.#inKey) {
            this.#keepKey(chunk.subarray(from, at + 1))
            from = at + 1
            this.#endKey()
          }
        }
        at++
        continue
      }
      switch (classes[byte] ?? 0) {
        case 3:
          if (this.#inItems && depth === 2) throw new SyntaxError('a list item is a string, expected an object')
          inString = true
          if (depth === 1 && this.#expectKey) {
            this.#keep(chunk.subarray(from, at))
            from = at
            this.#inKey = true
            this.#expectKey = false
          }
          break
        case 1:
          if (this.#inItems && depth === 2) {
            this.#between(chunk.subarray(from, at))
            from = at
          }
          depth++
          if (depth === 1) this.#expectKey = true
          if (depth === 2 && this.#itemsNext) {
            this.#itemsNext = false
            if (byte === 0x5b) {
              this.#keep(chunk.subarray(from, at + 1))
              from = at + 1
              this.#inItems = true
            }
          }
          break
        case 2:
          if (this.#inItems && depth === 2) {
            this.#between(chunk.subarray(from, at))
            from = at
            this.#inItems = false
          }
          depth--
          if (this.#inItems && depth === 2) {
            this.#keepItem(chunk.subarray(from, at + 1))
            from = at + 1
            this.#endItem()
          }
          break
        case 4:
          if (depth === 1) {
            if (byte === 0x2c) this.#expectKey = true
            if (byte !== 0x3a) this.#itemsNext = false
          }
          break
        default:
      }
      at++
    }
    this.#inString = inString
    this.#escaped = escaped
    this.#depth = depth
    const rest = chunk.subarray(from)
    if (rest.length === 0) return
    if (this.#inKey) {
      this.#keepKey(rest)
    } else if (this.#inItems && depth > 2) this.#keepItem(rest)
    else if (this.#inItems) this.#between(rest)
    else this.#keep(rest)
  }

  /**
   * The document without its items.
   *
   * @throws SyntaxError when the document is cut off or no JSON
   */
  finish(): unknown {
    if (this.#inItems) throw new SyntaxError('the list ends inside its items')
    return JSON.parse(Buffer.concat(this.#envelope).toString('utf8'))
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#envelopeBytes += bytes.length
    if (this.#envelopeBytes > maxBytes) throw new SyntaxError(`more than ${maxBytes} bytes outside the items`)
    this.#envelope.push(bytes)
  }

  #keepKey(bytes: Buffer): void {
    this.#keep(bytes)
    this.#keyParts.push(bytes)
  }

  #keepItem(bytes: Buffer): void {
    this.#itemBytes += bytes.length
    if (this.#itemBytes > maxBytes) throw new SyntaxError(`an item of more than ${maxBytes} bytes`)
    this.#itemParts.push(bytes)
  }

  /** Only commas and white space may stand between items. */
  #between(bytes: Buffer): void {
    for (const byte of bytes) {
      if (byte !== 0x2c && classes[byte] !== 0)
        throw new SyntaxError(`unexpected byte ${byte} between the list's items`)
    }
  }

  #endKey(): void {
    this.#inKey = false
    this.#itemsNext = Buffer.concat(this.#keyParts).toString('latin1') === '"items"'
    this.#keyParts = []
  }

  #endItem(): void {
    const bytes = this.#itemParts.length === 1 ? this.#itemParts[0] : Buffer.concat(this.#itemParts)
    this.#itemParts = []
    this.#itemBytes = 0
    this.#onItem(JSON.parse((bytes ?? Buffer.alloc(0)).toString('utf8')))
  }
}
